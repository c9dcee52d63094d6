"""Blueprint to manifest: what a run's stages are in Kubernetes."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, cast

import yaml

from slipway import API_VERSION
from slipway.kube.names import ATTEMPT_LABEL, INDEX_LABEL, QUEUE_LABEL, RUN_LABEL, STAGE_LABEL
from slipway.kube.objects import KubernetesObject, ObjectMeta, OwnerReference
from slipway.run.names import Stage
from slipway.run.spec import RunSpec, TrainingRun

from services.controller.settings import Pool, Settings

SERVICES: dict[Stage, str] = {
    "ingest": "ingest",
    "preprocess": "preprocess",
    "train": "trainer",
    "export": "exporter",
    "detect": "detector",
}
_LONGEST = 58  # a pod is called after its Job and its index, and a host name has at most 63 characters


@dataclass(frozen=True)
class Owner:
    """The TrainingRun that everything belongs to, and goes with."""

    name: str
    uid: str

    def reference(self) -> OwnerReference:
        return {
            "apiVersion": API_VERSION,
            "kind": "TrainingRun",
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }


@dataclass(frozen=True)
class Work:
    """What is asked of one attempt of one stage.

    Attributes:
      owner: None for a Job that is made by hand.
    """

    run: str
    spec: RunSpec
    stage: Stage
    attempt: int
    owner: Owner | None = None

    @property
    def name(self) -> str:
        """The Job's name: the same whoever makes it, and another for every attempt."""
        suffix = f"-{self.stage}-{self.attempt}"
        if len(self.run + suffix) <= _LONGEST:
            return self.run + suffix
        digest = hashlib.sha256(self.run.encode()).hexdigest()[:8]
        return f"{self.run[: _LONGEST - len(suffix) - 9]}-{digest}{suffix}"

    @property
    def workers(self) -> int:
        by_stage = {"preprocess": self.spec.preprocess.workers, "train": self.spec.train.workers}
        return by_stage.get(self.stage, 1)

    def labels(self) -> dict[str, str]:
        return {
            "app.kubernetes.io/name": "slipway",
            "app.kubernetes.io/component": SERVICES[self.stage],
            "app.kubernetes.io/managed-by": "slipway-controller",
            RUN_LABEL: self.run,
            STAGE_LABEL: self.stage,
            ATTEMPT_LABEL: str(self.attempt),
        }


def blueprints() -> str:
    """Return the blueprints that this controller brings."""
    return (resources.files("services.controller") / "blueprints" / "jobs.yaml").read_text()


def job(work: Work, settings: Settings, text: str, images: Mapping[str, str]) -> KubernetesObject:
    """Fill in the blueprint of a stage.

    Args:
      text: The blueprints that the run began with.
      images: Image of each kind, likewise.
    """
    kind = work.stage if work.stage in ("preprocess", "train") else "stage"
    # PyYAML shares what an anchor names; each container is to be another.
    manifest: dict[str, Any] = json.loads(json.dumps(yaml.safe_load(text)[kind]))
    manifest["metadata"] = _metadata(work)
    if work.spec.queue:
        manifest["metadata"]["labels"][QUEUE_LABEL] = work.spec.queue
        manifest["spec"]["suspend"] = True  # until Kueue admits it
    _bound(manifest["spec"], work, settings)
    template, pool = manifest["spec"]["template"], settings.pool(work.spec, work.stage)
    template["metadata"] = {"labels": work.labels()}
    pod = template["spec"]
    _place(pod, pool)
    if settings.ca_config_map:
        pod["volumes"].append({"name": "ca", "configMap": {"name": settings.ca_config_map}})
    pod["terminationGracePeriodSeconds"] = settings.grace_period
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        _fill(container, work, settings, images)
    pod["containers"][0]["resources"] = _resources(work, pool)
    if work.stage == "train":
        pod["initContainers"][0]["resources"] = settings.evaluator.model_dump(exclude_defaults=True)
    if work.stage == "train" and work.workers > 1:
        pod["subdomain"] = work.name
        pod["containers"][0]["env"] += _cluster_of(work)
    return cast(KubernetesObject, manifest)


def service(work: Work, text: str) -> KubernetesObject | None:
    """Return the headless Service by which several workers find each other; None where there is one worker."""
    if work.stage != "train" or work.workers == 1:
        return None
    manifest: KubernetesObject = yaml.safe_load(text)["workers"]
    manifest["metadata"] = _metadata(work)
    manifest["spec"]["selector"] = {label: work.labels()[label] for label in (RUN_LABEL, STAGE_LABEL, ATTEMPT_LABEL)}
    return manifest


