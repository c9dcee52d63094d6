"""Which installation is talked to, and with which token: from the environment, or from `slipway login`."""

import getpass
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.errors import EXIT_DONE, InputError, SpecError
from slipway.store.file_errors import translated

from services.cli.remote.client import PATIENCE_SEC, Api, Call, Server

_HOW = "log in with `slipway login URL`, or set SLIPWAY_API_URL and SLIPWAY_API_TOKEN"


@dataclass(frozen=True)
class Login:
    """What `slipway login` was given."""

    url: str
    token_stdin: bool = False
    ca_file: Path | None = None
    insecure_http: bool = False


def login(asked: Login) -> int:
    """Try the token, and keep it where only the user can read it."""
    ca_file = asked.ca_file.absolute() if asked.ca_file else None
    Server(asked.url, "not-yet-asked-for", ca_file, asked.insecure_http)
    server = Server(asked.url.rstrip("/"), _token(asked.token_stdin), ca_file, asked.insecure_http)
    Api(server, PATIENCE_SEC, say).json(Call("GET", "/v1/runs", {"limit": 1}))
    _write(_file(), server)
    print(f"logged in to {server.url}")
    return EXIT_DONE


def api() -> Api:
    """Return the installation that the environment names, or else the one that was logged in to.

    A token that was kept for one address is never sent to another.

    Raises:
      SpecError: None is named, or what names it is wrong.
    """
    return Api(_server(os.environ, _file()), PATIENCE_SEC, say)


def say(line: str) -> None:
    print(f"slipway: {line}", file=sys.stderr, flush=True)


def _server(environment: Mapping[str, str], file: Path) -> Server:
    url, token = (environment.get(f"SLIPWAY_API_{part}", "").strip() for part in ("URL", "TOKEN"))
    kept = {} if url and token else _read(file)
    if url and not token and url.rstrip("/") != kept.get("url"):
        raise SpecError(f"SLIPWAY_API_URL is set, and there is no token for it; set SLIPWAY_API_TOKEN, or {_HOW}")
    if not (url or kept.get("url")):
        raise SpecError(f"no installation is named; {_HOW}")
    ca_file = environment.get("SLIPWAY_API_CA_FILE") or kept.get("caFile")
    insecure = environment.get("SLIPWAY_API_INSECURE_HTTP") == "1" or bool(kept.get("insecureHttp"))
    url = (url or kept["url"]).rstrip("/")
    return Server(url, token or kept["token"], Path(ca_file) if ca_file else None, insecure)


def _token(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().strip()
    if not sys.stdin.isatty():
        raise SpecError("the token cannot be asked for without a terminal; give it with --token-stdin")
    return getpass.getpass("token (it is not shown): ").strip()


def _file() -> Path:
    return config_folder("XDG_CONFIG_HOME", ".config") / "api.json"


def config_folder(variable: str, default: str) -> Path:
    """Return the folder for files of one kind, by the XDG Base Directory Specification."""
    home = os.environ.get(variable, "")
    return (Path(home) if home.startswith("/") else Path.home() / default) / "slipway"


def write_private(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all, into a file that only its owner can read."""
    with translated(str(path)):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, staged = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
        try:
            with os.fdopen(number, "w") as file:
                json.dump(content, file)
            Path(staged).replace(path)
        finally:
            Path(staged).unlink(missing_ok=True)


def _write(path: Path, server: Server) -> None:
    kept = {"url": server.url, "token": server.token, "insecureHttp": server.insecure_http}
    write_private(path, kept | ({"caFile": str(server.ca_file)} if server.ca_file else {}))


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    with translated(str(path)):
        if path.stat().st_mode & 0o077:
            raise InputError(f"{path}: others can read the token; run `chmod 600 {path}`, and have the token replaced")
        text = path.read_text()
    try:
        kept = json.loads(text)
        return {**kept, "url": str(kept["url"]), "token": str(kept["token"])}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not what was written; {_HOW}") from error
