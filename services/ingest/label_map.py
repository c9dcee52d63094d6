"""The label map of a dataset: the given one, one that the source holds, or one of all labels in alphabetical order."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.labels import LabelMap, decode_label_map
from slipway.dataset.source_folder import read_file
from slipway.errors import InputError, MissingKey
from slipway.store.interface import ObjectStore
from slipway.text import format_count

_FILE = re.compile(r".*\.pbtxt|(?:.*/)?[^/]*label[^/]*\.txt", re.IGNORECASE)
_ITEM = re.compile(r"^\s*item\s*:?\s*[{<]", re.MULTILINE)
_MOST_BYTES = 1_000_000  # of a label map; a .pbtxt may also be a graph of many megabytes
_MOST_LABELS = 5  # named in a finding


@dataclass(frozen=True)
class ChosenLabels:
    """The label map of a dataset.

    Attributes:
      note: A sentence for the report; empty when the labels were numbered anew.
      findings: The label maps of the source that are not used, and why.
    """

    labels: LabelMap
    note: str = ""
    findings: tuple[Finding, ...] = ()


def read_given_label_map(text_or_key: str | None, source: ObjectStore) -> LabelMap | None:
    """Read the label map that the run asks for.

    Args:
      text_or_key: The text of a label map, or the key of a `.pbtxt` in the source.

    Raises:
      InputError: The source has no such key, or it is not a label map.
    """
    if text_or_key is None:
        return None
    if "{" in text_or_key or "<" in text_or_key:
        return LabelMap.parse(text_or_key)
    try:
        return LabelMap.parse(decode_label_map(source.read(text_or_key), f"label map {text_or_key}"), text_or_key)
    except MissingKey as error:
        raise InputError(f"label map {text_or_key}: not in {source.url}; give its path inside that folder") from error


def accepted_labels(given_labels: LabelMap | None) -> LabelMap | None:
    """Return the labels that boxes may have: the names of the given label map, or its display names."""
    if given_labels is None:
        return None
    return LabelMap(tuple(dict.fromkeys((*given_labels.names, *given_labels.display_names))))


def choose_labels(
    images: Iterable[AnnotatedImage], given_labels: LabelMap | None, files: Sequence[str], source: ObjectStore
) -> ChosenLabels:
    """Return the given label map, or the source's if it has one that fits, or number the labels of all boxes.

    Args:
      files: The source's keys.

    Raises:
      InputError: No image has a box, so there is nothing to learn; or the boxes have both names of a given label map.
    """
    counts = Counter(labeled_box.label for image in images for labeled_box in image.boxes)
    if not counts:
        raise InputError("no image has a box that can be used; draw boxes with labelImg first")
    if given_labels is None:
        return _choose_from_source(counts, files, source)
    labels = _fit(given_labels, counts)
    if labels is None:
        raise InputError(
            "the label map has names and display names, and the boxes have labels of both, "
            f"such as {min(counts)!r} and {max(counts)!r}; keep one of the two fields"
        )
    return ChosenLabels(labels)


def _fit(labels: LabelMap, counts: Counter[str]) -> LabelMap | None:
    """Return the label map with the names that the boxes have; None if they have others."""
    alternatives = (LabelMap(names) for names in (labels.names, labels.display_names) if names)
    return next((alternative for alternative in alternatives if counts.keys() <= set(alternative.names)), None)


def _choose_from_source(counts: Counter[str], files: Sequence[str], source: ObjectStore) -> ChosenLabels:
    """Take the label map of the source that fits the boxes, if there is one, and report all others."""
    fitting: dict[str, LabelMap] = {}
    findings: list[Finding] = []
    for key in (key for key in files if _FILE.fullmatch(key)):
        try:
            labels = _read_label_map(key, source)
        except InputError as error:
            findings.append(_unused(key, str(error).removeprefix(f"{key}: ")))
            continue
        if labels and (fitting_labels := _fit(labels, counts)):
            fitting[key] = fitting_labels
        elif labels:
            findings.append(_unused(key, _describe_lack(labels, counts)))
    if len(set(fitting.values())) > 1:
        exact = {key: labels for key, labels in fitting.items() if len(labels) == len(counts)}
        fitting, others = (exact, fitting.keys() - exact.keys()) if exact else (fitting, set())
        findings += [
            _unused(key, "has labels that no box has, and another label map has none") for key in sorted(others)
        ]
    if len(set(fitting.values())) > 1:
        return ChosenLabels(LabelMap.from_labels(counts), findings=(*findings, _report_conflict(fitting)))
    for key, labels in fitting.items():
        return ChosenLabels(labels, f"label map: {key} ({format_count(len(labels), 'label')})", tuple(findings))
    return ChosenLabels(LabelMap.from_labels(counts), findings=tuple(findings))


def _read_label_map(key: str, source: ObjectStore) -> LabelMap | None:
    """Read a file of the source; None if it is not a label map, but another text, a graph for instance."""
    stat = source.stat(key)
    if stat is None or stat.size > _MOST_BYTES:
        return None
    content = read_file(source, key)
    if b"i\0t\0e\0m" not in content and b"item" not in content:
        return None
    text = decode_label_map(content, key)
    return LabelMap.parse(text, key) if _ITEM.search(text) else None


def _describe_lack(labels: LabelMap, counts: Counter[str]) -> str:
    lacking = sorted(counts.keys() - set(labels.names))
    names = ", ".join(map(repr, lacking[:_MOST_LABELS])) + (", …" if len(lacking) > _MOST_LABELS else "")
    boxes = format_count(sum(counts[label] for label in lacking), "box")
    own_names = ", ".join(labels.names[:_MOST_LABELS]) + (", …" if len(labels) > _MOST_LABELS else "")
    return f"is a label map that lacks {names}, of {boxes}; it has {own_names}"


def _unused(key: str, message: str) -> Finding:
    action = "not used; correct it, or give one with --label-map"
    return Finding("label_map_not_used", "warning", key, None, message, action)


def _report_conflict(fitting: dict[str, LabelMap]) -> Finding:
    first, second = list(fitting)[:2]
    message = f"and {second} number the same labels differently"
    return Finding("label_maps_differ", "error", first, None, message, "give the right one with --label-map")
