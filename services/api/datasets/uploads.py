"""What a client sends, from its first byte to a folder that can be ingested.

An archive arrives as parts, each a key of its own, through the API or by presigned addresses: so it never has to fit
on a disk or in memory here, what arrived is what is listed, and what was given up can be found and removed. Only when
all of it is there it is unpacked, and only then `uploads/<id>.json` is written: nothing reads the files before.
"""

import io
import math
import re
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from slipway import keys
from slipway.errors import MissingKey
from slipway.store.interface import ObjectStore, delete_all, in_parallel

from services.api.datasets.archive_reader import BadArchive
from services.api.datasets.unpack import Limits, unpack

PART_BYTES = 8 << 20
MOST_BYTES = 99_999 * PART_BYTES  # the names of parts have five digits
_TIME = "%Y%m%dT%H%M%SZ"
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}")


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Archive(_Model):
    """What is going to be sent.

    Attributes:
      name: Of the dataset.
      bytes: Of the whole archive; None while it is not known.
      user: Who sends it.
    """

    name: str
    bytes: int | None
    user: str

    @property
    def num_parts(self) -> int:
        return math.ceil((self.bytes or 0) / PART_BYTES)

    def part_bytes(self, number: int) -> int:
        return min(PART_BYTES, (self.bytes or 0) - (number - 1) * PART_BYTES)


class Upload(_Model):
    """An upload that is complete: the content of `uploads/<id>.json`.

    Attributes:
      folder: Prefix of the dataset's files; the archive's one top folder, if it has one, is not among their names.
      bytes: Of the unpacked files.
      skipped: Hidden files, and what other systems leave behind; they were not unpacked.
    """

    id: str
    name: str
    user: str
    folder: str
    files: int
    images: int
    bytes: int
    skipped: int


def new_id(now: str) -> str:
    """Make an id that tells its age by its first half, and cannot be guessed by its second.

    Args:
      now: RFC 3339.
    """
    return f"{datetime.fromisoformat(now).astimezone(UTC):{_TIME}}-{secrets.token_hex(8)}"


def announce(store: ObjectStore, id: str, archive: Archive) -> None:
    """Write what the archive will be: parts are taken from now on."""
    store.write(keys.incoming_archive(id), archive.model_dump_json(by_alias=True).encode())


def announced(store: ObjectStore, id: str) -> Archive:
    """Read what the archive will be. Raises `MissingKey` when none is expected under that id."""
    return Archive.model_validate_json(store.read(keys.incoming_archive(id)))


def completed(store: ObjectStore, id: str) -> Upload | None:
    """Return the upload if it is complete."""
    try:
        return Upload.model_validate_json(store.read(keys.upload_listing(id)))
    except MissingKey:
        return None


def parts_there(store: ObjectStore, id: str) -> list[int]:
    """List the parts that have arrived."""
    names = (key.rpartition("/")[2] for key in store.list(keys.incoming(id)))
    return [int(name.removesuffix(".part")) for name in names if name.endswith(".part")]


async def receive(store: ObjectStore, id: str, archive: Archive, chunks: AsyncIterator[bytes]) -> Archive:
    """Write an archive's parts as it arrives; return it with its size."""
    held, size = bytearray(), 0
    async for chunk in chunks:
        held += chunk
        size += len(chunk)
        while len(held) >= PART_BYTES:
            # `held` always begins with the part that is to be written next.
            number = (size - len(held)) // PART_BYTES + 1
            await run_in_threadpool(store.write, keys.incoming_part(id, number), bytes(held[:PART_BYTES]))
            del held[:PART_BYTES]
    if held:
        await run_in_threadpool(store.write, keys.incoming_part(id, math.ceil(size / PART_BYTES)), bytes(held))
    return archive.model_copy(update={"bytes": size})


def complete(store: ObjectStore, id: str, limits: Limits) -> Upload:
    """Unpack an archive whose parts are all there; one that is unpacked already is left as it is.

    Raises:
      MissingKey: None is expected under that id.
      BadArchive: It is not what it was said to be, or cannot be taken; then nothing of it is left.
    """
    if there := completed(store, id):
        return there
    archive = announced(store, id)
    try:
        upload = _unpacked(store, id, archive, limits)
    except BadArchive:
        discard(store, id)
        raise
    except MissingKey:  # another request for the same was faster, and has removed the parts
        if there := completed(store, id):
            return there
        raise
    store.write(keys.upload_listing(id), upload.model_dump_json(by_alias=True, indent=1).encode() + b"\n")
    delete_all(store, keys.incoming(id))
    return upload


def wrong_parts(store: ObjectStore, id: str, archive: Archive) -> list[int]:
    """Return the parts that are absent or have another size than they should."""
    numbers = range(1, archive.num_parts + 1)
    sizes = in_parallel(lambda number: store.size(keys.incoming_part(id, number)), numbers)
    return [number for number, size in zip(numbers, sizes, strict=True) if size != archive.part_bytes(number)]


def discard(store: ObjectStore, id: str) -> None:
    """Remove what there is of an upload that was not completed, and the rests of one that was."""
    if completed(store, id) is None:
        delete_all(store, keys.upload(id))
    delete_all(store, keys.incoming(id))  # last: by it the upload is found, should this be cut short


def withdraw(store: ObjectStore, id: str) -> None:
    """Remove an upload, complete or not; nobody sees it from the first key on."""
    store.delete(keys.upload_listing(id))
    discard(store, id)


def _unpacked(store: ObjectStore, id: str, archive: Archive, limits: Limits) -> Upload:
    size, folder = archive.bytes or 0, keys.upload(id)
    with io.BufferedReader(_Parts(lambda number: _part(store, id, archive, number), size)) as file:
        found = unpack(file, size, (store, folder), limits)
    return Upload(
        id=id,
        name=archive.name,
        user=archive.user,
        folder=f"{folder}/{found.top}" if found.top else folder,
        files=found.files,
        images=found.images,
        bytes=found.bytes,
        skipped=found.skipped,
    )


def _part(store: ObjectStore, id: str, archive: Archive, number: int) -> bytes:
    content = store.read(keys.incoming_part(id, number))
    if len(content) != archive.part_bytes(number):  # an address to put it is good for a while
        raise BadArchive(
            f"part {number} has {len(content)} bytes, expected {archive.part_bytes(number)}; send all anew"
        )
    return content


class _Parts(io.RawIOBase):
    """The parts as one file. One part is in memory, and archives are read forwards, but for a zip's end."""

    def __init__(self, part: Callable[[int], bytes], size: int) -> None:
        self._part, self._size = part, size
        self._at, self._number, self._content = 0, 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        if at < 0:
            raise ValueError(f"there is nothing {-at} bytes before the beginning")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        number, at = self._at // PART_BYTES + 1, self._at % PART_BYTES
        if number != self._number:
            self._content = b""  # two parts need not be in memory
            self._number, self._content = number, self._part(number)
        read = self._content[at : at + len(target)]
        target[: len(read)] = read
        self._at += len(read)
        return len(read)
