"""Errors of an installation and of the network, with messages that name the remedy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, SSLError

from slipway.errors import InputError, SlipwayError, TransientError
from slipway.models import AnswerModel

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CLIENT_PREFIX = re.compile(r"^\w+\(.*?\): ")
_LONGEST_WAIT_SEC = 30.0  # the longest `Retry-After` that is obeyed
_TRANSIENT = (408, 425, 429, 502, 503, 504)


class ApiRefused(InputError):
    """The server refuses the request, or its answer cannot be used."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ApiUnavailable(TransientError):
    """The server does not answer, or is too busy."""

    def __init__(self, message: str, after_sec: float = 0) -> None:
        super().__init__(message)
        self.after_sec = after_sec


class ApiBroken(SlipwayError):
    """The server has a bug."""


class FieldError(AnswerModel):
    """One wrong field of a request: a JSON pointer, or the name of a parameter."""

    pointer: str | None = None
    parameter: str | None = None
    detail: str = "wrong"
    valid: list[object] | None = None

    def __str__(self) -> str:
        valid = f"; valid: {', '.join(map(str, self.valid))}" if self.valid else ""
        return f"{self.pointer or self.parameter or 'the document'}: {self.detail}{valid}"


class Problem(AnswerModel):
    """An error answer, as RFC 9457 defines it."""

    title: str | None = None
    detail: str | None = None
    errors: list[FieldError] | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        faults = [str(error) for error in self.errors or ()]
        if len(faults) > 1:
            return "\n  ".join([f"{len(faults)} fields are wrong:", *faults])
        return faults[0] if faults else self.detail or self.title or ""


def printable(text: str) -> str:
    """Replace control characters, which a terminal would interpret, in a text from a server."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


@contextmanager
def as_api_errors(source: str) -> Iterator[None]:
    """Translate the network's errors to Slipway's."""
    try:
        yield
    except SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            raise ApiUnavailable(f"{source}: no encrypted connection: {_reason(error)}") from error
        raise ApiRefused(
            f"{source}: its certificate is not trusted: {_reason(error)}; "
            "name the file of its certificate authority with --ca-file or SLIPWAY_API_CA_FILE"
        ) from error
    except (HTTPError, OSError) as error:
        raise ApiUnavailable(f"{source}: no answer: {_reason(error)}") from error


def error_of(response: BaseHTTPResponse, source: str) -> SlipwayError:
    """Return the error for an answer that is not a success; its message names each wrong field."""
    problem, status = _problem(response), response.status
    message = printable(str(problem) or f"status {status} without a reason; see that the address is right")
    if status == 401:
        message += "; log in with `slipway login URL`"
    if 300 <= status < 400:
        message += f"; it points to {printable(response.headers.get('Location', 'nowhere'))}"
    if status in _TRANSIENT:
        return ApiUnavailable(f"{source}: {message}", _retry_after(response))
    if status >= 500:
        request = printable(problem.request_id or response.headers.get("X-Request-Id", "unknown"))
        return ApiBroken(f"{source}: {message} (status {status}, request {request})")
    return ApiRefused(f"{source}: {message}", status)


def _problem(response: BaseHTTPResponse) -> Problem:
    try:
        return Problem.model_validate_json(response.read(1 << 20))
    except (HTTPError, ValidationError):
        return Problem()


def _retry_after(response: BaseHTTPResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_WAIT_SEC) if text.isdigit() else 0.0


def _reason(error: Exception) -> str:
    text = str(error.args[0] if error.args else error)  # further arguments repeat it as an object
    return _CLIENT_PREFIX.sub("", text)
