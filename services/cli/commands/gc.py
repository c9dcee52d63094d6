"""``slipway gc``: what was removed, as it is, and all of it in one line."""

import json
import signal
import sys
import time
from types import FrameType

from slipway.errors import EXIT_DONE, EXIT_RETRY, Stopped
from slipway.retention.policy import Group, Limits
from slipway.retention.sweep import Removal, collect
from slipway.store.from_url import open_store
from slipway.text import format_bytes

_KINDS = {"run": "runs", "upload": "uploads", "dataset": "datasets", "records": "sets of records", "blob": "images"}
_EVERY = 1000  # images are told of by the thousand


def gc(url: str, limits: Limits, is_dry: bool, as_json: bool) -> int:
    """Apply retention to a store, and return the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    removal = collect(open_store(url), limits, time.time(), _Shown(is_dry, as_json), is_dry)
    for key, said in removal.failures.items():
        print(f"not removed: {key}: {said}", file=sys.stderr)
    code = EXIT_RETRY if removal.failures else EXIT_DONE
    if as_json:
        print(json.dumps({"event": "gc_over", "code": code, "dryRun": is_dry, **vars(removal)}))
    else:
        print("\n".join(sentences(removal, is_dry)))
    return code


def sentences(removal: Removal, is_dry: bool) -> list[str]:
    """Say what was done, and what was left and why."""
    counted = ", ".join(
        f"{removal.counts.get(kind, 0)} {name}" for kind, name in _KINDS.items() if kind in removal.counts
    )
    said = [f"{'would remove' if is_dry else 'removed'} {counted or 'nothing'}, {format_bytes(removal.bytes)}"]
    if removal.unfinished:
        said.append(f"kept, for they never ended (--unfinished removes them): {', '.join(removal.unfinished)}")
    if removal.postponed:
        said.append("left datasets, records and images for the next time: a dataset is being ingested")
    if removal.failures:
        said.append(f"{len(removal.failures)} keys were not removed; run the same command again")
    return said


class _Shown:
    """Tells of each group as it goes."""

    def __init__(self, is_dry: bool, as_json: bool) -> None:
        self._verb = "would_remove" if is_dry else "removed"
        self._as_json, self._blobs = as_json, 0

    def __call__(self, group: Group) -> None:
        if group.kind == "blob":
            self._blobs += 1
            if not self._as_json and self._blobs % _EVERY == 0:
                print(f"{self._verb.replace('_', ' ')} {self._blobs} images", file=sys.stderr)
            return
        said = {"event": self._verb, "kind": group.kind, "name": group.name, "bytes": group.bytes}
        if self._as_json:
            print(json.dumps(said))
        else:
            print(
                f"{self._verb.replace('_', ' ')} {group.kind} {group.name}, {format_bytes(group.bytes)}",
                file=sys.stderr,
            )


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Stopped("stopped; what was not removed yet is removed the next time")
