"""What the pages show of a run: plain values, before any HTML."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from slipway import keys
from slipway.artifacts.evaluation import MeasuredRow
from slipway.artifacts.training import ProgressLine
from slipway.kube.objects import KubernetesObject
from slipway.report import sections
from slipway.report.sections import Chart
from slipway.run.names import STAGES
from slipway.run.pipeline import State
from slipway.store.interface import ObjectStore
from slipway.text import format_age, seconds_between

from services.api.artifacts.listing import Artifact, list_artifacts, read_valid_lines
from services.api.runs.actions import Action, possible
from services.api.runs.listing import datasets_of, is_over, owner, state_of

_SAMPLES = 12  # enough to see what it finds; all of them are among the downloads
_PICTURES = (".jpg", ".png")
_DONE_OF = re.compile(r"(\d+)/(\d+) ")


@dataclass(frozen=True)
class StageRow:
    """One stage of a run.

    Attributes:
      phase: As the controller says it; `waiting` before it has begun.
      seconds: How long it took, or takes so far.
    """

    name: str
    phase: str
    seconds: float | None
    reason: str | None
    attempt: int


@dataclass(frozen=True)
class RunView:
    """How a run stands.

    Attributes:
      dataset: As `name@sha256` once it is known, otherwise its name.
      done: How much of the current stage is done, and of how much, where that is known.
      is_live: There is more to come.
    """

    name: str
    state: State
    is_live: bool
    reason: str | None
    owner: str | None
    dataset: str
    made_at: str | None
    age: str
    seconds: float | None
    stage: str | None
    progress: str | None
    done: tuple[int, int] | None
    best: Mapping[str, Any]
    stages: Sequence[StageRow]
    actions: Sequence[Action]
    has_object: bool
    until: str

    @property
    def dataset_page(self) -> str | None:
        return f"/datasets/{self.dataset}" if "@" in self.dataset else None


@dataclass(frozen=True)
class Folder:
    """Files of a run that lie together; `name` is empty for those of the run itself."""

    name: str
    files: Sequence[Artifact]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def view(found: KubernetesObject, now: str) -> RunView:
    """Return how a run stands."""
    metadata, spec, status = found["metadata"], found["spec"], found.get("status", {})
    state, is_live = state_of(found), not is_over(found)
    progress = status.get("progress") if is_live else None
    numbers = _DONE_OF.match(progress or "")
    made_at = metadata.get("creationTimestamp")
    until = spec.get("until", STAGES[-1])
    names = STAGES[: STAGES.index(until) + 1]
    return RunView(
        name=metadata["name"],
        state=state,
        is_live=is_live,
        reason=status.get("reason"),
        owner=owner(metadata),
        dataset=max(datasets_of(found), key=len),
        made_at=made_at,
        age=format_age(seconds_between(made_at, now)),
        seconds=seconds_between(status.get("startedAt"), status.get("finishedAt") or (now if is_live else None)),
        stage=status.get("stage") if is_live else None,
        progress=progress,
        done=(int(numbers[1]), int(numbers[2])) if numbers else None,
        best=status.get("best", {}),
        stages=[_stage(name, state, status.get("stages", {}).get(name), now) for name in names],
        actions=possible(found),
        has_object="resourceVersion" in metadata,
        until=until,
    )


def _stage(name: str, run: State, told: Mapping[str, Any] | None, now: str) -> StageRow:
    if told is None:
        return StageRow(name, "done" if run is State.SUCCEEDED else "waiting", None, None, 1)
    end = told.get("finishedAt") or (now if told["phase"] == "running" else None)
    seconds = seconds_between(told.get("startedAt"), end)
    return StageRow(name, told["phase"], seconds, told.get("reason"), told.get("attempt", 1))


@dataclass(frozen=True)
class Course:
    """How the training goes.

    Attributes:
      last: What the trainer said last: step, loss and more; empty before it has begun.
    """

    charts: Sequence[Chart]
    last: Mapping[str, Any]


def course(store: ObjectStore, shown: RunView) -> Course:
    """Draw what was measured so far."""
    progress = read_valid_lines(store, keys.progress(shown.name), ProgressLine)
    rows = read_valid_lines(store, keys.metrics(shown.name), MeasuredRow)
    charts = [sections.ap_chart(rows, shown.best.get("step")), *sections.training_charts(progress)]
    return Course([chart for chart in charts if chart], progress[-1].content() if progress else {})


def samples(store: ObjectStore, run: str) -> list[str]:
    """Return some of the pictures that `detect` drew, as paths below the run's folder."""
    folder = keys.run_folder(run)
    pictures = [key for key in store.list(keys.stage(run, "detect")) if key.lower().endswith(_PICTURES)]
    return [key.removeprefix(f"{folder}/") for key in pictures[:_SAMPLES]]


def folders(store: ObjectStore, run: str) -> list[Folder]:
    """Return a run's files, what is taken home first."""
    found = sorted(list_artifacts(store, run), key=lambda file: (_rank(_folder(file)), file.path))
    return [Folder(name, list(files)) for name, files in groupby(found, key=_folder)]


def _folder(file: Artifact) -> str:
    return file.path.partition("/")[0] if "/" in file.path else ""


def _rank(folder: str) -> tuple[int, str]:
    first = ["export", "", "detect", "evaluate", "train", "ingest", "preprocess"]
    return (first.index(folder), "") if folder in first else (len(first), folder)
