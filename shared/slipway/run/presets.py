"""Presets: the configurations of Model Garden's detectors that are measured and shipped, one YAML file each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

import yaml

from slipway.errors import SpecError
from slipway.run.model_garden import flatten, nest

_FOLDER = resources.files("slipway.run") / "presets"
_SUFFIX = ".yaml"


@dataclass(frozen=True)
class Preset:
    """One file of `presets/`.

    Attributes:
      experiment: Model Garden's name of the configuration that `overrides` changes.
      image_size: Side of the square input, pixels.
      epochs: Number of times that each training image is seen, within `min_steps` and `max_steps`.
      gpus: Number of GPUs that it is meant for.
      initial_checkpoint: Name, folder or address of the pretrained weights; none when trained from scratch.
      freeze_backbone: The backbone keeps its pretrained weights and moving averages; only FPN and head are trained.
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
    initial_checkpoint: str | None = None
    freeze_backbone: bool = False
    experimental: bool = False

    @property
    def coarsest_stride(self) -> int:
        """Input pixels per cell of the coarsest feature map: the input's side must be a multiple of it."""
        return 1 << int(self.overrides["task"]["model"]["max_level"])

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
    return Preset(name=name, **yaml.safe_load(preset_text(name)))
