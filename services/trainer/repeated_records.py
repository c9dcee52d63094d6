"""Records of rare classes, repeated in a trainer's local copy of a shard.

The records in the store are shared by runs and stay as they are. The copies go to the end of the same shard, so that
each of several workers still reads its share of them.
"""

import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from slipway.dataset.annotations import AnnotatedImage


def repeat_records(shard: Path, images: Iterable[AnnotatedImage], repeats: Mapping[str, float]) -> int:
    """Append copies of the records of rare classes to a shard, and return their number.

    Args:
      images: Those of the shard, in the order of its records.
      repeats: Label to the number of times that its images are seen; the highest of an image's labels counts.
        Parts of a copy add up from one image to the next.
    """
    enlarged_shard, copies, remainder = shard.with_suffix(".repeated"), 0, 0.0
    shutil.copyfile(shard, enlarged_shard)
    with shard.open("rb") as reader, enlarged_shard.open("ab") as writer:
        for image, record in zip(images, _framed_records(reader), strict=True):
            remainder += max((repeats.get(labeled_box.label, 1.0) for labeled_box in image.boxes), default=1.0) - 1
            count = int(remainder)
            remainder -= count
            copies += count
            writer.write(record * count)
    enlarged_shard.replace(shard)  # a new file: the old one may be linked to that of the store
    return copies


def _framed_records(file: BinaryIO) -> Iterator[bytes]:
    """Yield each record as it is in the file: length, crc of the length, record, crc of the record."""
    while header := file.read(12):
        (length,) = struct.unpack_from("<Q", header)
        yield header + file.read(length + 4)
