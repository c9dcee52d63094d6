"""The way to an installation's HTTP interface: requests, patience, and what a refusal means."""

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

from services.cli.remote.errors import ApiRefused, ApiUnavailable, refusal, translated
from services.cli.remote.sse import ServerEvent, parse

PATIENCE_SEC = 60.0  # a server is replaced, or a laptop finds its network again, in less
_CONNECT_SEC, _READ_SEC = 5.0, 60.0
_READ_BYTES = 1 << 16
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")

Run = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """Where the interface is, and who asks; a `repr` shows no token.

    Attributes:
      url: `https://host[:port][/prefix]`.
      ca_file: Certificates to trust instead of the public ones, PEM.
      insecure_http: The token may travel unencrypted.

    Raises:
      SpecError: The address is none, or is not encrypted.
    """

    url: str
    token: str = field(repr=False)
    ca_file: Path | None = None
    insecure_http: bool = False

    def __post_init__(self) -> None:
        url = urlsplit(self.url)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or "@" in url.netloc:
            raise SpecError(
                f"{url.scheme}://{url.netloc.rpartition('@')[2]}: no address of an API; "
                "expected https://host, https://host:port or https://host/prefix"
            )
        if not re.fullmatch(r"[\x21-\x7e]+", self.token):
            raise SpecError("the token is empty, or has spaces or other characters that no token has; copy it again")
        if self.ca_file:
            _check_certificates(self.ca_file)
        self.check(self.url)

    def check(self, url: str) -> str:
        """Return the address, unless what is sent there could be read on the way. Raises `SpecError`."""
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
      body: JSON's content; or bytes; or what makes the pieces anew for each try.
      read_sec: How long the answer may take to begin, and to go on.
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
      notice: Hears, once for each break, that the server does not answer and is asked again.
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
        """Return the answer's content, asking again while there is none."""
        return with_retries(lambda: self.json_once(call), self.patience())[1]

    def json_once(self, call: Call) -> tuple[int, Any]:
        """Return the answer's status and content. Raises `ApiRefused`, `ApiUnavailable` or `ApiBroken`."""
        with self.open(call) as response:
            body = b"".join(pieces(response))
            try:
                return response.status, json.loads(body) if body else None
            except ValueError as error:
                raise ApiRefused(f"{self.server.url}: what answers is no Slipway API; correct the address") from error

    @contextmanager
    def open(self, call: Call) -> Iterator[BaseHTTPResponse]:
        """Ask once, and hold the answer open for reading. Raises as `json_once` does."""
        url = self.url(call)
        own = url.startswith(self.server.url.rstrip("/") + "/")
        where = self.server.url if own else urlsplit(url).netloc
        headers = ({"Authorization": f"Bearer {self.server.token}"} if own else {}) | dict(call.headers)
        body = call.body() if callable(call.body) else call.body
        if isinstance(body, dict):
            headers["Content-Type"], body = "application/json", json.dumps(body).encode()
        timeout = urllib3.Timeout(connect=_CONNECT_SEC, read=call.read_sec)
        with translated(where):
            response = self._pool.request(
                call.method, url, body=body, headers=headers, timeout=timeout, preload_content=False
            )
        try:
            if response.status >= 300 and response.status != 304:
                raise refusal(response, where)
            yield response
        finally:
            response.close()

    def url(self, call: Call) -> str:
        """Return the whole address; one on another server is for what needs no token, such as a presigned one."""
        query = urlencode({name: value for name, value in call.query.items() if value is not None})
        base = self.server.url.rstrip("/")
        url = base + call.path if call.path.startswith("/") else self.server.check(urljoin(base, call.path))
        return f"{url}?{query}" if query else url

    def follow(self, call: Call) -> Iterator[ServerEvent]:
        """Yield a stream's events until the server says that it is over, going on after each break where it was."""
        patience, last_id = self.patience(), ""
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
            try:
                with self.open(Call("GET", call.path, call.query, headers=headers)) as response:
                    for event in parse(pieces(response), last_id):
                        patience.renew()
                        last_id = event.id
                        if event.name == "end":
                            return
                        yield event
                raise ApiUnavailable(f"{self.server.url}: the stream broke off")
            except ApiUnavailable as failure:
                patience.wait(failure)


def pieces(response: BaseHTTPResponse) -> Iterator[bytes]:
    """Yield a body as it comes. Raises `ApiUnavailable` where it breaks off."""
    with translated("the server"):
        while piece := response.read1(_READ_BYTES):
            yield piece


def run_path(run: str, rest: str = "") -> str:
    return f"/v1/runs/{quote(run, safe='')}{rest}"
