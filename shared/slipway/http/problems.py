"""Errors as `application/problem+json` (RFC 9457), with a pointer to each wrong field."""

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal, get_args

from fastapi import FastAPI, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException as StarletteHTTPException

from slipway.errors import InputError, MissingKey, StoreRefused, TransientError
from slipway.events import event

MEDIA_TYPE = "application/problem+json"
_RETRY_SEC = 5

Kind = Literal[  # cases that a program may tell apart; docs/reference.md explains each
    "busy",
    "changed",
    "key-reused",
    "name-taken",
    "role-too-low",
    "state-forbids",
    "too-long",
    "too-many-streams",
    "too-often",
    "unauthenticated",
    "unavailable",
]
ERRORS = (StarletteHTTPException, RequestValidationError, InputError, TransientError, MissingKey)
_QUOTED_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'")


class FieldError(BaseModel):
    """One wrong field.

    Attributes:
      pointer: JSON pointer (RFC 6901) into the body.
      parameter: Name of a path, query or header parameter, where the fault is not in the body.
      valid: The right values, where they can be listed.
    """

    pointer: str | None = None
    parameter: str | None = None
    detail: str
    valid: list[str] | None = None


class ProblemBody(BaseModel):
    """The body of an error.

    Attributes:
      type: `urn:slipway:problem:<kind>` for a case that a program may tell apart, otherwise `about:blank`.
      instance: The path of the request.
      request_id: As in the answer's X-Request-Id; the log has it too.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] = Field(default_factory=list)
    request_id: str


class Problem(HTTPException):
    """An error answer, raised anywhere below a route.

    Args:
      detail: One sentence: what, where, got and expected, what to do.
      kind: Becomes the `type`.
      errors: Of single fields.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        kind: Kind | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers=dict(headers or {}))
        self.kind, self.errors = kind, list(errors)


def wrong_field(pointer: str, detail: str, valid: Sequence[str] | None = None) -> Problem:
    """Return the problem of one field of the body."""
    error = FieldError(pointer=pointer, detail=detail, valid=list(valid) if valid is not None else None)
    return Problem(422, f"{pointer}: {detail}", errors=[error])


def field_errors(errors: Sequence[Any], model: type[BaseModel] | None = None) -> list[FieldError]:
    """Translate pydantic's errors.

    Args:
      errors: The result of `errors()` of pydantic's exception, or of FastAPI's.
      model: The model of the body; with it, an unknown field is answered with the known ones.
    """
    return [_field_error(error, model) for error in errors]


def invalid(errors: Sequence[Any], model: type[BaseModel] | None = None) -> Problem:
    """Return the problem of a body, or of parameters, that pydantic rejected."""
    wrong = field_errors(errors, model)
    summary = "; ".join(f"{error.parameter or error.pointer or 'the body'}: {error.detail}" for error in wrong)
    return Problem(422, summary, errors=wrong)


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe problems for a route's `responses`."""
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    content = {MEDIA_TYPE: {"schema": schema}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def respond(request: Request, problem: StarletteHTTPException) -> JSONResponse:
    """Return the problem's answer."""
    kind: str | None = getattr(problem, "kind", None)
    body = ProblemBody(
        type=f"urn:slipway:problem:{kind}" if kind else "about:blank",
        title=HTTPStatus(problem.status_code).phrase,
        status=problem.status_code,
        detail=str(problem.detail),
        instance=request.url.path,
        errors=getattr(problem, "errors", []),
        request_id=getattr(request.state, "request_id", ""),
    )
    content = body.model_dump(mode="json", by_alias=True, exclude_none=True)
    if not body.errors:
        del content["errors"]
    return JSONResponse(content, problem.status_code, problem.headers, MEDIA_TYPE)


def problem_of(error: InputError | TransientError | MissingKey) -> Problem:
    """Return the problem that tells a client of an error."""
    is_ours = isinstance(error, StoreRefused) or getattr(error, "status", None) in (403, 404)  # rights, or a quota
    if isinstance(error, TransientError) or is_ours:
        return Problem(503, str(error), "unavailable", headers={"Retry-After": str(_RETRY_SEC)})
    return Problem(404 if isinstance(error, MissingKey) else 422, str(error))


def bug() -> Problem:
    return Problem(500, "this is a bug in slipway; the log has the traceback, under this request id")


def install(app: FastAPI) -> None:
    """Answer every expected error as a problem; bugs are left to the outermost middleware."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return respond(request, as_problem(request, error))

    for kind in ERRORS:
        app.add_exception_handler(kind, answer)


def as_problem(request: Request, error: Exception) -> StarletteHTTPException:
    """Return one of `ERRORS` as the problem that the client gets; log faults of the installation."""
    problem = _problem(error)
    if problem.status_code >= 500:
        event("unavailable", logging.WARNING, reason=problem.detail, request_id=request.state.request_id)
    return problem


def _problem(error: Exception) -> StarletteHTTPException:
    match error:
        case StarletteHTTPException():
            return error
        case RequestValidationError():
            return invalid(error.errors())
        case InputError() | TransientError() | MissingKey():
            return problem_of(error)
    return bug()


def _field_error(error: Mapping[str, Any], model: type[BaseModel] | None) -> FieldError:
    source, *path = error["loc"] or ("body",)
    if source in ("path", "query", "header", "cookie"):
        name = ".".join(map(str, path))
        return FieldError(parameter=name, detail=_detail(error), valid=_valid(error, [], None))
    if source != "body":
        path = [source, *path]
    return FieldError(pointer=pointer(path), detail=_detail(error), valid=_valid(error, path, model))


def pointer(path: Sequence[str | int]) -> str:
    """Write a path as a JSON pointer; the whole document is the empty one."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _detail(error: Mapping[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


def _valid(error: Mapping[str, Any], path: Sequence[str | int], model: type[BaseModel] | None) -> list[str] | None:
    if error["type"] in ("literal_error", "enum"):
        return _QUOTED_TEXT.findall(error["ctx"]["expected"])
    if error["type"] == "extra_forbidden" and model is not None:
        return _fields(model, path[:-1])
    return None


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str] | None:
    """Return the names of the fields of the model at the end of a path of aliases."""
    by_alias = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    if not path:
        return sorted(by_alias)
    annotation = by_alias.get(str(path[0]))
    inner = [one for one in (annotation, *get_args(annotation)) if isinstance(one, type) and issubclass(one, BaseModel)]
    return _fields(inner[0], path[1:]) if inner else None
