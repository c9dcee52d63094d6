"""An upgrade of the release from an earlier version, in the middle of a training.

Off unless EARLIER names a checkout of that version with its environment, and EARLIER_TAG its images. Its command
submits a run that ends before the upgrade, one that is suspended, and one that trains. This version continues them.
"""

import json
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import earlier_version
from tests.cluster.release import TOKEN, Chart, Client, Release, installed, logged_in
from tests.fakes.harbour import draw

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
SHORT: dict[str, Any] = {
    "train": {"steps": 60, "checkpointEvery": 20, "imageSize": 128, "batchSize": 4},
    "export": {"tflite": False},
    "detect": {"maxImages": 4},
}
MEDIUM = SHORT | {"train": SHORT["train"] | {"steps": 800, "checkpointEvery": 100}, "until": "train"}
LONG = SHORT | {"train": SHORT["train"] | {"steps": 2000, "checkpointEvery": 100}}  # longer than the upgrade
ARTIFACTS = {
    "run.json",
    "record.json",
    "report.html",
    "ingest/resolved.yaml",
    "preprocess/result.json",
    "train/pipeline.yaml",
    "train/progress.jsonl",
    "evaluate/best.json",
    "evaluate/curves.json",
    "export/saved_model/saved_model.pb",
    "export/label_map.pbtxt",
    "export/model_card.md",
    "export/manifest.json",
    "detect/detections.json",
}


@dataclass(frozen=True)
class Upgrade:
    """A release after its upgrade.

    Attributes:
      earlier: The command of the earlier version.
      client: The command of this version.
      source: The images that the dataset was made of.
      ended: Status of the run `ended` before the upgrade.
      trainers: Pods that trained the run `training` before the upgrade.
    """

    release: Release
    earlier: Client
    client: Client
    source: Path
    dataset: str
    ended: dict[str, Any]
    trainers: dict[str, int]


@pytest.fixture(scope="module")
def upgrade(tmp_path_factory):
    folder, tag = earlier_version.checkout(), earlier_version.image_tag()
    chart, command = Chart(folder / "charts/slipway", tag), (earlier_version.command(folder),)
    source = tmp_path_factory.mktemp("data") / "harbour"
    draw(source, 60, 5)
    with installed("slipway-upgrade", chart=chart) as release:
        with logged_in(release, tmp_path_factory.mktemp("earlier"), command) as earlier:
            dataset = earlier.push(source)
            earlier.submit("ended", dataset, **SHORT)
            earlier.submit("suspended", dataset, **MEDIUM)
            await_checkpoint(earlier, "suspended")
            earlier("suspend", "suspended")
            earlier("status", "ended", "--watch")
            ended = earlier.status("ended")
            earlier.submit("training", dataset, **LONG)
            await_checkpoint(earlier, "training")
        trainers = restarts(release, "training", "train")
        release.helm("upgrade", *Chart().words, *release.values, "--wait", "--timeout", "5m")
        with logged_in(release, tmp_path_factory.mktemp("client")) as client:
            earlier = Client(client.home, command)
            yield Upgrade(release, earlier, client, source, dataset, ended, trainers)


def await_checkpoint(client, run):
    deadline = time.monotonic() + 300
    while not checkpoints(client, run):
        assert time.monotonic() < deadline, client.status(run)
        time.sleep(1)


def artifacts(client, run):
    return {item["path"] for item in json.loads(client("artifacts", run, "--json"))["items"]}


def checkpoints(client, run):
    """Return the steps of the run's checkpoints."""
    names = [Path(path) for path in artifacts(client, run) if path.startswith("train/ckpt-") and path.endswith(".json")]
    return [int(name.stem.removeprefix("ckpt-")) for name in names]


def pods(release, run, stage):
    selector = f"slipway.dev/run={run}" + (f",slipway.dev/stage={stage}" if stage else "")
    return release.get("pods", "--selector", selector)["items"]


def restarts(release, run, stage):
    """Return how often the containers of each pod were restarted."""
    states = {
        pod["metadata"]["uid"]: pod["status"]["containerStatuses"] + pod["status"].get("initContainerStatuses", [])
        for pod in pods(release, run, stage)
    }
    return {uid: sum(state["restartCount"] for state in containers) for uid, containers in states.items()}


def tags(release, run, stage=None):
    """Return the tags of the images of a run's pods."""
    images = [container["image"] for pod in pods(release, run, stage) for container in pod["spec"]["containers"]]
    return {image.rpartition(":")[2] for image in images}


def test_the_training_is_not_disturbed_and_the_run_ends_with_the_images_that_it_began_with(upgrade):
    client, release = upgrade.client, upgrade.release
    assert client.status("training")["stage"] == "train"
    client("status", "training", "--watch")
    assert client.status("training")["state"] == "SUCCEEDED"
    assert restarts(release, "training", "train") == upgrade.trainers
    assert list(upgrade.trainers.values()) == [0]
    assert pods(release, "training", "export")
    assert tags(release, "training") == {earlier_version.image_tag()}
    assert artifacts(client, "training") >= ARTIFACTS


def test_a_suspended_run_resumes_from_its_checkpoint(upgrade):
    client = upgrade.client
    assert client.status("suspended")["state"] == "SUSPENDED"
    checkpoint = max(checkpoints(client, "suspended"))
    client("resume", "suspended")
    client("status", "suspended", "--watch")
    events = [
        json.loads(line) for line in client("logs", "suspended", "--stage", "train").splitlines() if line[:1] == "{"
    ]
    assert [e["step"] for e in events if e.get("event") == "training_resumed"] == [checkpoint]


def test_a_run_that_had_ended_is_shown_fetched_and_served_as_before(upgrade, tmp_path):
    client, release = upgrade.client, upgrade.release
    assert client.status("ended") == upgrade.ended
    assert upgrade.ended["state"] == "SUCCEEDED"
    client("artifacts", "ended", "--out", str(tmp_path))
    assert {path for path in ARTIFACTS if not (tmp_path / path).is_file()} == set()
    image = next((upgrade.source / "images").iterdir()).read_bytes()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "image/jpeg"}
    with release.forwarded("detector", 8000) as url:
        request = urllib.request.Request(f"{url}/v1/models/ended:predict?scoreThreshold=0.01", image, headers)
        with urllib.request.urlopen(request, timeout=180) as answer:
            assert json.load(answer)["detections"]


def test_a_new_run_takes_the_records_of_the_earlier_version(upgrade, tmp_path):
    client, chart = upgrade.client, Chart()
    client.submit("new", upgrade.dataset, **SHORT)
    client("status", "new", "--watch")
    assert tags(upgrade.release, "new") == {chart.tag}
    assert artifacts(client, "new") >= ARTIFACTS
    result = "preprocess/result.json"
    for run in ("ended", "new"):
        client("artifacts", run, result, "--out", str(tmp_path / run))
    records = [json.loads((tmp_path / run / result).read_text())["records"] for run in ("ended", "new")]
    assert records[0] == records[1]


def test_the_earlier_command_reads_the_new_api(upgrade):
    assert upgrade.earlier.status("ended") == upgrade.client.status("ended")
    assert artifacts(upgrade.earlier, "ended") == artifacts(upgrade.client, "ended")


def test_the_record_of_a_deleted_run_is_read(upgrade):
    upgrade.release.kubectl("delete", "trun", "ended")
    status = upgrade.client.status("ended")
    names = ("state", "best", "artifacts", "startedAt", "finishedAt", "images")
    assert {name: status[name] for name in names} == {name: upgrade.ended[name] for name in names}
