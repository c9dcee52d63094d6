"""The chart as helm renders it, variant by variant."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.programs import require

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/slipway"
VARIANTS = ["values.yaml", *sorted(f"ci/{path.name}" for path in (CHART / "ci").glob("*-values.yaml"))]

KubernetesObject = dict[str, Any]


def helm(*words: str, fails: bool = False) -> str:
    """Run helm and return its output; skip the test if helm is not installed."""
    done = subprocess.run(
        [require("helm"), *words, "--kube-version", "1.31.0"], capture_output=True, text=True, check=False
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


def render(variant: str = "values.yaml", *words: str) -> list[KubernetesObject]:
    """Return the objects of a variant; `words` are further options of helm's, such as `--set`."""
    return [document for document in yaml.load_all(_template(variant, *words), yaml.CSafeLoader) if document]


@cache  # most tests look at the same variants
def _template(variant: str, *words: str) -> str:
    return helm("template", "slipway", str(CHART), "--namespace", "lab", "--values", str(CHART / variant), *words)


def of_kind(manifests: list[KubernetesObject], *kinds: str) -> list[KubernetesObject]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests: list[KubernetesObject], kind: str, name: str) -> KubernetesObject:
    (found,) = (m for m in of_kind(manifests, kind) if m["metadata"]["name"] == name)
    return found


def pods(manifests: list[KubernetesObject]) -> Iterator[tuple[str, KubernetesObject]]:
    """Yield component and spec of every pod."""
    for manifest in of_kind(manifests, "CronJob", "Deployment", "Job", "Pod"):
        spec = manifest["spec"]["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else manifest["spec"]
        component = manifest["metadata"]["labels"]["app.kubernetes.io/component"]
        yield component, spec if manifest["kind"] == "Pod" else spec["template"]["spec"]


def containers(pod: KubernetesObject) -> list[KubernetesObject]:
    return [*pod.get("initContainers", []), *pod["containers"]]
