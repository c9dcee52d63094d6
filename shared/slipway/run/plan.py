"""What a run will really do: preset, size and length, from the spec and the manifest, each with its reason."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml
from pydantic import RootModel

from slipway.errors import SpecError
from slipway.models import ArtifactModel, broken, validate
from slipway.run.spec import TrainSpec

_CPU_PRESET = "retinanet_resnet10_320"
_GPU_PRESET = "retinanet_resnet50_640"
_SMALLEST_IMAGE = 96
_EVALUATIONS = 10  # a curve that can be read, for a share of the training time that can be afforded


@dataclass(frozen=True)
class Preset:
    """One file of `presets/`.

    Attributes:
      experiment: Model Garden's name of the configuration that `overrides` changes.
      image_size: Side of the square input, pixels.
      epochs: How often each training image is seen, within `min_steps` and `max_steps`.
      gpus: How many it is made for.
      initial_checkpoint: Where the pretrained weights are; none when trained from scratch.
    """

    name: str
    summary: str
    experiment: str
    image_size: int
    batch_size: int
    learning_rate: float
    epochs: int
    min_steps: int
    max_steps: int
    gpus: int
    overrides: Mapping[str, Any]
    initial_checkpoint: str | None = None


class Choice(ArtifactModel):
    """One value of a plan, and why it was chosen."""

    value: Any
    reason: str = ""


class Plan(ArtifactModel):
    """Every choice of a run, and why it was made.

    Key: `runs/<run>/ingest/resolved.yaml`, as a `Choice` for each field. Writer: ingest. Readers: trainer, evaluator,
    exporter, detector (for the run's report), controller, command.

    Attributes:
      image_size: Side of the square input, pixels.
      steps: Length of the training in steps of one batch.
      checkpoint_every: Steps between checkpoints.
      reasons: Field to sentence.
    """

    preset: str
    image_size: int
    batch_size: int
    steps: int
    learning_rate: float
    checkpoint_every: int
    initial_checkpoint: str | None = None
    reasons: Mapping[str, str] = {}

    @property
    def choices(self) -> dict[str, Choice]:
        """Value and reason of each field."""
        chosen = self.model_dump(exclude={"reasons"})
        return {field: Choice(value=value, reason=self.reasons.get(field, "")) for field, value in chosen.items()}

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
        reasons = {field: choice.reason for field, choice in choices.items() if field in cls.model_fields}
        return validate(cls, values | {"reasons": reasons}, source)


class _Choices(RootModel[dict[str, Choice]]):
    """The content of `resolved.yaml`."""


def preset_names() -> list[str]:
    folder = resources.files("slipway.run") / "presets"
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def load_preset(name: str) -> Preset:
    """Read one preset.

    Raises:
      SpecError: There is none of that name; the message lists those there are.
    """
    if name not in preset_names():
        raise SpecError(f"preset {name!r} does not exist; choose one of {', '.join(preset_names())}")
    text = (resources.files("slipway.run") / "presets" / f"{name}.yaml").read_text()
    return Preset(name=name, **yaml.safe_load(text))


def resolve(spec: TrainSpec, images: int, median_size: tuple[int, int]) -> Plan:
    """Choose what the spec leaves open.

    Args:
      images: Of the train split.
      median_size: (width, height) of the dataset's images, pixels.
    """
    name, why = _preset(spec)
    preset = load_preset(name)
    reasons = {"preset": why}
    size, reasons["image_size"] = _image_size(spec, preset, median_size)
    batch, reasons["batch_size"] = _given(spec.batch_size) or _batch_size(preset, images)
    steps, reasons["steps"] = _given(spec.steps) or _steps(preset, images, batch)
    rate, reasons["learning_rate"] = _given(spec.learning_rate) or _learning_rate(preset, batch)
    every, reasons["checkpoint_every"] = _given(spec.checkpoint_every) or _checkpoint_every(steps)
    initial, reasons["initial_checkpoint"] = _initial_checkpoint(spec, preset)
    return Plan(
        preset=name,
        image_size=size,
        batch_size=batch,
        steps=steps,
        learning_rate=rate,
        checkpoint_every=every,
        initial_checkpoint=initial,
        reasons=reasons,
    )


def _given(value: Any) -> tuple[Any, str] | None:
    return None if value is None else (value, "as asked")


def _preset(spec: TrainSpec) -> tuple[str, str]:
    if spec.preset:
        return spec.preset, "as asked"
    if spec.gpus:
        return _GPU_PRESET, f"{spec.gpus} GPU asked for: fine-tuning beats training from scratch"
    return _CPU_PRESET, "no GPU asked for: the preset that learns most in minutes on a CPU"


def _image_size(spec: TrainSpec, preset: Preset, median_size: tuple[int, int]) -> tuple[int, str]:
    """Choose the preset's size, or a smaller one where the images have no more pixels.

    Raises:
      SpecError: The size that was asked for is no multiple of the coarsest features' stride: Model Garden would pad the
        images to one, and then they would not fit the model.
    """
    stride = 2 ** int(preset.overrides["task"]["model"]["max_level"])
    if spec.image_size and spec.image_size % stride:
        raise SpecError(f"train.imageSize is {spec.image_size}, preset {preset.name} needs a multiple of {stride}")
    if spec.image_size:
        return spec.image_size, "as asked"
    width, height = median_size
    median = f"the images' median is {width}×{height} px"
    fitting = math.ceil(max(width, height, _SMALLEST_IMAGE) / stride) * stride
    if fitting < preset.image_size:
        return fitting, f"{median}: more would only enlarge them"
    return preset.image_size, f"the preset's; {median}"


def _batch_size(preset: Preset, images: int) -> tuple[int, str]:
    if images < preset.batch_size:
        return images, f"the train split has only {images} images"
    return preset.batch_size, "the preset's"


def _steps(preset: Preset, images: int, batch: int) -> tuple[int, str]:
    wanted = math.ceil(preset.epochs * images / batch)
    steps = min(max(wanted, preset.min_steps), preset.max_steps)
    why = f"{preset.epochs} epochs of {images} images are {wanted} steps of {batch}"
    if steps > wanted:
        why += f"; below {preset.min_steps} a detector from so few images is not done"
    if steps < wanted:
        why += f"; more than {preset.max_steps} is not chosen without being asked for"
    return steps, why


def _learning_rate(preset: Preset, batch: int) -> tuple[float, str]:
    if batch == preset.batch_size:
        return preset.learning_rate, "the preset's"
    rate = preset.learning_rate * math.sqrt(batch / preset.batch_size)
    return round(
        rate, 7
    ), f"the preset's {preset.learning_rate:g} × √(batch {batch} ÷ {preset.batch_size}), as fits Adam"


def _checkpoint_every(steps: int) -> tuple[int, str]:
    every = max(1, math.ceil(steps / _EVALUATIONS))
    return every, f"{math.ceil(steps / every)} evaluations on the way"


def _initial_checkpoint(spec: TrainSpec, preset: Preset) -> tuple[str | None, str]:
    if spec.initial_checkpoint == "scratch":
        return None, "as asked"
    if spec.initial_checkpoint:
        return spec.initial_checkpoint, "as asked"
    return preset.initial_checkpoint, "the preset's" if preset.initial_checkpoint else "the preset trains from scratch"
