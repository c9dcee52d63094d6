"""What an installation's refusals, and the network's, mean in our words."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, SSLError

from slipway.errors import InputError, SlipwayError, TransientError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CLIENTS_WORDS = re.compile(r"^\w+\(.*?\): ")
_LONGEST_WAIT_SEC = 30.0  # that a server may ask for
_PASSING = (408, 425, 429, 502, 503, 504)


class ApiRefused(InputError):
    """The server answers, and its answer is no."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ApiUnavailable(TransientError):
    """The server does not answer, or is too busy."""

    def __init__(self, message: str, after_sec: float = 0) -> None:
        super().__init__(message)
        self.after_sec = after_sec


class ApiBroken(SlipwayError):
    """The server met a bug of its own."""


def plain(text: str) -> str:
    """Return a stranger's text without the characters that a terminal obeys."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Say in our words what the network did."""
    try:
        yield
    except SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            raise ApiUnavailable(f"{where}: no encrypted connection: {_reason(error)}") from error
        raise ApiRefused(
            f"{where}: its certificate is not trusted: {_reason(error)}; "
            "name the file of its certificate authority with --ca-file or SLIPWAY_API_CA_FILE"
        ) from error
    except (HTTPError, OSError) as error:
        raise ApiUnavailable(f"{where}: no answer: {_reason(error)}") from error


def refusal(response: BaseHTTPResponse, where: str) -> SlipwayError:
    """Make one message of an answer that is no success: of a problem (RFC 9457), what is wrong with which field."""
    problem, status = _problem(response), response.status
    said = plain(_said(problem) or f"status {status} without a reason; see that the address is right")
    if status == 401:
        said += "; log in with `slipway login URL`"
    if 300 <= status < 400:
        said += f"; it points to {plain(response.headers.get('Location', 'nowhere'))}"
    if status in _PASSING:
        return ApiUnavailable(f"{where}: {said}", _after(response))
    if status >= 500:
        request = plain(problem.get("requestId") or response.headers.get("X-Request-Id", "unknown"))
        return ApiBroken(f"{where}: {said} (status {status}, request {request})")
    return ApiRefused(f"{where}: {said}", status)


def _said(problem: Mapping[str, Any]) -> str:
    wrong = [_field_error(error) for error in problem.get("errors") or ()]
    if len(wrong) > 1:
        return "\n  ".join([f"{len(wrong)} fields are wrong:", *wrong])
    return wrong[0] if wrong else str(problem.get("detail") or problem.get("title") or "")


def _problem(response: BaseHTTPResponse) -> Mapping[str, Any]:
    try:
        problem = json.loads(response.read(1 << 20))
    except (HTTPError, ValueError):
        return {}
    return problem if isinstance(problem, dict) else {}


def _field_error(error: Mapping[str, Any]) -> str:
    where = error.get("pointer") or error.get("parameter") or "the document"
    valid = error.get("valid")
    return f"{where}: {error.get('detail', 'wrong')}" + (f"; valid: {', '.join(map(str, valid))}" if valid else "")


def _after(response: BaseHTTPResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_WAIT_SEC) if text.isdigit() else 0.0


def _reason(error: Exception) -> str:
    said = str(error.args[0] if error.args else error)  # what follows is the same once more, as an object
    return _CLIENTS_WORDS.sub("", said)
