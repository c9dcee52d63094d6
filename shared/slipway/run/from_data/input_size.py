"""The input size of a run: the preset's, unless the images are smaller or their objects tiny."""

import math

from slipway.errors import SpecError
from slipway.run.from_data.anchor_coverage import ModelInput, TrainBoxes, input_size
from slipway.run.presets import Preset
from slipway.run.spec import TrainSpec

_SMALLEST_IMAGE = 96
_TINY = 10.0  # pixels, the side of a square of the box's area; below, little of an object's form is left
_TINY_SHARE = 0.1  # of the boxes: AP is an average over all, so fewer do not pay for what all images then cost
_MOST_ENLARGED = 1.5  # times the preset's side: at most about twice the time
_LARGEST = 640  # pixels; more is not chosen without being asked for
_LARGEST_ASKED = 2048


def choose_image_size(
    spec: TrainSpec, preset: Preset, median_size: tuple[int, int], boxes: TrainBoxes
) -> tuple[int, str]:
    """Return the side of the input in pixels, and the reason for it.

    Raises:
      SpecError: The size that was asked for is not a multiple of the coarsest features' stride: Model Garden would pad
        the images to one, and then they would not fit the model.
    """
    stride = preset.coarsest_stride
    if spec.image_size and spec.image_size % stride:
        raise SpecError(f"train.imageSize is {spec.image_size}, preset {preset.name} needs a multiple of {stride}")
    if spec.image_size:
        return spec.image_size, "as asked"
    width, height = median_size
    median = f"the images' median is {width}×{height} px"
    fitting = math.ceil(max(width, height, _SMALLEST_IMAGE) / stride) * stride
    if fitting < preset.image_size:
        return fitting, f"{median}: more would only enlarge them"
    if rest := preset.image_size % stride:  # of a preset whose levels the run sets
        size = preset.image_size + stride - rest
        return size, f"the preset's {preset.image_size}, raised to a multiple of {stride}; {median}"
    tiny_side = _tiny_side(preset, boxes)
    if tiny_side is None or tiny_side >= _TINY or fitting == preset.image_size:
        return preset.image_size, f"the preset's; {median}"
    wanted = math.ceil(preset.image_size * _TINY / tiny_side / stride) * stride
    return _enlarge(preset, tiny_side, min(wanted, fitting, _LARGEST_ASKED // stride * stride))


def _tiny_side(preset: Preset, boxes: TrainBoxes) -> float | None:
    """Return the side, at the preset's size, that a tenth of the boxes is below; None without boxes."""
    view: ModelInput = preset.model_input(preset.image_size)
    sides = sorted(math.sqrt(math.prod(input_size(box, view))) for box in boxes.sample)
    return sides[int(_TINY_SHARE * len(sides))] if sides else None


def _enlarge(preset: Preset, tiny_side: float, wanted: int) -> tuple[int, str]:
    """Return the wanted size, or the largest that is not too expensive."""
    stride = preset.coarsest_stride
    limit = min(_MOST_ENLARGED * preset.image_size, max(_LARGEST, preset.image_size))
    size = min(wanted, int(limit // stride * stride))
    tiny = f"a tenth of the boxes is smaller than {tiny_side:.1f} px at the preset's {preset.image_size}"
    cost = f"{(size / preset.image_size) ** 2:.1f} times the pixels take about as much more time"
    reason = f"{tiny}; {cost}" if size > preset.image_size else f"the preset's; {tiny}"
    if size < wanted:
        side = tiny_side * wanted / preset.image_size
        reason += f"; --image-size {wanted} would make them {side:.0f} px, and is not chosen without being asked for"
    return size, reason
