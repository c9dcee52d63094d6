"""The plan of a run: preset, image size, length and all else that its spec leaves open, each with its reason."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import RootModel

from slipway.models import ArtifactModel, broken, validate
from slipway.run.augmentation import Augmentation, Scales, Share
from slipway.run.from_data.anchor_coverage import Anchors, TrainBoxes
from slipway.run.from_data.anchors import choose_anchors
from slipway.run.from_data.augmentation import choose_augmentation
from slipway.run.from_data.class_repeats import choose_class_repeats
from slipway.run.from_data.input_size import choose_image_size
from slipway.run.from_data.max_detections import choose_max_detections
from slipway.run.model_garden import LEARNING_RATE
from slipway.run.presets import Preset, load_preset, preset_names
from slipway.run.spec import TrainSpec

_BEST_MEASURED_PRESET = "retinanet_efficientnet_lite0_320"
_PRESET_FROM_SCRATCH = "retinanet_resnet10_320"
_EVALUATIONS = 10  # enough for a curve; more would take too large a share of the training time
_NO_BOXES = TrainBoxes()


class Choice(ArtifactModel):
    """One value of a plan, and the reason for it."""

    value: Any
    reason: str = ""


class Plan(ArtifactModel):
    """Every choice of a run, with its reason.

    Key: `runs/<run>/ingest/resolved.yaml`, as a `Choice` for each field. Writer: ingest. Readers: trainer, evaluator,
    exporter, detector (for the run's report), controller, command.

    Attributes:
      image_size: Side of the square input, pixels.
      steps: Length of the training in steps of one batch.
      checkpoint_every: Steps between checkpoints.
      patience: Evaluations without a better AP after which the training stops, 0 to never stop it; None in plans of
        older versions, which use the spec's.
      initial_checkpoint_sha256: Digest of the pretrained weights, as ingest checked them.
      initial_checkpoint_modules: Modules of the model that are restored from them: backbone, decoder, head.
      anchors: None in plans of older versions, whose runs have the preset's.
      max_detections: Detections of one image at most; None in plans of older versions, whose runs have the preset's.
      class_repeats: Rare label to the number of times that its images are seen while others are seen once.
      overrides: Fields of Model Garden's configuration that the run or its own preset sets, by their dotted keys;
        applied last, and each a choice of its own in `resolved.yaml`.
      augment_flip: As in `Augmentation`, like the fields after it; a plan of an older version has its defaults.
      reasons: Field to the sentence that explains it.
    """

    preset: str
    image_size: int
    batch_size: int
    steps: int
    learning_rate: float
    checkpoint_every: int
    patience: int | None = None
    initial_checkpoint: str | None = None
    initial_checkpoint_sha256: str | None = None
    initial_checkpoint_modules: tuple[str, ...] | None = None
    anchors: Anchors | None = None
    max_detections: int | None = None
    class_repeats: Mapping[str, float] = {}
    overrides: Mapping[str, Any] = {}
    augment_flip: bool = Augmentation().flip
    augment_scale: Scales = Augmentation().scale
    augment_crop: bool = Augmentation().crop
    augment_colour: Share = Augmentation().colour
    augment_mosaic: Share = Augmentation().mosaic
    reasons: Mapping[str, str] = {}

    @property
    def augmentation(self) -> Augmentation:
        """The random changes of the training images."""
        return Augmentation(**{field: getattr(self, f"augment_{field}") for field in Augmentation.model_fields})

    @property
    def choices(self) -> dict[str, Choice]:
        """Value and reason of each field that was chosen, which older versions did for fewer, and of each override."""
        fields = (self.model_fields_set | self.reasons.keys()) - {"overrides", "reasons"}
        values = self.model_dump(mode="json", include=fields) | dict(self.overrides)
        return {field: Choice(value=value, reason=self.reasons.get(field, "")) for field, value in values.items()}

    def dump(self) -> bytes:
        """Write `resolved.yaml`: field, value, reason."""
        rows = {field: choice.model_dump() for field, choice in self.choices.items()}
        return yaml.safe_dump(rows, sort_keys=False, allow_unicode=True, width=120).encode()

    @classmethod
    def parse(cls, text: bytes, source: str = "resolved.yaml") -> "Plan":
        """Read back what `dump` wrote; choices of a newer version are ignored.

        Raises:
          BrokenDocument: It is not YAML, or a field is missing.
        """
        try:
            choices = validate(_Choices, yaml.safe_load(text), source).root
        except yaml.YAMLError as error:
            raise broken(source, f"is not YAML ({' '.join(str(error).split())})") from error
        values = {field: choice.value for field, choice in choices.items()}
        overrides = {field: value for field, value in values.items() if "." in field}
        reasons = {field: choices[field].reason for field in choices if field in cls.model_fields or field in overrides}
        return validate(cls, values | {"overrides": overrides, "reasons": reasons}, source)


class _Choices(RootModel[dict[str, Choice]]):
    """The content of `resolved.yaml`."""


def resolve(
    spec: TrainSpec,
    images: int,
    median_size: tuple[int, int],
    boxes: TrainBoxes = _NO_BOXES,
    labels: Sequence[str] = (),
) -> Plan:
    """Choose the values that the spec leaves open.

    Args:
      images: Number of images of the train split.
      median_size: (width, height) of the dataset's images, pixels.
      boxes: Of the train split.
      labels: Of the dataset.
    """
    overrides = spec.requested_overrides
    name, preset_reason = _preset(spec)
    reasons = {key: "as asked" if key in (spec.overrides or {}) else f"of the preset {name}" for key in overrides}
    preset = spec.find_preset(name).overridden(overrides)
    augmentation = choose_augmentation(spec, preset, labels)
    preset = preset.augmented({field: value for field, (value, _) in augmentation.items()})
    image_size, size_reason = choose_image_size(spec, preset, median_size, boxes)
    initial_checkpoint, checkpoint_reason = _initial_checkpoint(spec, preset)
    has_class_repeats = spec.class_repeats is not False
    choices = {
        "preset": (name, preset_reason),
        "image_size": (image_size, size_reason),
        **_schedule(spec, preset, images),
        "initial_checkpoint": (initial_checkpoint, checkpoint_reason),
        "anchors": choose_anchors(spec, preset, image_size, initial_checkpoint, boxes),
        "max_detections": choose_max_detections(spec, preset, boxes.most_per_image),
        "class_repeats": choose_class_repeats(boxes.images_per_label) if has_class_repeats else ({}, "as asked"),
        **{f"augment_{field}": choice for field, choice in augmentation.items()},
    }
    values = {field: value for field, (value, _) in choices.items()}
    reasons |= {field: reason for field, (_, reason) in choices.items()}
    return Plan(**values, overrides=overrides, reasons=reasons)


def _schedule(spec: TrainSpec, preset: Preset, images: int) -> dict[str, tuple[Any, str]]:
    batch_size, reason = _as_asked(spec.batch_size) or _batch_size(preset, images)
    steps, steps_reason = _as_asked(spec.steps) or _steps(preset, images, batch_size)
    checkpoint_every, interval_reason = _as_asked(spec.checkpoint_every) or _checkpoint_every(steps)
    return {
        "batch_size": (batch_size, reason),
        "steps": (steps, steps_reason),
        "learning_rate": _learning_rate(spec, preset, batch_size),
        "checkpoint_every": (checkpoint_every, interval_reason),
        "patience": _as_asked(spec.patience) or _patience(steps, checkpoint_every),
    }


def initial_checkpoint(spec: TrainSpec) -> tuple[Preset, str | None]:
    """Return the preset and the initial checkpoint of the plan, which do not depend on the images."""
    preset = spec.find_preset(_preset(spec)[0]).overridden(spec.requested_overrides)
    return preset, _initial_checkpoint(spec, preset)[0]


def _as_asked(value: Any) -> tuple[Any, str] | None:
    return None if value is None else (value, "as asked")


def _preset(spec: TrainSpec) -> tuple[str, str]:
    if spec.custom_preset:
        base = f", based on {spec.custom_preset.base}" if spec.custom_preset.base else ""
        return spec.preset or "custom", f"as asked: a preset of one's own{base}"
    if spec.preset:
        return spec.preset, "as asked"
    if spec.initial_checkpoint == "scratch":
        return _PRESET_FROM_SCRATCH, "the preset that learns most from scratch, as asked"
    if spec.gpus:
        reason = f"{spec.gpus} GPU asked for: the best preset with measured figures{_experimental_gpu_presets()}"
        return _BEST_MEASURED_PRESET, reason
    return _BEST_MEASURED_PRESET, "no GPU asked for: the preset that learns most in minutes on a CPU"


def _experimental_gpu_presets() -> str:
    """Name the presets that are made for a GPU and not measured yet, as the end of a sentence."""
    names = [name for name in preset_names() if load_preset(name).gpus and load_preset(name).experimental]
    options = " or ".join(f"--preset {name} (train.preset)" for name in names)
    return f"; to try one that is made for a GPU and experimental: {options}" if names else ""


def _batch_size(preset: Preset, images: int) -> tuple[int, str]:
    if images < preset.batch_size:
        return images, f"the train split has only {images} images"
    return preset.batch_size, "the preset's"


def _steps(preset: Preset, images: int, batch: int) -> tuple[int, str]:
    steps_by_epochs = math.ceil(preset.epochs * images / batch)
    steps = min(max(steps_by_epochs, preset.min_steps), preset.max_steps)
    reason = f"{preset.epochs} epochs of {images} images are {steps_by_epochs} steps of {batch}"
    if steps > steps_by_epochs:
        reason += f"; below {preset.min_steps} a detector from so few images is not done"
    if steps < steps_by_epochs:
        reason += f"; more than {preset.max_steps} is not chosen without being asked for"
    return steps, reason


def _learning_rate(spec: TrainSpec, preset: Preset, batch: int) -> tuple[float, str]:
    requested_rate = (spec.overrides or {}).get(LEARNING_RATE, spec.learning_rate)
    if requested_rate is not None:
        return requested_rate, "as asked"
    if batch == preset.batch_size:
        return preset.learning_rate, "the preset's"
    rate = round(preset.learning_rate * math.sqrt(batch / preset.batch_size), 7)
    return rate, f"the preset's {preset.learning_rate:g} × √(batch {batch} ÷ {preset.batch_size}), as fits Adam"


def _checkpoint_every(steps: int) -> tuple[int, str]:
    interval = max(1, math.ceil(steps / _EVALUATIONS))
    return interval, f"{math.ceil(steps / interval)} evaluations on the way"


def _patience(steps: int, checkpoint_every: int) -> tuple[int, str]:
    """Return half of the evaluations.

    While the learning rate is high, AP goes up and down: of ten evaluations, four in a row have stayed below the best
    before AP rose again.
    """
    evaluations = math.ceil(steps / checkpoint_every)
    return math.ceil(
        evaluations / 2
    ), f"half of the {evaluations} evaluations: AP may pause for that long and rise again"


def _initial_checkpoint(spec: TrainSpec, preset: Preset) -> tuple[str | None, str]:
    if spec.initial_checkpoint == "scratch":
        return None, "as asked"
    if spec.initial_checkpoint:
        return spec.initial_checkpoint, "as asked"
    return preset.initial_checkpoint, "the preset's" if preset.initial_checkpoint else "the preset trains from scratch"
