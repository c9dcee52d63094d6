"""Settings of the detector's server: one YAML file of the operator."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from slipway.models import StrictModel
from slipway.run.names import Name

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[int, Field(ge=1)]


class Limits(StrictModel):
    """Limits for clients.

    Attributes:
      body_bytes: Largest body of a request.
      body_seconds: Longest time until the body of a request has arrived.
      pixels: Largest width times height of an image; decoded and normalized, it takes 30 bytes a pixel or more.
      at_once: Predictions that run at a time.
      waiting: Requests for predictions that wait for a thread, their model or their body.
      requests_per_second: Average of one user; for requests with wrong tokens, of one address.
      burst: Requests that one user, or address, may send at once.
    """

    body_bytes: Count = 20 << 20
    body_seconds: Seconds = 30
    pixels: Count = 25_000_000
    at_once: Count = 2
    waiting: Annotated[int, Field(ge=0)] = 32
    requests_per_second: Annotated[float, Field(gt=0)] = 50
    burst: Count = 200

    def bytes_of(self, _method: str, _path: str) -> int:
        """Return the largest body of a request, in bytes."""
        return self.body_bytes


class DetectorSettings(StrictModel):
    """Content of the settings file.

    Attributes:
      tokens: A YAML file: a list of name, role and sha256, the digest of a token.
      models: Runs whose exports are loaded at the start; the server is not ready before.
      kept_models: Models in memory; the least recently used one is removed for another.
      trusted_proxies: Addresses whose X-Forwarded-For is trusted.
      shutdown_seconds: Time that requests get to end after SIGTERM.
    """

    tokens: Path = Path("/etc/slipway/tokens/tokens.yaml")
    models: list[Name] = Field(default_factory=list)
    kept_models: Count = 4
    limits: Limits = Limits()
    trusted_proxies: list[str] = Field(default_factory=list)
    shutdown_seconds: Seconds = 20

    @model_validator(mode="after")
    def _check_kept_models(self) -> "DetectorSettings":
        if len(self.models) > self.kept_models:
            raise ValueError(
                f"models lists {len(self.models)}, keptModels keeps {self.kept_models}; raise it, or list fewer"
            )
        return self
