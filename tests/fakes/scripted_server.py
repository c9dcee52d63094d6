"""A real HTTP server on this machine that sends the answers of a list."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answers(BaseHTTPRequestHandler):
    """Sends the next answer of the server's list: (status, headers, body), or "hang up"."""

    protocol_version = "HTTP/1.1"

    def do(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.server.requests.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
        answer = self.server.answers.pop(0)
        if answer == "hang up":
            self.close_connection = True
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in ({"Content-Length": len(body)} | headers).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    do_GET = do_POST = do_PUT = do  # noqa: N815 (the library's names)

    def log_message(self, *_):
        pass


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    """Serve on a free port until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def scripted_server() -> Iterator[ThreadingHTTPServer]:
    """Send the answers in `answers`, and add (method, path, headers, body) of each request to `requests`."""
    with serving(Answers) as server:
        server.requests, server.answers = [], []
        yield server


def good(content):
    return (200, {"Content-Type": "application/json"}, json.dumps(content).encode())


def problem(status, detail="no", **fields):
    return (status, {"Content-Type": "application/problem+json"}, json.dumps({"detail": detail, **fields}).encode())
