"""Train a detector from a run's records, in sight of the evaluator."""

import json
import time
from pathlib import Path
from typing import Any

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.artifacts.untyped_json import read_json, read_optional
from slipway.dataset.labels import LabelMap
from slipway.errors import MissingKey, SpecError, Stopped, TransientError
from slipway.events import event
from slipway.metrics import registry as metrics
from slipway.run.plan import Plan
from slipway.stage.runner import Result, StageParams, write_result
from slipway.store.interface import ObjectStore

from services.trainer.gpu_memory import tell_memory
from services.trainer.initial_checkpoint import fetch_initial_checkpoint
from services.trainer.pipeline_config import dump, pipeline_config
from services.trainer.stop_conditions import Watch
from services.trainer.train import Progress, Training
from services.trainer.train import train as train_steps
from services.trainer.workers import Team, join

_VERDICT_WAIT_SEC = 900.0  # the evaluator measures the last checkpoint in seconds, or in minutes on a large split
_POLL_SEC = 0.5
_REPORT_SEC = 5.0


def train(params: StageParams, store: ObjectStore) -> Result:
    """Train to the last step, wait until that checkpoint has been measured, and write the result.

    Of several workers only worker 0 writes; the others are done with the last step.
    """
    started = time.monotonic()
    plan = Plan.parse(store.read(keys.resolved(params.name)))
    checkpoints = Checkpoints(store, keys.stage(params.name, "train"))
    step = _finished(checkpoints) or _train(params, store, plan, checkpoints)
    if params.index:
        return {}
    verdict = _await_verdict(store, params)
    seconds = round(time.monotonic() - started, 1)
    outcome = {"steps": step, "best_step": verdict["best"], "duration_sec": seconds, "preset": plan.preset}
    return write_result(store, params.name, "train", outcome)


def _finished(checkpoints: Checkpoints) -> int | None:
    """Return the last step if it is listed: who starts again only to wait for the verdict needs no other worker."""
    steps = checkpoints.steps()
    return steps[-1] if steps and checkpoints.listing(steps[-1]).last else None


def _train(params: StageParams, store: ObjectStore, plan: Plan, checkpoints: Checkpoints) -> int:
    started, spec = time.monotonic(), params.run.spec.train
    team = join(params.index, _gpus(spec.gpus), params.stopping)
    config = _config(plan, params, store, team)
    journal = Journal(store, params.name, plan, params.scratch / "events") if team.leads else None
    training = Training(
        config=config,
        team=team,
        checkpoints=checkpoints,
        watch=Watch(
            params.stopping,
            lambda: bool(read_optional(store, keys.verdict(params.name)).get("stop")),
            None if spec.time_limit is None else started + spec.time_limit,
        ),
        scratch=params.scratch,
        on_progress=journal.progress if journal else _unheard,
        on_checkpoint=journal.checkpoint if journal else _unheard,
    )
    event("training", preset=plan.preset, steps=plan.steps, batch_size=plan.batch_size, image_size=plan.image_size)
    return train_steps(training, spec.seed)


def _unheard(_: Any) -> None:
    """Stand for worker 0's journal in the others."""


def _config(plan: Plan, params: StageParams, store: ObjectStore, team: Team) -> Any:
    """Write `pipeline.yaml`, and return it pointed at the local copies of the records and weights."""
    dataset = read_json(store, keys.result(params.name, "ingest"))["dataset"]
    records = read_json(store, keys.result(params.name, "preprocess"))
    train = records["splits"]["train"]
    team.share(plan.batch_size, train["images"])
    labels = LabelMap.parse(store.read(keys.label_map(dataset)).decode())
    weights = _weights(plan.initial_checkpoint, params, store, team)
    config = pipeline_config(plan, len(labels), records["max_boxes"], weights)
    if team.leads:
        store.write(keys.pipeline_config(params.name), dump(config))
    folder = params.scratch / "records"
    for number in range(train["shards"]):
        key = keys.shard(records["records"], "train", number, train["shards"])
        store.download(key, folder / Path(key).name)
    config.task.train_data.input_path = str(folder / "train-*.tfrecord")
    return config


def _weights(address: str | None, params: StageParams, store: ObjectStore, team: Team) -> str | None:
    """Bring the pretrained weights; worker 0 goes ahead, so that the others find in the store what it keeps there."""
    if not address:
        return None
    with team.bound():
        if not team.leads:
            team.agree(0)
        weights = fetch_initial_checkpoint(address, store, params.scratch)
        if team.leads:
            team.agree(0)
    return weights


