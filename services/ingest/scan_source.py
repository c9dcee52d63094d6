"""Every file of a source, looked at once: the images that can be used, and everything that was found."""

import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

from slipway import keys
from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.labels import LabelMap
from slipway.dataset.source_folder import source_files
from slipway.errors import InputError
from slipway.events import event
from slipway.stage.progress import tracked
from slipway.store.interface import ObjectStore

from services.ingest.read_annotation import Examined, examine
from services.ingest.source_layout import Layout
from services.ingest.splits.source_split import OwnSplit, own_split
from services.ingest.validate import Finding

_READERS = 8  # enough to hide a store's latency; each holds one image
_AHEAD = 32  # images examined before the first is counted: bounds the memory


@dataclass(frozen=True)
class Checked:
    """A source after every file was looked at.

    Attributes:
      images: Annotation's key and image, in the order of the annotations.
      own: What the source says about its split.
    """

    images: list[tuple[str, AnnotatedImage]]
    own: OwnSplit
    findings: list[Finding]


def check(source: ObjectStore, store: ObjectStore, labels: LabelMap | None) -> Checked:
    """Look at every annotation and its image, and store the bytes of those that can be used.

    Raises:
      InputError: There is no annotation.
    """
    files = source_files(source)
    layout = Layout.of(files)
    if not layout.annotations:
        raise InputError(_nothing(source.url, layout, len(files)))
    event("source_listed", annotations=len(layout.annotations), images=len(layout.images))
    warnings.filterwarnings("ignore", module="PIL")  # what is wrong with an image becomes a finding
    images: list[tuple[str, AnnotatedImage]] = []
    findings: list[Finding] = []
    seen: dict[str, str] = {}
    places: dict[str, str] = {}
    for examined in tracked(_examined(source, store, layout, labels), len(layout.annotations)):
        findings.extend(examined.findings)
        places[examined.file] = examined.key
        other = seen.setdefault(examined.key, examined.file) if examined.key else examined.file
        if other != examined.file:
            text = f"is of {examined.key}, and so is {other}"
            findings.append(Finding("annotated_twice", "error", examined.file, None, text, "remove one of the two"))
        elif examined.image is not None:
            images.append((examined.file, examined.image))
    for key in layout.images:
        if key not in seen:
            findings.append(Finding("no_annotation", "info", key, None, "has no annotation", "left out"))
    return Checked(images, own_split(places, files, source), findings)


def _nothing(url: str, layout: Layout, files: int) -> str:
    if layout.images:
        return (
            f"{url}: {len(layout.images)} images, but no annotation (.xml) among its files; "
            "draw boxes with labelImg first, and save them as Pascal VOC"
        )
    there = f"no annotated image among its {files} files" if files else "no such folder, or nothing in it"
    return f"{url}: {there}; expected images with labelImg's .xml beside them"


def _examined(source: ObjectStore, store: ObjectStore, layout: Layout, labels: LabelMap | None) -> Iterator[Examined]:
    """Examine and store a few files ahead, in order."""

    def work(file: str) -> Examined:
        return _stored(examine(file, source, layout, labels), store)

    waiting = iter(layout.annotations)
    with ThreadPoolExecutor(_READERS) as pool:
        ahead = deque(pool.submit(work, file) for file in islice(waiting, _AHEAD))
        try:
            while ahead:
                yield ahead.popleft().result()
                ahead.extend(pool.submit(work, file) for file in islice(waiting, 1))
        finally:
            pool.shutdown(cancel_futures=True)


def _stored(examined: Examined, store: ObjectStore) -> Examined:
    """Store the image's bytes, once across datasets, and let go of them."""
    if examined.image is None:
        return examined
    blob = keys.blob(examined.image.sha256)
    if store.size(blob) is None:
        store.write(blob, examined.content)
    return replace(examined, content=b"")
