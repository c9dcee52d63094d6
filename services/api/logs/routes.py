"""`/v1/runs/{run}/logs`, `/events` and `/metrics`: read from the store and the run's object, without its pods."""

import json
import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from slipway import keys
from slipway.artifacts.evaluation import MeasuredRow
from slipway.artifacts.json_io import read_valid_lines
from slipway.artifacts.training import ProgressLine
from slipway.http.parameters import RunName
from slipway.http.problems import answers
from slipway.http.tokens import Role
from slipway.models import ArtifactModel
from slipway.run.names import PROCESS_NAMES

from services.api.auth.roles import require
from services.api.logs.event_stream import MEDIA_TYPE, Poll, ServerEvent, streams_of
from services.api.logs.saved_logs import LogFilter, LogReader, list_logs, parse_position, read_logs
from services.api.parameters import RunsDep
from services.api.runs.listing import Runs
from services.api.runs.run_object import RunObject

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
    str | None,
    Header(alias="Last-Event-ID", description="The id of the last event that the client has.", max_length=16_384),
]


class LogQuery(BaseModel):
    """The logs to get, and whether to follow them."""

    model_config = ConfigDict(extra="forbid")

    stage: LogStage | None = None
    attempt: Annotated[int | None, Field(ge=1)] = None
    follow: bool = False


class Metrics(BaseModel):
    """The measurements so far, each list by step.

    Attributes:
      progress: `step`, `loss`, `learningRate` and more, from the trainer.
      evaluations: `step`, `split`, `AP`, `AP50` and more, from the evaluator.
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
    query: Annotated[LogQuery, Query()],
    last_event_id: LastEventId = None,
) -> Response:
    """Get a run's logs; with `follow`, or as an event stream, also the lines that are still to come."""
    runs.find(run)
    filter = LogFilter(run, query.stage, query.attempt)
    as_events = MEDIA_TYPE in request.headers.get("accept", "")
    if not query.follow and not as_events:
        return StreamingResponse(read_logs(runs.store, list_logs(runs.store, filter)), media_type="text/plain")
    reader = LogReader(runs.store, filter, parse_position(last_event_id or ""))
    streams = streams_of(request)
    if as_events:
        return streams.respond(_poll_log_events(run, runs, reader))
    return streams.respond(_poll_log_lines(run, runs, reader), "text/plain")


@router.get(
    "/{run}/events",
    response_class=Response,
    responses={200: {"description": "The run, sent again after each change.", "content": _EVENTS}},
)
def get_events(request: Request, runs: RunsDep, run: RunName, last_event_id: LastEventId = None) -> Response:
    """Follow a run until it has ended."""
    runs.find(run)
    return streams_of(request).respond(_poll_changes(run, runs, last_event_id))


@router.get("/{run}/metrics", response_model=Metrics)
def get_metrics(runs: RunsDep, run: RunName) -> Response:
    """Get the measurements of a training: losses and learning rate by step, and the metrics of every checkpoint."""
    runs.find(run)
    progress = read_valid_lines(runs.store, keys.progress(run), ProgressLine)
    evaluations = read_valid_lines(runs.store, keys.metrics(run), MeasuredRow)
    return JSONResponse({"progress": [*map(_answer, progress)], "evaluations": [*map(_answer, evaluations)]})


def _poll_log_events(name: str, runs: Runs, reader: LogReader) -> Poll:
    def poll() -> tuple[list[str], bool]:
        run = runs.find(name)  # before the logs, so that everything is read that was logged until the end
        new_lines = reader.new_lines(run.is_over)
        events = [ServerEvent(lines.removesuffix("\n"), "log", reader.position_text) for lines in new_lines]
        return [*map(str, events), *_end(run)], run.is_over

    return poll


def _poll_log_lines(name: str, runs: Runs, reader: LogReader) -> Poll:
    def poll() -> tuple[list[str], bool]:
        is_last = runs.find(name).is_over
        return list(reader.new_lines(is_last)), is_last

    return poll


def _poll_changes(name: str, runs: Runs, version: str | None) -> Poll:
    """Return a poll whose event is the run, if it is not the version that the client has."""

    def poll() -> tuple[list[str], bool]:
        nonlocal version
        run = runs.find(name)
        old_version, version = version, run.etag.strip('"')
        event = ServerEvent(json.dumps(run.answer()), "run", version)
        return [*([] if version == old_version else [str(event)]), *_end(run)], run.is_over

    return poll


def _end(run: RunObject) -> list[str]:
    return [str(ServerEvent(run.state, "end"))] if run.is_over else []


def _answer(line: ArtifactModel) -> dict[str, Any]:
    """Return the fields in camelCase; a loss that is not a number becomes null, since JSON has no NaN."""
    values = line.content().items()
    return {_camel(k): None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values}


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
