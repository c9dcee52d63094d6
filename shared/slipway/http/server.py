"""How a server of Slipway listens."""

import signal
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI


@dataclass(frozen=True)
class Place:
    """Where a server listens.

    Attributes:
      trusted_proxies: Addresses whose X-Forwarded-For is believed.
      shutdown_seconds: How long requests may take to end after SIGTERM.
    """

    host: str
    port: int
    trusted_proxies: list[str]
    shutdown_seconds: int


def listening(app: FastAPI, place: Place) -> uvicorn.Config:
    """Say how to serve the application, and let uvicorn alone end the process on SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # uvicorn handles it, and sends it on when all has ended
    return uvicorn.Config(
        app,
        place.host,
        place.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(place.trusted_proxies),
        forwarded_allow_ips=place.trusted_proxies,
        timeout_graceful_shutdown=place.shutdown_seconds,
    )
