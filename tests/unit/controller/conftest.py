import pytest

from slipway.store.folder import FolderStore
from tests.fakes.cluster import FakeCluster

from services.controller.context import ControllerContext
from services.controller.settings import Settings

SETTINGS = {
    "store": {"url": "s3://slipway/lab", "secret": "slipway-s3"},
    "images": {"data": "registry/slipway-data:1", "tf": "registry/slipway-tf:1"},
    "pools": {
        "cpu": {"resources": {"requests": {"cpu": 1, "memory": "2Gi"}, "limits": {"memory": "4Gi"}}},
        "gpu": {
            "nodeSelector": {"slipway.dev/pool": "gpu"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "runtimeClassName": "nvidia",
            "priorityClassName": "batch",
            "imagePullSecrets": ["registry"],
            "sharedMemory": "1Gi",
            "maxGpus": 4,
            "maxWorkers": 2,
            "resources": {"requests": {"cpu": 4}, "limits": {"memory": "16Gi"}},
        },
    },
    "evaluator": {"limits": {"memory": "4Gi"}},
}


@pytest.fixture
def settings():
    return Settings.model_validate(SETTINGS)


@pytest.fixture
def cluster():
    return FakeCluster()


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


@pytest.fixture
def context(cluster, store, settings):
    return ControllerContext(cluster, store, settings, lambda: "2026-01-31T12:00:00Z")