class Journal:
    """Says how the training goes: an event line, `progress.jsonl` and TensorBoard's event file.

    A restart takes up the lines that are there, but for those past the checkpoint it starts from.
    """

    def __init__(self, store: ObjectStore, run: str, plan: Plan, folder: Path) -> None:
        import tensorflow as tf

        metrics.TRAINING_STEPS.set(plan.steps)
        self._store, self._run, self._plan, self._folder = store, run, plan, folder
        self._writer = tf.summary.create_file_writer(str(folder))
        self._lines: list[Progress] | None = None
        self._then, self._saved = time.monotonic(), time.monotonic()
        self._first = True

    def progress(self, progress: Progress) -> None:
        """Note one loop of steps."""
        now, step = time.monotonic(), int(progress["step"])
        lines = self._lines if self._lines is not None else self._earlier(step)
        steps = step - (int(lines[-1]["step"]) if lines else 0)
        rate = steps * self._plan.batch_size / (now - self._then)
        if self._first:  # it also traces the graph: its rate would be no rate
            del progress["input_wait_ratio"]
        else:
            progress["images_per_sec"] = round(rate, 1)
        self._first, self._then, self._lines = False, now, [*lines, progress]
        event("step", **{"step": step, "steps": self._plan.steps, **progress})
        _tell(progress)
        self._summarize(progress)
        if now - self._saved > _REPORT_SEC:
            self._save()

    def checkpoint(self, step: int) -> None:
        """Note a published checkpoint."""
        event("checkpoint_saved", step=step)
        metrics.CHECKPOINT_STEP.set(step)
        metrics.CHECKPOINT_TIME.set(time.time())
        self._save()

    def _summarize(self, progress: Progress) -> None:
        import tensorflow as tf

        tell_memory(tf.config)
        with self._writer.as_default(step=int(progress["step"])):
            for name in progress.keys() - {"step"}:
                tf.summary.scalar(name, progress[name])

    def _earlier(self, step: int) -> list[Progress]:
        try:
            text = self._store.read(keys.progress(self._run))
        except MissingKey:
            return []
        return [line for line in map(json.loads, text.splitlines()) if line["step"] < step]

    def _save(self) -> None:
        lines = b"".join(json.dumps(line).encode() + b"\n" for line in self._lines or [])
        self._store.write(keys.progress(self._run), lines)
        self._writer.flush()
        for file in self._folder.iterdir():
            self._store.upload(file, f"{keys.stage(self._run, 'train')}/{file.name}")
        self._saved = time.monotonic()


def _tell(progress: Progress) -> None:
    metrics.TRAINING_STEP.set(progress["step"])
    metrics.TRAINING_RATE.set(progress["learning_rate"])
    if "images_per_sec" in progress:
        metrics.TRAINING_SPEED.set(progress["images_per_sec"])
        metrics.TRAINING_INPUT_WAIT.set(progress["input_wait_ratio"])
    metrics.TRAINING_TIME.set(time.time())
    metrics.got_on()


def _gpus(asked: int) -> int:
    """Return how many GPUs to train on: those asked for, or one that is there anyway.

    Raises:
      SpecError: Fewer are there than were asked for.
    """
    import tensorflow as tf

    there = len(tf.config.list_physical_devices("GPU"))
    if there < asked:
        raise SpecError(f"train.gpus is {asked}, TensorFlow sees {there}; ask for fewer or use a node that has them")
    return asked or min(there, 1)


def _await_verdict(store: ObjectStore, params: StageParams) -> dict[str, Any]:
    """Wait until the evaluator has measured the last checkpoint: only then may the pod end."""
    patience = time.monotonic() + _VERDICT_WAIT_SEC
    event("verdict_awaited")
    while not (verdict := read_optional(store, keys.verdict(params.name))).get("final"):
        if params.stopping.wait(_POLL_SEC):
            raise Stopped("stopped while the last checkpoint is being measured; run the same command again to carry on")
        if time.monotonic() > patience:
            raise TransientError(
                f"the evaluator did not measure the last checkpoint in {_VERDICT_WAIT_SEC:.0f} s; "
                "see its log and run again"
            )
    return verdict
