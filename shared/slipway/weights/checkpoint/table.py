"""The index of a TensorFlow checkpoint, read without TensorFlow: shapes and places of its tensors.

The index is a table in LevelDB's format whose values are protocol buffers. It may come from a stranger, so each number
in it is checked before it is used, and everything that TensorFlow does not write is refused.

Source: tensorflow, `core/lib/io/format.cc`, `core/lib/io/block.cc`, `core/protobuf/tensor_bundle.proto`.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import InputError

_MAX_GRAPH_BYTES = 32 << 20  # of a ResNet-50 with its optimizer: 1 MB
_MAX_INDEX_BYTES = 32 << 20  # of the same: 0.1 MB
_MAX_TENSORS = 50_000
_MAX_KEY_BYTES = 2048
_FOOTER_BYTES, _MAGIC = 48, struct.pack("<Q", 0xDB4775248B80FB57)
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_STRING = 7  # of DataType


class BadCheckpoint(InputError):
    """The files are not a checkpoint that can be read."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of a checkpoint.

    Attributes:
      dtype: Number in TensorFlow's `DataType`.
      shard: Number of the data file, from 0.
      offset, size: Its bytes in that file.
    """

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int


def read_table(prefix: Path) -> tuple[Mapping[str, Tensor], bytes]:
    """Return a checkpoint's tensors by key, and its object graph, a serialized `TrackableObjectGraph`.

    Args:
      prefix: The checkpoint's path without suffix.

    Raises:
      BadCheckpoint: It is not a checkpoint of TensorFlow 2, or a data file is missing or too short.
    """
    tensors, files = _read_index(prefix)
    _check_data(files, tensors)
    graph = tensors.get(_OBJECT_GRAPH)
    if graph is None or graph.dtype != _STRING or graph.size > _MAX_GRAPH_BYTES:
        raise BadCheckpoint(f"{prefix.name}.index has no object graph, as checkpoints of TensorFlow 2 have")
    return tensors, _read_string(files[graph.shard], graph)


def checkpoint_files(prefix: Path) -> list[Path]:
    """List the files of a checkpoint, of which the index has to exist; it is the last. Raises `BadCheckpoint`."""
    return [*_read_index(prefix)[1], prefix.with_name(f"{prefix.name}.index")]


def read_varint(content: bytes, position: int) -> tuple[int, int]:
    """Return a number of variable length and the position after it. Raises `IndexError` or `ValueError`."""
    number = 0
    for shift in range(0, 64, 7):
        byte = content[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("a number has more than ten bytes")


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a protocol buffer. Raises `IndexError` or `ValueError`."""
    position = 0
    while position < len(message):
        tag, position = read_varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = read_varint(message, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, position = read_varint(message, position)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("a field has an unknown type")
        yield tag >> 3, _slice(message, position, size)
        position += size


def read_numbers(message: bytes) -> dict[int, int]:
    """Return the numbers of a protocol buffer by field; of a repeated field, the last. Raises as `read_fields` does."""
    return {field: value for field, value in read_fields(message) if isinstance(value, int)}


def _read_index(prefix: Path) -> tuple[dict[str, Tensor], list[Path]]:
    """Return the tensors by key, and the paths of the data files."""
    index = prefix.with_name(f"{prefix.name}.index")
    if index.stat().st_size > _MAX_INDEX_BYTES:
        raise BadCheckpoint(f"{index.name} has more than {_MAX_INDEX_BYTES:,} bytes")
    try:
        entries = dict(_entries(index.read_bytes()))
        count = _num_shards(entries.pop(b"", b""))
        tensors = {key.decode(): _tensor(value) for key, value in entries.items()}
    except (IndexError, ValueError, struct.error) as error:
        raise BadCheckpoint(f"{index.name} is not the index of a TensorFlow checkpoint, or is damaged") from error
    return tensors, [prefix.with_name(f"{prefix.name}.data-{n:05d}-of-{count:05d}") for n in range(count)]


def _entries(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of the table."""
    footer = content[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or not footer.endswith(_MAGIC):
        raise ValueError("it does not end as a table does")
    *_, position = _handle(footer, 0)
    index_offset, index_size, _ = _handle(footer, position)
    count = 0
    for _, value in _block(content, index_offset, index_size):
        offset, size, _ = _handle(value, 0)
        for entry in _block(content, offset, size):
            count += 1
            if count > _MAX_TENSORS:
                raise ValueError("it has too many tensors")
            yield entry


def _handle(content: bytes, position: int) -> tuple[int, int, int]:
    """Return offset and size of a block, and the position after them."""
    offset, position = read_varint(content, position)
    size, position = read_varint(content, position)
    return offset, size, position


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of one block: each key leaves out what it shares with the one before."""
    block = _slice(content, offset, size)
    if content[offset + size] != 0:
        raise ValueError("a block is compressed")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = size - 4 - 4 * restarts
    key, position = b"", 0
    while position < end:
        shared, position = read_varint(block, position)
        rest, position = read_varint(block, position)
        value_size, position = read_varint(block, position)
        if shared > len(key) or shared + rest > _MAX_KEY_BYTES:
            raise ValueError("a key is too long")
        key = key[:shared] + _slice(block, position, rest)
        yield key, _slice(block, position + rest, value_size)
        position += rest + value_size


def _slice(content: bytes, start: int, size: int) -> bytes:
    if start + size > len(content):
        raise ValueError("it is cut short")
    return content[start : start + size]


def _num_shards(header: bytes) -> int:
    """Return the number of data files from a `BundleHeaderProto`."""
    fields = read_numbers(header)
    num_shards, is_big_endian = fields.get(1, 0), fields.get(2, 0)
    if not 1 <= num_shards <= 1000 or is_big_endian:
        raise ValueError("it has no header, or that of another kind of machine")
    return num_shards


def _tensor(entry: bytes) -> Tensor:
    """Read a `BundleEntryProto`."""
    fields = read_numbers(entry)
    dims = [
        read_numbers(dim).get(1, 0)
        for field, shape in read_fields(entry)
        if field == 2 and isinstance(shape, bytes)
        for number, dim in read_fields(shape)
        if number == 2 and isinstance(dim, bytes)
    ]
    return Tensor(fields.get(1, 0), tuple(dims), fields.get(3, 0), fields.get(4, 0), fields.get(5, 0))


def _check_data(files: list[Path], tensors: Mapping[str, Tensor]) -> None:
    """Check that each data file is there and has the bytes that the index names."""
    ends = [0] * len(files)
    for key, tensor in tensors.items():
        if tensor.shard >= len(files):
            raise BadCheckpoint(f"{key[:200]} is in data file {tensor.shard} of {len(files)}")
        ends[tensor.shard] = max(ends[tensor.shard], tensor.offset + tensor.size)
    for file, end in zip(files, ends, strict=True):
        size = file.stat().st_size if file.is_file() else 0
        if size < end:
            raise BadCheckpoint(f"{file.name} has {size:,} bytes, the index names {end:,}: a part is missing")


def _read_string(file: Path, tensor: Tensor) -> bytes:
    """Read a tensor of one string: its length, a checksum of four bytes, its bytes."""
    with file.open("rb") as data:
        data.seek(tensor.offset)
        content = data.read(tensor.size)
    try:
        size, position = read_varint(content, 0)
        return _slice(content, position + 4, size)
    except (IndexError, ValueError) as error:
        raise BadCheckpoint(f"{file.name} is damaged: its object graph cannot be read") from error
