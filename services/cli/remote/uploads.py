"""The upload of a folder: whole in one request, or in parts, which survive an interruption."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from slipway.models import AnswerModel
from slipway.retry import with_retries

from services.cli.remote.answers import IngestAnswer, UploadAnswer
from services.cli.remote.client import Api, Call, read_chunks
from services.cli.remote.errors import ApiRefused
from services.cli.remote.private_files import user_folder, write_private
from services.cli.remote.zip_stream import Archive
from services.cli.screen.transfer_progress import ReportBytes, add_offset

ONE_REQUEST_BYTES = 64 << 20  # up to this size, a failed transfer can start again
UNPACKING_SEC = 1800.0  # time for the server to unpack the archive
_SLICE_BYTES = 1 << 18


@dataclass(frozen=True)
class NewDataset:
    """The dataset that an upload becomes.

    Attributes:
      test_ratio, val_ratio: Shares of the images for these splits; None leaves them to the installation.
    """

    name: str
    test_ratio: float | None = None
    val_ratio: float | None = None

    @property
    def fields(self) -> dict[str, str]:
        """The fields of the request; an older server does not know those that are left out."""
        ratios = {"testRatio": self.test_ratio, "valRatio": self.val_ratio}
        return {"name": self.name} | {field: str(ratio) for field, ratio in ratios.items() if ratio is not None}


class UploadNote(AnswerModel):
    """The id of a started upload: the content of a file in the user's cache."""

    id: str


def upload(api: Api, archive: Archive, dataset: NewDataset, report: ReportBytes) -> str:
    """Send the archive, whole or in parts depending on its size, and return the run that ingests it."""
    if archive.size > ONE_REQUEST_BYTES and (parts := _begin_or_resume(api, archive, dataset)):
        answer = _send_parts(api, archive, parts, report)
        _note_file(api, archive, dataset).unlink(missing_ok=True)
        return answer.run
    return _send_whole(api, archive, dataset, report).run


def upload_path(id: str, rest: str = "") -> str:
    return f"/v1/datasets/uploads/{quote(id, safe='')}{rest}"


def _send_whole(api: Api, archive: Archive, dataset: NewDataset, report: ReportBytes) -> IngestAnswer:
    """Send the archive in one request; it is not stored on this machine, so each try builds it again."""
    call = Call(
        "POST",
        "/v1/datasets",
        dataset.fields,
        lambda: slices(archive.chunks(), report),
        {"Content-Type": "application/zip", "Content-Length": str(archive.size)},
        UNPACKING_SEC,
    )
    return api.answer(IngestAnswer, call)


def _send_parts(api: Api, archive: Archive, upload: UploadAnswer, report: ReportBytes) -> IngestAnswer:
    """Send the parts that have not arrived, and have the server join them."""
    done = 0
    for number, content in enumerate(archive.parts(upload.part_bytes), start=1):
        if number in upload.addresses:
            upload = _send_part(api, upload, (number, content), add_offset(done, report))
        done += len(content)
        report(done)
    return api.answer(IngestAnswer, Call("POST", upload_path(upload.id, ":complete"), read_sec=UNPACKING_SEC))


def _send_part(api: Api, upload: UploadAnswer, part: tuple[int, bytes], report: ReportBytes) -> UploadAnswer:
    """Send one part; its address expires after a while, and then a new one is requested."""
    number, content = part

    def put(address: str) -> None:
        headers = {"Content-Length": str(len(content))}
        with api.open(Call("PUT", address, body=lambda: slices([content], report), headers=headers)) as response:
            list(read_chunks(response))  # so that the connection serves the next part, too

    try:
        with_retries(lambda: put(upload.addresses[number]), api.patience())
    except ApiRefused as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        upload = api.answer(UploadAnswer, Call("GET", upload_path(upload.id)))
        with_retries(lambda: put(upload.addresses[number]), api.patience())
    return upload


def _begin_or_resume(api: Api, archive: Archive, dataset: NewDataset) -> UploadAnswer | None:
    """Resume the interrupted upload, or start one; return None if the store accepts no parts from clients."""
    note = _note_file(api, archive, dataset)
    if id := _read_note(note):
        try:
            return api.answer(UploadAnswer, Call("GET", upload_path(id)))
        except ApiRefused as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise
    body = {**dataset.fields, "archive": {"bytes": archive.size}}
    try:
        upload = api.answer(UploadAnswer, Call("POST", "/v1/datasets:begin", body=body))
    except ApiRefused as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        return None
    write_private(note, UploadNote(id=upload.id).model_dump())
    return upload


def slices(chunks: Iterable[bytes], report: ReportBytes) -> Iterator[bytes]:
    """Split the chunks, so that there is progress to show on a slow connection."""
    count = 0
    for chunk in chunks:
        for start in range(0, len(chunk), _SLICE_BYTES):
            piece = chunk[start : start + _SLICE_BYTES]
            yield piece
            count += len(piece)
            report(count)


def _note_file(api: Api, archive: Archive, dataset: NewDataset) -> Path:
    """Return the file that remembers an upload of this content, as this dataset, to this installation."""
    name, *ratios = dataset.fields.items()
    parts = [api.server.url, name[1], archive.sha256, *(f"{field}={ratio}" for field, ratio in ratios)]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return user_folder("XDG_CACHE_HOME", ".cache") / "uploads" / f"{digest}.json"


def _read_note(file: Path) -> str | None:
    try:
        return UploadNote.model_validate_json(file.read_bytes()).id
    except (OSError, ValidationError):
        return None
