"""What a run says while it runs: logs, events, metrics; out of the store and the run's object only."""

import json
import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from slipway import keys
from slipway.artifacts.evaluation import MeasuredRow
from slipway.artifacts.training import ProgressLine
from slipway.http.parameters import RunName
from slipway.http.problems import answers
from slipway.http.tokens import Role
from slipway.models import ArtifactModel
from slipway.run.names import PROCESS_NAMES

from services.api.artifacts.listing import read_valid_lines
from services.api.auth.roles import require
from services.api.logs.event_stream import MEDIA_TYPE, Look, ServerEvent, streams_of
from services.api.logs.saved_logs import Chosen, Reader, logs, parse_place, text
from services.api.parameters import RunsDep
from services.api.runs.listing import Runs, etag, is_over, shown, state_of

router = APIRouter(
    prefix="/v1/runs",
    tags=["progress"],
    dependencies=[Depends(require(Role.VIEWER))],
    responses=answers(401, 403, 404, 422, 429, 503),
)

_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {name: {"type": "string"} for name in ("event", "data", "id")},
}
_EVENTS = {MEDIA_TYPE: {"schema": _EVENT}}
_TEXT = {"text/plain": {"schema": {"type": "string"}}}

if TYPE_CHECKING:
    LogStage = str
else:
    LogStage = Literal[PROCESS_NAMES]
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", description="The id of the last event that was seen.", max_length=16_384)
]


class LogQuery(BaseModel):
    """Which logs, and whether those to come too."""

    model_config = ConfigDict(extra="forbid")

    stage: LogStage | None = None
    attempt: Annotated[int | None, Field(ge=1)] = None
    follow: bool = False


class Metrics(BaseModel):
    """What was measured so far, each list by step.

    Attributes:
      progress: `step`, `loss`, `learningRate` and more, as the trainer says them.
      evaluations: `step`, `split`, `AP`, `AP50` and more, as the evaluator says them.
    """

    progress: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]


@router.get(
    "/{run}/logs",
    response_class=Response,
    responses={200: {"description": "The saved logs, or new lines as events.", "content": _TEXT | _EVENTS}},
)
def get_logs(
    request: Request,
    runs: RunsDep,
    run: RunName,
    asked: Annotated[LogQuery, Query()],
    last_event_id: LastEventId = None,
) -> Response:
    """Get a run's logs; with `follow`, or as an event stream, also what is logged from now on."""
    runs.find(run)
    chosen = Chosen(run, asked.stage, asked.attempt)
    as_events = MEDIA_TYPE in request.headers.get("accept", "")
    if not asked.follow and not as_events:
        return StreamingResponse(text(runs.store, logs(runs.store, chosen)), media_type="text/plain")
    reader = Reader(runs.store, chosen, parse_place(last_event_id or ""))
    streams = streams_of(request)
    if as_events:
        return streams.respond(_log_events(run, runs, reader))
    return streams.respond(_log_lines(run, runs, reader), "text/plain")


@router.get(
    "/{run}/events",
    response_class=Response,
    responses={200: {"description": "The run, again whenever it has changed.", "content": _EVENTS}},
)
def get_events(request: Request, runs: RunsDep, run: RunName, last_event_id: LastEventId = None) -> Response:
    """Follow a run until it has ended."""
    runs.find(run)
    return streams_of(request).respond(_changes(run, runs, last_event_id))


@router.get("/{run}/metrics", response_model=Metrics)
def get_metrics(runs: RunsDep, run: RunName) -> Response:
    """Get the training's course: losses and learning rate by step, and every checkpoint's metrics."""
    runs.find(run)
    progress = read_valid_lines(runs.store, keys.progress(run), ProgressLine)
    evaluations = read_valid_lines(runs.store, keys.metrics(run), MeasuredRow)
    return JSONResponse({"progress": [*map(_answer, progress)], "evaluations": [*map(_answer, evaluations)]})


def _log_events(run: str, runs: Runs, reader: Reader) -> Look:
    def look() -> tuple[list[str], bool]:
        found = runs.find(run)  # before the logs: what was logged until the end is read
        is_last = is_over(found)
        new = [ServerEvent(lines.removesuffix("\n"), "log", reader.place) for lines in reader.news(is_last)]
        return [*map(str, new), *_end(is_last, state_of(found))], is_last

    return look


def _log_lines(run: str, runs: Runs, reader: Reader) -> Look:
    def look() -> tuple[list[str], bool]:
        is_last = is_over(runs.find(run))
        return list(reader.news(is_last)), is_last

    return look


def _changes(run: str, runs: Runs, seen: str | None) -> Look:
    def look() -> tuple[list[str], bool]:
        nonlocal seen
        found = runs.find(run)
        version, is_last = etag(found).strip('"'), is_over(found)
        new = [] if version == seen else [str(ServerEvent(json.dumps(shown(found)), "run", version))]
        seen = version
        return [*new, *_end(is_last, state_of(found))], is_last

    return look


def _end(is_last: bool, state: str) -> list[str]:
    return [str(ServerEvent(state, "end"))] if is_last else []


def _answer(line: ArtifactModel) -> dict[str, Any]:
    """Return the fields in camelCase; a loss that is not a number becomes null, since JSON has no NaN."""
    values = line.content().items()
    return {_camel(k): None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values}


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
