"""Advice on the next step: at most three sentences, each on a figure that was measured.

A figure that other images might well change is not given as a fact. AP50 is known to within its interval, so that a
kind of error that costs less than half of the interval's width may cost nothing on other images: if the cost is large,
the sentence says that it is uncertain; if it is small, there is none, and the width of the interval is the advice.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median

from slipway.artifacts.error_analysis import Confusion, ErrorCount, ErrorKind
from slipway.artifacts.evaluation import BestCheckpoint, ClassScore, Interval, MeasuredRow

_MOST_SENTENCES = 3
_LEAST_COST = 0.02  # of AP50: with a lower one, no kind of error stands out
_LARGE_COST = 0.05  # of AP50: worth a sentence even where the interval is too wide to be sure of it
_WIDE, _NARROW = 0.08, 0.06  # widths of an interval of AP50
_FEW_ERRORS = 20  # so many can be looked at one by one
_FOUND, _LOOSE_FIT = 0.85, 0.75  # AP50 of a detector that finds most objects; AP75 as a share of AP50
_WEAK_CLASS = 0.1  # of AP50, below the median of the other classes
_WEAK_SIZE = 0.1  # of AP, below that of larger objects
_RISE = 0.01  # of AP, in the last fifth of the training: more than one checkpoint differs from the next by chance
_LOSS_RISE = 1.1  # of the validation loss, above its lowest
_LEAST_ROWS = 4  # with fewer checkpoints, a rise may be chance
_SUBJECTS: Mapping[ErrorKind, str] = {
    "missed": "Missed boxes",
    "background": "Detections on background",
    "wrong_class": "Wrong classes",
    "loose_box": "Loose boxes",
    "double": "Doubles",
}
_STEPS: Mapping[ErrorKind, str] = {
    "missed": "add training images with objects like those that are missed",
    "background": "check whether objects lack an annotation there; if not, train with such images without boxes",
    "wrong_class": "no two classes stand out, as most of these boxes are loose, too; train longer or on more images",
    "loose_box": "check that annotated boxes are drawn close to the objects, and everywhere alike",
    "double": "check whether objects are annotated twice, or are detected in parts",
}

_ON_LABELS = "check the labels of the annotations, and add images that show the difference"


@dataclass(frozen=True)
class Figures:
    """Everything that the advice is computed from.

    Attributes:
      rows: The checkpoints on the split that chose the best, by step.
      confusions: The most frequent first.
      train_boxes: Label to number of boxes in the train split.
      is_reduced: The model's input is smaller than the median image.
    """

    best: BestCheckpoint
    rows: Sequence[MeasuredRow]
    kinds: Sequence[ErrorCount]
    confusions: Sequence[Confusion]
    train_boxes: Mapping[str, int]
    is_reduced: bool


def advise(figures: Figures) -> tuple[str, ...]:
    """Return the sentences, the most important first; none where the figures support none."""
    return tuple(islice(filter(None, _sentences(figures)), _MOST_SENTENCES))


def _sentences(figures: Figures) -> Iterator[str]:
    yield _on_costs(figures)
    yield _on_training(figures.rows, figures.best)
    yield _on_interval(figures)
    yield _on_rare_class(figures.best.per_class, figures.train_boxes)
    yield _on_small_objects(figures)
    yield _on_few_errors(figures)
    yield _on_close_fit(figures)


def _on_costs(figures: Figures) -> str:
    """Name the kind of error that costs most, if it costs much or if the interval cannot hide it."""
    worst_kind = _worst_kind(figures.kinds)
    if not worst_kind or worst_kind.ap50_cost < (_LARGE_COST if _is_cost_uncertain(figures) else _LEAST_COST):
        return ""
    step = _STEPS[worst_kind.kind]
    pair = next((one for one in figures.confusions if one.annotated and one.detected), None)
    if worst_kind.kind == "wrong_class" and pair:
        step = f"{pair.annotated} is most often taken for {pair.detected} ({pair.count:,} of them); {_ON_LABELS}"
    subject, cost = _SUBJECTS[worst_kind.kind], f"{worst_kind.ap50_cost:.2f} of AP50"
    if _is_cost_uncertain(figures):
        return f"{subject} seem to cost most, about {cost} (too few {figures.best.split} images to be sure): {step}."
    return f"{subject} cost most, {cost}: {step}."


def _worst_kind(kinds: Iterable[ErrorCount]) -> ErrorCount | None:
    return max(kinds, key=lambda kind: kind.ap50_cost, default=None)


def _is_cost_uncertain(figures: Figures) -> bool:
    """Return whether the interval of AP50 is wider to each side than the cost of the worst kind of error."""
    worst_kind, interval = _worst_kind(figures.kinds), _ap50_interval(figures.best)
    return not interval or (worst_kind is not None and worst_kind.ap50_cost <= interval.width / 2)


def _ap50_interval(score: BestCheckpoint | ClassScore) -> Interval | None:
    return score.intervals.ap50 if score.intervals else None


def _on_training(rows: Sequence[MeasuredRow], best: BestCheckpoint) -> str:
    """Compare the last checkpoint with those before the last fifth of the training."""
    last_row = rows[-1] if rows else None
    early_rows = [row for row in rows if row.step <= 0.8 * rows[-1].step]
    if not last_row or not early_rows or len(rows) < _LEAST_ROWS:
        return ""
    early_row = early_rows[-1]
    if best.step == last_row.step and last_row.ap - early_row.ap >= _RISE:
        return (
            f"AP still rose at the end, from {early_row.ap:.2f} at step {early_row.step:,} to {last_row.ap:.2f} at "
            f"step {last_row.step:,}: train longer (--steps)."
        )
    lowest_row = min(early_rows, key=lambda row: row.loss or 0.0)
    low_loss, last_loss = lowest_row.loss or 0.0, last_row.loss or 0.0
    if best.step <= early_row.step and low_loss > 0 and last_loss >= _LOSS_RISE * low_loss:
        return (
            f"AP was best at step {best.step:,}, and the validation loss rose from {low_loss:.2f} at step "
            f"{lowest_row.step:,} to {last_loss:.2f} at the end: more images would help, more steps would not."
        )
    return ""


def _on_interval(figures: Figures) -> str:
    """Estimate how many images would narrow a wide interval: its width falls with the root of their number."""
    best, interval = figures.best, _ap50_interval(figures.best)
    if not interval or interval.width <= _WIDE:
        return ""
    images = best.images * (interval.width / _NARROW) ** 2
    is_any_cost_hidden = _is_cost_uncertain(figures) and not _on_costs(figures)
    limit = ", too wide a range to tell which errors cost most" if is_any_cost_hidden else ""
    return (
        f"With {best.images:,} {best.split} images, AP50 is only known to lie between {interval.low:.2f} and "
        f"{interval.high:.2f}{limit}: about {round(images, -1):,.0f} would narrow that to ±{_NARROW / 2:.2f}."
    )


def _on_rare_class(scores: Iterable[ClassScore], train_boxes: Mapping[str, int]) -> str:
    """Name the class with the fewest training boxes, if it is much rarer than the others and surely worse."""
    scores = [score for score in scores if score.ap50 >= 0 and score.label in train_boxes]
    if len(scores) < 2:
        return ""
    rarest = min(scores, key=lambda score: train_boxes[score.label])
    boxes, interval = train_boxes[rarest.label], _ap50_interval(rarest)
    usual_ap50 = median(score.ap50 for score in scores if score is not rarest)
    usual_boxes = median(train_boxes[score.label] for score in scores if score is not rarest)
    if boxes > usual_boxes / 2 or rarest.ap50 > usual_ap50 - _WEAK_CLASS or not interval or interval.high >= usual_ap50:
        return ""
    return (
        f"{rarest.label} has the fewest training boxes ({boxes:,}) and AP50 {rarest.ap50:.2f}, where the median of the "
        f"other classes is {usual_ap50:.2f}: add images of it."
    )


def _on_small_objects(figures: Figures) -> str:
    """Compare boxes under 32² pixels with larger ones.

    Their difference varies about twice as much as the AP of all boxes, as each AP is that of only some of the boxes.
    """
    metrics, intervals = figures.best.metrics, figures.best.intervals
    larger_ap = max(metrics.apm, metrics.apl)
    least_difference = max(_WEAK_SIZE, intervals.ap.width) if intervals else 1.0
    if metrics.aps < 0 or metrics.aps > 0.6 * larger_ap or metrics.aps > larger_ap - least_difference:
        return ""
    step = (
        "raise --image-size, since the model sees the images reduced"
        if figures.is_reduced
        else "add images of small objects, or show them larger"
    )
    return f"Boxes under 32² pixels have AP {metrics.aps:.2f}, larger ones up to {larger_ap:.2f}: {step}."


def _on_few_errors(figures: Figures) -> str:
    """Send to the single errors of a detector that finds most objects."""
    best, errors = figures.best, sum(kind.count for kind in figures.kinds)
    if not 0 < errors <= _FEW_ERRORS or best.metrics.ap50 < _FOUND:
        return ""
    return (
        f"The report shows each error on the {best.split} images ({errors} in {best.images:,}): "
        "check the annotation there first."
    )


def _on_close_fit(figures: Figures) -> str:
    """Name boxes that fit loosely where objects are found."""
    metrics = figures.best.metrics
    if metrics.ap50 < _FOUND or not 0 <= metrics.ap75 < _LOOSE_FIT * metrics.ap50:
        return ""
    step = (
        "raise --image-size" if figures.is_reduced else "check that annotated boxes are drawn close, everywhere alike"
    )
    return (
        f"Objects are found (AP50 {metrics.ap50:.2f}), but their boxes fit loosely (AP75 {metrics.ap75:.2f}): "
        f"where close boxes matter, {step}."
    )
