"""Inject faults into a live installation and count how its runs end: `make e2e-faults`.

A try is one run and one fault, at a moment drawn uniformly from the time that the affected pod runs; that time is
measured first, without a fault, with as many runs at once. Each try is a line of the state file: an interrupted game
continues there, and the table covers all lines. Faults of a run's own pods come first, then those of the
installation, which strike every run in progress.
"""

import argparse
import json
import random
import re
import statistics
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster import installation as at
from tests.cluster.play import measure, play, tidy, upload
from tests.cluster.strikes import EVERY, FAULTS, TRAINING, Commands, Fault


class Journal:
    """The state file."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()
        self.lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def add(self, **line: Any) -> None:
        with self._lock, self._file.open("a") as file:
            self.lines.append(line)
            file.write(json.dumps(line) + "\n")

    def tries(self, fault: str) -> list[dict[str, Any]]:
        """Return the tries whose fault came in time."""
        return [line for line in self.lines if line.get("fault") == fault and line["struck"]]

    def of(self, fault: str, number: int) -> list[dict[str, Any]]:
        """Return the lines of one try: in all but the last, the fault came too late."""
        return [line for line in self.lines if line.get("fault") == fault and line["number"] == number]

    def missed(self) -> int:
        return sum("fault" in line and not line["struck"] for line in self.lines)

    def measured(self, kind: str) -> dict[str, Any] | None:
        return next((line for line in self.lines if line.get("measured") == kind), None)


def calm(journal: Journal, at_once: int) -> None:
    """Measure the running time of pods without a fault, unless the state file has it."""
    if not journal.measured("faults"):
        with ThreadPoolExecutor(at_once) as pool:
            lines = list(pool.map(lambda number: measure(TRAINING, f"calm-{number}"), range(at_once)))
        seconds = {part: statistics.median(line["seconds"][part] for line in lines) for part in lines[0]["seconds"]}
        journal.add(measured="faults", dataset=lines[0]["dataset"], seconds=seconds)
    if not journal.measured("many"):
        many = {"dataset": {"source": f"{at.UPLOADS}/many"}, "until": "preprocess"}
        journal.add(measured="many", **measure(many, "calm-many"))


@dataclass(frozen=True)
class Game:
    """One game: the commands and the seed with which it is played, and its state file."""

    journal: Journal
    commands: Commands
    seed: int
    _one_preprocess: threading.Lock = field(default_factory=threading.Lock)  # they write the same records

    def play(self, fault: Fault, number: int) -> None:
        """Play one try, repeatedly until its fault comes in time."""
        while not any(line["struck"] for line in self.journal.of(fault.name, number)):
            with nullcontext() if fault.spec else self._one_preprocess:
                self._play_once(fault, number, len(self.journal.of(fault.name, number)))

    def _play_once(self, fault: Fault, number: int, miss_count: int) -> None:
        line = self.journal.measured("faults" if fault.spec else "many")
        assert line is not None
        spec = fault.spec or {"dataset": {"ref": line["dataset"]}, "until": "preprocess"}
        moment = random.Random(f"{self.seed} {fault.name} {number} {miss_count}").random()
        name = f"{re.sub('[^a-z0-9]+', '-', fault.name.lower())}-{number}-{miss_count}"
        if fault.prepare:
            fault.prepare()
        outcome = play(fault, spec, moment * line["seconds"][fault.timed or ""], name, self.commands)
        tidy(name, None if fault.spec else line["dataset"])
        self.journal.add(fault=fault.name, number=number, run=name, moment=round(moment, 3), **outcome)
        sys.stderr.write(f"{name}: {json.dumps(outcome)}\n")

    def play_all(self, tries: int, at_once: int) -> None:
        playable = [fault for fault in FAULTS if not fault.needs or getattr(self.commands, fault.needs)]
        for is_own in (True, False):
            group = [fault for fault in playable if bool(fault.timed) == is_own]
            with ThreadPoolExecutor(at_once) as pool:
                futures = [pool.submit(self.play, fault, number) for number in range(tries) for fault in group]
            for future in futures:
                future.result()


def table(journal: Journal, commands: Commands) -> str:
    """Return a Markdown table of the outcomes and the skipped faults."""
    rows = ["| fault | tries | ended right | duplicates | orphans | steps lost | median s |", "|---" * 7 + "|"]
    for fault in FAULTS:
        tries = journal.tries(fault.name)
        if not tries:
            is_absent = fault.needs and not getattr(commands, fault.needs)
            why = f"no {str(fault.needs).upper()} command was given" if is_absent else "not played yet"
            rows.append(f"| {fault.name} | skipped: {why} | | | | | |")
            continue
        lost_counts = Counter(steps for line in tries for steps in line["steps_lost"])
        steps_text = ", ".join(f"{steps} ({times}×)" for steps, times in sorted(lost_counts.items())) or "none"
        successes, duplicates, orphans = (
            sum(line["state"] == "SUCCEEDED" for line in tries),
            sum(line["duplicates"] for line in tries),
            sum(line["orphans"] for line in tries),
        )
        seconds = statistics.median(line["seconds"] for line in tries)
        rows.append(
            f"| {fault.name} | {len(tries)} | {successes} | {duplicates} | {orphans} | {steps_text} | {seconds:.0f} |"
        )
    return "\n".join([*rows, "", f"Drawn too late, after the pod had ended, and played again: {journal.missed()}."])


def is_sound(journal: Journal) -> bool:
    """Return whether every try succeeded without a duplicate or an orphan, and lost at most one checkpoint interval."""
    tries = [line for fault in FAULTS for line in journal.tries(fault.name)]
    allowed = {"evict trainer": 0}
    return all(
        line["state"] == "SUCCEEDED"
        and not line["duplicates"]
        and not line["orphans"]
        and all(steps <= allowed.get(line["fault"], EVERY) for steps in line["steps_lost"])
        for line in tries
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=10, help="of each fault")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--at-once", type=int, default=1, help="number of runs at a time")
    parser.add_argument("--state", type=Path, required=True, help="a file; an existing one is continued")
    parser.add_argument("--kill", default="", help="precedes a container's id and sends its first process SIGKILL")
    parser.add_argument("--restart-api", default="", help="kills the API server and starts it again")
    options = parser.parse_args()
    journal, commands = Journal(options.state), Commands(options.kill, options.restart_api)
    upload()
    try:
        calm(journal, options.at_once)
        Game(journal, commands, options.seed).play_all(options.tries, options.at_once)
    finally:
        print(table(journal, commands))
    return 0 if is_sound(journal) else 1


if __name__ == "__main__":
    raise SystemExit(main())