def _metadata(work: Work) -> ObjectMeta:
    metadata: ObjectMeta = {"name": work.name, "labels": work.labels()}
    if work.owner:
        metadata["ownerReferences"] = [work.owner.reference()]
    return metadata


def _bound(spec: dict[str, Any], work: Work, settings: Settings) -> None:
    """Say how many pods there are, how often one is tried and how long, and whose exit code ends it."""
    limit = work.spec.train.time_limit if work.stage == "train" else None
    spec["activeDeadlineSeconds"] = settings.deadline + (limit or 0)
    if work.stage == "preprocess":
        spec["backoffLimitPerIndex"] = settings.retries
    else:
        spec["backoffLimit"] = settings.retries * work.workers  # with one that trains all the others fail too
    if work.workers > 1 or work.stage == "preprocess":
        spec |= {"completionMode": "Indexed", "completions": work.workers, "parallelism": work.workers}
    for rule in spec["podFailurePolicy"]["rules"]:
        if "onExitCodes" in rule:
            rule["onExitCodes"]["containerName"] = SERVICES[work.stage]


def _place(pod: dict[str, Any], pool: Pool) -> None:
    """Send the pod to the pool's nodes."""
    placed = {
        "nodeSelector": pool.node_selector,
        "tolerations": pool.tolerations,
        "affinity": pool.affinity,
        "runtimeClassName": pool.runtime_class_name,
        "priorityClassName": pool.priority_class_name,
        "imagePullSecrets": [{"name": name} for name in pool.image_pull_secrets],
    }
    pod |= {field: copy.deepcopy(value) for field, value in placed.items() if value}
    if pool.shared_memory:
        (shm,) = (volume for volume in pod["volumes"] if volume["name"] == "shm")
        shm["emptyDir"]["sizeLimit"] = pool.shared_memory


def _fill(container: dict[str, Any], work: Work, settings: Settings, images: Mapping[str, str]) -> None:
    if container["name"] == "stage":
        container["name"] = SERVICES[work.stage]
    container["image"] = images["data" if work.stage in ("ingest", "preprocess") else "tf"]
    container["imagePullPolicy"] = settings.image_pull_policy
    container.setdefault("command", ["python", "-m", f"services.{container['name']}"])
    own = {"SLIPWAY_STORE": settings.store.url, "SLIPWAY_RUN": work.run, "SLIPWAY_ATTEMPT": str(work.attempt)}
    own |= settings.env
    if settings.ca_config_map:
        container["volumeMounts"].append({"name": "ca", "mountPath": "/etc/slipway-ca", "readOnly": True})
        own |= dict.fromkeys(("SLIPWAY_S3_CA_FILE", "SSL_CERT_FILE"), "/etc/slipway-ca/ca.crt")
    container["env"] = [{"name": n, "value": v} for n, v in own.items()] + container.get("env", [])
    container["envFrom"] = [{"secretRef": {"name": settings.store.secret}}]


def _resources(work: Work, pool: Pool) -> dict[str, Any]:
    manifest: dict[str, Any] = pool.resources.model_dump(exclude_defaults=True)
    if work.stage == "train" and work.spec.train.gpus:
        manifest.setdefault("limits", {})[pool.gpu_resource] = work.spec.train.gpus
    return manifest


def _cluster_of(work: Work) -> list[dict[str, Any]]:
    """Return `TF_CONFIG`: the same list of workers for each, and its own index from its pod's label."""
    hosts = [f"{work.name}-{index}.{work.name}:2222" for index in range(work.workers)]
    config = json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": "INDEX"}})
    field = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX_LABEL}']"}}
    return [
        {"name": "WORKER_INDEX", "valueFrom": field},
        {"name": "TF_CONFIG", "value": config.replace('"INDEX"', "$(WORKER_INDEX)")},
    ]


def by_hand(run: TrainingRun, settings: Settings) -> list[KubernetesObject]:
    """Return what the controller would make for a run, one stage after the other, owned by nobody."""
    text, images, manifests = blueprints(), settings.images.model_dump(), []
    for stage in run.spec.stages:
        work = Work(run.metadata.name, run.spec, stage, run.spec.attempt)
        meeting = service(work, text)
        manifests += [*([meeting] if meeting else []), job(work, settings, text, images)]
    return manifests
