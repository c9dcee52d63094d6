"""When to leave the training loop before its last step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event


@dataclass(frozen=True)
class Watch:
    """Looks, between two short loops, for a reason to stop.

    A handler only sets a flag: saving inside one would meet TensorFlow in the middle of a step. The delay of a stop is
    therefore one loop of `steps_per_loop` steps.

    Attributes:
      stopping: Set by SIGTERM: the pod is evicted, or the user pressed Ctrl-C.
      wants_stop: True when the evaluator has seen no better checkpoint for as long as the user's patience.
      deadline: `time.monotonic()` at which the time limit is used up; none when absent.
    """

    stopping: Event
    wants_stop: Callable[[], bool]
    deadline: float | None = None

    @property
    def is_preempted(self) -> bool:
        """Save, and leave the rest to a later attempt."""
        return self.stopping.is_set()

    def is_over(self) -> bool:
        """Save, and call the training finished."""
        return (self.deadline is not None and time.monotonic() > self.deadline) or self.wants_stop()
