"""Every manifest has only fields that exist in Kubernetes' schema, as the official client has it."""

import re
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from slipway.run.spec import RunSpec

from services.controller.manifests import Owner, StageAttempt, job, read_blueprints, service
from services.controller.settings import Settings

ROOT = Path(__file__).parents[2] / "manifests"
MODELS = {
    "ConfigMap": client.V1ConfigMap,
    "CronJob": client.V1CronJob,
    "CustomResourceDefinition": client.V1CustomResourceDefinition,
    "Deployment": client.V1Deployment,
    "Ingress": client.V1Ingress,
    "Job": client.V1Job,
    "Namespace": client.V1Namespace,
    "NetworkPolicy": client.V1NetworkPolicy,
    "PersistentVolumeClaim": client.V1PersistentVolumeClaim,
    "Pod": client.V1Pod,
    "PodDisruptionBudget": client.V1PodDisruptionBudget,
    "Role": client.V1Role,
    "RoleBinding": client.V1RoleBinding,
    "Service": client.V1Service,
    "ServiceAccount": client.V1ServiceAccount,
}
POOL = {
    "nodeSelector": {"slipway.dev/pool": "gpu"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "runtimeClassName": "nvidia",
    "priorityClassName": "batch",
    "imagePullSecrets": ["registry"],
    "sharedMemory": "1Gi",
    "maxGpus": 4,
    "maxWorkers": 2,
}
SETTINGS = Settings.model_validate(
    {
        "store": {"url": "s3://slipway", "secret": "slipway-s3"},
        "images": {"data": "data:1", "tf": "tf:1"},
        "pools": {"cpu": {}, "gpu": POOL},
    }
)
FILES = [p for p in sorted(ROOT.rglob("*.yaml")) if p.name not in ("kustomization.yaml", "settings.yaml", "run.yaml")]


def unknown(content, kind, where="") -> list[str]:
    """Return the fields of a manifest that its type does not have."""
    if inner := re.fullmatch(r"(?:List\[|Dict\[str, )(.+)\]", kind):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        return [field for key, item in items for field in unknown(item, inner[1], f"{where}[{key}]")]
    model = getattr(client, kind, None)
    if model is None or not isinstance(content, dict):
        return []
    names = {json_name: name for name, json_name in model.attribute_map.items()}
    found = [f"{where}.{key}" for key in content if key not in names]
    for key in content.keys() & names.keys():
        found += unknown(content[key], model.openapi_types[names[key]], f"{where}.{key}")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_manifest_has_only_fields_that_exist(file):
    for document in yaml.safe_load_all(file.read_text()):
        assert unknown(document, MODELS[document["kind"]].__name__) == []


@pytest.mark.parametrize("stage", ["ingest", "preprocess", "train", "export", "detect"])
def test_a_job_has_only_fields_that_exist_whatever_is_asked(stage):
    asked = {"dataset": {"source": "s3://a/b"}, "queue": "team-a", "train": {"gpus": 2, "workers": 2}}
    work = StageAttempt("ponds", RunSpec.model_validate(asked), stage, 1, Owner("ponds", "uid-1"))
    assert unknown(job(work, SETTINGS, read_blueprints(), {"data": "data:1", "tf": "tf:1"}), "V1Job") == []
    assert unknown(service(work, read_blueprints()) or {}, "V1Service") == []


def test_a_field_that_does_not_exist_is_found():
    assert unknown({"spec": {"template": {"spec": {"containers": [{"nam": "a"}]}}}}, "V1Job") == [
        ".spec.template.spec.containers[0].nam"
    ]
