"""tf.Example and the TFRecord file format, written byte by byte so that the container image needs no TensorFlow.

Sources: tensorflow `core/example/feature.proto` and `core/lib/io/record_writer.h`; the protocol buffer wire format,
https://protobuf.dev/programming-guides/encoding/.
"""

import struct
from collections.abc import Mapping, Sequence

import google_crc32c

Feature = Sequence[bytes] | Sequence[int] | Sequence[float]


def example(features: Mapping[str, Feature]) -> bytes:
    """Serialize one `tf.train.Example`; equal features give equal bytes, for the names are sorted.

    Args:
      features: Lists of bytes, of ints (0 to 2**63 - 1) or of floats; their type decides the feature's. An
        empty list is written as an empty feature, which every parser reads as absent.
    """
    entries = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, _feature(features[name]))) for name in sorted(features)
    )
    return _field(1, entries)


def frame(record: bytes) -> bytes:
    """Return one record as it is in a TFRecord file: length, crc of the length, record, crc of the record."""
    length = struct.pack("<Q", len(record))
    return b"".join((length, _masked_crc(length), record, _masked_crc(record)))


def _feature(values: Feature) -> bytes:
    if not values:
        return b""
    match values[0]:
        case bytes():
            return _field(1, b"".join(_field(1, value) for value in values))  # type: ignore[arg-type]
        case int():
            return _field(3, _field(1, b"".join(_varint(value) for value in values)))  # type: ignore[arg-type]
        case _:
            return _field(2, _field(1, struct.pack(f"<{len(values)}f", *values)))


def _field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    varint = bytearray()
    while value > 0x7F:
        varint.append(value & 0x7F | 0x80)
        value >>= 7
    varint.append(value)
    return bytes(varint)


def _masked_crc(content: bytes) -> bytes:
    crc: int = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
