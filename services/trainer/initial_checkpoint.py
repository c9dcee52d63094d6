"""Pretrained weights of a training: fetched from the store, or converted from a package, and loaded into the model."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway import keys
from slipway.errors import InputError
from slipway.events import event
from slipway.run.packaged_weights import PACKAGED_WEIGHTS
from slipway.run.plan import Plan
from slipway.store.interface import ObjectStore, download_all, list_keys
from slipway.weights.checkpoint.object_graph import read_modules, shape_text
from slipway.weights.networks import MODULES
from slipway.weights.sources import fetch_weights, named_errors
from slipway.weights.stored import fetch_kept, find_checkpoint

from services.trainer.pretrained.efficientnet_lite0 import CONVERSION
from services.trainer.pretrained.package import convert_package

if TYPE_CHECKING:
    from official.core.base_trainer import Trainer

_LISTING = ".index"


@dataclass(frozen=True)
class LocalWeights:
    """The local copy of an initial checkpoint.

    Attributes:
      path: Without suffix.
      key: The same in the store, for `pipeline.yaml`.
    """

    path: str
    key: str


def fetch_initial_checkpoint(plan: Plan, store: ObjectStore, scratch: Path) -> LocalWeights:
    """Copy the plan's initial checkpoint, as ingest checked and kept it, to a local folder.

    Weights of a package are converted once and kept in the store, too: ingest has no TensorFlow.

    Raises:
      InputError: The package is missing or damaged, or the store does not have the checkpoint.
      TransientError: The store does not answer.
    """
    address, folder = str(plan.initial_checkpoint), scratch / "initial"
    with named_errors(address):
        if address in PACKAGED_WEIGHTS:
            weights = PACKAGED_WEIGHTS[address]
            identity = f"{address}@{weights.sha256}+{CONVERSION}"
            digest = _fill(folder, store, identity, lambda: convert_package(weights, folder))
            path = find_checkpoint(folder)
        elif plan.initial_checkpoint_sha256:
            digest = plan.initial_checkpoint_sha256
            path = fetch_kept(store, digest, folder)
        else:  # the plan of an older version
            return LocalWeights(str(fetch_weights(address, store, scratch)), address)
    return LocalWeights(str(path), f"{keys.initial_checkpoint(digest)}/{path.name}")


def _fill(folder: Path, store: ObjectStore, identity: str, make: Callable[[], None]) -> str:
    """Copy the weights from the store into the folder, or make them there and keep a copy; return their digest.

    The listing of a checkpoint, `*.index`, is written last: a copy without one is incomplete, and is made again.
    """
    digest = hashlib.sha256(identity.encode()).hexdigest()
    prefix = keys.initial_checkpoint(digest)
    if any(key.endswith(_LISTING) for key in list_keys(store, prefix)):
        download_all(store, prefix, folder)
        return digest
    event("initial_checkpoint_converted", address=identity)
    make()
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: path.suffix == _LISTING):
        store.upload(path, f"{prefix}/{path.relative_to(folder).as_posix()}")
    return digest


@dataclass(frozen=True)
class RestoredCounts:
    """Numbers of variables by module of the model: those that were restored, and the others."""

    restored: Mapping[str, int]
    new: Mapping[str, int]


def initialize(trainer: "Trainer") -> RestoredCounts | None:
    """Load the pretrained weights that the config names, if any, into the model; return what they filled.

    Raises:
      InputError: The file is not a checkpoint, or lacks a weight that the preset takes from it.
    """
    import tensorflow as tf

    task = trainer.config.task
    if not task.init_checkpoint:
        return None
    if not trainer.model.head.variables:  # Model Garden builds the head of a model without a decoder at its first call
        trainer.model(tf.zeros([1, *task.model.input_size]), training=False)
    if task.init_checkpoint_modules == "all" and not _has_same_head(trainer.model, task.init_checkpoint):
        task.init_checkpoint_modules = MODULES
    if task.init_checkpoint_modules != "all":  # a model whose backbone makes all levels has no decoder
        parts = trainer.model.checkpoint_items
        task.init_checkpoint_modules = [name for name in parts if name in task.init_checkpoint_modules]
    modules = task.init_checkpoint_modules
    names = modules if isinstance(modules, str) else ", ".join(modules)
    try:
        trainer.initialize()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        reason, content = str(error).split(". ")[0][:200], _describe_content(task.init_checkpoint)
        raise InputError(
            f"initial checkpoint {Path(task.init_checkpoint).name}: {content}, expected all of "
            f"{names} of the preset's model ({reason}); give another with initialCheckpoint, or 'scratch' for none"
        ) from error
    return _count_restored(trainer.model, task.init_checkpoint_modules)


def _has_same_head(model: Any, path: str) -> bool:
    """Check that the head of the checkpoint has the shapes of the model's: other anchors give it others."""
    shapes = sorted(shape_text(tuple(variable.shape)) for variable in model.head.variables)
    head = read_modules(Path(path)).get("head", {})
    return shapes == sorted(shape for shape, count in head.items() for _ in range(count))


def _count_restored(model: Any, names: str | list[str]) -> RestoredCounts:
    """Count the variables of each module; all those of a restored module were matched."""
    counts = {name: len(module.variables) for name, module in sorted(model.checkpoint_items.items())}
    is_restored = {name: names == "all" or name in names for name in counts}
    return RestoredCounts(
        restored={name: count for name, count in counts.items() if is_restored[name]},
        new={name: count for name, count in counts.items() if not is_restored[name]},
    )


def _describe_content(path: str) -> str:
    import tensorflow as tf

    try:
        parts = {name.split("/")[0] for name, _ in tf.train.list_variables(path)}
    except (ValueError, tf.errors.OpError):
        return "it is not a TensorFlow checkpoint"
    return f"it holds {sorted(part for part in parts if not part.startswith('_'))}"
