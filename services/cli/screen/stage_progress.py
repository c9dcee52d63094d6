"""The progress of a stage, as an amount and as text, from the events that it logs."""

from dataclasses import dataclass, field

from slipway.text import format_duration

from services.cli.screen.events import Event

# A sidecar runs beside its stage's main process, so both share one line on the screen.
_SHARED_LINES = {"evaluate": "train"}


def line_of(event: Event) -> str:
    """Return the stage on whose line an event is shown."""
    stage = str(event.get("stage", ""))
    return _SHARED_LINES.get(stage, stage)


@dataclass
class StageProgress:
    """One stage's progress.

    Attributes:
      done: The amount that is done, per worker, as `total` is.
      start: (time, amount) of the first progress: a stage that is resumed does not start at 0.
    """

    stage: str
    unit: str = ""
    done: dict[int, float] = field(default_factory=dict)
    total: dict[int, float] = field(default_factory=dict)
    start: tuple[float, float] | None = None
    per_sec: float | None = None
    loss: float | None = None
    score: str = ""

    def update(self, event: Event, now: float) -> bool:
        """Update the progress from an event; return whether there is something new to show."""
        match event:
            case {"event": "progress", "done": int(done), "total": int(total)}:
                self._advance(event.get("index", 0), done, total, now)
                self.unit = str(event.get("unit", ""))
            case {"event": "step", "step": int(step), "steps": int(steps), "loss": int() | float() as loss}:
                self._advance(0, step, steps, now)
                self.loss, self.per_sec, self.unit = loss, event.get("images_per_sec", self.per_sec), "images"
            case {"event": "evaluated", "step": int(step), "AP50": int() | float() as ap50}:
                self.score = f"AP50 {ap50:.2f} (step {step})"
            case _:
                return False
        return True

    @property
    def amount_done(self) -> float:
        return sum(self.done.values())

    @property
    def amount(self) -> float:
        return sum(self.total.values())

    def text(self, now: float) -> str:
        """Return the progress in one line."""
        if not self.done:
            return self.score
        is_training = self.loss is not None
        count = f"{self.amount_done:g}/{self.amount:g}" if self.amount else f"{self.amount_done:g}"
        rate = self.per_sec if is_training else self._speed(now)
        words = [
            f"step {count}" if is_training else f"{count} {self.unit}",
            f"loss {self.loss:.3g}" if is_training else "",
            f"{rate:.3g} {self.unit}/s" if rate else "",
            self.score,
            self._time_left(now),
        ]
        return " · ".join(word for word in words if word)

    def _advance(self, index: int, done: float, total: float, now: float) -> None:
        self.done[index], self.total[index] = done, total
        self.start = self.start or (now, self.amount_done)

    def _speed(self, now: float) -> float:
        """Return the amount per second since the first progress; 0 until it can be measured."""
        start_time, start_amount = self.start or (now, 0.0)
        seconds = now - start_time
        return (self.amount_done - start_amount) / seconds if seconds > 0.2 else 0.0

    def _time_left(self, now: float) -> str:
        speed, rest = self._speed(now), self.amount - self.amount_done
        return f"{format_duration(rest / speed)} left" if speed > 0 and rest > 0 else ""
