"""The events of a command: one JSON object each, read from a stage's log or made by the command itself.

With `--json` they are the output, and scripts rely on their keys; otherwise the screen shows what a user wants to know.
"""

from collections.abc import Callable
from typing import Any

Event = dict[str, Any]
Show = Callable[[Event], None]
