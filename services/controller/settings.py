"""The settings of the controller: one YAML file, mounted into its pod."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from slipway.errors import SpecError
from slipway.models import StrictModel
from slipway.run.names import Stage
from slipway.run.spec import RunSpec

Seconds = Annotated[int, Field(ge=1)]
Quantities = dict[str, str | int | float]


class Resources(StrictModel):
    """A container's requests and limits, in Kubernetes' notation."""

    requests: Quantities = Field(default_factory=dict)
    limits: Quantities = Field(default_factory=dict)


class Pool(StrictModel):
    """A group of equal nodes, and the fields that a pod needs to be scheduled to one.

    Attributes:
      resources: Resources of a stage's container; GPUs are added.
      max_gpus: Number of GPUs of one node; a run that requests more is refused.
      max_workers: Number of pods that may train together; those that start first hold their GPUs while they wait.
      gpu_resource: Name of the nodes' resource for GPUs.
      shared_memory: Limit of `/dev/shm`; when absent, the container's memory limit.
    """

    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: list[dict[str, Any]] = Field(default_factory=list)
    affinity: dict[str, Any] = Field(default_factory=dict)
    resources: Resources = Resources()
    runtime_class_name: str | None = None
    priority_class_name: str | None = None
    image_pull_secrets: list[str] = Field(default_factory=list)
    shared_memory: str | None = None
    max_gpus: Annotated[int, Field(ge=0)] = 0
    max_workers: Annotated[int, Field(ge=1)] = 1
    gpu_resource: str = "nvidia.com/gpu"


class Images(StrictModel):
    data: str
    tf: str


class Store(StrictModel):
    """The object store of all runs.

    Attributes:
      url: `s3://bucket/prefix`.
      secret: Name of the Secret whose keys become environment variables, such as AWS_ACCESS_KEY_ID.
    """

    url: str
    secret: str


class Settings(StrictModel):
    """The settings of Jobs that a run does not choose itself.

    Attributes:
      env: Environment variables of every stage, such as HTTPS_PROXY.
      ca_config_map: ConfigMap whose key `ca.crt` has the certificates that stages trust instead of the public ones.
      pools: Pools by the name that a run requests.
      stages: The pool of each stage but train, whose pool the run chooses.
      evaluator: Resources of the sidecar.
      retries: Number of times that a stage's pod is started again within one attempt.
      grace_period: Seconds between SIGTERM and SIGKILL; must suffice for the upload of a checkpoint.
      keep_jobs: Seconds for which a finished Job is kept, and with it its pods' logs.
      deadline: Seconds after which a stage fails; a pod's wait for a node counts. A run's own time limit is added.
    """

    store: Store
    images: Images
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    env: dict[str, str] = Field(default_factory=dict)
    ca_config_map: str | None = None
    pools: dict[str, Pool]
    stages: dict[Stage, str] = Field(default_factory=dict)
    evaluator: Resources = Resources()
    retries: Annotated[int, Field(ge=0)] = 3
    grace_period: Seconds = 120
    keep_jobs: Seconds = 86_400
    deadline: Seconds = 604_800

    @model_validator(mode="after")
    def _pools_exist(self) -> "Settings":
        unknown = {"cpu", *self.stages.values()} - self.pools.keys()
        if unknown:
            raise ValueError(f"pools has no {', '.join(sorted(unknown))}")
        return self

    def pool(self, spec: RunSpec, stage: Stage) -> Pool:
        """Return the pool of a stage of the run."""
        return self.pools[_train_pool(spec) if stage == "train" else self.stages.get(stage, "cpu")]


def check_request(spec: RunSpec, settings: Settings) -> None:
    """Check that the installation can satisfy the run's requests.

    Raises:
      SpecError: It cannot; the message names the request and the limit.
    """
    source = spec.dataset.source
    if source is not None and not source.startswith("s3://"):
        raise SpecError(
            f"dataset.source is {source!r}: a cluster sees no folder; upload it and give s3://bucket/prefix"
        )
    name, train = _train_pool(spec), spec.train
    if name not in settings.pools:
        raise SpecError(f"pool {name!r} does not exist here; choose one of {', '.join(sorted(settings.pools))}")
    pool = settings.pools[name]
    if train.gpus > pool.max_gpus:
        raise SpecError(f"train.gpus is {train.gpus}, a node of pool {name!r} has {pool.max_gpus}; ask for fewer")
    if train.workers > pool.max_workers:
        raise SpecError(f"train.workers is {train.workers}, pool {name!r} allows {pool.max_workers}; ask for fewer")
    replicas = train.workers * max(train.gpus, 1)
    if train.workers > 1 and train.batch_size and train.batch_size % replicas:
        raise SpecError(
            f"train.batchSize is {train.batch_size}, to be shared by {replicas} replicas; "
            f"ask for a multiple of {replicas}"
        )


def _train_pool(spec: RunSpec) -> str:
    return spec.train.pool or ("gpu" if spec.train.gpus else "cpu")
