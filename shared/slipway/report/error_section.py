"""The report's section on errors as plain values: kinds, confusion matrix, AP by object size, single failures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from slipway.artifacts.error_analysis import (
    ERROR_KINDS,
    KIND_MEANINGS,
    Confusion,
    ConfusionMatrix,
    ErrorAnalysis,
    Failure,
    kind_name,
)
from slipway.artifacts.evaluation import BestCheckpoint
from slipway.report.sections import measured

_MOST_LABELS = 20  # in a matrix that fits the page; of more, the most frequent confusions are listed
_MOST_CONFUSIONS = 20
BACKGROUND = "background"
SIZES = {"APs": "under 32²", "APm": "32² to 96²", "APl": "over 96²"}


class Rectangle(NamedTuple):
    """A box in percent of the width and height of its picture."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class FailurePicture:
    """One failure and the part of its image around it.

    Attributes:
      annotated, detected: The boxes in the picture; None where there is no such box.
    """

    failure: Failure
    jpeg: bytes
    annotated: Rectangle | None
    detected: Rectangle | None


@dataclass(frozen=True)
class KindRow:
    """One kind of error; `share` is its cost in percent of the highest."""

    name: str
    meaning: str
    count: int
    cost: float
    share: float


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix; `share` is its part of the row, from 0 to 1."""

    count: int
    share: float
    is_right: bool


@dataclass(frozen=True)
class Choice:
    """One button of a filter: pictures with the CSS class `id` pass it."""

    id: str
    name: str
    count: int


@dataclass(frozen=True)
class ShownFailure:
    """One picture with its caption and the ids of the filters that it passes."""

    picture: FailurePicture
    caption: str
    ids: Sequence[str]


@dataclass(frozen=True)
class ErrorSection:
    """Everything that the section shows.

    Attributes:
      columns: Names of the matrix' columns; empty where it has too many, and `confusions` are listed instead.
      failure_count: Number of all failures, of which `failures` may be a part.
      kind_choices, label_choices: The buttons of the two filters.
    """

    split: str
    kinds: Sequence[KindRow]
    sizes: Sequence[tuple[str, float]]
    failure_count: int
    columns: Sequence[str] = ()
    rows: Sequence[tuple[str, Sequence[Cell]]] = ()
    confusions: Sequence[tuple[str, str, int]] = ()
    failures: Sequence[ShownFailure] = ()
    kind_choices: list[Choice] = field(default_factory=list)
    label_choices: list[Choice] = field(default_factory=list)


def error_section(analysis: ErrorAnalysis, best: BestCheckpoint, pictures: Sequence[FailurePicture]) -> ErrorSection:
    """Build the section."""
    matrix = analysis.confusion
    is_small = len(matrix.labels) <= _MOST_LABELS
    failures = [_shown(picture, matrix.labels) for picture in pictures]
    return ErrorSection(
        split=analysis.split,
        kinds=_kind_rows(analysis),
        sizes=_sizes(best),
        failure_count=analysis.failure_count,
        columns=(*matrix.labels, BACKGROUND) if is_small else (),
        rows=_matrix_rows(matrix) if is_small else (),
        confusions=[] if is_small else [_names(one) for one in matrix.confusions()[:_MOST_CONFUSIONS]],
        failures=failures,
        kind_choices=_choices(failures, {f"k{i}": kind_name(kind) for i, kind in enumerate(ERROR_KINDS)}),
        label_choices=_choices(failures, {f"l{i}": label for i, label in enumerate(matrix.labels)}),
    )


def _kind_rows(analysis: ErrorAnalysis) -> list[KindRow]:
    """List the kinds, the most expensive first."""
    highest = max((kind.ap50_cost for kind in analysis.kinds), default=0.0) or 1.0
    rows = [
        KindRow(kind_name(k.kind), KIND_MEANINGS[k.kind], k.count, k.ap50_cost, 100 * k.ap50_cost / highest)
        for k in analysis.kinds
    ]
    return sorted(rows, key=lambda row: -row.cost)


def _sizes(best: BestCheckpoint) -> list[tuple[str, float]]:
    """List the AP of each size that has boxes."""
    metrics = best.metrics.by_name()
    values = [(meaning, measured(metrics.get(name))) for name, meaning in SIZES.items()]
    return [(meaning, value) for meaning, value in values if value is not None]


def _matrix_rows(matrix: ConfusionMatrix) -> list[tuple[str, Sequence[Cell]]]:
    rows: list[tuple[str, Sequence[Cell]]] = []
    for index, counts in enumerate(matrix.counts):
        total = sum(counts) or 1
        cells = [Cell(count, count / total, column == index) for column, count in enumerate(counts)]
        rows.append(((*matrix.labels, BACKGROUND)[index], cells))
    return rows


def _names(confusion: Confusion) -> tuple[str, str, int]:
    return confusion.annotated or BACKGROUND, confusion.detected or BACKGROUND, confusion.count


def _shown(picture: FailurePicture, labels: Sequence[str]) -> ShownFailure:
    failure = picture.failure
    boxes = [box.label for box in (failure.annotated, failure.detected) if box]
    ids = [f"k{ERROR_KINDS.index(failure.kind)}", *(f"l{labels.index(label)}" for label in dict.fromkeys(boxes))]
    return ShownFailure(picture, _caption(failure), ids)


def _caption(failure: Failure) -> str:
    annotated, detected = failure.annotated, failure.detected
    detection = f"{detected.label} {detected.score:.0%}" if detected else ""
    match failure.kind:
        case "missed":
            return annotated.label if annotated else ""
        case "wrong_class":
            return f"{annotated.label if annotated else ''} taken for {detection}"
        case "loose_box" | "double":
            return f"{detection}, IoU {failure.iou:.2f}"
        case _:
            return detection


def _choices(failures: Sequence[ShownFailure], names: dict[str, str]) -> list[Choice]:
    counts = {id: sum(id in failure.ids for failure in failures) for id in names}
    return [Choice(id, name, counts[id]) for id, name in names.items() if counts[id]]
