"""A real export, served by a real process, is answered as the folder's detector finds it."""

import hashlib
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from slipway import keys
from slipway.dataset.boxes import ImageSize
from slipway.store.folder import FolderStore
from tests.fakes.squares import draw
from tests.integration.command import FinishedRun
from tests.ports import free_ports

from services.detector.detect_folder import main as detect_folder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ROOT = Path(__file__).parents[2]
SECRET = "see-5d1f"


@dataclass
class Server:
    """A process, and what it listens to."""

    process: subprocess.Popen[str]
    port: int
    metrics_port: int

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, bytes]:
        """Return status, content type and content."""
        return self._ask(self.port, method, path, body, headers)

    def metrics(self) -> str:
        return self._ask(self.metrics_port, "GET", "/metrics", None, {})[2].decode()

    def await_ready(self) -> None:
        for _ in range(3000):  # TensorFlow may take minutes to import where others are busy too
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError("not ready in five minutes")

    @staticmethod
    def _ask(port: int, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, str, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Authorization": f"Bearer {SECRET}"} | named)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()


def turned() -> bytes:
    """Draw a square in an image whose EXIF says that the camera was turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    with Image.open(io.BytesIO(draw(ImageSize(200, 120), 0)[1])) as image:
        image.save(file, "JPEG", exif=exif, quality=95)
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serving")


@pytest.fixture(scope="module")
def server(finished: FinishedRun, folder: Path) -> Iterator[Server]:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    (folder / "tokens.yaml").write_text(f"- {{name: wren, role: viewer, sha256: {digest}}}\n")
    (folder / "detector.yaml").write_text(f"tokens: {folder / 'tokens.yaml'}\nmodels: [{finished.name}]\n")
    (folder / "tmp").mkdir()
    ports = free_ports(2)
    given = [f"--store={finished.out}", f"--settings={folder / 'detector.yaml'}", "--host=127.0.0.1"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}", "TMPDIR": str(folder / "tmp")}
    command = [sys.executable, "-m", "services.detector.serving", *given, f"--port={ports[0]}"]
    process = subprocess.Popen(
        [*command, f"--metrics-port={ports[1]}"], stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )
    made = Server(process, *ports)
    try:
        made.await_ready()
        yield made
    finally:
        process.kill()
        process.wait()
        assert process.stderr
        process.stderr.close()


def test_a_process_serves_what_the_folders_detector_finds_and_draws_and_ends_in_peace(
    server: Server, finished: FinishedRun, folder: Path
) -> None:
    (folder / "images").mkdir()
    (folder / "images" / "a.jpg").write_bytes(turned())
    given = ["--model", finished.folder / "export", "--images", folder / "images", "--out", folder / "out"]
    assert detect_folder([*map(str, given), "--score-threshold=0"]) == 0
    (row,) = json.loads((folder / "out" / "detections.json").read_text())
    address = f"/v1/models/{finished.name}:predict?scoreThreshold=0"

    status, kind, content = server.ask("POST", address, turned(), Content_Type="image/jpeg")

    told = json.loads(content)
    assert (status, kind) == (200, "application/json")
    assert {name: told[name] for name in ("width", "height", "detections")} == {
        name: row[name] for name in ("width", "height", "detections")
    }
    assert (told["width"], told["height"]) == (120, 200)
    assert len(told["detections"]) > 0
    manifest = FolderStore(finished.out).read(keys.export_manifest(finished.name))
    assert told["model"] == {"run": finished.name, "digest": hashlib.sha256(manifest).hexdigest()}

    status, kind, content = server.ask("POST", address, turned(), Content_Type="image/jpeg", Accept="image/*")
    assert (status, kind) == (200, "image/jpeg")
    assert content == (folder / "out" / "a.jpg").read_bytes()

    counted = server.metrics()
    assert 'slipway_detector_requests_total{status="200"} 2.0' in counted
    assert "slipway_detector_models_loaded 1.0" in counted
    assert list((folder / "tmp").glob("slipway-export-*")) == []
    server.process.send_signal(signal.SIGTERM)
    log = server.process.communicate(timeout=60)[1]
    assert server.process.returncode == 0
    assert f"run={finished.name} event=model_loaded" in log
    assert "event=detector_ended" in log
    assert "Traceback" not in log
    assert SECRET not in log
