"""The part of Kubernetes' HTTP API that TrainingRuns need, in front of a `FakeRuns`."""

import json
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from slipway.errors import AlreadyExists, ClusterUnavailable, Conflict
from tests.fakes.runs import FakeRuns

PATH = "/apis/slipway.dev/v1alpha1/namespaces/lab/trainingruns"


class KubernetesServer(ThreadingHTTPServer):
    """A server at a free port of this machine.

    Attributes:
      runs: The TrainingRuns that it serves.
      refusal: Status and message of the answer to every request, if set.
      requests: Every request, as (method, content type, body).
    """

    daemon_threads = True

    def __init__(self, runs: FakeRuns) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.runs = runs
        self.refusal: tuple[int, str] | None = None
        self.requests: list[tuple[str, str | None, dict]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: KubernetesServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are sent separately

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if "watch=True" in query or "watch=true" in query:
            version = next(part for part in query.split("&") if part.startswith("resourceVersion=")).split("=")[1]
            self._watch(version)
        elif path == PATH:
            version, items = self.server.runs.snapshot()
            self._answer(200, {"metadata": {"resourceVersion": version}, "items": items})
        else:
            self._answer_object(self.server.runs.get(self._name))

    def do_POST(self) -> None:
        try:
            self._answer(201, self.server.runs.create(self._body()))
        except AlreadyExists as error:
            self._answer(409, {"message": str(error)})

    def do_PATCH(self) -> None:
        body = self._body()
        try:
            self._answer_object(self.server.runs.patch(self._name, body["spec"], body["metadata"]["resourceVersion"]))
        except Conflict as error:
            self._answer(409, {"message": str(error)})

    def do_DELETE(self) -> None:
        run = self.server.runs.get(self._name)
        self.server.runs.delete(self._name)
        self._answer_object(run)

    @property
    def _name(self) -> str:
        return self.path.partition("?")[0].removeprefix(f"{PATH}/")

    def _body(self) -> dict:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.command, self.headers["Content-Type"], body))
        return body

    def _answer_object(self, manifest: dict | None) -> None:
        self._answer(*((200, manifest) if manifest else (404, {"message": "not found"})))

    def _answer(self, status: int, content: dict) -> None:
        if self.server.refusal:
            status, content = self.server.refusal[0], {"message": self.server.refusal[1]}
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _watch(self, version: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(BrokenPipeError):  # the watching client is gone
            self._tell(version)
            self._chunk(b"")

    def _tell(self, version: str) -> None:
        try:
            for change in self.server.runs.changes(version):
                self._line(change)
        except ClusterUnavailable as error:
            self._line({"type": "ERROR", "object": {"metadata": {}, "message": str(error)}})

    def _line(self, change: dict) -> None:
        self._chunk(json.dumps(change).encode() + b"\n")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Log nothing."""
