"""Manifests of a run's stages, filled in from YAML blueprints."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

import yaml

from slipway import API_VERSION
from slipway.kube.names import ATTEMPT_LABEL, INDEX_LABEL, QUEUE_LABEL, RUN_LABEL, STAGE_LABEL
from slipway.kube.objects import KubernetesObject, ObjectMeta, OwnerReference
from slipway.run.names import Process, Stage, main_process
from slipway.run.spec import RunSpec, TrainingRun

from services.controller.settings import Pool, Settings

_LONGEST_NAME = 58  # a pod is named after its Job and its index, and a host name has at most 63 characters


@dataclass(frozen=True)
class Owner:
    """The TrainingRun that owns the objects: they are deleted with it."""

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
class StageAttempt:
    """One attempt of one stage.

    Attributes:
      owner: None for a Job that a user creates.
    """

    run: str
    spec: RunSpec
    stage: Stage
    attempt: int
    owner: Owner | None = None

    @property
    def name(self) -> str:
        """The name of the Job, which follows from the run, the stage and the attempt."""
        suffix = f"-{self.stage}-{self.attempt}"
        if len(self.run + suffix) <= _LONGEST_NAME:
            return self.run + suffix
        digest = hashlib.sha256(self.run.encode()).hexdigest()[:8]
        return f"{self.run[: _LONGEST_NAME - len(suffix) - 9]}-{digest}{suffix}"

    @property
    def workers(self) -> int:
        """The number of pods that share the stage."""
        return int(getattr(getattr(self.spec, self.stage, None), "workers", 1))

    @property
    def main_process(self) -> Process:
        return main_process(self.stage)

    def labels(self) -> dict[str, str]:
        return {
            "app.kubernetes.io/name": "slipway",
            "app.kubernetes.io/component": self.main_process.service,
            "app.kubernetes.io/managed-by": "slipway-controller",
            RUN_LABEL: self.run,
            STAGE_LABEL: self.stage,
            ATTEMPT_LABEL: str(self.attempt),
        }


def read_blueprints() -> str:
    """Return the blueprints of this version of the controller."""
    return (files("services.controller") / "blueprints" / "jobs.yaml").read_text()


def job(work: StageAttempt, settings: Settings, blueprints: str, images: Mapping[str, str]) -> KubernetesObject:
    """Fill in the blueprint of a stage, or the common one if the stage has none of its own.

    Args:
      blueprints: The blueprints with which the run began.
      images: The image of each kind with which the run began.
    """
    by_name = yaml.safe_load(blueprints)
    # PyYAML shares the content of an anchor, but each container is filled in differently.
    manifest: dict[str, Any] = json.loads(json.dumps(by_name.get(work.stage) or by_name["stage"]))
    metadata, spec = _metadata(work), manifest["spec"]
    if work.spec.queue:
        metadata["labels"][QUEUE_LABEL] = work.spec.queue
        spec["suspend"] = True  # until Kueue admits it
    _set_limits(spec, work, settings)
    spec["template"]["metadata"] = {"labels": work.labels()}
    _fill_pod(spec["template"]["spec"], work, settings, images)
    manifest["metadata"] = metadata
    return cast(KubernetesObject, manifest)


def service(work: StageAttempt, blueprints: str) -> KubernetesObject | None:
    """Return the headless Service by which several workers find each other; None if there is one worker."""
    if work.stage != "train" or work.workers == 1:
        return None
    manifest: KubernetesObject = yaml.safe_load(blueprints)["workers"]
    manifest["metadata"] = _metadata(work)
    manifest["spec"]["selector"] = {label: work.labels()[label] for label in (RUN_LABEL, STAGE_LABEL, ATTEMPT_LABEL)}
    return manifest


def jobs_of_run(run: TrainingRun, settings: Settings) -> list[KubernetesObject]:
    """Return the objects that the controller would create for a run, stage by stage, without an owner."""
    blueprints, images = read_blueprints(), settings.images.model_dump()
    manifests: list[KubernetesObject] = []
    for stage in run.spec.stages:
        work = StageAttempt(run.metadata.name, run.spec, stage, run.spec.attempt)
        if workers_service := service(work, blueprints):
            manifests.append(workers_service)
        manifests.append(job(work, settings, blueprints, images))
    return manifests


def _metadata(work: StageAttempt) -> ObjectMeta:
    metadata: ObjectMeta = {"name": work.name, "labels": work.labels()}
    if work.owner:
        metadata["ownerReferences"] = [work.owner.reference()]
    return metadata


def _set_limits(spec: dict[str, Any], work: StageAttempt, settings: Settings) -> None:
    """Set the number of pods, the retries, the deadline, and the container whose exit code ends the Job."""
    time_limit = work.spec.train.time_limit if work.stage == "train" else None
    is_indexed = work.main_process.is_indexed
    spec["activeDeadlineSeconds"] = settings.deadline + (time_limit or 0)
    if is_indexed:
        spec["backoffLimitPerIndex"] = settings.retries
    else:
        spec["backoffLimit"] = settings.retries * work.workers  # when one worker of a training fails, all do
    if work.workers > 1 or is_indexed:
        spec |= {"completionMode": "Indexed", "completions": work.workers, "parallelism": work.workers}
    for rule in spec["podFailurePolicy"]["rules"]:
        if "onExitCodes" in rule:
            rule["onExitCodes"]["containerName"] = work.main_process.service


def _fill_pod(pod: dict[str, Any], work: StageAttempt, settings: Settings, images: Mapping[str, str]) -> None:
    pool = settings.pool(work.spec, work.stage)
    _choose_nodes(pod, pool)
    if settings.ca_config_map:
        pod["volumes"].append({"name": "ca", "configMap": {"name": settings.ca_config_map}})
    pod["terminationGracePeriodSeconds"] = settings.grace_period
    main_container, sidecars = pod["containers"][0], pod.get("initContainers", [])
    for container in [*sidecars, main_container]:
        _fill_container(container, work, settings, images)
    main_container["resources"] = _resources(work, pool)
    for sidecar in sidecars:
        sidecar["resources"] = settings.evaluator.model_dump(exclude_defaults=True)
    if work.stage == "train" and work.workers > 1:
        pod["subdomain"] = work.name
        main_container["env"] += _worker_variables(work)


def _choose_nodes(pod: dict[str, Any], pool: Pool) -> None:
    """Set the fields that schedule the pod to the pool's nodes."""
    fields = {
        "nodeSelector": pool.node_selector,
        "tolerations": pool.tolerations,
        "affinity": pool.affinity,
        "runtimeClassName": pool.runtime_class_name,
        "priorityClassName": pool.priority_class_name,
        "imagePullSecrets": [{"name": name} for name in pool.image_pull_secrets],
    }
    pod |= {field: copy.deepcopy(value) for field, value in fields.items() if value}
    if pool.shared_memory:
        (shm,) = (volume for volume in pod["volumes"] if volume["name"] == "shm")
        shm["emptyDir"]["sizeLimit"] = pool.shared_memory


