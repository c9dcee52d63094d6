"""Every file of a source, looked at once: the images that can be used, and everything that was found."""

import hashlib
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

from slipway import keys
from slipway.annotations import AnnotatedImage
from slipway.errors import InputError
from slipway.labels import LabelMap
from slipway.progress import tracked
from slipway.source import source_files
from slipway.store import ObjectStore
from slipway.telemetry import event

from services.ingest.examine import Examined, examine
from services.ingest.layout import Layout
from services.ingest.splits import Split, own_split
from services.ingest.validate import Finding, check_dataset

_READERS = 8  # enough to hide a store's latency; each holds one image
_AHEAD = 32  # images read before the first is stored: bounds the memory


@dataclass(frozen=True)
class Checked:
    """A source after every file was looked at.

    Attributes:
      images: Annotation's key and image, in the order of the annotations.
      own: The split that the source has.
    """

    images: list[tuple[str, AnnotatedImage]]
    own: Split
    findings: list[Finding]


def check(source: ObjectStore, store: ObjectStore, labels: LabelMap | None) -> Checked:
    """Look at every annotation and its image, and store the bytes of those that can be used.

    Raises:
      InputError: There is no annotation, or the source's own split contradicts itself.
    """
    files = source_files(source)
    layout = Layout.of(files)
    if not layout.annotations:
        raise InputError(_nothing(source.url, layout, len(files)))
    event("source_listed", annotations=len(layout.annotations), images=len(layout.images))
    checked = Checked([], own_split(layout, files, source), [])
    warnings.filterwarnings("ignore", module="PIL")  # what is wrong with an image becomes a finding
    seen: dict[str, str] = {}
    for examined in tracked(_examined(source, layout, labels), len(layout.annotations)):
        checked.findings.extend(examined.findings)
        other = seen.setdefault(examined.key, examined.file)
        if other != examined.file and examined.key:
            text = f"is of {examined.key}, and so is {other}"
            checked.findings.append(
                Finding("annotated_twice", "error", examined.file, None, text, "remove one of the two")
            )
        elif examined.image is not None:
            checked.images.append((examined.file, _stored(examined.image, examined.content, store)))
    for key in layout.images:
        if key not in seen:
            checked.findings.append(Finding("no_annotation", "info", key, None, "has no annotation", "left out"))
    checked.findings.extend(check_dataset(image for _, image in checked.images))
    return checked


def _nothing(url: str, layout: Layout, files: int) -> str:
    if layout.images:
        return (
            f"{url}: {len(layout.images)} images, but no annotation (.xml) among its files; "
            "draw boxes with labelImg first, and save them as Pascal VOC"
        )
    return f"{url}: no annotated image among its {files} files; expected images with labelImg's .xml beside them"


def _examined(source: ObjectStore, layout: Layout, labels: LabelMap | None) -> Iterator[Examined]:
    """Examine a few files ahead, in order."""
    waiting = iter(layout.annotations)
    with ThreadPoolExecutor(_READERS) as pool:
        ahead = [pool.submit(examine, file, source, layout, labels) for file in islice(waiting, _AHEAD)]
        try:
            while ahead:
                yield ahead.pop(0).result()
                ahead += [pool.submit(examine, file, source, layout, labels) for file in islice(waiting, 1)]
        finally:
            pool.shutdown(cancel_futures=True)


def _stored(image: AnnotatedImage, content: bytes, store: ObjectStore) -> AnnotatedImage:
    sha256 = hashlib.sha256(content).hexdigest()
    if store.size(keys.blob(sha256)) is None:
        store.write(keys.blob(sha256), content)
    return replace(image, sha256=sha256)
