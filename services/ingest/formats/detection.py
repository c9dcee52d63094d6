"""The formats of a source's annotations, recognized by the content of its files, and the choice among them."""

import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from slipway.artifacts.dataset import Finding
from slipway.errors import AnnotationError, InputError

from services.ingest.formats import AnnotationFormat, ListedAnnotations
from services.ingest.formats.coco import COCO
from services.ingest.formats.createml import CREATEML
from services.ingest.formats.csv_table import CSV
from services.ingest.formats.cvat import CVAT
from services.ingest.formats.label_studio import LABEL_STUDIO
from services.ingest.formats.labelme import LABELME
from services.ingest.formats.source_file import SourceFile, parse_json
from services.ingest.formats.voc import VOC
from services.ingest.formats.yolo import YOLO

FORMATS = (VOC, COCO, YOLO, CVAT, LABELME, CREATEML, LABEL_STUDIO, CSV)

# Of a folder's files with one suffix, so many are read to recognize the format of those that are named after images.
_SAMPLE_FILES = 32


@dataclass
class DetectedFormats:
    """The files of a source that may hold annotations.

    Attributes:
      files: By their format, in the order of `FORMATS`.
      unknown_files: Of no format: other content, or damaged.
    """

    files: dict[str, list[SourceFile]] = field(default_factory=lambda: defaultdict(list))
    unknown_files: list[SourceFile] = field(default_factory=list)

    def formats(self) -> list[AnnotationFormat]:
        return [format for format in FORMATS if self.files.get(format.name)]


def detect_formats(files: Iterable[SourceFile]) -> DetectedFormats:
    """Recognize the format of each file; a suffix only tells which formats are tried."""
    groups: dict[tuple[str, str], list[SourceFile]] = defaultdict(list)
    for file in files:
        suffix = posixpath.splitext(file.key)[1].lower()
        if any(suffix in format.suffixes for format in FORMATS):
            groups[posixpath.dirname(file.key), suffix].append(file)
    detected = DetectedFormats()
    for (_, suffix), group in groups.items():
        _detect_group(group, [format for format in FORMATS if suffix in format.suffixes], detected)
    return detected


def _detect_group(files: Sequence[SourceFile], formats: Sequence[AnnotationFormat], detected: DetectedFormats) -> None:
    """Recognize the files of one folder with one suffix.

    A file that is named after an image, and is not recognized or beyond the sample, has the format of its neighbours
    if each image has a file in it: an empty file, or a damaged one, which is then reported as such. So has any XML
    file beyond the sample, since VOC's reader reports every XML file that it cannot use.
    """
    usual_format: AnnotationFormat | None = None
    unrecognized_files = []
    for number, file in enumerate(files):
        is_usual = number >= _SAMPLE_FILES and (file.has_image or usual_format is VOC)
        format = usual_format if usual_format and is_usual else _format_of(file, formats)
        if format is None:
            unrecognized_files.append(file)
        else:
            detected.files[format.name].append(_without_content(file) if format.is_per_image else file)
            usual_format = usual_format or (format if format.is_per_image else None)
    for file in map(_without_content, unrecognized_files):
        if usual_format and file.has_image:
            detected.files[usual_format.name].append(file)
        else:
            detected.unknown_files.append(file)


def _format_of(file: SourceFile, formats: Sequence[AnnotationFormat]) -> AnnotationFormat | None:
    try:
        return next((format for format in formats if format.detect(file)), None)
    except AnnotationError:
        return None


def _without_content(file: SourceFile) -> SourceFile:
    return SourceFile(file.key, file.source, file.has_image)


def choose_format(detected: DetectedFormats, name: str | None) -> AnnotationFormat:
    """Return the format that the run names, or the only one; VOC if there is none, whose reader reports every XML file.

    A derived format is used only in a source without another format.

    Raises:
      InputError: There are several, or none of the named one.
    """
    formats = detected.formats()
    if name is not None:
        format = next(format for format in FORMATS if format.name == name)
        if formats and format not in formats:
            raise InputError(f"--format {name}: no file of the source is {format.title}; it has {_counts(detected)}")
        return format
    candidates = [format for format in formats if not format.is_derived] or formats[:1]
    if len(candidates) > 1:
        names = " or ".join(f"--format {format.name}" for format in candidates)
        raise InputError(f"the annotations are in {len(candidates)} formats: {_counts(detected)}; choose with {names}")
    return candidates[0] if candidates else VOC


def _counts(detected: DetectedFormats) -> str:
    counts = []
    for format in detected.formats():
        files = detected.files[format.name]
        counts.append(f"{format.title} ({_name_files(files)})")
    return ", ".join(counts)


def _name_files(files: Sequence[SourceFile]) -> str:
    return files[0].key if len(files) == 1 else f"{len(files)} files, {files[0].key} first"


def list_annotations(detected: DetectedFormats, format: AnnotationFormat) -> ListedAnnotations:
    """List the annotations of the chosen format, and report the files of other formats, which are not used.

    Files that are damaged, or of no format, are read as the chosen one where its files have their suffix, and so
    reported one by one; other JSON files, which are common, only where they are damaged.
    """
    files = [*detected.files[format.name], *(file for file in detected.unknown_files if _belongs_to(file, format))]
    files.sort(key=lambda file: file.key)
    annotations = _with_unique_files(format.images(files))
    if format is not VOC:
        annotations.notes.append(f"The annotations are {format.title}, from {_name_files(files)}.")
    for other_format in detected.formats():
        if other_format is not format:
            other_files = detected.files[other_format.name]
            message = f"and {len(other_files) - 1} other files are" if len(other_files) > 1 else "is"
            action = f"not used, since the annotations are read from {format.title}"
            finding = Finding(
                "format_not_used", "info", other_files[0].key, None, f"{message} {other_format.title}", action
            )
            annotations.findings.append(finding)
    return annotations


def _with_unique_files(annotations: ListedAnnotations) -> ListedAnnotations:
    """Number the annotations of a file that lists an image more than once, since they are told apart by their names."""
    counts: Counter[str] = Counter()
    pending = []
    for item in annotations.pending:
        counts[item.file] += 1
        count = counts[item.file]
        pending.append(item if count == 1 else replace(item, file=f"{item.file} ({count})"))
    return ListedAnnotations(pending, annotations.findings, annotations.notes)


def describe_damage(detected: DetectedFormats) -> list[str]:
    """Return the name and the damage of the first file that may be an annotation but cannot be parsed, if any."""
    faults = ((file.key, _damage(file)) for file in detected.unknown_files)
    return [f"{key} {fault}" for key, fault in faults if fault][:1]


def _belongs_to(file: SourceFile, format: AnnotationFormat) -> bool:
    suffix = posixpath.splitext(file.key)[1].lower()
    return suffix in format.suffixes and (format is VOC or bool(_damage(file)))


def _damage(file: SourceFile) -> str:
    """Return the reason why a JSON file cannot be parsed; empty if it can, or is another file."""
    if not file.key.lower().endswith(".json"):
        return ""
    try:
        parse_json(file.read())
    except AnnotationError as error:
        return str(error)
    return ""
