"""Real S3 servers on this machine, each in a folder and on a free port of its own."""

import http.client
import os
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from slipway.store.s3.settings import Keys, S3Settings
from slipway.store.s3.store import MinioStore
from tests.ports import free_port
from tests.programs import find

ACCESS_KEY, SECRET_KEY = "harbourmaster", "rope-and-anchor-9c41"
BUCKET = "slipway"
_START_SEC = 20.0


@dataclass(frozen=True)
class Program:
    """The program of one server.

    Attributes:
      arguments: With `{address}` and `{folder}` to fill in.
      environment: Environment variables in addition to this process's.
      has_conditions: Whether it refuses a second `If-None-Match: *`.
      has_plain_files: Whether an object is a file of the same name in the server's folder.
    """

    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    has_conditions: bool = True
    has_plain_files: bool = True


PROGRAMS = {
    "rclone": Program(
        ("serve", "s3", "--config", "", "--addr", "{address}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "{folder}"),
        has_conditions=False,
    ),
    "versitygw": Program(
        ("--port", "{address}", "--quiet", "posix", "{folder}"),
        {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY},
    ),
    "minio": Program(
        ("server", "--quiet", "--address", "{address}", "{folder}"),
        {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY},
        has_plain_files=False,
    ),
}


class Server:
    """One server; it may be stopped and started again on the same port and folder."""

    def __init__(self, name: str, folder: Path, *options: str) -> None:
        self.name, self._folder, self._options = name, folder, options
        self.address = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def settings(self, **changes: object) -> S3Settings:
        """Return the settings for this server, with the changes."""
        given = {"endpoint": f"http://{self.address}", "credentials": Keys(ACCESS_KEY, SECRET_KEY)}
        return S3Settings(**{**given, "region": "us-east-1", **changes})

    def start(self) -> "Server":
        program = PROGRAMS[self.name]
        filled = [a.format(address=self.address, folder=self._folder) for a in program.arguments]
        first = 2 if self.name == "rclone" else 0
        self._process = subprocess.Popen(
            [str(find(self.name)), *filled[:first], *self._options, *filled[first:]],
            env=os.environ | program.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + _START_SEC
        while not _answers(self.address):
            assert self._process.poll() is None, f"{self.name} ended with {self._process.returncode}"
            assert time.monotonic() < end, f"{self.name} did not listen within {_START_SEC} s"
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


def s3_store(server: Server, patience_sec: float = 10, **changes: object) -> MinioStore:
    """Return an empty store on the server, opened with its settings and the changes."""
    return MinioStore(f"s3://{BUCKET}/test-{uuid.uuid4().hex}/deep", server.settings(**changes), patience_sec)


def _answers(address: str) -> bool:
    """Check whether the server serves: minio listens for a while before that, and answers 503."""
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=1)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status != 503
    except OSError:
        return False
    finally:
        connection.close()
