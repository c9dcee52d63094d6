"""The specification of a run: one envelope for the YAML file, the HTTP body and the custom resource."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from slipway import API_VERSION
from slipway.digests import sha256_json
from slipway.models import StrictModel
from slipway.run.augmentation import AugmentSpec
from slipway.run.custom_preset import BatchSize, CustomPreset, GpuCount, ImageSize, LearningRate, Steps
from slipway.run.model_garden import Overrides
from slipway.run.names import SHA256_PATTERN, STAGES, Name, Sha256, Stage
from slipway.run.presets import Preset, load_preset, preset_names

UNMEASURED_SCORE_THRESHOLD = 0.4  # of a model whose best threshold was not measured, and the default of older versions

AnnotationFormatName = Literal["voc", "coco", "yolo", "cvat", "labelme", "createml", "label-studio", "csv"]
Ratio = Annotated[float, Field(ge=0, lt=1)]


class DatasetSpec(StrictModel):
    """The source of the annotated images.

    Attributes:
      source: A folder (on the command line only) or `s3://bucket/prefix`.
      ref: `name@sha256` of a dataset that was ingested before; instead of source.
      name: Name of the dataset; when absent, the last part of the source.
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
    """Settings of ingest, which turns annotated images into a dataset.

    Attributes:
      test_ratio: Share of the images that become the test split; overrides a split that comes with the source.
      val_ratio: Share that becomes the val split, on which the best checkpoint is then chosen.
      train_share: Share of the train split that is used: a larger share contains every smaller one of the same seed.
        1 counts as absent.
      seed: Seed of the partition.
      label_map: Key of a `.pbtxt` inside the source, or its text; labels that it lacks are reported as findings.
      format: Format of the annotations, where the source has them in several; by default recognized by its content.
      invalid: Treatment of images and boxes that cannot be used: `fail` names all of them and stops,
        `drop` leaves them out and counts them. Empty boxes are always dropped, and always counted.
    """

    test_ratio: Ratio | None = None
    val_ratio: Ratio | None = None
    train_share: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    label_map: str | None = None
    format: AnnotationFormatName | None = None
    invalid: Literal["fail", "drop"] = "fail"

    @field_validator("train_share")
    @classmethod
    def _absent_if_whole(cls, share: float | None) -> float | None:
        return None if share == 1 else share


class PreprocessSpec(StrictModel):
    """Settings of preprocess, which writes the records; the number of workers does not change them."""

    workers: Annotated[int, Field(ge=1, le=256)] = 2


class TrainSpec(StrictModel):
    """Settings of the training; absent values are chosen from the data, and each choice is explained.

    Attributes:
      preset: Name of a file in `presets/`, or the name for the preset of one's own.
      custom_preset: A preset of one's own, which the run uses instead of a built-in one.
      steps: Length of the training in steps of one batch.
      batch_size: Images per step, over all replicas.
      image_size: Side of the square input, pixels; a multiple of 32.
      learning_rate: Peak learning rate, after warm-up.
      seed: Seed of initial weights, shuffling and augmentation.
      checkpoint_every: Steps between checkpoints, each of which is evaluated.
      patience: Evaluations without a better AP after which the training stops; 0 never stops it.
      initial_checkpoint: `scratch`, or the pretrained weights: `imagenet-efficientnet-lite0`, a folder,
        `s3://bucket/prefix`, the `https://` address of a `.tar.gz`, or `run:NAME`.
      augment: Random changes of the training images.
      class_repeats: False shows the images of rare classes no more often than others; true counts as absent.
      time_limit: Seconds after which the trainer saves and ends the training.
      gpus: Number of GPUs of each worker.
      workers: Number of pods that train together; always 1 on the command line.
      pool: Pool of the cluster's nodes; when absent, `gpu` if GPUs are requested, otherwise `cpu`.
      overrides: Fields of Model Garden's configuration by their dotted keys, such as `task.losses.focal_loss_gamma`;
        applied last, over the preset and all other fields.
    """

    preset: str | None = None
    custom_preset: CustomPreset | None = None
    steps: Steps | None = None
    batch_size: BatchSize | None = None
    image_size: ImageSize | None = None
    learning_rate: LearningRate | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    checkpoint_every: Annotated[int, Field(ge=1)] | None = None
    patience: Annotated[int, Field(ge=0)] | None = None
    initial_checkpoint: str | None = None
    augment: AugmentSpec | None = None
    class_repeats: bool | None = None
    time_limit: Annotated[int, Field(ge=1)] | None = None
    gpus: GpuCount = 0
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    pool: Name | None = None
    overrides: Overrides = None

    @field_validator("class_repeats")
    @classmethod
    def _absent_if_on(cls, class_repeats: bool | None) -> bool | None:
        return None if class_repeats else class_repeats

    @model_validator(mode="after")
    def _check_preset_name(self) -> "TrainSpec":
        if self.custom_preset is not None and self.preset in preset_names():
            raise ValueError(f"there is a built-in preset {self.preset}; give your own another name")
        return self

    @property
    def is_customized(self) -> bool:
        """The run has a configuration that nobody measured before."""
        return self.custom_preset is not None or self.overrides is not None

    @property
    def requested_overrides(self) -> Mapping[str, Any]:
        """Fields of Model Garden's configuration that the run's own preset or the run sets, by their dotted keys."""
        preset_overrides = (self.custom_preset and self.custom_preset.overrides) or {}
        return {**preset_overrides, **(self.overrides or {})}

    def find_preset(self, name: str) -> Preset:
        """Return the preset of a run whose plan has this name for it. Raises `SpecError` if there is none."""
        return load_preset(name) if self.custom_preset is None else self.custom_preset.build(name)


class ExportSpec(StrictModel):
    """Formats in which the best checkpoint is exported, besides the SavedModel."""

    tflite: bool = True


class DetectSpec(StrictModel):
    """Detections that are drawn on the test images.

    Attributes:
      score_threshold: Detections with a lower score are neither drawn nor listed; by default, each class has the
        threshold with the best F1 on the val split (on test without one).
      max_images: Number of test images that are drawn.
    """

    score_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    max_images: Annotated[int, Field(ge=0)] = 50


_NOT_IN_DIGEST: Any = {
    **dict.fromkeys(("suspend", "cancel", "attempt", "queue", "preprocess"), True),
    "train": {"workers", "pool"},
}


class RunSpec(StrictModel):
    """A training run. Once it is created, only `suspend`, `cancel` and `attempt` may change.

    Attributes:
      until: The last stage that runs.
      queue: Kueue's local queue that admits the run's Jobs; in a cluster only.
      suspend: End the processes, keep their results, and continue when this is false again.
      cancel: End the run.
      attempt: Raise it to start a failed run again at the stage that failed.
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

    @model_validator(mode="after")
    def _share_of_source(self) -> "RunSpec":
        if self.dataset.ref and self.ingest.train_share:
            raise ValueError("ingest.trainShare needs dataset.source: a dataset that was ingested is used as it is")
        return self

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of this run, in order."""
        return STAGES[: STAGES.index(self.until) + 1]

    def digest(self) -> str:
        """Return the sha256 of the fields that decide the run's results.

        Left out are the fields that decide where and with how many workers it runs, and the source's address once the
        digest of its content is known. A score threshold that is not given counts as 0.4, the default of older
        versions: a run that was begun then continues, and keeps the threshold that its `run.json` names.
        """
        fields = self.model_dump(by_alias=True, exclude_none=True, exclude=_NOT_IN_DIGEST)
        fields["detect"].setdefault("scoreThreshold", UNMEASURED_SCORE_THRESHOLD)
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
