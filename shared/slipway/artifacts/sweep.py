"""The document of a sweep: its runs, the values that each of them tries, and the chosen one."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import mean
from typing import Any, Literal

from slipway.artifacts.evaluation import MeasuredCheckpoint
from slipway.models import ArtifactModel

RunState = Literal["waiting", "running", "done", "pruned", "failed"]


class SweepRun(ArtifactModel):
    """One run of a sweep.

    Attributes:
      values: Each key of the sweep to the value that this run tries.
      seed: Seed of its training; None where all runs have the same.
      state: `pruned` was stopped early by the median rule.
      aps: AP on val at each evaluation, in order; -1 where val has no boxes.
      ap50: AP50 on val of the checkpoint with the highest AP.
      reason: Why it was stopped early, or failed.
    """

    run: str
    values: Mapping[str, Any]
    seed: int | None = None
    state: RunState = "waiting"
    aps: tuple[float, ...] = ()
    ap50: float | None = None
    duration_sec: float = 0.0
    reason: str = ""

    @property
    def ap(self) -> float | None:
        """The highest AP on val so far; None before the first evaluation."""
        return max(self.aps, default=None)


class SweepWinner(ArtifactModel):
    """The chosen run, with the metrics of its best checkpoint on images that took no part in the choice.

    Attributes:
      images: Number of images of that split.
    """

    run: str
    checkpoint: MeasuredCheckpoint
    images: int = 0


class Sweep(ArtifactModel):
    """A sweep so far.

    Key: `sweeps/<name>/sweep.json`. Writer and reader: command.

    Attributes:
      notes: Sentences on choices that the command made.
      winner: None until every run has ended.
    """

    name: str
    runs: tuple[SweepRun, ...]
    notes: tuple[str, ...] = ()
    winner: SweepWinner | None = None

    def replace_run(self, run: SweepRun) -> "Sweep":
        """Return the sweep with a newer version of one of its runs."""
        runs = tuple(run if old_run.run == run.run else old_run for old_run in self.runs)
        return self.model_copy(update={"runs": runs})

    def count(self, state: RunState) -> int:
        return sum(run.state == state for run in self.runs)

    def best_run(self) -> SweepRun | None:
        """Return the run to use: of the values with the highest mean AP over their seeds, the run with the highest AP.

        Values of which a run failed or was stopped early come after all others. None if no run is done.
        """
        groups: dict[str, list[SweepRun]] = defaultdict(list)
        for run in self.runs:
            groups[json.dumps(dict(run.values), sort_keys=True)].append(run)
        done_groups = [[run for run in group if run.state == "done" and run.aps] for group in groups.values()]
        complete_groups = [done for done, group in zip(done_groups, groups.values(), strict=True) if done == group]
        candidates = complete_groups or [done for done in done_groups if done]
        if not candidates:
            return None
        return max(max(candidates, key=_mean_ap), key=lambda run: max(run.aps))


def _mean_ap(runs: Iterable[SweepRun]) -> float:
    return mean(max(run.aps) for run in runs)
