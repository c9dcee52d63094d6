"""A benchmark of one run, local and in a cluster: `python -m tests.benchmarks.local_and_cluster FOLDER --pairs 3`.

Prints for each pair the seconds from the command, or from apply, to the end, where they went, and AP50. The cluster is
the one that kubectl's current context names; it has to have an installation (`make e2e` makes one). For a fair time it
runs on this machine, and nothing else does.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from slipway.store.interface import delete_all, upload_all
from tests.cluster import installation as at


def local(folder: Path, spec: dict[str, Any], out: Path) -> dict[str, Any]:
    """Run the command in a new folder."""
    ingest, train = spec.get("ingest", {}), spec.get("train", {})
    options = {"--test-ratio": ingest.get("testRatio"), "--steps": train.get("steps"), "--out": out}
    words = [str(word) for option in options.items() if option[1] is not None for word in option]
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "services.cli", "run", str(folder), *words], check=True, stdout=sys.stderr)
    seconds = time.monotonic() - started
    (run,) = (out / "runs").iterdir()
    best = json.loads((run / "evaluate/best.json").read_text())
    stages = {
        stage: json.loads((run / stage / "result.json").read_text()).get("duration_sec")
        for stage in ("ingest", "preprocess", "train", "export", "detect")
    }
    return {"seconds": round(seconds, 1), "AP50": best["metrics"]["AP50"], "step": best["step"], "stages": stages}


def cluster(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Apply the run and wait until it has ended."""
    started = time.monotonic()
    at.apply_run(name, spec)
    ended = at.await_state(name, timeout_sec=3600)
    seconds = time.monotonic() - started
    if ended["state"] != "SUCCEEDED":
        raise RuntimeError(f"{name} ended {ended['state']}: {ended.get('reason')}")
    stages = {stage: _seconds(times) for stage, times in ended["stages"].items()}
    at.kubectl("delete", "trun", name)
    return {
        "seconds": round(seconds, 1),
        "AP50": ended["best"]["AP50"],
        "step": ended["best"]["step"],
        "stages": stages,
    }


def _seconds(stage: dict[str, Any]) -> float:
    begun, over = (datetime.fromisoformat(stage[key]) for key in ("startedAt", "finishedAt"))
    return (over - begun).total_seconds()


def pair(folder: Path, number: int, spec: dict[str, Any]) -> dict[str, Any]:
    """Run both, one after the other, the cluster first in every second pair; the previous pair's keys are deleted."""
    name = f"pair-{number}"
    with at.store() as store:
        for prefix in (f"runs/{name}", "records", "datasets", "blobs"):
            delete_all(store, prefix)
    with tempfile.TemporaryDirectory() as out:
        both = [
            ("local", lambda: local(folder, spec, Path(out))),
            ("cluster", lambda: cluster(name, spec)),
        ]
        return {where: run() for where, run in (both if number % 2 else reversed(both))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--test-ratio", type=float)
    asked = parser.parse_args()
    name = asked.folder.name
    spec: dict[str, Any] = {"dataset": {"source": f"{at.UPLOADS}/{name}"}}
    spec |= {"train": {"steps": asked.steps}} if asked.steps else {}
    spec |= {"ingest": {"testRatio": asked.test_ratio}} if asked.test_ratio else {}
    with at.store(at.UPLOADS) as store:
        upload_all(store, asked.folder, name)
    pairs = []
    for number in range(1, asked.pairs + 1):
        pairs.append(pair(asked.folder, number, spec))
        sys.stderr.write(f"{json.dumps(pairs[-1])}\n")
    print("| pair | local s | cluster s | ratio | AP50 local | AP50 cluster |\n|---|---|---|---|---|---|")
    for number, both in enumerate(pairs, 1):
        (here, ap50), (there, there50) = ((both[w]["seconds"], both[w]["AP50"]) for w in ("local", "cluster"))
        print(f"| {number} | {here} | {there} | {there / here:.2f} | {ap50:.3f} | {there50:.3f} |")
    over = statistics.median(both["cluster"]["seconds"] - 1.25 * both["local"]["seconds"] for both in pairs)
    print(f"\nThe cluster takes 1.25 times the local run and {over:.0f} s (median of {len(pairs)}).")


if __name__ == "__main__":
    main()
