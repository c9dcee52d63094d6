"""Presets of a user's own: the fields of a built-in preset, in a YAML file or in a run.

A run carries the content of its preset in its spec, so it depends on no file once it has begun.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from slipway.errors import SpecError
from slipway.models import StrictModel, explain
from slipway.run.augmentation import Augmentation, AugmentSpec
from slipway.run.model_garden import LEARNING_RATE, Overrides, nearest_names, nest, table
from slipway.run.presets import Preset, load_preset

Steps = Annotated[int, Field(ge=1, le=10_000_000)]
BatchSize = Annotated[int, Field(ge=1, le=4096)]
ImageSize = Annotated[int, Field(ge=64, le=2048, multiple_of=32)]
LearningRate = Annotated[float, Field(gt=0, le=10)]
GpuCount = Annotated[int, Field(ge=0, le=64)]

_OPTIONAL = ("name", "augment", "overrides")
_REQUIRED = [field.name for field in fields(Preset) if field.default is MISSING and field.name not in _OPTIONAL]


class CustomPreset(StrictModel):
    """A preset of a user's own; its fields are explained at `Preset`.

    Attributes:
      base: Name of the built-in preset whose values hold where this one has none. Without it, all fields are needed
        that a built-in preset has.
      initial_checkpoint: As in `train`; `scratch` overrides that of the base.
      augment: Random changes of the training images; a field that is absent has the base's value.
      overrides: Fields of Model Garden's configuration, nested or by their dotted keys; each replaces that of the base.
    """

    base: str | None = None
    summary: str | None = None
    experiment: str | None = None
    image_size: ImageSize | None = None
    batch_size: BatchSize | None = None
    learning_rate: LearningRate | None = None
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    min_steps: Steps | None = None
    max_steps: Steps | None = None
    gpus: GpuCount | None = None
    overrides: Overrides = None
    initial_checkpoint: str | None = None
    freeze_backbone: bool | None = None
    frozen_blocks: Annotated[int, Field(ge=0, le=1000)] | None = None
    backbone_learning_rate_ratio: Annotated[float, Field(gt=0, le=10)] | None = None
    experimental: bool | None = None
    augment: AugmentSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, content: Any) -> Any:
        """Refuse unknown fields with the nearest known ones."""
        names = {*cls.model_fields, *(field.alias for field in cls.model_fields.values())}
        unknown_names = [str(name) for name in content if name not in names] if isinstance(content, Mapping) else []
        if unknown_names:
            raise ValueError("; ".join(map(cls._explain_unknown, unknown_names)))
        return content

    @model_validator(mode="after")
    def _check_values(self) -> "CustomPreset":
        if self.base is not None:
            load_preset(self.base)
        if LEARNING_RATE in (self.overrides or {}):
            raise ValueError(f"{LEARNING_RATE} cannot be set in a preset: use learning_rate")
        missing_names = [name for name in _REQUIRED if getattr(self, name) is None]
        if self.base is None and missing_names:
            raise ValueError(f"{', '.join(missing_names)}: missing; add them, or the name of a built-in preset as base")
        preset, experiments = self.build("custom"), table().experiments
        if preset.experiment not in experiments:
            raise ValueError(f"experiment is {preset.experiment!r}, expected one of {', '.join(experiments)}")
        if preset.min_steps > preset.max_steps:
            raise ValueError(f"min_steps is {preset.min_steps}, more than max_steps, {preset.max_steps}")
        return self

    @classmethod
    def _explain_unknown(cls, name: str) -> str:
        return f"{name} is not a field of a preset; nearest: {nearest_names(name, cls.model_fields)}"

    def build(self, name: str) -> Preset:
        """Return the preset that this one makes of its base."""
        values = self.model_dump(exclude_none=True, exclude={"base", "overrides", "augment"})
        if self.initial_checkpoint == "scratch":
            values["initial_checkpoint"] = None
        overrides = self.overrides or {}
        base = load_preset(self.base).overridden(overrides) if self.base else None
        augment = (base.augment if base else Augmentation()).model_dump()
        if self.augment:
            augment |= self.augment.model_dump(exclude_none=True)
        values["augment"] = Augmentation.model_validate(augment)
        return replace(base, name=name, **values) if base else Preset(name=name, overrides=nest(overrides), **values)


def parse_custom_preset(text: str, source: str) -> CustomPreset:
    """Read the YAML of a preset.

    Args:
      source: The file, for the error message.

    Raises:
      SpecError: It is not YAML, or a field is unknown, missing or wrong; the message names each.
    """
    try:
        return CustomPreset.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise SpecError(f"{source}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise SpecError(f"{source}: {explain(error)}") from error