def _fill_container(
    container: dict[str, Any], work: StageAttempt, settings: Settings, images: Mapping[str, str]
) -> None:
    if container["name"] == "stage":
        container["name"] = work.main_process.service
    container["image"] = images[work.main_process.image]
    container["imagePullPolicy"] = settings.image_pull_policy
    container.setdefault("command", ["python", "-m", f"services.{container['name']}"])
    variables = {"SLIPWAY_STORE": settings.store.url, "SLIPWAY_RUN": work.run, "SLIPWAY_ATTEMPT": str(work.attempt)}
    variables |= settings.env
    if settings.ca_config_map:
        container["volumeMounts"].append({"name": "ca", "mountPath": "/etc/slipway-ca", "readOnly": True})
        variables |= dict.fromkeys(("SLIPWAY_S3_CA_FILE", "SSL_CERT_FILE"), "/etc/slipway-ca/ca.crt")
    container["env"] = [{"name": n, "value": v} for n, v in variables.items()] + container.get("env", [])
    container["envFrom"] = [{"secretRef": {"name": settings.store.secret}}]


def _resources(work: StageAttempt, pool: Pool) -> dict[str, Any]:
    resources: dict[str, Any] = pool.resources.model_dump(exclude_defaults=True)
    if work.stage == "train" and work.spec.train.gpus:
        resources.setdefault("limits", {})[pool.gpu_resource] = work.spec.train.gpus
    return resources


def _worker_variables(work: StageAttempt) -> list[dict[str, Any]]:
    """Return `TF_CONFIG`: the list of workers, the same for each, and the index, which comes from the pod's label."""
    hosts = [f"{work.name}-{index}.{work.name}:2222" for index in range(work.workers)]
    config = json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": "INDEX"}})
    field = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX_LABEL}']"}}
    return [
        {"name": "WORKER_INDEX", "valueFrom": field},
        {"name": "TF_CONFIG", "value": config.replace('"INDEX"', "$(WORKER_INDEX)")},
    ]
