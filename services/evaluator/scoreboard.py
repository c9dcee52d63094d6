"""What was measured so far: which checkpoint is best, and whether it is worth training on."""

import json
from typing import Any

from slipway import keys
from slipway.errors import MissingKey
from slipway.events import event
from slipway.metrics import registry as metrics
from slipway.store.interface import ObjectStore

from services.evaluator.coco import Measured

Row = dict[str, Any]

_FLATTERS = (
    "The best checkpoint was chosen on the test images themselves, which flatters it; "
    "give the dataset a val split (--val-ratio) for an unbiased figure."
)


class Scoreboard:
    """The rows of `metrics.jsonl`, one a checkpoint and split; a restart takes up those that are there.

    Args:
      chosen_on: The split whose AP decides which checkpoint is best.
      patience: How many checkpoints without a better AP are enough; None never stops.
    """

    def __init__(self, store: ObjectStore, run: str, chosen_on: str, patience: int | None) -> None:
        self._store, self._run, self._chosen_on, self._patience = store, run, chosen_on, patience
        self._rows = _earlier(store, run)

    @property
    def measured(self) -> set[int]:
        """Global steps of the checkpoints that need no second look."""
        return {row["step"] for row in self._own}

    @property
    def best_step(self) -> int:
        """Global step of the highest AP; of equals the earliest."""
        return int(max(self._own, key=lambda row: (row["AP"], -row["step"]))["step"])

    @property
    def last_step(self) -> int:
        return max(self.measured)

    def add(self, step: int, split: str, measured: Measured) -> None:
        """Note one measurement; `save` makes it last."""
        self._rows.append({"step": step, "split": split, "loss": measured.loss, **measured.metrics})
        event("evaluated", step=step, split=split, **measured.metrics, loss=measured.loss)

    def tell(self) -> None:
        """Set the gauges to what is known; an AP of -1 says that the images have no boxes, and is not told."""
        if not self._own:
            return
        last, best = self._own[-1], max(row["AP"] for row in self._own)
        metrics.EVALUATION_STEP.set(last["step"])
        told = {metrics.EVALUATION_AP: last["AP"], metrics.EVALUATION_AP50: last["AP50"]}
        for gauge, value in {**told, metrics.EVALUATION_BEST_AP: best}.items():
            if value >= 0:
                gauge.set(value)
        metrics.got_on()

    def save_best(self, step: int, split: str, measured: Measured) -> None:
        """Describe the best checkpoint as it was measured on a split: figures, classes and curves."""
        self._write(keys.curves(self._run), measured.curves)
        best = {
            "step": step,
            "split": split,
            "chosen_on": self._chosen_on,
            "note": _FLATTERS if self._chosen_on == split else "",
            "images": measured.images,
            "metrics": measured.metrics,
            "per_class": measured.per_class,
        }
        self._write(keys.best(self._run), best)

    def save(self, is_final: bool = False) -> None:
        """Write every row, and then the verdict that the trainer reads."""
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in self._rows)
        self._store.write(keys.metrics(self._run), lines)
        verdict = {"best": self.best_step, "last": self.last_step, "stop": self._is_enough(), "final": is_final}
        self._write(keys.verdict(self._run), verdict)

    def finish(self) -> Row:
        """Put the last checkpoint beside the best, say that all is measured, and return `best.json`."""
        best: Row = json.loads(self._store.read(keys.best(self._run)))
        row = next(row for row in self._rows if (row["step"], row["split"]) == (self.last_step, best["split"]))
        metrics = {name: row[name] for name in best["metrics"]}
        best["last"] = {"step": self.last_step, "split": best["split"], "metrics": metrics}
        self._write(keys.best(self._run), best)
        self.save(is_final=True)
        return best

    @property
    def _own(self) -> list[Row]:
        return [row for row in self._rows if row["split"] == self._chosen_on]

    def _is_enough(self) -> bool:
        later = sum(row["step"] > self.best_step for row in self._own)
        return self._patience is not None and later >= self._patience

    def _write(self, key: str, content: Any) -> None:
        self._store.write(key, json.dumps(content, indent=1).encode() + b"\n")


def _earlier(store: ObjectStore, run: str) -> list[Row]:
    try:
        return [json.loads(line) for line in store.read(keys.metrics(run)).splitlines()]
    except MissingKey:
        return []
