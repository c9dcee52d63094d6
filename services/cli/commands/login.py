"""`slipway login`: tries an installation's token and stores it."""

import getpass
import sys
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import EXIT_DONE, SpecError

from services.cli.remote.client import PATIENCE_SEC, Api, Call, Server
from services.cli.remote.credentials import print_notice, store_login


@dataclass(frozen=True)
class LoginRequest:
    """The options of `slipway login`."""

    url: str
    token_stdin: bool = False
    ca_file: Path | None = None
    insecure_http: bool = False


def login(request: LoginRequest) -> int:
    """Try the token, and store it where only the user can read it."""
    ca_file = request.ca_file.absolute() if request.ca_file else None
    Server(request.url, "not-yet-asked-for", ca_file, request.insecure_http)  # refuses a wrong address first
    token = _read_token(request.token_stdin)
    server = Server(request.url.rstrip("/"), token, ca_file, request.insecure_http)
    Api(server, PATIENCE_SEC, print_notice).json(Call("GET", "/v1/runs", {"limit": 1}))
    store_login(server)
    print(f"logged in to {server.url}")
    return EXIT_DONE


def _read_token(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().strip()
    if not sys.stdin.isatty():
        raise SpecError("the token cannot be asked for without a terminal; give it with --token-stdin")
    return getpass.getpass("token (it is not shown): ").strip()
