"""Presets: the configurations of Model Garden's detectors that are measured and shipped, one YAML file each."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

import yaml

from slipway.errors import SpecError
from slipway.run.augmentation import Augmentation
from slipway.run.from_data.anchor_coverage import Anchors, ModelInput
from slipway.run.model_garden import flatten, nest

_FOLDER = resources.files("slipway.run") / "presets"
_SUFFIX = ".yaml"
# Source: tf-models-official, `official/vision/configs/retinanet.py`, `Anchor` and `RetinaNet`.
_MAX_DETECTIONS = 100  # of one image, as Model Garden's MultilevelDetectionGenerator and TFLite have it
_ANCHORS = {"min_level": 3, "max_level": 7, "anchor_size": 4.0, "num_scales": 3, "aspect_ratios": (0.5, 1.0, 2.0)}


@dataclass(frozen=True)
class Preset:
    """One file of `presets/`.

    Attributes:
      experiment: Model Garden's name of the configuration that `overrides` changes.
      image_size: Side of the square input, pixels.
      epochs: Number of times that each training image is seen, within `min_steps` and `max_steps`.
      gpus: Number of GPUs that it is meant for.
      augment: Random changes of the training images.
      initial_checkpoint: Name, folder or address of the pretrained weights; none when trained from scratch.
      freeze_backbone: The backbone keeps its pretrained weights and moving averages; only FPN and head are trained.
      frozen_blocks: Number of the backbone's first blocks that keep their pretrained weights, with the batch
        normalization of all its blocks; when absent, all of the backbone is trained.
      backbone_learning_rate_ratio: Learning rate of a pretrained backbone, as a ratio of `learning_rate`.
      experimental: No figures were measured with it, so it is never chosen unless a run names it.
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
    augment: Augmentation = field(default_factory=Augmentation)
    initial_checkpoint: str | None = None
    freeze_backbone: bool = False
    frozen_blocks: int | None = None
    backbone_learning_rate_ratio: float = 1.0
    experimental: bool = False

    @property
    def coarsest_stride(self) -> int:
        """Input pixels per cell of the coarsest feature map: the input's side must be a multiple of it."""
        return 1 << self.anchors.max_level

    @property
    def anchors(self) -> Anchors:
        """The anchors of its configuration; Model Garden's where it names none."""
        return Anchors.model_validate(_ANCHORS | self._section("model") | self._section("model", "anchor"))

    @property
    def restored_modules(self) -> tuple[str, ...]:
        """The parts of the network that an initial checkpoint has weights for, such as `backbone`."""
        modules = self._section().get("init_checkpoint_modules", "all")
        return (modules,) if isinstance(modules, str) else tuple(modules)

    @property
    def has_feature_pyramid(self) -> bool:
        """Whether its configuration asks for an FPN, which makes any levels from those of the backbone."""
        return bool(self._section("model", "decoder").get("type") == "fpn")

    @property
    def max_detections(self) -> int:
        """The number of detections that the detector gives of one image at most; Model Garden's where it names none."""
        return int(self._section("model", "detection_generator").get("max_num_detections", _MAX_DETECTIONS))

    def model_input(self, size: int) -> ModelInput:
        """Return how images are brought to an input of this many pixels a side."""
        smallest, largest = self.augmentation.scale
        keeps_aspect_ratio = self._section("train_data", "parser").get("keep_aspect_ratio", True)
        return ModelInput(size, keeps_aspect_ratio, (smallest, largest))

    def _section(self, *names: str) -> dict[str, Any]:
        """Return a part of what the preset sets of the task's configuration, empty if it sets nothing of it."""
        section: Any = self.overrides.get("task")
        for name in names:
            section = (section or {}).get(name)
        return dict(section or {})

    @property
    def augmentation(self) -> Augmentation:
        """Its `augment`, but for the fields that `overrides` sets in Model Garden's way."""
        parser = self._section("train_data", "parser")
        smallest, largest = self.augment.scale
        fields = {
            "flip": parser.get("aug_rand_hflip", self.augment.flip),
            "scale": (parser.get("aug_scale_min", smallest), parser.get("aug_scale_max", largest)),
        }
        return self.augment.model_copy(update=fields)

    def augmented(self, values: Mapping[str, Any]) -> "Preset":
        """Return the preset with another augmentation, by the names of its fields."""
        return replace(self, augment=Augmentation.model_validate(values))

    def overridden(self, overrides: Mapping[str, Any]) -> "Preset":
        """Return the preset with other values of some fields of Model Garden, by their dotted keys."""
        return replace(self, overrides=nest(flatten(self.overrides) | dict(overrides)))


def preset_names() -> list[str]:
    """Return the names of all presets, sorted."""
    return sorted(file.name.removesuffix(_SUFFIX) for file in _FOLDER.iterdir() if file.name.endswith(_SUFFIX))


def preset_text(name: str) -> str:
    """Return the YAML of one preset; its comments hold the measurements behind it.

    Raises:
      SpecError: There is no preset of that name; the message lists the names.
    """
    if name not in preset_names():
        raise SpecError(f"preset {name!r} does not exist; choose one of {', '.join(preset_names())}")
    return (_FOLDER / f"{name}{_SUFFIX}").read_text()


def load_preset(name: str) -> Preset:
    """Read one preset. Raises `SpecError` when none has that name."""
    fields = _fields(name)
    augment = Augmentation.model_validate(fields.pop("augment", {}))
    return Preset(name=name, augment=augment, **fields)


def _fields(name: str) -> dict[str, Any]:
    """Return the content of one preset, with that of its base where it says nothing."""
    fields: dict[str, Any] = yaml.safe_load(preset_text(name))
    base = fields.pop("base", None)
    return _fields(base) | fields if base else fields
