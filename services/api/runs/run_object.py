"""One run as the API reads and answers it: a TrainingRun of the cluster, or its remains in the store."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from slipway import API_VERSION
from slipway.artifacts.outcome import RunStatus
from slipway.digests import sha256_json
from slipway.kube.objects import KubernetesObject
from slipway.models import CamelArtifactModel, validate
from slipway.run.names import STAGES, Stage, slug
from slipway.run.pipeline import State

OWNER = "slipway.dev/owner"

Entry = tuple[str, str]  # the time at which a run was created, and its name


class ObjectMetadata(CamelArtifactModel):
    """The metadata that the API needs; an object of the store has only a name, and mostly a time."""

    name: str
    creation_timestamp: str | None = None
    resource_version: str | None = None
    deletion_timestamp: str | None = None
    annotations: Mapping[str, str] = {}


class DatasetRequest(CamelArtifactModel):
    """The dataset that a run asks for."""

    source: str = ""
    ref: str | None = None
    name: str | None = None


class SpecFields(CamelArtifactModel):
    """The fields of a spec that the API needs; `RunSpec` would refuse a spec of a newer version."""

    dataset: DatasetRequest
    until: Stage = STAGES[-1]
    suspend: bool = False
    cancel: bool = False
    attempt: int = 1


@dataclass(frozen=True)
class RunObject:
    """One run.

    Attributes:
      manifest: As the cluster has it, or in the same shape; answers pass on the fields that this version does not know.
    """

    manifest: KubernetesObject

    @cached_property
    def metadata(self) -> ObjectMetadata:
        return validate(ObjectMetadata, self.manifest["metadata"], "TrainingRun")

    @cached_property
    def spec(self) -> SpecFields:
        return validate(SpecFields, self.manifest.get("spec"), f"TrainingRun {self.name}")

    @cached_property
    def status(self) -> RunStatus:
        return validate(RunStatus, self.manifest.get("status", {}), f"status of TrainingRun {self.name}")

    @property
    def entry(self) -> Entry:
        """The time of creation, and the name; read without a model, since a list has thousands."""
        metadata = self.manifest["metadata"]
        return metadata["creationTimestamp"], metadata["name"]

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def state(self) -> State:
        """The state; read without a model, since a filter reads that of thousands."""
        return State(self.manifest.get("status", {}).get("state", State.PENDING))

    @property
    def version(self) -> str | None:
        """The object's version; None when the cluster has no object any more."""
        return self.metadata.resource_version

    @property
    def owner(self) -> str | None:
        """Name of the user who submitted the run over HTTP."""
        return self.metadata.annotations.get(OWNER)

    @property
    def is_over(self) -> bool:
        """Nothing more will happen: the object is gone, or the run has ended and no later attempt is requested."""
        return self.version is None or (self.state.is_final and self.spec.attempt <= self.status.attempt)

    @property
    def dataset_names(self) -> set[str]:
        """The names by which the run's dataset can be found: its name, and `name@sha256` once that is known."""
        request = self.spec.dataset
        folder = self.status.artifacts.get("dataset", "")  # datasets/<name>/<sha256>
        if ref := request.ref or "@".join(folder.split("/")[1:]):
            return {ref, ref.partition("@")[0]}
        return {request.name or slug(request.source.rstrip("/").rpartition("/")[2])}

    @property
    def etag(self) -> str:
        """Another text whenever the run is another."""
        return f'"{self.version}"' if self.version else f'"gone-{sha256_json(self.answer())[:16]}"'

    def answer(self) -> dict[str, Any]:
        """Return the body of an answer, a `Run`."""
        metadata = {"name": self.name, "createdAt": self.metadata.creation_timestamp, "owner": self.owner}
        return {
            "apiVersion": API_VERSION,
            "kind": "TrainingRun",
            "metadata": {field: value for field, value in metadata.items() if value is not None},
            "spec": self.manifest.get("spec"),
            "status": {"state": State.PENDING, **self.manifest.get("status", {})},
        }
