"""Reasons to leave the training loop before its last step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event


@dataclass(frozen=True)
class StopConditions:
    """Checked between two short loops of training steps.

    A signal handler only sets a flag, since saving inside a handler would interrupt TensorFlow in the middle of a step.
    A stop is therefore delayed by at most one loop of `steps_per_loop` steps.

    Attributes:
      stopping: Set by SIGTERM: the pod is evicted, or the user pressed Ctrl-C.
      wants_stop: Returns True when the evaluator has measured no better checkpoint for as long as the run's patience.
      deadline: `time.monotonic()` at which the time limit is used up; None without a limit.
    """

    stopping: Event
    wants_stop: Callable[[], bool]
    deadline: float | None = None

    @property
    def is_preempted(self) -> bool:
        """Save, and leave the remaining steps to a later attempt."""
        return self.stopping.is_set()

    def is_over(self) -> bool:
        """Save, and treat the training as finished."""
        return (self.deadline is not None and time.monotonic() > self.deadline) or self.wants_stop()
