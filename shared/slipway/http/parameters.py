"""Parameters that several servers have."""

from typing import Annotated

from fastapi import Path

RunName = Annotated[
    str,
    Path(
        alias="run",
        description="The run's name.",
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=52,
        examples=["harbour-3f2a9c1b"],
    ),
]
