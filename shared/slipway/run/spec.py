"""The specification of a run: one envelope for the YAML file, the HTTP body and the custom resource."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from slipway import API_VERSION
from slipway.digests import sha256_json
from slipway.models import StrictModel
from slipway.run.names import SHA256_PATTERN, STAGES, Name, Sha256, Stage

Ratio = Annotated[float, Field(ge=0, lt=1)]


class DatasetSpec(StrictModel):
    """Where the annotated images are.

    Attributes:
      source: A folder (on the command line only) or `s3://bucket/prefix`.
      ref: `name@sha256` of a dataset that was ingested before; instead of source.
      name: What the dataset is called; the source's last name when absent.
      sha256: Digest of the source's content, by `dataset.source_folder.source_digest`; ingest refuses other content.
    """

    source: str | None = None
    ref: Annotated[str, Field(pattern=rf"^[a-z0-9][-a-z0-9]*@{SHA256_PATTERN}$")] | None = None
    name: Name | None = None
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "DatasetSpec":
        if (self.source is None) == (self.ref is None):
            raise ValueError("give either source or ref")
        return self


class IngestSpec(StrictModel):
    """How annotations become a dataset.

    Attributes:
      test_ratio: Share of the images that become the test split; overrides a split that the source has.
      val_ratio: Share that becomes the val split, on which the best checkpoint is then chosen.
      seed: Of the partition.
      label_map: Key of a `.pbtxt` inside the source, or its text; labels outside it are findings.
      invalid: What to do with an image or box that cannot be used: `fail` names all of them and stops,
        `drop` leaves them out and counts them. Empty boxes are always dropped, and always counted.
    """

    test_ratio: Ratio | None = None
    val_ratio: Ratio | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    label_map: str | None = None
    invalid: Literal["fail", "drop"] = "fail"


class PreprocessSpec(StrictModel):
    """How records are made; the number of workers changes nothing in them."""

    workers: Annotated[int, Field(ge=1, le=256)] = 2


class TrainSpec(StrictModel):
    """How the detector is trained; what is absent is chosen from the data, and the choice is explained.

    Attributes:
      preset: Name of a file in `presets/`.
      steps: Length of the training in steps of one batch.
      batch_size: Images a step, over all replicas.
      image_size: Side of the square input, pixels; a multiple of 32.
      learning_rate: Peak, after warm-up.
      seed: Of initial weights, shuffling and augmentation.
      checkpoint_every: Steps between checkpoints, each of which is evaluated.
      patience: Stop after so many evaluations without a better AP; never when absent.
      initial_checkpoint: `scratch`, or where pretrained weights are: a folder, or an address of a `.tar.gz`.
      time_limit: Seconds; the trainer saves and ends the training there.
      gpus: How many GPUs each worker gets.
      workers: How many pods train together; the command line has one.
      pool: Of a cluster's nodes; the `gpu` pool when GPUs are asked for, otherwise `cpu`.
    """

    preset: str | None = None
    steps: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    image_size: Annotated[int, Field(ge=64, le=2048, multiple_of=32)] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=10)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    checkpoint_every: Annotated[int, Field(ge=1)] | None = None
    patience: Annotated[int, Field(ge=1)] | None = None
    initial_checkpoint: str | None = None
    time_limit: Annotated[int, Field(ge=1)] | None = None
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    pool: Name | None = None


class ExportSpec(StrictModel):
    """In which formats the best checkpoint is exported; the SavedModel is always made."""

    tflite: bool = True


class DetectSpec(StrictModel):
    """What is drawn on the test images."""

    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.4
    max_images: Annotated[int, Field(ge=0)] = 50


_NOT_IN_DIGEST: Any = {
    **dict.fromkeys(("suspend", "cancel", "attempt", "queue", "preprocess"), True),
    "train": {"workers", "pool"},
}


class RunSpec(StrictModel):
    """A training run. Of a live run only `suspend`, `cancel` and `attempt` may change.

    Attributes:
      until: The last stage.
      queue: Kueue's local queue that admits the run's Jobs; in a cluster only.
      suspend: End the processes, keep what they did, and go on when this is false again.
      cancel: End the run.
      attempt: Raise it to start a failed run again, at the stage that failed.
    """

    dataset: DatasetSpec
    ingest: IngestSpec = IngestSpec()
    preprocess: PreprocessSpec = PreprocessSpec()
    train: TrainSpec = TrainSpec()
    export: ExportSpec = ExportSpec()
    detect: DetectSpec = DetectSpec()
    until: Stage = STAGES[-1]
    queue: Name | None = None
    suspend: bool = False
    cancel: bool = False
    attempt: Annotated[int, Field(ge=1)] = 1

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of this run, in order."""
        return STAGES[: STAGES.index(self.until) + 1]

    def digest(self) -> str:
        """Return the sha256 of the fields that decide the run's results.

        Neither the place nor the number of workers decides any, nor the source's folder once the digest of its content
        is known.
        """
        fields = self.model_dump(by_alias=True, exclude_none=True, exclude=_NOT_IN_DIGEST)
        if self.dataset.sha256:
            fields["dataset"].pop("source", None)
        return sha256_json(fields)


class Metadata(StrictModel):
    name: Name


class TrainingRun(StrictModel):
    """The envelope of `kubectl apply`, of an HTTP body and of `run.json`."""

    api_version: Literal["slipway.dev/v1alpha1"] = API_VERSION
    kind: Literal["TrainingRun"] = "TrainingRun"
    metadata: Metadata
    spec: RunSpec

    def dump(self) -> bytes:
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=1).encode() + b"\n"
