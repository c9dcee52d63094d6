"""What the user sees while a run goes on: live bars, plain lines, or JSON lines for machines."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from slipway.text import format_duration

from services.cli.local.process import Event, Show
from services.cli.screen.stage_progress import Gauge, gauge_of, number

if TYPE_CHECKING:
    from rich.progress import TaskID

_PLAIN_EVERY_SEC = 5.0  # a log of a long run stays readable
_MOST_FINDINGS = 10  # more are read in the report


@contextmanager
def display(as_json: bool) -> Iterator[Show]:
    """Open the display that fits the terminal; what it returns may be called from any thread."""
    if as_json:
        yield JsonLines().show
    elif sys.stdout.isatty():
        with Bars() as bars:
            yield bars.show
    else:
        yield PlainLines().show


class JsonLines:
    """Every event as one JSON object on a line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def show(self, event: Event) -> None:
        with self._lock:
            say_json(event)


class PlainLines:
    """Lines without any control characters, at most one every few seconds for each stage."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gauges: dict[str, Gauge] = {}
        self._said: dict[str, tuple[float, str]] = {}

    def show(self, event: Event) -> None:
        with self._lock:
            self._show(event, gauge_of(event), time.monotonic())

    def _show(self, event: Event, stage: str, now: float) -> None:
        gauge = self._gauges.setdefault(stage, Gauge(stage))
        then, said = self._said.get(stage, (-_PLAIN_EVERY_SEC, ""))
        is_due = gauge.hear(event, now) and now - then >= _PLAIN_EVERY_SEC
        if (is_due or event.get("event") == "stage_over") and gauge.text(now) not in ("", said):
            self._said[stage] = (now, gauge.text(now))
            print(f"{stage}: {gauge.text(now)}", flush=True)
        for line in sentences(event):
            print(line, flush=True)


class Bars:
    """A bar for each stage that is going on, and above them what was said."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._lock = threading.Lock()
        self._bars: Progress = Progress(
            TextColumn("{task.description:<10}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        self._gauges: dict[str, tuple[Gauge, TaskID]] = {}

    def __enter__(self) -> "Bars":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, event: Event) -> None:
        with self._lock:
            stage, now = gauge_of(event), time.monotonic()
            if event.get("event") == "stage_begun":
                task = self._bars.add_task(stage, total=None, words="starting")
                self._gauges[stage] = (Gauge(stage), task)
            elif event.get("event") == "stage_over" and stage in self._gauges:
                self._bars.remove_task(self._gauges.pop(stage)[1])
            elif stage in self._gauges:
                self._move(*self._gauges[stage], event, now)
            for line in sentences(event):
                self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _move(self, gauge: Gauge, task: "TaskID", event: Event, now: float) -> None:
        if gauge.hear(event, now):
            self._bars.update(task, completed=gauge.amount, total=gauge.whole or None, words=gauge.text(now))


def sentences(event: Event) -> list[str]:
    """Say what an event means to the user; nothing where it is only for the log, or is not as expected."""
    stage, lines = event.get("stage"), []
    match event:
        case {"event": "run_begun", "run": run, "folder": folder}:
            lines = [f"run {run} in {folder}"]
        case {"event": "stage_skipped"}:
            lines = [f"{stage}: done before"]
        case {"event": "stage_over", "code": 0, "duration_sec": seconds}:
            lines = [f"{stage}: done in {format_duration(seconds)}"]
        case {"event": "stage_retried", "reason": reason, "wait_sec": seconds}:
            lines = [f"{stage}: {reason}; trying again in {seconds:g} s"]
        case {"event": "choices", "choices": choices}:
            lines = [f"  {c['field'].replace('_', ' ')} {number(c['value'])}: {c['reason']}" for c in choices]
        case {"event": "findings", "counts": counts, "findings": findings}:
            lines = [f"  {note}" for note in event["notes"]] + _finding_lines(counts, findings, event["report"])
        case {"event": "image_skipped", "reason": reason}:
            lines = [f"skipped {finding_line({**event, 'message': reason})}"]
        case {"event": "tflite_omitted", "reason": reason}:
            lines = [f"{stage}: no TFLite model: {reason}"]
        case {"event": "detected", "images": images, "detections": detections}:
            lines = [f"{stage}: {detections} detections in {images} images"]
        case {"level": "ERROR" | "CRITICAL", "message": message}:
            lines = [f"{stage}: {event['level']}: {message}"]
    return lines


def finding_line(finding: Event) -> str:
    """Name the file, the box and what is wrong, each of them once."""
    message, file, index = str(finding.get("message", "")), str(finding.get("file", "")), finding.get("object")
    if file and file in message:
        return message
    if index is None or f"object {index}" in message:
        return f"{file}: {message}"
    return f"{file}: object {index}: {message}"


def say_json(event: Event) -> None:
    print(json.dumps(event, ensure_ascii=False, default=str), flush=True)


def _finding_lines(counts: dict[str, int], findings: list[Event], report: str) -> list[str]:
    if not any(counts.values()):
        return ["  findings: none"]
    lines = ["  findings: " + ", ".join(f"{count} {code}" for code, count in counts.items() if count)]
    if len(findings) <= _MOST_FINDINGS:
        lines += [f"    {finding_line(finding)}" for finding in findings]
    return [*lines, f"    all of them: {report}"]
