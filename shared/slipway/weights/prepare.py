"""The check of an initial checkpoint before a run begins, and its copy in the store.

Ingest calls it before it reads an image: it has no GPU, and its image no TensorFlow. So wrong weights end a run in a
second or two, and what was checked is what is trained from, hours later and after a restart, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway import keys
from slipway.artifacts.dataset import IngestResult
from slipway.artifacts.json_io import read_document
from slipway.artifacts.weights import KeptWeights
from slipway.errors import InputError, SpecError
from slipway.events import event
from slipway.run.from_data.anchor_coverage import Anchors
from slipway.run.from_data.anchors import ANCHOR_FIELDS
from slipway.run.packaged_weights import PACKAGED_WEIGHTS
from slipway.run.plan import Plan
from slipway.run.presets import Preset, load_preset
from slipway.store.interface import ObjectStore
from slipway.text import timestamp
from slipway.weights.checkpoint.object_graph import Shapes, read_modules
from slipway.weights.checkpoint.table import checkpoint_files
from slipway.weights.networks import MODULES, check_modules, modules_of, packaged_modules
from slipway.weights.sources import RUN_PREFIX, fetch_weights, named_errors
from slipway.weights.stored import find_kept, keep, write_kept


@dataclass(frozen=True)
class PreparedWeights:
    """An initial checkpoint that fits a preset.

    Attributes:
      sha256: Digest under which the store keeps it; of a package's weights, the digest of the package's file.
      modules: Modules of the model that are restored from it, without the head.
      run: The run that it comes from, if it is a run's.
    """

    address: str
    sha256: str
    modules: tuple[str, ...]
    run: "TrainedRun | None" = None

    def added_to(self, plan: Plan, labels: tuple[str, ...]) -> Plan:
        """Return the plan with these weights.

        Of a run, the head is restored too if the classes are the same, and the anchors are taken with the weights.

        Args:
          labels: Those of the dataset, in the order of their class ids.

        Raises:
          SpecError: The image size does not fit the run's anchors.
        """
        choices: dict[str, tuple[Any, str]] = {
            "initial_checkpoint_sha256": (self.sha256, "of what was checked"),
            "initial_checkpoint_modules": (self.modules, "the preset's"),
        }
        if self.run:
            is_same = self.run.labels == labels
            reason = f"that run has {'the same' if is_same else 'other'} classes"
            choices["initial_checkpoint_modules"] = ((*MODULES, "head") if is_same else MODULES, reason)
            if not any(field.startswith(ANCHOR_FIELDS) for field in plan.overrides):
                choices["anchors"] = (self.run.anchors_for(plan.image_size), "those that its weights were trained with")
        fields = {field: value for field, (value, _) in choices.items()}
        reasons = {field: reason for field, (_, reason) in choices.items()}
        return plan.model_copy(update={**fields, "reasons": {**plan.reasons, **reasons}})


@dataclass(frozen=True)
class TrainedRun:
    """A run whose best checkpoint is an initial checkpoint.

    Attributes:
      labels: In the order of their class ids.
    """

    name: str
    preset: str
    labels: tuple[str, ...]
    anchors: Anchors

    @classmethod
    def read(cls, name: str, store: ObjectStore) -> "TrainedRun":
        """Read the run's plan and labels."""
        plan = Plan.parse(store.read(keys.plan(name)), keys.plan(name))
        labels = read_document(store, keys.result(name, "ingest"), IngestResult).labels
        return cls(name, plan.preset, labels, plan.anchors or load_preset(plan.preset).anchors)

    def anchors_for(self, image_size: int) -> Anchors:
        """Return the anchors. Raises `SpecError` where the image size is not a multiple of their coarsest cells."""
        cell = 1 << self.anchors.max_level
        if image_size % cell:
            raise SpecError(
                f"train.imageSize is {image_size}, the anchors of run {self.name} need a multiple of {cell}"
            )
        return self.anchors


def prepare_weights(address: str, preset: Preset, store: ObjectStore, scratch: Path) -> PreparedWeights:
    """Fetch an initial checkpoint, check that it fits the preset's model, and keep a copy in the store.

    Raises:
      InputError: It does not exist, is not a checkpoint, or does not fit.
      TransientError: A server or the store does not answer.
    """
    with named_errors(address):
        if weights := PACKAGED_WEIGHTS.get(address):
            check_modules(packaged_modules(address), modules := modules_of(preset), preset)
            return PreparedWeights(address, weights.sha256, modules)
        prefix = fetch_weights(address, store, scratch)
        content = read_modules(prefix)
        if not address.startswith(RUN_PREFIX):
            check_modules(content, modules := modules_of(preset), preset)
            return PreparedWeights(address, _keep(address, prefix, content, store), modules)
        run = TrainedRun.read(address.removeprefix(RUN_PREFIX), store)
        _check_run(content, run, preset)
        return PreparedWeights(address, _keep(address, prefix, content, store), MODULES, run)


def _check_run(content: Mapping[str, Shapes], run: TrainedRun, preset: Preset) -> None:
    """Check a checkpoint of a run; if it does not fit, name the preset that the run was trained with.

    The shapes of its decoder are known only if the run has the preset's levels; the trainer compares others.
    """
    has_known_levels = (run.anchors.min_level, run.anchors.max_level) == (
        preset.anchors.min_level,
        preset.anchors.max_level,
    )
    try:
        check_modules(content, MODULES if has_known_levels else ("backbone",), preset)
    except InputError as error:
        if run.preset == preset.name:
            raise
        raise InputError(f"{error}; run {run.name} was trained with preset {run.preset}: ask for the same") from error


def _keep(address: str, prefix: Path, content: Mapping[str, Shapes], store: ObjectStore) -> str:
    """Keep a copy in the store under the digest of its content, and that of an archive under its address, too."""
    digest = keep(store, prefix)
    variables = {module: sum(shapes.values()) for module, shapes in content.items() if module in (*MODULES, "head")}
    event("initial_checkpoint_checked", address=address, sha256=digest, **variables)
    if address.startswith(("https://", "http://")) and find_kept(store, address) is None:
        size = sum(file.stat().st_size for file in checkpoint_files(prefix))
        write_kept(store, KeptWeights(address=address, sha256=digest, bytes=size, kept_at=timestamp()))
    return digest
