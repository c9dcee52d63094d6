"""Parameters that several routes have, and the values that they are given."""

from typing import Annotated

from fastapi import Depends, Header, Request

from services.api.runs.listing import Runs

IfMatch = Annotated[
    str | None, Header(alias="If-Match", description="Act only when the run still has this ETag.", max_length=1024)
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="Answer 304 when the run has this ETag.", max_length=1024)
]


async def _runs(request: Request) -> Runs:
    runs: Runs = request.app.state.runs
    return runs


RunsDep = Annotated[Runs, Depends(_runs)]


def matches(etag: str, header: str) -> bool:
    """Check whether an `If-Match` or `If-None-Match` header names the ETag; all of ours are strong."""
    return header.strip() == "*" or etag in (tag.strip() for tag in header.split(","))
