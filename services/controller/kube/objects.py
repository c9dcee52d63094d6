"""The objects that the controller reads from Kubernetes, with the fields that it uses."""

from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from slipway.artifacts.outcome import RunStatus
from slipway.kube.objects import KubernetesObject
from slipway.models import CamelArtifactModel
from slipway.run.pipeline import State

_STATES = frozenset(State)


def state_of(run: KubernetesObject) -> State:
    """Return the state of a run; PENDING before its first status, or if a newer version wrote an unknown state."""
    name = run.get("status", {}).get("state", State.PENDING)
    return State(name) if name in _STATES else State.PENDING


class OwnerReference(CamelArtifactModel):
    uid: str


class Metadata(CamelArtifactModel):
    """The metadata of any object; times are RFC 3339, in UTC."""

    name: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: Mapping[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()


class TrainingRunObject(CamelArtifactModel):
    """A TrainingRun; its spec is checked only when the run begins, since the API server may have an older schema."""

    api_version: str = ""
    kind: str = ""
    metadata: Metadata
    spec: Mapping[str, Any] = {}
    status: RunStatus = RunStatus()

    @model_validator(mode="before")
    @classmethod
    def _known_state(cls, manifest: KubernetesObject) -> KubernetesObject:
        if manifest.get("status", {}).get("state", State.PENDING) in _STATES:
            return manifest
        return {**manifest, "status": {**manifest["status"], "state": State.PENDING}}

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def attempt(self) -> int:
        """The attempt that the user requests."""
        return int(self.spec.get("attempt", 1))

    @property
    def is_being_deleted(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    def with_status(self, status: RunStatus) -> KubernetesObject:
        """Return the object as JSON, with another status."""
        manifest: KubernetesObject = self.content()
        return {**manifest, "status": status.content()}


class Condition(CamelArtifactModel):
    """One claim about a Job or a pod."""

    type: str
    status: str
    reason: str | None = None
    message: str | None = None
    last_transition_time: str | None = None


class JobSpec(CamelArtifactModel):
    suspend: bool | None = None
    ttl_seconds_after_finished: int | None = None
    backoff_limit: int = 0
    backoff_limit_per_index: int | None = None


class JobStatus(CamelArtifactModel):
    start_time: str | None = None
    succeeded: int = 0
    conditions: tuple[Condition, ...] = ()


class Job(CamelArtifactModel):
    """A Job: one attempt of one stage."""

    metadata: Metadata
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()

    @property
    def name(self) -> str:
        return self.metadata.name

    def is_owned_by(self, uid: str) -> bool:
        return any(owner.uid == uid for owner in self.metadata.owner_references)


class WaitingContainer(CamelArtifactModel):
    reason: str | None = None
    message: str | None = None


class RunningContainer(CamelArtifactModel):
    started_at: str | None = None


class TerminatedContainer(CamelArtifactModel):
    """The end of a container; all fields are empty if nothing is known of it."""

    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None
    started_at: str | None = None
    finished_at: str | None = None


class ContainerState(CamelArtifactModel):
    waiting: WaitingContainer | None = None
    running: RunningContainer | None = None
    terminated: TerminatedContainer | None = None


class ContainerStatus(CamelArtifactModel):
    name: str
    state: ContainerState = ContainerState()


class PodSpec(CamelArtifactModel):
    node_name: str | None = None


class PodStatus(CamelArtifactModel):
    """The status of a pod; the kubelet or the node controller sets `reason`, such as Evicted."""

    phase: str = ""
    reason: str | None = None
    message: str | None = None
    conditions: tuple[Condition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(CamelArtifactModel):
    """A pod of a stage's Job."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def has_failed(self) -> bool:
        return self.status.phase == "Failed"

    @property
    def is_running(self) -> bool:
        return self.status.phase == "Running"

    def termination(self, container: str) -> TerminatedContainer:
        """Return the end of a container."""
        states = (status.state.terminated for status in self.status.container_statuses if status.name == container)
        return next(states, None) or TerminatedContainer()
