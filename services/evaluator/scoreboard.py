"""Measurements of a run so far: the best checkpoint, and whether the training should continue."""

from slipway import keys
from slipway.artifacts.evaluation import BestCheckpoint, MeasuredCheckpoint, MeasuredRow, Verdict
from slipway.artifacts.json_io import read_document, read_lines, read_optional, write_document, write_lines
from slipway.artifacts.operating_point import OperatingPoints
from slipway.events import event
from slipway.metrics import stage_gauges
from slipway.store.interface import ObjectStore

from services.evaluator.coco import Measurement
from services.evaluator.intervals import SplitIntervals

_FLATTERS = (
    "The best checkpoint was chosen on the test images themselves, which flatters it; "
    "give the dataset a val split (--val-ratio) for an unbiased figure."
)


class Scoreboard:
    """The rows of `metrics.jsonl`, one for each checkpoint and split; a restart continues with the stored rows.

    Args:
      chosen_on: The split whose AP decides which checkpoint is best.
      patience: Number of checkpoints without a better AP after which the training should stop; 0 never stops it.
      least_ap: The training does not stop before it has reached this AP.
    """

    def __init__(self, store: ObjectStore, run: str, chosen_on: str, patience: int, least_ap: float = -1.0) -> None:
        self._store, self._run, self._chosen_on = store, run, chosen_on
        self._patience, self._least_ap = patience, least_ap
        self._rows = read_lines(store, keys.metrics(run), MeasuredRow)

    @property
    def measured_steps(self) -> set[int]:
        """Global steps of the checkpoints that are measured on the deciding split."""
        return {row.step for row in self.deciding_rows}

    @property
    def best_step(self) -> int:
        """Global step of the highest AP; the earliest of equals."""
        return max(self.deciding_rows, key=lambda row: (row.ap, -row.step)).step

    @property
    def last_step(self) -> int:
        return max(self.measured_steps)

    @property
    def operating_points(self) -> OperatingPoints | None:
        """The stored thresholds of the best checkpoint; None without one, or where an older version measured it."""
        best = read_optional(self._store, keys.best(self._run), BestCheckpoint)
        return best.operating_points if best else None

    def add(self, step: int, split: str, measurement: Measurement) -> None:
        """Add one measurement; `save` stores it."""
        self._rows.append(MeasuredRow.of(step, split, measurement.loss, measurement.metrics))
        event("evaluated", step=step, split=split, **measurement.metrics.by_name(), loss=measurement.loss)

    def set_gauges(self) -> None:
        """Set the gauges; an AP of -1 means that the images have no boxes, and is not exported."""
        if not self.deciding_rows:
            return
        last, best_ap = self.deciding_rows[-1], max(row.ap for row in self.deciding_rows)
        stage_gauges.EVALUATION_STEP.set(last.step)
        values = {
            stage_gauges.EVALUATION_AP: last.ap,
            stage_gauges.EVALUATION_AP50: last.ap50,
            stage_gauges.EVALUATION_BEST_AP: best_ap,
        }
        for gauge, value in values.items():
            if value >= 0:
                gauge.set(value)
        stage_gauges.mark_progress()

    def save_best(self, step: int, split: str, measurement: Measurement, points: OperatingPoints) -> None:
        """Write the best checkpoint's metrics, classes, thresholds and curves, as they were measured on a split."""
        best = BestCheckpoint(
            step=step,
            split=split,
            chosen_on=self._chosen_on,
            note=_FLATTERS if self._chosen_on == split else "",
            images=measurement.images,
            metrics=measurement.metrics,
            per_class=measurement.per_class,
            operating_points=points,
        )
        write_document(self._store, keys.curves(self._run), measurement.curves)
        write_document(self._store, keys.best(self._run), best)

    def save(self, is_final: bool = False) -> None:
        """Write every row, and then the verdict, which the trainer reads."""
        write_lines(self._store, keys.metrics(self._run), self._rows)
        verdict = Verdict(best=self.best_step, last=self.last_step, stop=self._is_patience_used_up(), final=is_final)
        write_document(self._store, keys.verdict(self._run), verdict)

    def complete_best(self, intervals: SplitIntervals) -> BestCheckpoint:
        """Add intervals and the last checkpoint to `best.json`, and return the best checkpoint."""
        best = read_document(self._store, keys.best(self._run), BestCheckpoint)
        row = next(row for row in self._rows if (row.step, row.split) == (self.last_step, best.split))
        last = MeasuredCheckpoint(step=row.step, split=row.split, metrics=row.metrics)
        per_class = tuple(
            score.model_copy(update={"intervals": of_class}) if of_class else score
            for score, of_class in zip(best.per_class, intervals.per_class, strict=False)
        )
        best = best.model_copy(update={"last": last, "per_class": per_class, "intervals": intervals.overall})
        write_document(self._store, keys.best(self._run), best)
        return best

    @property
    def deciding_rows(self) -> list[MeasuredRow]:
        """The checkpoints that were measured on the deciding split, by step."""
        return [row for row in self._rows if row.split == self._chosen_on]

    def _is_patience_used_up(self) -> bool:
        best_step, best_ap = self.best_step, max(row.ap for row in self.deciding_rows)
        later_rows = sum(row.step > best_step for row in self.deciding_rows)
        return 0 < self._patience <= later_rows and best_ap >= self._least_ap
