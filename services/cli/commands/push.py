"""A folder of annotated images, sent to an installation: whole in one request, or in parts that outlast a break."""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from slipway.artifacts.dataset import DataReport
from slipway.errors import EXIT_DONE
from slipway.retry import with_retries
from slipway.run.names import slug

from services.cli.remote.archive_stream import Archive, survey
from services.cli.remote.client import Api, Call, Run, pieces, run_path
from services.cli.remote.credentials import api, config_folder, write_private
from services.cli.remote.errors import ApiRefused
from services.cli.remote.run_events import ending, exit_code, watch
from services.cli.screen.console import display, print_json
from services.cli.screen.data_report import print_data_report
from services.cli.screen.transfer_progress import ReportBytes, TransferProgress, add_offset, timed_stage

IN_ONE_BYTES = 64 << 20  # up to this, a broken transfer may as well begin anew
_LONGEST_NAME = 43  # a run's name has at most 52 letters, and "-" with eight digits follows
_UNPACKING_SEC = 1800.0  # until the server has unpacked what was sent
_SLICE_BYTES = 1 << 18
_GONE = 404
_NO_ADDRESSES = 409


@dataclass(frozen=True)
class Upload:
    """An upload in parts.

    Attributes:
      addresses: Of the parts that are not there yet, by number from 1.
    """

    id: str
    part_bytes: int
    addresses: dict[int, str]


def push(folder: Path, name: str | None, as_json: bool) -> int:
    """Send a folder, wait until it is ingested, and say what was found in it and what it is called."""
    there, name = api(), name or slug(folder.resolve().name, _LONGEST_NAME)
    with display(as_json) as show:
        with timed_stage(show, "survey"):
            archive = survey(folder, TransferProgress(show, "survey").update)
        with timed_stage(show, "upload"):
            answer = send(there, archive, name, TransferProgress(show, "upload", archive.size).update)
    run = watch(there, answer["run"], as_json)
    code = exit_code(there, run)
    if code != EXIT_DONE:
        print_json({"event": "push_over", "code": code, "run": run}) if as_json else print(ending(run), file=sys.stderr)
        return code
    return _tell(there, run, as_json)


def send(there: Api, archive: Archive, name: str, heard: ReportBytes) -> dict[str, Any]:
    """Send the archive in the way that fits its size, and return what the server made of it."""
    if archive.size > IN_ONE_BYTES and (upload := _begun(there, archive, name)):
        answer = _send_parts(there, archive, upload, heard)
        _memo(there, archive, name).unlink(missing_ok=True)
        return answer
    return _send_whole(there, archive, name, heard)


def _send_whole(there: Api, archive: Archive, name: str, heard: ReportBytes) -> dict[str, Any]:
    """Send the archive in one request; nothing of it is kept here, so a new try makes it anew."""
    call = Call(
        "POST",
        "/v1/datasets",
        {"name": name},
        lambda: _slices(archive.chunks(), heard),
        {"Content-Type": "application/zip", "Content-Length": str(archive.size)},
        _UNPACKING_SEC,
    )
    answer: dict[str, Any] = there.json(call)
    return answer


def _send_parts(there: Api, archive: Archive, upload: Upload, heard: ReportBytes) -> dict[str, Any]:
    """Send the parts that are not there yet, and have them put together."""
    sent = 0
    for number, content in enumerate(archive.parts(upload.part_bytes), start=1):
        if number in upload.addresses:
            upload = _send_part(there, upload, (number, content), add_offset(sent, heard))
        sent += len(content)
        heard(sent)
    answer: dict[str, Any] = there.json(Call("POST", upload_path(upload.id, ":complete"), read_sec=_UNPACKING_SEC))
    return answer


def _tell(there: Api, run: Run, as_json: bool) -> int:
    """Show the data report, and end with the name under which runs find the dataset."""
    result = there.json(Call("GET", run_path(run["metadata"]["name"], "/artifacts/ingest/result.json")))
    _, name, sha256 = result["dataset"].split("/")
    ref = f"{name}@{sha256}"
    report = there.json(Call("GET", f"/v1/datasets/{ref}/report", headers={"Accept": "application/json"}))
    if as_json:
        print_json({"event": "push_over", "code": EXIT_DONE, "dataset": ref, "report": report})
    else:
        print_data_report(DataReport.model_validate(report))
        print(f"dataset: {ref}")
    return EXIT_DONE


def upload_path(id: str, rest: str = "") -> str:
    return f"/v1/datasets/uploads/{quote(id, safe='')}{rest}"


def _begun(there: Api, archive: Archive, name: str) -> Upload | None:
    """Take up the upload that broke off, or begin one; None where the store takes no parts from clients."""
    memo = _memo(there, archive, name)
    if kept := _kept(memo):
        try:
            return _upload(there.json(Call("GET", upload_path(kept))))
        except ApiRefused as refused:
            if refused.status not in (_GONE, _NO_ADDRESSES):
                raise
    asked = {"name": name, "archive": {"bytes": archive.size}}
    try:
        upload = _upload(there.json(Call("POST", "/v1/datasets:begin", body=asked)))
    except ApiRefused as refused:
        if refused.status != _NO_ADDRESSES:
            raise
        return None
    write_private(memo, {"id": upload.id})
    return upload


def _upload(answer: dict[str, Any]) -> Upload:
    return Upload(
        answer["id"], answer["partBytes"], {part["number"]: part["url"] for part in answer["parts"] if part.get("url")}
    )


def _send_part(there: Api, upload: Upload, part: tuple[int, bytes], heard: ReportBytes) -> Upload:
    """Send one part; its address is good for a while only, and a new one is asked for when it has expired."""
    number, content = part

    def put(address: str) -> None:
        call = Call(
            "PUT", address, body=lambda: _slices([content], heard), headers={"Content-Length": str(len(content))}
        )
        with there.open(call) as response:
            list(pieces(response))  # so that the connection serves the next part, too

    try:
        with_retries(lambda: put(upload.addresses[number]), there.patience())
    except ApiRefused as refused:
        if refused.status != 403:
            raise
        upload = _upload(there.json(Call("GET", upload_path(upload.id))))
        with_retries(lambda: put(upload.addresses[number]), there.patience())
    return upload


def _slices(chunks: Iterable[bytes], heard: ReportBytes) -> Iterator[bytes]:
    """Cut what is sent, so that its progress is seen on a slow line."""
    sent = 0
    for chunk in chunks:
        for start in range(0, len(chunk), _SLICE_BYTES):
            piece = chunk[start : start + _SLICE_BYTES]
            yield piece
            sent += len(piece)
            heard(sent)


def _memo(there: Api, archive: Archive, name: str) -> Path:
    """Return the file that remembers an upload: of this content, under this name, to this installation."""
    what = hashlib.sha256(f"{there.server.url}\0{name}\0{archive.sha256}".encode()).hexdigest()
    return config_folder("XDG_CACHE_HOME", ".cache") / "uploads" / f"{what}.json"


def _kept(memo: Path) -> str | None:
    try:
        return str(json.loads(memo.read_text())["id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
