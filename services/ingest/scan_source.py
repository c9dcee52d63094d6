"""The scan of a source: reads every file once, stores the images that can be used, and collects the findings."""

import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

from slipway import keys
from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.labels import LabelMap
from slipway.dataset.source_folder import source_files
from slipway.errors import InputError
from slipway.events import event
from slipway.stage.progress import tracked
from slipway.store.interface import ObjectStore

from services.ingest.read_annotation import ImportedAnnotation, read_annotation
from services.ingest.source_layout import SourceLayout, find_rival_annotations
from services.ingest.splits.source_split import SourceSplit, read_source_split

_READERS = 8  # enough to hide a store's latency; each holds one image
_READ_AHEAD = 32  # annotations read before the first is counted; this bounds the memory


@dataclass(frozen=True)
class ScannedSource:
    """The content of a source.

    Attributes:
      images: Annotation's key and image, in the order of the annotations.
      split: The source's own split, if it has one.
    """

    images: list[tuple[str, AnnotatedImage]]
    split: SourceSplit
    findings: list[Finding]


def scan_source(source: ObjectStore, store: ObjectStore, labels: LabelMap | None) -> ScannedSource:
    """Check every annotation and its image, and store the bytes of the images that can be used.

    Raises:
      InputError: The source has no annotation.
    """
    files = source_files(source)
    layout = SourceLayout.from_files(files)
    if not layout.annotations:
        raise InputError(_describe_missing_annotations(source.url, layout, len(files)))
    event("source_listed", annotations=len(layout.annotations), images=len(layout.images))
    warnings.filterwarnings("ignore", module="PIL")  # faults of an image become findings
    images: dict[str, AnnotatedImage] = {}
    findings: list[Finding] = []
    image_keys: dict[str, str] = {}
    for annotation in tracked(_read_all(source, store, layout, labels), len(layout.annotations)):
        findings.extend(annotation.findings)
        image_keys[annotation.file] = annotation.key
        if annotation.image is not None:
            images[annotation.file] = annotation.image
    for file, message in find_rival_annotations(image_keys, layout):
        images.pop(file, None)
        findings.append(Finding("annotated_twice", "error", file, None, message, "remove one of the two"))
    for key in sorted(set(layout.images) - set(image_keys.values())):
        findings.append(Finding("no_annotation", "info", key, None, "has no annotation", "left out"))
    return ScannedSource(list(images.items()), read_source_split(image_keys, files, source), findings)


def _describe_missing_annotations(url: str, layout: SourceLayout, file_count: int) -> str:
    if layout.images:
        return (
            f"{url}: {len(layout.images)} images, but no annotation (.xml) among its files; "
            "draw boxes with labelImg first, and save them as Pascal VOC"
        )
    fault = f"no annotated image among its {file_count} files" if file_count else "no such folder, or nothing in it"
    return f"{url}: {fault}; expected images with labelImg's .xml beside them"


def _read_all(
    source: ObjectStore, store: ObjectStore, layout: SourceLayout, labels: LabelMap | None
) -> Iterator[ImportedAnnotation]:
    """Read the annotations and store their images in threads, a few ahead; yield them in order."""

    def read_and_store(file: str) -> ImportedAnnotation:
        return _store_image(read_annotation(file, source, layout, labels), store)

    files = iter(layout.annotations)
    with ThreadPoolExecutor(_READERS) as pool:
        futures = deque(pool.submit(read_and_store, file) for file in islice(files, _READ_AHEAD))
        try:
            while futures:
                yield futures.popleft().result()
                futures.extend(pool.submit(read_and_store, file) for file in islice(files, 1))
        finally:
            pool.shutdown(cancel_futures=True)


def _store_image(annotation: ImportedAnnotation, store: ObjectStore) -> ImportedAnnotation:
    """Store the image's bytes, which datasets share, and return the annotation without them."""
    if annotation.image is None:
        return annotation
    blob = keys.blob(annotation.image.sha256)
    if store.stat(blob) is None:
        store.write(blob, annotation.content)
    return replace(annotation, content=b"")
