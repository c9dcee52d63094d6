"""The installation and its token: from the environment, or from `slipway login`."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from slipway.errors import InputError, SpecError
from slipway.models import AnswerModel
from slipway.store.file_errors import as_store_errors

from services.cli.remote.client import PATIENCE_SEC, Api, Server
from services.cli.remote.private_files import user_folder, write_private

_HINT = "log in with `slipway login URL`, or set SLIPWAY_API_URL and SLIPWAY_API_TOKEN"


class StoredLogin(AnswerModel):
    """The installation that the user logged in to: the content of `api.json`."""

    url: str
    token: str
    insecure_http: bool = False
    ca_file: Path | None = None


def connect() -> Api:
    """Return the client of the installation that the environment names, or else of the stored login.

    A token that was stored for one address is never sent to another.

    Raises:
      SpecError: No installation is named, or its address or token is malformed.
    """
    return Api(_server(os.environ, login_file()), PATIENCE_SEC, print_notice)


def print_notice(line: str) -> None:
    print(f"slipway: {line}", file=sys.stderr, flush=True)


def login_file() -> Path:
    return user_folder("XDG_CONFIG_HOME", ".config") / "api.json"


def store_login(server: Server) -> None:
    """Write the login to a file that only the user can read."""
    login = StoredLogin(url=server.url, token=server.token, insecure_http=server.insecure_http, ca_file=server.ca_file)
    write_private(login_file(), login.model_dump(mode="json", by_alias=True, exclude_none=True))


def _server(environment: Mapping[str, str], file: Path) -> Server:
    url, token = (environment.get(f"SLIPWAY_API_{part}", "").strip() for part in ("URL", "TOKEN"))
    login = None if url and token else _read_login(file)
    if url and not token and not (login and login.url == url.rstrip("/")):
        raise SpecError(f"SLIPWAY_API_URL is set, and there is no token for it; set SLIPWAY_API_TOKEN, or {_HINT}")
    ca_file = environment.get("SLIPWAY_API_CA_FILE")
    is_insecure = environment.get("SLIPWAY_API_INSECURE_HTTP") == "1"
    if login is None:
        if not url:
            raise SpecError(f"no installation is named; {_HINT}")
        return Server(url.rstrip("/"), token, Path(ca_file) if ca_file else None, is_insecure)
    return Server(
        (url or login.url).rstrip("/"),
        token or login.token,
        Path(ca_file) if ca_file else login.ca_file,
        is_insecure or login.insecure_http,
    )


def _read_login(file: Path) -> StoredLogin | None:
    if not file.exists():
        return None
    with as_store_errors(str(file)):
        if file.stat().st_mode & 0o077:
            raise InputError(f"{file}: others can read the token; run `chmod 600 {file}`, and have the token replaced")
        text = file.read_text()
    try:
        return StoredLogin.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"{file}: not as `slipway login` wrote it; {_HINT}") from error
