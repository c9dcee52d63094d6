"""The checkpoint that a source holds where the tutorial puts it, if it fits the run's preset."""

import re
from pathlib import Path

from slipway.dataset.source_folder import source_files
from slipway.errors import InputError
from slipway.run.plan import Plan, initial_checkpoint
from slipway.run.presets import Preset
from slipway.run.spec import TrainSpec
from slipway.store.from_url import open_store
from slipway.store.interface import ObjectStore
from slipway.weights.prepare import PreparedWeights, prepare_weights

_INDEX = re.compile(r"(?:.*/)?pre-trained-models?/(?:.+)\.index")
_MOST_TRIED = 5  # each is copied from a bucket before it is compared


def prepare_source_weights(
    url: str, preset: Preset, store: ObjectStore, scratch: Path
) -> tuple[PreparedWeights | None, list[str]]:
    """Return the first checkpoint in `pre-trained-model/` that fits the preset, and sentences on what was used.

    Args:
      url: Of the source.
    """
    notes = []
    for key in [key for key in source_files(open_store(url)) if _INDEX.fullmatch(key)][:_MOST_TRIED]:
        name = key.removesuffix(".index")
        address = f"{url.rstrip('/')}/{name}"
        try:
            weights = prepare_weights(address, preset, store, scratch)
        except InputError as error:
            fault = str(error).removeprefix(f"initial checkpoint {address}: ").partition("; give another")[0]
            notes.append(f"{name} is not trained from: {fault}.")
        else:
            return weights, [*notes, f"The training begins from {name}, which fits {preset.name}."]
    return None, notes


def with_weights(train: TrainSpec, weights: PreparedWeights | None) -> TrainSpec:
    """Return the spec with the address of the source's checkpoint, if that is trained from."""
    if weights is None or weights.address == initial_checkpoint(train)[1]:
        return train
    return train.model_copy(update={"initial_checkpoint": weights.address})


def add_weights(plan: Plan, weights: PreparedWeights, train: TrainSpec, labels: tuple[str, ...]) -> Plan:
    """Return the plan with the weights, and with the reason for them if they are the source's."""
    plan = weights.added_to(plan, labels)
    if weights.address == initial_checkpoint(train)[1]:
        return plan
    reasons = {**plan.reasons, "initial_checkpoint": "in the source, and fits the preset"}
    return plan.model_copy(update={"reasons": reasons})
