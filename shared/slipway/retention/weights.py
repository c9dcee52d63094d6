"""Retention of initial checkpoints: decides which of them no run needs any more."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from slipway import keys
from slipway.artifacts.json_io import read_document
from slipway.artifacts.weights import KeptWeights
from slipway.errors import BrokenDocument, MissingKey
from slipway.retention.policy import BLOB_AGE_SEC, Group, Inventory, Limits, StoredRun, is_old
from slipway.run.pipeline import State
from slipway.run.plan import Plan
from slipway.store.interface import Listed, ObjectStore

_INCOMPLETE_AGE = timedelta(seconds=BLOB_AGE_SEC)


def expired_weights(
    store: ObjectStore, inventory: Inventory, runs: Iterable[StoredRun], limits: Limits, now: float
) -> list[Group]:
    """Return the old initial checkpoints with their addresses, but for those that a user sent or a run may still read.

    A copy without an index is incomplete, and expires after a day.
    """
    groups = inventory.groups.get("weights", [])
    if not any(is_old(group, limits.weights, now) or is_old(group, _INCOMPLETE_AGE, now) for group in groups):
        return []
    kept_weights = {
        group: read_document(store, group.name, KeptWeights) for group in inventory.groups.get("address", ())
    }
    going_on = [run.group.name for run in runs if run.state not in {State.SUCCEEDED, State.CANCELED}]
    used_digests = {weights.sha256 for weights in kept_weights.values() if weights.user}
    used_digests |= {digest for run in going_on if (digest := _digest_of(store, run))}
    return [
        replace(group, files=(*_addresses(kept_weights, digest), *group.files))
        for group in groups
        for digest in [group.name.rpartition("/")[2]]
        if digest not in used_digests and is_old(group, limits.weights if _is_whole(group) else _INCOMPLETE_AGE, now)
    ]


def _is_whole(group: Group) -> bool:
    return any(file.key.endswith(".index") for file in group.files)


def _addresses(kept_weights: Mapping[Group, KeptWeights], digest: str) -> Iterator[Listed]:
    """Yield the keys of the names and addresses that mean a checkpoint."""
    for group, weights in kept_weights.items():
        if weights.sha256 == digest:
            yield from group.files


def _digest_of(store: ObjectStore, run: str) -> str | None:
    """Return the digest of the weights that a run trains from, if its plan has one."""
    try:
        return Plan.parse(store.read(keys.plan(run)), keys.plan(run)).initial_checkpoint_sha256
    except (MissingKey, BrokenDocument):
        return None
