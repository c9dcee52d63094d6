"""A release of the chart in a namespace of its own, and the command that uses it over HTTP."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.installation import await_port
from tests.ports import free_port
from tests.programs import require

CHART = Path(__file__).parents[2] / "charts/slipway"
COMMAND = (sys.executable, "-m", "services.cli")
TOKEN = "a-submitter-s-of-this-test-alone"


def call(*words: str, content: str | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command and return its output; if it fails, so does the test."""
    result = subprocess.run(
        words, input=content, capture_output=True, text=True, check=False, env=os.environ | (env or {})
    )
    assert result.returncode == 0, f"{' '.join(words)}: {result.stdout[-2000:]}{result.stderr[-2000:]}"
    return result.stdout


@dataclass(frozen=True)
class Chart:
    """A version of the chart, and the tag of its images."""

    folder: Path = CHART
    tag: str = field(default_factory=lambda: os.environ.get("TAG", "dev"))

    @property
    def words(self) -> tuple[str, ...]:
        """The chart, the quick-start values and the images, as helm takes them."""
        images = {"registry": os.environ.get("REGISTRY", "localhost"), "tag": self.tag}
        settings = (word for name, value in images.items() for word in ("--set", f"images.{name}={value}"))
        return (str(self.folder), "--values", str(self.folder / "ci/quickstart-values.yaml"), *settings)


@dataclass(frozen=True)
class Release:
    """An installed chart.

    Attributes:
      values: Its values beside those of the chart, as helm takes them.
    """

    namespace: str
    chart: Chart
    values: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The chart and its values, as helm takes them."""
        return (*self.chart.words, *self.values)

    def kubectl(self, *words: str, content: str | None = None) -> str:
        return call("kubectl", "--namespace", self.namespace, *words, content=content)

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "--output", "json"))

    def helm(self, verb: str, *words: str) -> str:
        return call("helm", "--namespace", self.namespace, verb, "slipway", *words)

    @contextmanager
    def forwarded(self, service: str, port: int) -> Iterator[str]:
        """Forward a port of this machine to a service, again whenever its pod is replaced; yield the address."""
        local_port = free_port()
        forward = f"kubectl -n {self.namespace} port-forward service/slipway-{service} {local_port}:{port}"
        command = ["sh", "-c", f"while true; do {forward}; sleep 0.5; done"]
        silent = subprocess.DEVNULL
        process = subprocess.Popen(command, stdout=silent, stderr=silent, start_new_session=True)
        try:
            await_port(local_port)
            yield f"http://127.0.0.1:{local_port}"
        finally:
            os.killpg(process.pid, 15)
            process.wait()


@dataclass(frozen=True)
class Client:
    """The command, logged in over HTTP as a submitter."""

    home: Path
    command: tuple[str, ...] = COMMAND

    def __call__(self, *words: str, content: str | None = None) -> str:
        environment = {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / "config")}
        return call(*self.command, *words, content=content, env=environment)

    def push(self, folder: Path) -> str:
        """Send a dataset and return its reference."""
        return str(json.loads(self("dataset", "push", str(folder), "--json").splitlines()[-1])["dataset"])

    def submit(self, name: str, dataset: str, **spec: Any) -> None:
        run = {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingRun", "metadata": {"name": name}}
        file = self.home / f"{name}.yaml"
        file.write_text(yaml.safe_dump(run | {"spec": {"dataset": {"ref": dataset}} | spec}))
        self("submit", str(file))

    def status(self, name: str) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self("status", name, "--json"))["status"]
        return status


@contextmanager
def logged_in(release: Release, home: Path, command: tuple[str, ...] = COMMAND) -> Iterator[Client]:
    """Log in at the release's API."""
    with release.forwarded("api", 8000) as url:
        client = Client(home, command)
        client("login", url, "--token-stdin", "--insecure-http", content=TOKEN)
        yield client


@contextmanager
def installed(namespace: str, *values: str, chart: Chart | None = None) -> Iterator[Release]:
    """Install with the quick-start values and a submitter's token; the namespace is deleted afterwards.

    Args:
      values: More words for helm.
      chart: This version's when absent.
    """
    context = os.environ.get("SLIPWAY_TEST_CONTEXT")
    if not (context and call("kubectl", "config", "current-context").strip() == context):
        pytest.skip("SLIPWAY_TEST_CONTEXT does not name kubectl's current context")
    require("helm")
    release = Release(namespace, chart or Chart(), (*_crd_words(), *values))
    call("kubectl", "create", "namespace", namespace)
    try:
        call("kubectl", "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        users = [{"name": "ann", "role": "submitter", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}]
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "slipway-tokens"}}
        tokens = json.dumps(secret | {"stringData": {"tokens.yaml": yaml.safe_dump(users)}})
        release.kubectl("apply", "-f", "-", content=tokens)
        release.helm("install", *release.words, "--wait", "--timeout", "5m")
        yield release
    finally:
        call("kubectl", "delete", "namespace", namespace, "--wait=false")


def _crd_words() -> list[str]:
    """Return the value that leaves out the CRD, in a cluster that has it."""
    crd = call("kubectl", "get", "crd", "trainingruns.slipway.dev", "--ignore-not-found", "--output", "name")
    return ["--set", "crds.install=false"] if crd else []
