"""`slipway gc`: removal of old runs, datasets, records and uploads from a store."""

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

_KINDS = {
    "run": "runs",
    "upload": "uploads",
    "dataset": "datasets",
    "records": "sets of records",
    "weights": "initial checkpoints",
    "blob": "images",
}
_EVERY_BLOBS = 1000  # there are too many images for a line each


def gc(url: str, limits: Limits, is_dry: bool, as_json: bool) -> int:
    """Apply retention to a store, and return the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    removal = collect(open_store(url), limits, time.time(), RemovalProgress(is_dry, as_json).show, is_dry)
    for key, message in removal.failures.items():
        print(f"not removed: {key}: {message}", file=sys.stderr)
    code = EXIT_RETRY if removal.failures else EXIT_DONE
    if as_json:
        print(json.dumps({"event": "gc_over", "code": code, "dryRun": is_dry, **vars(removal)}))
    else:
        print("\n".join(summary_lines(removal, is_dry)))
    return code


def summary_lines(removal: Removal, is_dry: bool) -> list[str]:
    """Return lines on the removed groups, and on those that were kept, with the reason."""
    counts = ", ".join(f"{removal.counts[kind]} {name}" for kind, name in _KINDS.items() if kind in removal.counts)
    lines = [f"{'would remove' if is_dry else 'removed'} {counts or 'nothing'}, {format_bytes(removal.bytes)}"]
    if removal.unfinished:
        lines.append(f"kept, for they never ended (--unfinished removes them): {', '.join(removal.unfinished)}")
    if removal.postponed:
        lines.append("left datasets, records and images for the next time: a dataset is being ingested")
    if removal.failures:
        lines.append(f"{len(removal.failures)} keys were not removed; run the same command again")
    return lines


class RemovalProgress:
    """Shows each group that is removed; of images, only their number, every thousand."""

    def __init__(self, is_dry: bool, as_json: bool) -> None:
        self._event = "would_remove" if is_dry else "removed"
        self._verb = self._event.replace("_", " ")
        self._as_json, self._blob_count = as_json, 0

    def show(self, group: Group) -> None:
        if group.kind == "blob":
            self._count_blob()
        elif self._as_json:
            print(json.dumps({"event": self._event, "kind": group.kind, "name": group.name, "bytes": group.bytes}))
        else:
            print(f"{self._verb} {group.kind} {group.name}, {format_bytes(group.bytes)}", file=sys.stderr)

    def _count_blob(self) -> None:
        self._blob_count += 1
        if not self._as_json and self._blob_count % _EVERY_BLOBS == 0:
            print(f"{self._verb} {self._blob_count} images", file=sys.stderr)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped("stopped; what was not removed yet is removed the next time")
