"""The events of a command: one JSON object each, from a stage's log or from the command itself.

With `--json` they are the output, and scripts rely on their keys; otherwise the screen shows the important ones.
"""

from collections.abc import Callable
from typing import Any

Event = dict[str, Any]
Show = Callable[[Event], None]
