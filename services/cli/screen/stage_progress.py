"""How far a stage is, in a fraction and in words, from the events it logs."""

from dataclasses import dataclass, field
from typing import Any

from slipway.text import format_duration

from services.cli.local.process import Event

# The evaluator works beside the trainer, so both are one line on the screen.
_SHOWN_WITH = {"evaluate": "train"}


def gauge_of(event: Event) -> str:
    """Name the stage on whose line an event is shown."""
    stage = str(event.get("stage", ""))
    return _SHOWN_WITH.get(stage, stage)


@dataclass
class Gauge:
    """One stage's progress.

    Attributes:
      done: Per worker, as `total`; how much of it there is.
      first: (time, amount) when the first progress was heard: a stage that carries on does not start at 0.
    """

    stage: str
    unit: str = ""
    done: dict[int, float] = field(default_factory=dict)
    total: dict[int, float] = field(default_factory=dict)
    first: tuple[float, float] | None = None
    per_sec: float | None = None
    loss: float | None = None
    measured: str = ""

    def hear(self, event: Event, now: float) -> bool:
        """Take up an event; return whether there is something new to show."""
        match event:
            case {"event": "progress", "done": int(done), "total": int(total)}:
                self._advance(event.get("index", 0), done, total, now)
                self.unit = str(event.get("unit", ""))
            case {"event": "step", "step": int(step), "steps": int(steps), "loss": int() | float() as loss}:
                self._advance(0, step, steps, now)
                self.loss, self.per_sec, self.unit = loss, event.get("images_per_sec", self.per_sec), "images"
            case {"event": "evaluated", "step": int(step), "AP50": int() | float() as ap50}:
                self.measured = f"AP50 {ap50:.2f} (step {step})"
            case _:
                return False
        return True

    @property
    def amount(self) -> float:
        return sum(self.done.values())

    @property
    def whole(self) -> float:
        return sum(self.total.values())

    def text(self, now: float) -> str:
        """Say it all on one line."""
        if not self.done:
            return self.measured
        is_training = self.loss is not None
        count = f"{self.amount:g}/{self.whole:g}" if self.whole else f"{self.amount:g}"
        rate = self.per_sec if is_training else self._speed(now)
        words = [
            f"step {count}" if is_training else f"{count} {self.unit}",
            f"loss {self.loss:.3g}" if is_training else "",
            f"{rate:.3g} {self.unit}/s" if rate else "",
            self.measured,
            self._time_left(now),
        ]
        return " · ".join(word for word in words if word)

    def _advance(self, index: int, done: float, total: float, now: float) -> None:
        self.done[index], self.total[index] = done, total
        self.first = self.first or (now, self.amount)

    def _speed(self, now: float) -> float:
        """Amount per second since the first progress; 0 while that cannot be told."""
        then, amount = self.first or (now, 0.0)
        return (self.amount - amount) / (now - then) if now - then > 0.2 else 0.0

    def _time_left(self, now: float) -> str:
        speed, left = self._speed(now), self.whole - self.amount
        return f"{format_duration(left / speed)} left" if speed > 0 and left > 0 else ""


def number(value: Any) -> str:
    """Write a choice's value: numbers short, None as none."""
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
