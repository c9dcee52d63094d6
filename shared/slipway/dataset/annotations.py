"""One annotated image, and the JSON lines in which the stages pass it on.

Key: `datasets/<name>/<sha256>/annotations/<shard>.jsonl`. Writer: ingest. Readers: preprocess, evaluator, detector,
retention. Dataclasses rather than models, since a dataset has a hundred thousand lines, and boxes as models take three
times as long.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from slipway.dataset.boxes import Box, ImageSize
from slipway.models import broken


@dataclass(frozen=True, slots=True)
class LabeledBox:
    """One drawn box with its label."""

    label: str
    box: Box
    difficult: bool = False
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """An image that was checked and stored, with the boxes that were kept.

    Attributes:
      filename: Relative to the source folder, with `/`; reports and CSV files show it.
      source_id: From 1, unique in its dataset; Model Garden's evaluation needs a number.
      sha256: Digest of the stored bytes, and the key of the blob.
      format: "jpeg" or "png", of the stored bytes, whatever the file's name says.
      size: Size of the stored image, in pixels, after EXIF rotation.
      boxes: May be empty: the model also learns from images of background alone.
    """

    filename: str
    source_id: int
    sha256: str
    format: str
    size: ImageSize
    boxes: tuple[LabeledBox, ...]


def dump(images: Iterable[AnnotatedImage]) -> bytes:
    """Write one JSON line per image, in the given order; equal images give equal bytes."""
    return b"".join(_line(image) for image in images)


def parse(lines: bytes, source: str = "annotations") -> Iterator[AnnotatedImage]:
    """Read back what `dump` wrote.

    Args:
      source: The key of the lines, for the error message.

    Raises:
      BrokenDocument: A line is not JSON, or a field is missing; the message names line and field.
    """
    for number, line in enumerate(lines.splitlines(), start=1):
        try:
            yield _image(json.loads(line))
        except KeyError as error:
            raise broken(f"{source} line {number}", f"{error.args[0]}: Field required") from error
        except (ValueError, TypeError) as error:
            raise broken(f"{source} line {number}", f"is not an annotated image ({error})") from error


def _image(fields: dict[str, Any]) -> AnnotatedImage:
    """Build an image from a line's fields; those that a newer version added are ignored."""
    boxes = (
        LabeledBox(label, Box(*box), bool(difficult), bool(truncated))
        for label, box, difficult, truncated in fields["boxes"]
    )
    return AnnotatedImage(
        filename=fields["filename"],
        source_id=fields["source_id"],
        sha256=fields["sha256"],
        format=fields["format"],
        size=ImageSize(*fields["size"]),
        boxes=tuple(boxes),
    )


def _line(image: AnnotatedImage) -> bytes:
    fields = {
        "filename": image.filename,
        "source_id": image.source_id,
        "sha256": image.sha256,
        "format": image.format,
        "size": image.size,
        "boxes": [(b.label, b.box, int(b.difficult), int(b.truncated)) for b in image.boxes],
    }
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"
