"""Spellings of one label: written in other code points, but equal to look at, such as `café` with one `é` or two.

They are compared in NFKC without invisible letters. A label is kept as it is written; of several spellings of one
label, that of the label map or else the most frequent one is used.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.labels import LabelMap

Images = list[tuple[str, AnnotatedImage]]


def key(label: str) -> str:
    """Return what all spellings of a label have in common."""
    if label.isascii():
        return label
    composed = unicodedata.normalize("NFKC", label)
    return "".join(letter for letter in composed if not _is_invisible(letter)).strip()


def spelled_as(boxes: Sequence[LabeledBox], labels: LabelMap | None) -> tuple[LabeledBox, ...]:
    """Return the boxes with the label map's spelling of their labels; labels that it lacks stay as they are."""
    spellings = _spellings(labels.names) if labels else {}
    return tuple(_respell(box, spellings.get(key(box.label), box.label)) for box in boxes)


def unite_spellings(images: Images) -> tuple[Images, list[Finding]]:
    """Give each label one spelling in all images, and report every other."""
    counts: Counter[str] = Counter()
    first_files: dict[str, str] = {}
    for file, image in images:
        for box in image.boxes:
            counts[box.label] += 1
            first_files.setdefault(box.label, file)
    spellings = _frequent_spellings(counts)
    respelled = {label: spellings[key(label)] for label in counts if spellings[key(label)] != label}
    if not respelled:
        return images, []
    findings = [
        Finding(
            "label_united",
            "warning",
            first_files[label],
            None,
            f"label {label!a} ({counts[label]} boxes) looks like {spelling!a} ({counts[spelling]} boxes)",
            f"read as {spelling!r}",
        )
        for label, spelling in sorted(respelled.items())
    ]
    return [(file, _respell_image(image, respelled)) for file, image in images], findings


def _is_invisible(letter: str) -> bool:
    return unicodedata.category(letter) == "Cf" or "\ufe00" <= letter <= "\ufe0f"


@lru_cache(maxsize=8)
def _spellings(names: Iterable[str]) -> dict[str, str]:
    return {key(name): name for name in names}


def _frequent_spellings(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the most frequent spelling of each label; of equally frequent ones, the composed one."""
    spellings: dict[str, str] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label != key(label), label)):
        spellings.setdefault(key(label), label)
    return spellings


def _respell_image(image: AnnotatedImage, spellings: Mapping[str, str]) -> AnnotatedImage:
    return replace(image, boxes=tuple(_respell(box, spellings.get(box.label, box.label)) for box in image.boxes))


def _respell(box: LabeledBox, label: str) -> LabeledBox:
    return box if box.label == label else replace(box, label=label)
