"""The values that the pages show of a run, before any HTML."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from slipway import keys
from slipway.artifacts.evaluation import MeasuredRow
from slipway.artifacts.json_io import read_valid_lines
from slipway.artifacts.outcome import BestSoFar, StageStatus
from slipway.artifacts.training import ProgressLine
from slipway.report import sections
from slipway.report.sections import Chart
from slipway.run.names import PROCESS_NAMES, STAGES
from slipway.run.pipeline import Phase, State
from slipway.store.interface import ObjectStore
from slipway.text import format_age, seconds_between

from services.api.artifacts.listing import Artifact, list_artifacts
from services.api.runs.actions import Action, possible_actions
from services.api.runs.run_object import RunObject

_MAX_SAMPLES = 12  # enough to judge the detector; all of them are among the downloads
_PICTURES = (".jpg", ".png")
_FRACTION = re.compile(r"(\d+)/(\d+) ")
_FOLDERS = ("export", "", *reversed([name for name in PROCESS_NAMES if name != "export"]))


@dataclass(frozen=True)
class StageRow:
    """One stage of a run.

    Attributes:
      phase: The controller's word; `waiting` before the stage has begun.
      seconds: Duration, up to now if the stage is running.
    """

    name: str
    phase: str
    seconds: float | None = None
    reason: str | None = None
    attempt: int = 1


@dataclass(frozen=True)
class RunView:
    """The state of a run.

    Attributes:
      dataset: `name@sha256` once that is known, otherwise the name.
      fraction: The progress of the current stage as two numbers, the second being the total, where that is known.
      is_live: The run may still change.
    """

    name: str
    state: State
    is_live: bool
    reason: str | None
    owner: str | None
    dataset: str
    created_at: str | None
    age: str
    seconds: float | None
    stage: str | None
    progress: str | None
    fraction: tuple[int, int] | None
    best: BestSoFar | None
    stages: Sequence[StageRow]
    actions: Sequence[Action]
    has_object: bool
    last_stage: str

    @property
    def dataset_page(self) -> str | None:
        return f"/datasets/{self.dataset}" if "@" in self.dataset else None


@dataclass(frozen=True)
class Folder:
    """The files of a run in one folder; its name is empty for those directly in the run's folder."""

    name: str
    files: Sequence[Artifact]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def view_run(run: RunObject, now: str) -> RunView:
    """Return the state of a run."""
    status, is_live = run.status, not run.is_over
    progress = status.progress if is_live else None
    fraction = _FRACTION.match(progress or "")
    stages = STAGES[: STAGES.index(run.spec.until) + 1]
    return RunView(
        name=run.name,
        state=run.state,
        is_live=is_live,
        reason=status.reason,
        owner=run.owner,
        dataset=max(run.dataset_names, key=len),
        created_at=run.metadata.creation_timestamp,
        age=format_age(seconds_between(run.metadata.creation_timestamp, now)),
        seconds=seconds_between(status.started_at, status.finished_at or (now if is_live else None)),
        stage=status.stage if is_live else None,
        progress=progress,
        fraction=(int(fraction[1]), int(fraction[2])) if fraction else None,
        best=status.best,
        stages=[_stage_row(stage, run.state, status.stages.get(stage), now) for stage in stages],
        actions=possible_actions(run),
        has_object=run.version is not None,
        last_stage=run.spec.until,
    )


def _stage_row(name: str, state: State, status: StageStatus | None, now: str) -> StageRow:
    if status is None:
        return StageRow(name, "done" if state is State.SUCCEEDED else "waiting")
    end = status.finished_at or (now if status.phase is Phase.RUNNING else None)
    return StageRow(name, status.phase, seconds_between(status.started_at, end), status.reason, status.attempt)


@dataclass(frozen=True)
class TrainingView:
    """The charts of a training, and its last progress line; None before the training has begun."""

    charts: Sequence[Chart]
    last_line: ProgressLine | None


def view_training(store: ObjectStore, run: RunView) -> TrainingView:
    """Draw the measurements so far."""
    lines = read_valid_lines(store, keys.progress(run.name), ProgressLine)
    rows = read_valid_lines(store, keys.metrics(run.name), MeasuredRow)
    charts = [sections.ap_chart(rows, run.best.step if run.best else None), *sections.training_charts(lines)]
    return TrainingView([chart for chart in charts if chart], lines[-1] if lines else None)


def sample_paths(store: ObjectStore, run: str) -> list[str]:
    """Return the paths of some pictures that `detect` drew, relative to the run's folder."""
    folder = keys.run_folder(run)
    pictures = [item.key for item in store.scan(keys.stage(run, "detect")) if item.key.lower().endswith(_PICTURES)]
    return [key.removeprefix(f"{folder}/") for key in pictures[:_MAX_SAMPLES]]


def list_folders(store: ObjectStore, run: str) -> list[Folder]:
    """Return a run's files by folder, the folders that users most often need first."""
    files = sorted(list_artifacts(store, run), key=lambda file: (_rank(_folder(file)), file.path))
    return [Folder(name, list(group)) for name, group in groupby(files, key=_folder)]


def _folder(file: Artifact) -> str:
    return file.path.partition("/")[0] if "/" in file.path else ""


def _rank(folder: str) -> tuple[int, str]:
    return (_FOLDERS.index(folder), "") if folder in _FOLDERS else (len(_FOLDERS), folder)
