"""The scan of a source: reads every file once, stores the images that can be used, and collects the findings."""

import warnings
from collections import deque
from collections.abc import Iterator, Sequence
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
from slipway.run.spec import IngestSpec
from slipway.stage.progress import tracked
from slipway.store.interface import ObjectStore

from services.ingest.expected_folder import report_other_folders
from services.ingest.formats import ListedAnnotations, PendingAnnotation
from services.ingest.formats.detection import choose_format, describe_damage, detect_formats, list_annotations
from services.ingest.formats.source_file import SourceFile
from services.ingest.label_spelling import unite_spellings
from services.ingest.read_annotation import ImportedAnnotation, read_annotation
from services.ingest.source_layout import SourceLayout, find_rival_annotations, stem
from services.ingest.source_names import fold
from services.ingest.splits.annotated_split import annotated_split
from services.ingest.splits.source_split import SourceSplit, read_source_split

_READERS = 8  # enough to hide a store's latency; each holds one image
_READ_AHEAD = 32  # annotations read before the first is counted; this bounds the memory


@dataclass(frozen=True)
class ScannedSource:
    """The content of a source.

    Attributes:
      files: All keys.
      images: Annotation's key and image, in the order of the annotations.
      split: The source's own split, if it has one.
      notes: Sentences for the report on the format of the annotations.
    """

    files: list[str]
    images: list[tuple[str, AnnotatedImage]]
    split: SourceSplit
    findings: list[Finding]
    notes: list[str]


def scan_source(source: ObjectStore, store: ObjectStore, spec: IngestSpec, labels: LabelMap | None) -> ScannedSource:
    """Check every annotation and its image, and store the bytes of the images that can be used.

    Args:
      labels: The given label map; None accepts every label.

    Raises:
      InputError: The source has no annotation, or annotations in several formats.
    """
    files = source_files(source)
    layout = SourceLayout.from_files(files)
    annotations = _list_annotations(source, files, layout, spec.format)
    warnings.filterwarnings("ignore", module="PIL")  # faults of an image become findings
    images: dict[str, AnnotatedImage] = {}
    findings = annotations.findings
    image_keys: dict[str, str] = {}
    split_names: dict[str, str] = {}
    for annotation in tracked(_read_all(source, store, layout, annotations, labels), len(annotations.pending)):
        findings.extend(annotation.findings)
        image_keys[annotation.file] = annotation.key
        split_names[annotation.file] = annotation.split_name
        if annotation.image is not None:
            images[annotation.file] = annotation.image
    findings += report_other_folders(image_keys)
    for file, message in find_rival_annotations(image_keys, layout):
        images.pop(file, None)
        findings.append(Finding("annotated_twice", "error", file, None, message, "remove one of the two"))
    for key in sorted(set(layout.images) - set(image_keys.values())):
        findings.append(Finding("no_annotation", "info", key, None, "has no annotation", "left out"))
    split = annotated_split(split_names) or read_source_split(image_keys, files, source)
    united_images, spelling_findings = unite_spellings(list(images.items()))
    return ScannedSource(files, united_images, split, findings + spelling_findings, annotations.notes)


def _list_annotations(
    source: ObjectStore, files: Sequence[str], layout: SourceLayout, format_name: str | None
) -> ListedAnnotations:
    """List the annotations of the source in its one format, or in the one that the run names."""
    detected = detect_formats(SourceFile(key, source, fold(stem(key)) in layout.by_stem) for key in files)
    format = choose_format(detected, format_name)
    annotations = list_annotations(detected, format)
    if not annotations.pending:
        message = _describe_missing_annotations(source.url, layout, len(files))
        raise InputError("; ".join([message, *describe_damage(detected)]))
    event("source_listed", annotations=len(annotations.pending), images=len(layout.images), format=format.name)
    return annotations


def _describe_missing_annotations(url: str, layout: SourceLayout, file_count: int) -> str:
    if layout.images:
        return (
            f"{url}: {len(layout.images)} images, but no annotation among its files; "
            "draw boxes with labelImg first, and save them as Pascal VOC (docs/formats.md lists the other formats)"
        )
    fault = f"no annotated image among its {file_count} files" if file_count else "no such folder, or nothing in it"
    return f"{url}: {fault}; expected images with labelImg's .xml beside them, or in another format of docs/formats.md"


def _read_all(
    source: ObjectStore,
    store: ObjectStore,
    layout: SourceLayout,
    annotations: ListedAnnotations,
    labels: LabelMap | None,
) -> Iterator[ImportedAnnotation]:
    """Read the annotations and store their images in threads, a few ahead; yield them in order."""

    def read_and_store(pending: PendingAnnotation) -> ImportedAnnotation:
        return _store_image(read_annotation(pending, source, layout, labels), store)

    pending = iter(annotations.pending)
    with ThreadPoolExecutor(_READERS) as pool:
        futures = deque(pool.submit(read_and_store, item) for item in islice(pending, _READ_AHEAD))
        try:
            while futures:
                yield futures.popleft().result()
                futures.extend(pool.submit(read_and_store, item) for item in islice(pending, 1))
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
