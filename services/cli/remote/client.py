"""The client of an installation's HTTP interface: requests, retries, streams."""

import json
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

import certifi
import urllib3
from urllib3 import BaseHTTPResponse

from slipway.errors import SpecError
from slipway.retry import Patience, with_retries

from services.cli.remote.answers import Answer, parse_answer
from services.cli.remote.errors import ApiRefused, ApiUnavailable, as_api_errors, error_of
from services.cli.remote.sse import ServerEvent, parse_events

PATIENCE_SEC = 60.0  # enough to replace a server, or for a laptop to find its network again
_CONNECT_SEC, _READ_SEC = 5.0, 60.0
_READ_BYTES = 1 << 16
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")

A = TypeVar("A", bound=Answer)


@dataclass(frozen=True)
class Server:
    """The address of an installation, and the token for it, which a `repr` does not show.

    Attributes:
      url: `https://host[:port][/prefix]`.
      ca_file: PEM file of certificates to trust instead of the public ones.
      insecure_http: Whether the token may be sent unencrypted.

    Raises:
      SpecError: The address is malformed, or is not encrypted.
    """

    url: str
    token: str = field(repr=False)
    ca_file: Path | None = None
    insecure_http: bool = False

    def __post_init__(self) -> None:
        url = urlsplit(self.url)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or "@" in url.netloc:
            raise SpecError(
                f"{url.scheme}://{url.netloc.rpartition('@')[2]}: not the address of an API; "
                "expected https://host, https://host:port or https://host/prefix"
            )
        if not re.fullmatch(r"[\x21-\x7e]+", self.token):
            raise SpecError("the token is empty, or has spaces or other characters that no token has; copy it again")
        if self.ca_file:
            _check_certificates(self.ca_file)
        self.check(self.url)

    def check(self, url: str) -> str:
        """Return the address. Raises `SpecError` where requests to it would not be encrypted."""
        parts = urlsplit(url)
        if parts.scheme == "https" or self.insecure_http or _LOOPBACK.fullmatch(parts.hostname or ""):
            return url
        raise SpecError(
            f"{parts.scheme}://{parts.netloc} is not encrypted, and what is sent could be read on the way; "
            "use https, or say --insecure-http where the network is trusted"
        )


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
      path: Below the server's address, such as `/v1/runs`; or a whole address that the server gave.
      body: An object to send as JSON; or bytes; or a function that yields the chunks, called for each try.
      read_sec: Time limit for the answer's start, and for each of its pauses.
    """

    method: str
    path: str
    query: Mapping[str, str | int | None] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    read_sec: float = _READ_SEC


def _check_certificates(file: Path) -> None:
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        raise SpecError(f"{file}: no certificates can be read from it; give those to trust, PEM") from error


class Api:
    """An installation's HTTP interface.

    Args:
      notice: Called once for each interruption, with a sentence: the server does not answer, the request is retried.
    """

    def __init__(
        self, server: Server, patience_sec: float = PATIENCE_SEC, notice: Callable[[str], None] = lambda _: None
    ) -> None:
        self.server, self._patience_sec, self._notice = server, patience_sec, notice
        self._pool = urllib3.PoolManager(
            retries=False, cert_reqs="CERT_REQUIRED", ca_certs=str(server.ca_file or certifi.where())
        )

    def patience(self) -> Patience:
        limit = f"asking again for {self._patience_sec:.0f} s"
        return Patience(self._patience_sec, lambda failure: self._notice(f"{failure}; {limit}"))

    def json(self, call: Call) -> Any:
        """Return the answer's JSON; the request is retried while there is no answer."""
        return with_retries(lambda: self.json_once(call), self.patience())[1]

    def answer(self, model: type[A], call: Call) -> A:
        """Return the answer as a model. Raises `ApiRefused` when it does not have the form that this version reads."""
        return self.parse(model, self.json(call))

    def parse(self, model: type[A], content: Any) -> A:
        """Check JSON that came from this server. Raises `ApiRefused`."""
        return parse_answer(model, content, self.server.url)

    def json_once(self, call: Call) -> tuple[int, Any]:
        """Return the answer's status and JSON. Raises `ApiRefused`, `ApiUnavailable` or `ApiBroken`."""
        with self.open(call) as response:
            body = b"".join(read_chunks(response))
            try:
                return response.status, json.loads(body) if body else None
            except ValueError as error:
                raise ApiRefused(f"{self.server.url}: this is not a Slipway API; correct the address") from error

    @contextmanager
    def open(self, call: Call) -> Iterator[BaseHTTPResponse]:
        """Send one request, and hold the answer open for reading. Raises as `json_once` does."""
        url = self.url(call)
        is_api = url.startswith(self.server.url.rstrip("/") + "/")
        source = self.server.url if is_api else urlsplit(url).netloc
        headers = ({"Authorization": f"Bearer {self.server.token}"} if is_api else {}) | dict(call.headers)
        body = call.body() if callable(call.body) else call.body
        if isinstance(body, dict):
            headers["Content-Type"], body = "application/json", json.dumps(body).encode()
        timeout = urllib3.Timeout(connect=_CONNECT_SEC, read=call.read_sec)
        with as_api_errors(source):
            response = self._pool.request(
                call.method, url, body=body, headers=headers, timeout=timeout, preload_content=False
            )
        try:
            if response.status >= 300 and response.status != 304:
                raise error_of(response, source)
            yield response
        finally:
            response.close()

    def url(self, call: Call) -> str:
        """Return the whole address. A request to another server, such as a presigned one, gets no token."""
        query = urlencode({name: value for name, value in call.query.items() if value is not None})
        base = self.server.url.rstrip("/")
        url = base + call.path if call.path.startswith("/") else self.server.check(urljoin(base, call.path))
        return f"{url}?{query}" if query else url

    def follow(self, call: Call) -> Iterator[ServerEvent]:
        """Yield a stream's events until the server ends it; after an interruption, continue with the next event."""
        patience, last_id = self.patience(), ""
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
            try:
                with self.open(Call("GET", call.path, call.query, headers=headers)) as response:
                    for event in parse_events(read_chunks(response), last_id):
                        patience.renew()
                        last_id = event.id
                        if event.name == "end":
                            return
                        yield event
                raise ApiUnavailable(f"{self.server.url}: the stream broke off")
            except ApiUnavailable as failure:
                patience.wait(failure)


def read_chunks(response: BaseHTTPResponse) -> Iterator[bytes]:
    """Yield a body as it arrives. Raises `ApiUnavailable` where it breaks off."""
    with as_api_errors("the server"):
        while chunk := response.read1(_READ_BYTES):
            yield chunk


def run_path(run: str, rest: str = "") -> str:
    return f"/v1/runs/{quote(run, safe='')}{rest}"
