"""The display of a running command: live bars, plain lines, or JSON lines for scripts."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.cli.screen.event_lines import event_lines
from services.cli.screen.events import Event, Show
from services.cli.screen.stage_progress import StageProgress, line_of

if TYPE_CHECKING:
    from rich.progress import TaskID

_PLAIN_EVERY_SEC = 5.0  # so that the log of a long run stays readable


@contextmanager
def display(as_json: bool) -> Iterator[Show]:
    """Open the display that fits the terminal; the function that it yields may be called from any thread."""
    if as_json:
        yield JsonLines().show
    elif sys.stdout.isatty():
        with Bars() as bars:
            yield bars.show
    else:
        yield PlainLines().show


class JsonLines:
    """Writes every event as one JSON object on a line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def show(self, event: Event) -> None:
        with self._lock:
            print_json(event)


class PlainLines:
    """Writes lines without any control characters, at most one every few seconds for each stage."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: dict[str, StageProgress] = {}
        self._lines: dict[str, tuple[float, str]] = {}

    def show(self, event: Event) -> None:
        with self._lock:
            self._show(event, line_of(event), time.monotonic())

    def _show(self, event: Event, stage: str, now: float) -> None:
        progress = self._stages.setdefault(stage, StageProgress(stage))
        last_time, last_text = self._lines.get(stage, (-_PLAIN_EVERY_SEC, ""))
        is_due = progress.update(event, now) and now - last_time >= _PLAIN_EVERY_SEC
        if (is_due or event.get("event") == "stage_over") and progress.text(now) not in ("", last_text):
            self._lines[stage] = (now, progress.text(now))
            print(f"{stage}: {progress.text(now)}", flush=True)
        for line in event_lines(event):
            print(line, flush=True)


class Bars:
    """Draws a bar for each running stage, and above them the lines of events."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._lock = threading.Lock()
        self._bars: Progress = Progress(
            TextColumn("{task.description:<10}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        self._stages: dict[str, tuple[StageProgress, TaskID]] = {}

    def __enter__(self) -> "Bars":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, event: Event) -> None:
        with self._lock:
            stage, now = line_of(event), time.monotonic()
            if event.get("event") == "stage_begun":
                task = self._bars.add_task(stage, total=None, words="starting")
                self._stages[stage] = (StageProgress(stage), task)
            elif event.get("event") == "stage_over" and stage in self._stages:
                self._bars.remove_task(self._stages.pop(stage)[1])
            elif stage in self._stages:
                self._update(*self._stages[stage], event, now)
            for line in event_lines(event):
                self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _update(self, progress: StageProgress, task: "TaskID", event: Event, now: float) -> None:
        if progress.update(event, now):
            done, total = progress.amount_done, progress.amount or None
            self._bars.update(task, completed=done, total=total, words=progress.text(now))


def print_json(event: Event) -> None:
    print(json.dumps(event, ensure_ascii=False, default=str), flush=True)
