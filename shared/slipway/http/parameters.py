"""Parameters of the routes of several servers."""

from typing import Annotated

from fastapi import Path

from slipway.run.names import LONGEST_NAME, NAME_PATTERN

RunName = Annotated[
    str,
    Path(
        alias="run",
        description="The run's name.",
        pattern=f"^{NAME_PATTERN}$",
        max_length=LONGEST_NAME,
        examples=["harbour-3f2a9c1b"],
    ),
]
