"""Uploads in the store: from the first byte of an archive to a folder that can be ingested.

An archive arrives as parts, each under a key of its own, through the API or at presigned addresses. So it never has to
fit on a disk or in memory here, its progress is a listing of keys, and an abandoned upload can be found and removed.
It is unpacked once all parts have arrived; `uploads/<id>.json` is written last, and nothing reads the files before.
"""

import io
import math
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from fastapi.concurrency import run_in_threadpool

from slipway import keys
from slipway.archives import BadArchive
from slipway.artifacts.json_io import read_document, read_optional, write_document
from slipway.errors import MissingKey
from slipway.models import CamelArtifactModel
from slipway.store.interface import ObjectStore, delete_all, in_parallel
from slipway.unpack import ArchiveLimits, unpack

from services.api.datasets.part_file import PartFile

PART_BYTES = 8 << 20
MAX_ARCHIVE_BYTES = 99_999 * PART_BYTES  # the names of parts have five digits
_TIME = "%Y%m%dT%H%M%SZ"


class Archive(CamelArtifactModel):
    """An archive that a client is going to send.

    Key: `incoming/<id>/archive.json`. Writer and reader: API.

    Attributes:
      name: Of the dataset.
      bytes: Of the whole archive; None while it is not known.
      user: Name of the sender.
      test_ratio, val_ratio: As in `IngestSpec`; None where the sender gave none, and in a document of an older version.
    """

    name: str
    bytes: int | None
    user: str
    test_ratio: float | None = None
    val_ratio: float | None = None

    @property
    def num_parts(self) -> int:
        return math.ceil((self.bytes or 0) / PART_BYTES)

    def part_bytes(self, number: int) -> int:
        return min(PART_BYTES, (self.bytes or 0) - (number - 1) * PART_BYTES)


class Upload(CamelArtifactModel):
    """A complete, unpacked upload.

    Key: `uploads/<id>.json`. Writer: API. Readers: API; retention looks for the key.

    Attributes:
      folder: Prefix of the dataset's files; it includes the one folder of the archive that holds all files, if any.
      bytes: Of the unpacked files.
      skipped: Hidden files, and files that other systems leave behind; they were not unpacked.
      test_ratio, val_ratio: Those of the archive.
    """

    id: str
    name: str
    user: str
    folder: str
    files: int
    images: int
    bytes: int
    skipped: int
    test_ratio: float | None = None
    val_ratio: float | None = None


def new_id(now: str) -> str:
    """Return a new id: its first half is the time, by which old uploads are found; its second half cannot be guessed.

    Args:
      now: RFC 3339.
    """
    return f"{datetime.fromisoformat(now).astimezone(UTC):{_TIME}}-{secrets.token_hex(8)}"


def announce(store: ObjectStore, id: str, archive: Archive) -> None:
    """Write the description of an archive; its parts are accepted from now on."""
    write_document(store, keys.incoming_archive(id), archive)


def read_archive(store: ObjectStore, id: str) -> Archive:
    """Read the description of an announced archive. Raises `MissingKey` when none is expected under that id."""
    return read_document(store, keys.incoming_archive(id), Archive)


def find_upload(store: ObjectStore, id: str) -> Upload | None:
    """Return the upload if it is complete."""
    return read_optional(store, keys.upload_listing(id), Upload)


def list_parts(store: ObjectStore, id: str) -> list[int]:
    """List the numbers of the parts that have arrived."""
    names = (item.key.rpartition("/")[2] for item in store.scan(keys.incoming(id)))
    return [int(name.removesuffix(".part")) for name in names if name.endswith(".part")]


async def receive(store: ObjectStore, id: str, archive: Archive, chunks: AsyncIterator[bytes]) -> Archive:
    """Write an archive's parts as it arrives; return it with its size."""
    buffer, size = bytearray(), 0  # the buffer always begins with the part that is to be written next
    async for chunk in chunks:
        buffer += chunk
        size += len(chunk)
        while len(buffer) >= PART_BYTES:
            number = (size - len(buffer)) // PART_BYTES + 1
            await run_in_threadpool(store.write, keys.incoming_part(id, number), bytes(buffer[:PART_BYTES]))
            del buffer[:PART_BYTES]
    if buffer:
        await run_in_threadpool(store.write, keys.incoming_part(id, math.ceil(size / PART_BYTES)), bytes(buffer))
    return archive.model_copy(update={"bytes": size})


def complete(store: ObjectStore, id: str, limits: ArchiveLimits) -> Upload:
    """Unpack an archive whose parts have all arrived; one that was unpacked before is left as it is.

    Raises:
      MissingKey: None is expected under that id.
      BadArchive: It does not match its description, or is not accepted; then nothing of it is left.
    """
    if upload := find_upload(store, id):
        return upload
    archive = read_archive(store, id)
    try:
        upload = _unpack_parts(store, id, archive, limits)
    except BadArchive:
        discard(store, id)
        raise
    except MissingKey:  # another request for the same upload was faster, and has removed the parts
        if upload := find_upload(store, id):
            return upload
        raise
    write_document(store, keys.upload_listing(id), upload)
    delete_all(store, keys.incoming(id))
    return upload


def find_wrong_parts(store: ObjectStore, id: str, archive: Archive) -> list[int]:
    """Return the numbers of the parts that are absent or have the wrong size."""
    numbers = range(1, archive.num_parts + 1)
    stats = in_parallel(lambda number: store.stat(keys.incoming_part(id, number)), numbers)
    sizes = (stat.size if stat else None for stat in stats)
    return [number for number, size in zip(numbers, sizes, strict=True) if size != archive.part_bytes(number)]


def discard(store: ObjectStore, id: str) -> None:
    """Remove everything of an incomplete upload; of a complete one, remove leftover parts."""
    if find_upload(store, id) is None:
        delete_all(store, keys.upload(id))
    delete_all(store, keys.incoming(id))  # last: by these keys the upload is found again after an interruption


def withdraw(store: ObjectStore, id: str) -> None:
    """Remove an upload, complete or not; it is invisible as soon as its first key is removed."""
    store.delete(keys.upload_listing(id))
    discard(store, id)


def open_archive(store: ObjectStore, id: str, archive: Archive) -> io.BufferedReader:
    """Open an archive whose parts have all arrived as one file."""
    parts = PartFile(lambda number: _read_part(store, id, archive, number), PART_BYTES, archive.bytes or 0)
    return io.BufferedReader(parts)


def _unpack_parts(store: ObjectStore, id: str, archive: Archive, limits: ArchiveLimits) -> Upload:
    size, folder = archive.bytes or 0, keys.upload(id)
    with open_archive(store, id, archive) as file:
        result = unpack(file, size, store, folder, limits)
    return Upload(
        id=id,
        name=archive.name,
        user=archive.user,
        folder=f"{folder}/{result.top}" if result.top else folder,
        files=result.files,
        images=result.images,
        bytes=result.bytes,
        skipped=result.skipped_files,
        test_ratio=archive.test_ratio,
        val_ratio=archive.val_ratio,
    )


def _read_part(store: ObjectStore, id: str, archive: Archive, number: int) -> bytes:
    content = store.read(keys.incoming_part(id, number))
    if len(content) != archive.part_bytes(number):  # its presigned address may still be in use
        raise BadArchive(
            f"part {number} has {len(content)} bytes, expected {archive.part_bytes(number)}; send all anew"
        )
    return content
