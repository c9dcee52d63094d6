"""Scenarios of failures, and the alerts that each must raise."""

import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from xml.etree.ElementTree import fromstring, tostring

from PIL import Image

from slipway import keys
from slipway.store.interface import upload_all
from tests.cluster.installation import FINAL, open_with
from tests.cluster.prometheus import Prometheus
from tests.cluster.release import TOKEN, Client, Release
from tests.fakes.harbour import draw
from tests.fakes.initial_weights import write_backbone

SMALL: dict[str, Any] = {"imageSize": 128, "batchSize": 4}
_WAITING = 60  # runs: more than the alert allows in the controller's work queue
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Lab:
    """A release that Prometheus watches.

    Attributes:
      stop, kill: Precede a container's id, and send its first process SIGSTOP or SIGKILL.
      datasets: References, by the name of the folder that was pushed.
    """

    release: Release
    client: Client
    prometheus: Prometheus
    folder: Path
    stop: str
    kill: str
    api: str
    detector: str
    datasets: dict[str, str]

    def await_state(self, run: str, *states: str, timeout_sec: float = 600) -> str:
        return await_answer(
            lambda: s if (s := self.stage_and_state(run)[1]) in (*states, *FINAL) else "", timeout_sec, run
        )

    def stage_and_state(self, run: str) -> tuple[str, str]:
        status = self.release.get("trun", run).get("status", {})
        return str(status.get("stage")), str(status.get("state", ""))

    def await_number(self, query: str, timeout_sec: float = 300) -> None:
        """Wait until the query returns a series."""
        await_answer(lambda: self.prometheus.now(query), timeout_sec, query)

    def strike(self, command: str, run: str, container: str) -> bool:
        """Run the command on the newest trainer or evaluator of the run; return False if none runs."""
        pods = self.release.get("pods", "--selector", f"slipway.dev/run={run},slipway.dev/stage=train")["items"]
        for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True):
            for state in _states(pod):
                if state["name"] == container and "running" in state["state"]:
                    container_id = state["containerID"].split("//")[1]
                    return subprocess.run([*command.split(), container_id], check=False).returncode == 0
        return False

    def scale(self, deployment: str, replicas: int) -> None:
        self.release.kubectl("scale", f"deployment/slipway-{deployment}", f"--replicas={replicas}")

    @contextmanager
    def requested(self, *addresses: str, image: bytes = b"", at_once: int = 1) -> Iterator[None]:
        """Request the addresses repeatedly in `at_once` threads, whatever the answer; an image is posted."""
        stop = threading.Event()

        def request_all() -> None:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "image/jpeg"}
            while not stop.wait(0.2):
                for address in addresses:
                    with suppress(OSError):
                        request = urllib.request.Request(address, image or None, headers)
                        urllib.request.urlopen(request, timeout=60).read()

        threads = [threading.Thread(target=request_all) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def await_answer(question: Callable[[], Answer], timeout_sec: float, subject: str) -> Answer:
    """Call the function until its answer is true, and return that."""
    deadline = time.monotonic() + timeout_sec
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{subject}: not after {timeout_sec:.0f} s")
        time.sleep(1)
    return answer


def _states(pod: dict[str, Any]) -> list[dict[str, Any]]:
    status = pod["status"]
    return [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]


def loss_not_finite(lab: Lab) -> None:
    """Train from broken weights, stored where a cluster without internet keeps pretrained ones; the run ends FAILED."""
    address = "https://example.org/broken.tar.gz"
    weights = lab.folder / "weights"
    write_backbone(weights, float("nan"))
    with lab.release.forwarded("s3", 7070) as s3:
        store = open_with(lab.release.get("secret", "slipway-s3"), s3)
        upload_all(store, weights, keys.initial_checkpoint(sha256(address.encode()).hexdigest()))
    train = SMALL | {"steps": 100, "initialCheckpoint": address}
    lab.client.submit("broken", lab.datasets["harbour"], train=train)
    assert lab.await_state("broken") == "FAILED"


def evaluator_hangs(lab: Lab) -> None:
    """Stop the evaluator with SIGSTOP while the training continues."""
    train = SMALL | {"steps": 3000, "checkpointEvery": 100}
    lab.client.submit("hanging", lab.datasets["harbour"], train=train)
    lab.await_number('slipway_evaluation_step{run="hanging"}')
    assert lab.strike(lab.stop, "hanging", "evaluator")


def trainer_hangs(lab: Lab) -> None:
    """Stop the trainer as well, so that nothing of the run changes."""
    assert lab.strike(lab.stop, "hanging", "trainer")


def trainer_dies(lab: Lab) -> None:
    """Kill the trainer after each restart, until the controller gives up."""

    def has_ended() -> bool:
        lab.strike(lab.kill, "hanging", "trainer")
        return lab.await_state("hanging", "RUNNING") in FINAL

    await_answer(has_ended, 600, "hanging has failed")
    assert lab.await_state("hanging") == "FAILED"


def runs_wait(lab: Lab) -> None:
    """Submit a run whose pool has no node, and many runs to a queue that admits none."""
    lab.client.submit("nowhere", lab.datasets["harbour"], train=SMALL | {"pool": "nowhere"})
    await_answer(lambda: lab.stage_and_state("nowhere") == ("train", "PENDING"), 300, "nowhere waits for a node")
    _change_waiting(lab)


def _change_waiting(lab: Lab, **spec: Any) -> None:
    """Apply the runs in the queue, with these fields added."""
    full_spec = {"dataset": {"ref": lab.datasets["harbour"]}, "queue": "closed"} | spec
    run = {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingRun", "spec": full_spec}
    runs = [run | {"metadata": {"name": f"waiting-{number}"}} for number in range(_WAITING)]
    lab.release.kubectl("apply", "-f", "-", content=json.dumps({"apiVersion": "v1", "kind": "List", "items": runs}))


def store_is_away(lab: Lab) -> None:
    """Remove the S3 server while runs change, and while pages and models are requested."""
    lab.scale("s3", 0)
    _change_waiting(lab, suspend=True)
    pages = [f"{lab.api}/v1/runs/ponds/logs", f"{lab.api}/v1/datasets"]
    image = next((lab.folder / "harbour").rglob("*.jpg")).read_bytes()
    with lab.requested(*pages), lab.requested(f"{lab.detector}/v1/models/unknown:predict", image=image):
        time.sleep(210)
    lab.scale("s3", 1)


def store_is_back(lab: Lab) -> None:
    lab.release.kubectl("rollout", "status", "deployment/slipway-s3", "--timeout", "120s")
    lab.release.kubectl("delete", "trun", "nowhere", *(f"waiting-{number}" for number in range(_WAITING)))


def training_starves(lab: Lab) -> None:
    """Train a model of 64 pixels on photos of 24 megapixels: reading takes longer than training."""
    lab.client.submit("starving", lab.datasets["large"], train={"imageSize": 64, "batchSize": 8, "steps": 5000})
    lab.await_number('slipway_training_input_wait_ratio{run="starving"}', 600)


def detector_is_overloaded(lab: Lab) -> None:
    """Send more large photos at once than the detector can process."""
    image = next((lab.folder / "large").rglob("*.jpg")).read_bytes()
    with lab.requested(f"{lab.detector}/v1/models/ponds:predict", image=image, at_once=24):
        time.sleep(100)


def services_are_gone(lab: Lab) -> None:
    lab.client("cancel", "starving")
    for name in ("api", "detector", "controller"):
        lab.scale(name, 0)


@dataclass(frozen=True)
class Scenario:
    """A failure, and the alerts that follow it.

    Attributes:
      alerts: Names, with `/component` if the alert has that label.
      patience_sec: Time from the end of `play` to the last of the alerts.
    """

    play: Callable[[Lab], None]
    alerts: frozenset[str]
    patience_sec: float = 300


def _in(play: Callable[[Lab], None], *alerts: str) -> Scenario:
    return Scenario(play, frozenset(f"Slipway{alert}" for alert in alerts))


SCENARIOS = (
    _in(loss_not_finite, "LossNotFinite"),
    _in(evaluator_hangs, "EvaluatorBehind"),
    _in(trainer_hangs, "CheckpointTooOld", "RunStuck"),
    _in(trainer_dies, "StageRetries", "RetriesExhausted"),
    _in(runs_wait, "RunWaits"),
    _in(
        store_is_away,
        "StoreErrors",
        "ServerErrorRate/api",
        "ServerLatency/api",
        "ServerErrorRate/detector",
        "ReconcileErrors",
        "ControllerBehind",
    ),
    _in(store_is_back),
    _in(training_starves, "TrainingStarved"),
    _in(detector_is_overloaded, "ServerLatency/detector"),
    _in(services_are_gone, "ControllerDown", "ServerDown/api", "ServerDown/detector"),
)
# Thresholds in fast time, of alerts whose own are in seconds, or too high for the shorter durations.
THRESHOLDS = {
    "SlipwayRunStuck": 90,
    "SlipwayRunWaits": 60,
    "SlipwayCheckpointTooOld": 90,
    "SlipwayStageRetries": 1,  # of ten, in three minutes instead of an hour
    "SlipwayReconcileErrors": 1,
}
# Paces other than FASTER: a reconciliation gives up on the store after a minute and a half, however fast the rules are.
PACES = {"SlipwayReconcileErrors": 6}


def datasets(folder: Path) -> None:
    """Draw a small dataset with a box outside its image, and one of large photos."""
    draw(folder / "harbour", 60, 5)
    file = next((folder / "harbour").rglob("*.xml"))
    file.write_text(re.sub(r"<xmin>\d+", "<xmin>-2", file.read_text(), count=1))
    draw(folder / "large", 24, 6)
    for path in (folder / "large").rglob("*.jpg"):
        with Image.open(path) as image:
            width, height = image.size
            image.resize((width * 18, height * 18)).save(path)
    for path in (folder / "large").rglob("*.xml"):
        path.write_text(_enlarged(path.read_text(), 18))


def _enlarged(xml: str, factor: int) -> str:
    root = fromstring(xml)
    for tag in ("width", "height", "xmin", "ymin", "xmax", "ymax"):
        for element in root.iter(tag):
            element.text = str(int(element.text or "0") * factor)
    return tostring(root, encoding="unicode")
