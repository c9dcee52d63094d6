"""What a run has made: listed, or fetched into a folder, going on where an earlier fetch broke off."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from urllib3 import BaseHTTPResponse

from slipway.errors import EXIT_DONE, InputError
from slipway.retry import Patience
from slipway.store.file_errors import translated
from slipway.text import format_bytes

from services.cli.remote.client import Api, Call, pieces, run_path
from services.cli.remote.credentials import api, write_private
from services.cli.remote.errors import ApiRefused, ApiUnavailable, plain
from services.cli.screen.console import display, print_json
from services.cli.screen.transfer_progress import ReportBytes, TransferProgress, add_offset, timed_stage

ETAGS = ".slipway-etags.json"  # in the folder: which version of each artifact its file is, or is going to be
_PARTIAL = ".partial"
_EVERY_BYTES = 1 << 20


@dataclass(frozen=True)
class Target:
    """Where one artifact goes.

    Attributes:
      known: ETag of the version that is there, whole or in part; empty when nothing is.
    """

    file: Path
    known: str

    @property
    def partial(self) -> Path:
        return self.file.with_name(f".{self.file.name}{_PARTIAL}")


def artifacts(run: str, out: Path | None, paths: Sequence[str], as_json: bool) -> int:
    """List a run's artifacts, or fetch them into `out`; `paths` are artifacts, or folders of them."""
    there = api()
    items = chosen(there.json(Call("GET", run_path(run, "/artifacts")))["items"], paths, run)
    if out is None:
        _list(items, as_json)
        return EXIT_DONE
    total = _fetch_into(out, there, run, items, as_json)
    if as_json:
        print_json({"event": "fetched", "run": run, "artifacts": len(items), "bytes": total, "out": str(out)})
    else:
        print(f"{len(items)} artifacts, {format_bytes(total)}, are in {out}")
    return EXIT_DONE


def fetch_events(run: str, out: Path) -> None:
    """Fetch the event files that a run has written so far, which TensorBoard reads.

    Raises:
      InputError: There is none yet.
    """
    there = api()
    found = there.json(Call("GET", run_path(run, "/artifacts")))["items"]
    items = [item for item in found if ".tfevents." in item["path"]]
    if not items:
        raise InputError(
            f"run {run} has no event files; its training writes them: `slipway status {run}` says if it is there"
        )
    _fetch_into(out, there, run, items, as_json=False)


def chosen(items: Sequence[dict[str, Any]], paths: Sequence[str], run: str) -> list[dict[str, Any]]:
    """Return the artifacts that are, or are below, one of the paths; all where none is given.

    Raises:
      InputError: There is none of that path.
    """
    wanted = [path.strip("/") for path in paths]
    for path in wanted:
        if not any(_is_in(item["path"], path) for item in items):
            raise InputError(f"run {run} has no artifact {path}; `slipway artifacts {run}` lists what there is")
    return [item for item in items if not wanted or any(_is_in(item["path"], path) for path in wanted)]


def place(out: Path, path: str) -> Path:
    """Return the file for an artifact, and make its folder.

    Raises:
      ApiRefused: The path, or a link that is there, leads out of the folder.
    """
    names = path.split("/")
    if any(name in ("", ".", "..") or "\\" in name or not name.isprintable() for name in names):
        raise ApiRefused(
            f"the server names an artifact {path!r}, which is no path inside a folder; nothing was written"
        )
    if names in ([ETAGS], [f".{ETAGS}{_PARTIAL}"]):
        raise ApiRefused(f"the server names an artifact {path!r}, which is a name of this command's own")
    file = out.joinpath(*names)
    if not file.parent.resolve().is_relative_to(out.resolve()):
        raise InputError(f"{file.parent}: a link leads out of {out}; remove it, or choose another folder with --out")
    with translated(str(file.parent)):
        file.parent.mkdir(parents=True, exist_ok=True)
    return file


def fetch(there: Api, call: Call, where: tuple[Path, str], heard: ReportBytes) -> None:
    """Fetch one artifact whole; after a break, from where it was, if it is still the same version.

    Args:
      where: The folder, and the artifact's path in it.
      heard: Hears how many bytes are there.
    """
    out, path = where
    file, patience = place(out, path), there.patience()
    while True:
        target = Target(file, _etags(out).get(path, ""))
        try:
            with there.open(Call("GET", call.path, headers=_conditions(target))) as response:
                if response.status != HTTPStatus.NOT_MODIFIED:
                    write_private(out / ETAGS, _etags(out) | {path: response.headers.get("ETag", "")})
                    _receive(response, target, patience, heard)
            return
        except ApiUnavailable as failure:
            patience.wait(failure)
        except ApiRefused as refused:
            if refused.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not target.partial.exists():
                raise
            target.partial.unlink()


def _fetch_into(out: Path, there: Api, run: str, items: Sequence[dict[str, Any]], as_json: bool) -> int:
    """Fetch artifacts into a folder, and return how many bytes they are."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; give a folder")
    with translated(str(out)):
        out.mkdir(parents=True, exist_ok=True)
    total: int = sum(item["bytes"] for item in items)
    with display(as_json) as show, timed_stage(show, "fetch"):
        _fetch_all(there, run, items, (out, TransferProgress(show, "fetch", total).update))
    return total


def _fetch_all(there: Api, run: str, items: Sequence[dict[str, Any]], where: tuple[Path, ReportBytes]) -> None:
    (out, heard), done = where, 0
    for item in items:
        call = Call("GET", run_path(run, f"/artifacts/{quote(item['path'])}"))
        fetch(there, call, (out, item["path"]), add_offset(done, heard))
        done += item["bytes"]
        heard(done)


def _conditions(target: Target) -> dict[str, str]:
    """Ask for what is not there yet of the version that is known."""
    if not target.known:
        return {}
    if target.partial.exists():
        return {"Range": f"bytes={target.partial.stat().st_size}-", "If-Range": target.known}
    return {"If-None-Match": target.known} if target.file.exists() else {}


def _receive(response: BaseHTTPResponse, target: Target, patience: Patience, heard: ReportBytes) -> None:
    is_rest = response.status == HTTPStatus.PARTIAL_CONTENT
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_APPEND if is_rest else os.O_TRUNC)
    with translated(str(target.file)):
        with os.fdopen(os.open(target.partial, flags, 0o666), "ab") as file:
            fetched = told = file.tell()
            for piece in pieces(response):
                file.write(piece)
                fetched += len(piece)
                patience.renew()
                if fetched - told >= _EVERY_BYTES:
                    told = fetched
                    heard(fetched)
        whole = _whole(response)
        if whole is not None and fetched != whole:
            target.partial.unlink()
            raise ApiUnavailable(f"{target.file}: {fetched} bytes came, expected {whole}")
        target.partial.replace(target.file)


def _whole(response: BaseHTTPResponse) -> int | None:
    """Return the bytes of the whole artifact, as the answer tells them."""
    told = response.headers.get("Content-Range", "").rpartition("/")[2] or response.headers.get("Content-Length", "")
    return int(told) if told.isdigit() else None


def _etags(out: Path) -> dict[str, str]:
    try:
        found = json.loads((out / ETAGS).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _list(items: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json({"items": list(items)})
        return
    for item in items:
        print(f"{format_bytes(item['bytes']):>10}  {plain(item['path'])}")
