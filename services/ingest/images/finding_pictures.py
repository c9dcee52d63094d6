"""Small pictures of the images that have the gravest findings, for the dataset's report."""

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from PIL import Image

from slipway import keys
from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.labels import LabelMap
from slipway.report.box_drawing import Mark, draw, resize
from slipway.report.error_section import Rectangle
from slipway.report.finding_section import FindingPicture
from slipway.store.interface import ObjectStore

_MOST_PICTURES = 24
_MOST_OF_A_CODE = 4
_SIDE = 200  # pixels
_MAX_SCALE = 4  # beyond it, a small image is only blurred
_JPEG_QUALITY = 80  # about 8 kB a picture, 200 kB in the page


def choose_findings(findings: Sequence[Finding], images: Mapping[str, AnnotatedImage]) -> list[Finding]:
    """Return the findings that are shown as pictures: errors before warnings, a few of each code, one of an image.

    Of a code, the images with the most findings of it come first.

    Args:
      images: Those of the dataset, by the key of the image and by that of its annotation.
    """
    grave = [finding for finding in findings if finding.severity != "info" and finding.file in images]
    counts = Counter((finding.code, finding.file) for finding in grave)
    chosen: list[Finding] = []
    numbers_of_code: Counter[str] = Counter()
    pictured: set[tuple[str, str]] = set()
    for finding in sorted(grave, key=lambda item: (item.severity != "error", -counts[item.code, item.file])):
        identity = (finding.code, images[finding.file].filename)
        if identity in pictured or numbers_of_code[finding.code] >= _MOST_OF_A_CODE:
            continue
        pictured.add(identity)
        numbers_of_code[finding.code] += 1
        chosen.append(finding)
    return sorted(chosen[:_MOST_PICTURES], key=lambda item: (item.severity != "error", item.code))


def draw_findings(
    findings: Sequence[Finding], images: Mapping[str, AnnotatedImage], labels: LabelMap, store: ObjectStore
) -> Iterator[FindingPicture]:
    """Yield a picture of each chosen finding: the image with its boxes; the box of the finding is drawn by the page."""
    for finding in choose_findings(findings, images):
        image = images[finding.file]
        with Image.open(io.BytesIO(store.read(keys.blob(image.sha256))), formats=("JPEG", "PNG")) as stored_image:
            stored_image.draft("RGB", (_SIDE, _SIDE))
            pixels = stored_image.convert("RGB")
        picture = resize(pixels, min(_SIDE / max(pixels.size), _MAX_SCALE))
        scale = picture.width / image.size.width
        marks = [Mark(item.box, labels.id(item.label), "").scaled(scale) for item in image.boxes]
        out = io.BytesIO()
        draw(picture, marks).save(out, "jpeg", quality=_JPEG_QUALITY)
        yield FindingPicture(finding, out.getvalue(), _rectangle(finding, image))


def _rectangle(finding: Finding, image: AnnotatedImage) -> Rectangle | None:
    """Return the finding's box in percent of the image, as far as it lies in it; at least a percent wide and high."""
    if finding.box is None:
        return None
    xmin, ymin, xmax, ymax = finding.box
    width, height = image.size
    left, right = (min(max(100 * x / width, 0), 100) for x in sorted((xmin, xmax)))
    top, bottom = (min(max(100 * y / height, 0), 100) for y in sorted((ymin, ymax)))
    return Rectangle(min(left, 99), min(top, 99), max(right - left, 1), max(bottom - top, 1))
