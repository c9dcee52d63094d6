"""Augmentation: random changes of the training images, as a preset and a plan have them and a run asks for them."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from slipway.errors import SpecError
from slipway.models import StrictModel, explain


def _split(value: Any) -> Any:
    """Split a text such as `0.7,1.5`, which a command line and a form send, into its parts."""
    return value.split(",") if isinstance(value, str) else value


def _check_order(scale: tuple[float, ...]) -> tuple[float, ...]:
    if scale[0] > scale[1]:
        raise ValueError("give the smallest factor first")
    return scale


Share = Annotated[float, Field(ge=0, le=1)]
Scales = Annotated[
    tuple[Annotated[float, Field(ge=0.1, le=4)], ...],
    Field(min_length=2, max_length=2),
    BeforeValidator(_split),
    AfterValidator(_check_order),
]


class AugmentSpec(StrictModel):
    """Random changes of the training images; absent values are the preset's.

    Attributes:
      flip: Half of the images are mirrored, left to right.
      scale: Smallest and largest factor of an image's size; parts beyond the input are cut off.
      crop: Most images are cut to a random part, as SSD does.
      colour: Strength of random changes of brightness, contrast, saturation and hue, 0 to 1.
      mosaic: Probability that an image becomes a part of four in one, 0 to 1; the last fifth of the steps has none.
    """

    flip: bool | None = None
    scale: Scales | None = None
    crop: bool | None = None
    colour: Share | None = None
    mosaic: Share | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_fields(cls, content: Any) -> Any:
        """Answer an unknown field with the known ones."""
        unknown_fields = sorted(set(content) - set(cls.model_fields)) if isinstance(content, dict) else []
        if unknown_fields:
            raise ValueError(f"there is no {', '.join(unknown_fields)}; choose from {', '.join(cls.model_fields)}")
        return content


class Augmentation(AugmentSpec):
    """The random changes of each training image. The defaults are those of every version that had no choice."""

    flip: bool = True
    scale: Scales = (0.7, 1.5)
    crop: bool = False
    colour: Share = 0.0
    mosaic: Share = 0.0


def parse_augment(assignments: Iterable[str]) -> dict[str, Any]:
    """Read and check the values of `--augment KEY=VALUE`; of two with the same key, the last one counts.

    Returns:
      The fields of `AugmentSpec` that are given, as JSON has them.

    Raises:
      SpecError: A text has no `=`, or a key or a value is wrong.
    """
    values = {}
    for text in assignments:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not key or not equals:
            raise SpecError(f"--augment {text}: expected KEY=VALUE, such as flip=false")
        values[key] = value
    try:
        spec = AugmentSpec.model_validate(values)
    except ValidationError as error:
        names = {"the document": "--augment"} | {field: f"--augment {field}" for field in AugmentSpec.model_fields}
        raise SpecError(explain(error, names)) from error
    return spec.model_dump(mode="json", exclude_none=True)
