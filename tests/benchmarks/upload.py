"""A benchmark of uploads to the API: `python -m tests.benchmarks.upload`.

Sends a zip of images that are noise (JPEGs do not compress either) to the real API, a process of its own, whose store
is a folder, or an S3 server on this machine; all of them share its processors. Prints the seconds until the answer, in
which the archive was received, unpacked and written, and the most memory that the API had by then.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3
import uvicorn

from slipway.http.tokens import Role, User
from slipway.store.from_url import open_store
from slipway.store.s3.client import connect
from tests.contract.s3_servers import ACCESS_KEY, BUCKET, PROGRAMS, SECRET_KEY, Server
from tests.fakes.bucket import FakeBucket
from tests.fakes.runs import FakeRuns

from services.api.app import create_app
from services.api.context import ApiContext
from services.api.settings import ApiSettings

_PORT = 18001
_START_SEC = 60.0
_IMAGE_BYTES = 1 << 20
_HEADERS = {"Authorization": "Bearer any"}


class Crane:
    """Accepts every token: the submitter crane's."""

    async def user(self, secret: str) -> User:
        return User("crane", Role.SUBMITTER)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.upload", description=__doc__)
    parser.add_argument("--mib", type=int, default=2048, help="of images")
    parser.add_argument("--store", choices=["folder", *PROGRAMS], default="folder")
    parser.add_argument("--parts", action="store_true", help="send parts to the S3 server itself")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        _serve(asked.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "images.zip"
        _write(archive, asked.mib)
        with _store(asked.store, Path(folder)) as (url, environment), _api(url, environment) as pid:
            before, started = _peak_mib(pid), time.monotonic()
            answer = _send_parts(archive) if asked.parts else _send_whole(archive)
            seconds = time.monotonic() - started
            size = archive.stat().st_size / (1 << 20)
            print(
                f"{asked.store}: {size:.0f} MiB, {answer['files']} files, {seconds:.0f} s, {size / seconds:.0f} MiB/s"
            )
            print(f"memory of the API: {before} MiB before, {_peak_mib(pid)} MiB at most")


def _write(archive: Path, mib: int) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as zipped:
        for number in range(mib * (1 << 20) // _IMAGE_BYTES):
            zipped.writestr(f"ponds/{number:06d}.jpg", os.urandom(_IMAGE_BYTES))


@contextmanager
def _store(name: str, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the store's address, and the environment variables that open it."""
    place = folder / "store"
    place.mkdir()
    if name == "folder":
        yield str(place), {}
        return
    server = Server(name, place).start()
    try:
        connect(server.settings()).make_bucket(BUCKET)
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": "us-east-1"}
        yield f"s3://{BUCKET}/deep", {"SLIPWAY_S3_ENDPOINT": f"http://{server.address}", **keys}
    finally:
        server.stop()


@contextmanager
def _api(store: str, environment: dict[str, str]) -> Iterator[int]:
    """Run the API, and yield its process's id."""
    own = [sys.executable, "-m", "tests.benchmarks.upload", "--serve", store]
    with subprocess.Popen(own, env=os.environ | environment) as process:
        try:
            _wait_for_start(process)
            yield process.pid
        finally:
            process.terminate()


def _wait_for_start(process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SEC
    while time.monotonic() < end and process.poll() is None:
        try:
            http.client.HTTPConnection("127.0.0.1", _PORT).request("GET", "/healthz")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"the API did not start within {_START_SEC} s")


def _serve(store: str) -> None:
    opened = open_store(store) if store.startswith("s3://") else FakeBucket(Path(store))
    clock = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    app = create_app(ApiContext(FakeRuns(), opened, ApiSettings(), Crane(), lambda: clock))
    uvicorn.run(app, port=_PORT, log_level="warning")


def _send_whole(archive: Path) -> dict[str, int]:
    headers = {**_HEADERS, "Content-Type": "application/zip", "Content-Length": str(archive.stat().st_size)}
    with archive.open("rb") as body:
        return _ask("/v1/datasets?name=ponds", body, headers)


def _send_parts(archive: Path) -> dict[str, int]:
    asked = json.dumps({"name": "ponds", "archive": {"bytes": archive.stat().st_size}})
    upload = _ask("/v1/datasets:begin", asked, {**_HEADERS, "Content-Type": "application/json"})
    with urllib3.PoolManager() as client, archive.open("rb") as file:
        for part in upload["parts"]:
            file.seek((part["number"] - 1) * upload["partBytes"])
            answer = client.request("PUT", part["url"], body=file.read(upload["partBytes"]))
            assert answer.status == 200, answer.data
    return _ask(f"/v1/datasets/uploads/{upload['id']}:complete", None, _HEADERS)


def _ask(path: str, body: object, headers: dict[str, str]) -> dict:
    connection = http.client.HTTPConnection("127.0.0.1", _PORT, blocksize=1 << 20)
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 201, content
    return json.loads(content)


def _peak_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    main()
