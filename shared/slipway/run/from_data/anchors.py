"""Anchors fitted to the boxes of a dataset.

A box without an anchor of IoU 0.5 is learnt from one anchor that hardly fits, and seldom found. The preset's anchors
are kept where they cover the boxes; otherwise the cheapest are taken that do. Each level is four times as expensive as
the next coarser one, and each anchor of a cell adds to the head's last layer, the loss and the suppression of
duplicates.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slipway.run.from_data.anchor_coverage import (
    LEVELS,
    Anchors,
    ModelInput,
    PlacedBox,
    TrainBox,
    TrainBoxes,
    augmented_boxes,
    coverage,
    evaluated_boxes,
    input_size,
)
from slipway.run.presets import Preset
from slipway.run.spec import TrainSpec

ANCHOR_FIELDS = (
    "task.model.anchor.",
    "task.model.min_level",
    "task.model.max_level",
)  # of Model Garden's configuration
_WANTED = 0.98  # of all boxes
_COVERED = 0.985  # of the sample: half a percent more, since the other boxes differ from them
_COVERED_IN_TRAINING = 0.95  # crops leave remnants of any shape
_LEAST_GAIN = 0.01  # of the share of boxes; less is not worth another set of anchors
_MOST_COST = 5.0  # times the preset's: one more level, which doubles a step's time, or several times the anchors
_CELL_COST = (
    16  # of a level's convolutions in each cell, in anchors; measured: 18 anchors in a cell take 1.6 times as long as 6
)
_COARSEST_BACKBONE_LEVEL = 5  # FPN leaves out those above its coarsest level, and with them what a backbone knows best
_SIZES = (1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0)  # of the first scale, in cells
_NUM_SCALES = (2, 3)  # a single one leaves boxes between two levels with an IoU of hardly 0.5
_MOST_RATIOS = 8
_NARROWEST_STEP = 0.5  # between two aspect ratios, in powers of two: less adds nothing
_OUTLIERS = 0.01  # share of boxes at each end that do not widen the range of aspect ratios


@dataclass(frozen=True)
class Fit:
    """The anchors of a run.

    Attributes:
      coverage: Share of the boxes that have an anchor of IoU 0.5.
      preset_coverage: The same with the preset's anchors.
    """

    anchors: Anchors
    coverage: float
    preset_coverage: float


@dataclass(frozen=True)
class AnchorLimits:
    """The anchors that a fit may choose from.

    Attributes:
      preset: The preset's, which are kept where they cover the boxes.
      reference_size: Side of an input, pixels; the cost of the preset's anchors on it limits that of others.
      has_fixed_levels: The levels stay, since the initial checkpoint has weights for each.
    """

    preset: Anchors
    reference_size: int
    has_fixed_levels: bool = False


def choose_anchors(
    spec: TrainSpec, preset: Preset, image_size: int, initial_checkpoint: str | None, boxes: TrainBoxes
) -> tuple[Anchors, str]:
    """Return the anchors of a run, and the reason for them.

    The levels stay where the initial checkpoint has weights for them, or where the backbone makes them; everything
    stays where the initial checkpoint has the head's weights. An input that was enlarged gets no finer level as well.
    """
    if any(key.startswith(ANCHOR_FIELDS) for key in spec.requested_overrides):
        return preset.anchors, "as asked"
    modules = preset.restored_modules if initial_checkpoint else ()
    if not boxes.sample:
        return preset.anchors, "the preset's; no boxes are known"
    if not {*modules} <= {"backbone", "decoder"}:
        return preset.anchors, "the preset's: the initial checkpoint has weights for them"
    has_fixed_levels = "decoder" in modules or not preset.has_feature_pyramid
    limits = AnchorLimits(preset.anchors, max(preset.image_size, spec.image_size or 0), has_fixed_levels)
    result = fit(boxes.sample, preset.model_input(image_size), limits)
    return result.anchors, _reason(result, preset, boxes)


def _reason(result: Fit, preset: Preset, boxes: TrainBoxes) -> str:
    sampled_count = len(boxes.sample)
    scope = f"{boxes.count:,}" if sampled_count == boxes.count else f"{sampled_count:,} of {boxes.count:,}"
    sentence = f"{_percent(result.coverage)} of {scope} boxes have an anchor of IoU 0.5"
    if result.anchors == preset.anchors:
        sentence = f"the preset's; {sentence}"
    else:
        sentence += f"; of the preset's, {_percent(result.preset_coverage)} have one"
    if result.coverage < _WANTED:
        sentence += "; most others are too small for this input: a larger one (--image-size) would help"
    return sentence


def _percent(share: float) -> str:
    return f"{math.floor(1000 * share) / 10:g} %"


def fit(boxes: Sequence[TrainBox], view: ModelInput, limits: AnchorLimits) -> Fit:
    """Choose the cheapest anchors that cover the boxes, or those that cover most where none cover all.

    A finer level than the preset's is only taken where the wanted share of boxes needs it.

    Args:
      boxes: A sample, of which at least one box.
    """
    scenes = evaluated_boxes(boxes, view), augmented_boxes(boxes, view)
    best, best_score = limits.preset, _score(limits.preset, scenes)
    if best_score < _COVERED:
        for candidate in sorted(_candidates(boxes, view, limits), key=lambda anchors: _order(anchors, view, limits)):
            is_covered = best_score >= _COVERED
            if is_covered and _cost(candidate, view.size) > _cost(best, view.size):
                break
            if best_score >= _WANTED and candidate.min_level < best.min_level:
                break
            score = _score(candidate, scenes, best_score if is_covered else min(best_score + _LEAST_GAIN, _COVERED))
            if score > best_score:
                best, best_score = candidate, score
    return Fit(best, coverage(best, scenes[0]), coverage(limits.preset, scenes[0]))


def _score(anchors: Anchors, scenes: tuple[Sequence[PlacedBox], Sequence[PlacedBox]], least: float = 0.0) -> float:
    """Return the share of covered boxes, which those of training may lower; 0 when it is below the least."""
    allowance = _COVERED - _COVERED_IN_TRAINING
    evaluated, augmented = scenes
    share = coverage(anchors, evaluated, least)
    if share and augmented:
        share = min(share, coverage(anchors, augmented, max(0.0, least - allowance)) + allowance)
    return share if share >= least else 0.0


def _cost(anchors: Anchors, size: int) -> int:
    """Return the work of an input's anchors, and of the cells they are in."""
    cells = sum((size >> level) ** 2 for level in range(anchors.min_level, anchors.max_level + 1))
    return cells * (_CELL_COST + anchors.per_cell)


def _order(anchors: Anchors, view: ModelInput, limits: AnchorLimits) -> tuple[int, float]:
    """Sort by cost, and equal costs by the distance from the preset's size."""
    return _cost(anchors, view.size), abs(math.log2(anchors.anchor_size / limits.preset.anchor_size))


def _candidates(boxes: Sequence[TrainBox], view: ModelInput, limits: AnchorLimits) -> Iterator[Anchors]:
    most_cost = _MOST_COST * _cost(limits.preset, limits.reference_size)
    ratios = [limits.preset.aspect_ratios, *_aspect_ratios(boxes, view)]
    for min_level, max_level in _levels(view, limits):
        for anchor_size in _SIZES:
            for num_scales in _NUM_SCALES:
                for aspect_ratios in ratios:
                    anchors = Anchors(
                        min_level=min_level,
                        max_level=max_level,
                        anchor_size=anchor_size,
                        num_scales=num_scales,
                        aspect_ratios=aspect_ratios,
                    )
                    if _cost(anchors, view.size) <= most_cost:
                        yield anchors


def _levels(view: ModelInput, limits: AnchorLimits) -> list[tuple[int, int]]:
    """Return pairs of a finest and a coarsest level.

    A coarser finest level is not among them: it would save time, but nothing was measured with it.
    """
    finest, coarsest = limits.preset.min_level, limits.preset.max_level
    if limits.has_fixed_levels:
        return [(finest, coarsest)]
    least = min(coarsest, max(_COARSEST_BACKBONE_LEVEL, coarsest - 1))
    max_levels = [level for level in range(least, coarsest + 2) if level in LEVELS and view.size % (1 << level) == 0]
    return [(level, max_level) for level in (finest, finest - 1) if level in LEVELS for max_level in max_levels]


def _aspect_ratios(boxes: Sequence[TrainBox], view: ModelInput) -> Iterator[tuple[float, ...]]:
    """Yield sets of one ratio and more, each spread evenly, in powers of two, over the boxes' range."""
    sizes = [input_size(box, view) for box in boxes]
    exponents = sorted(math.log2(width / height) for width, height in sizes)
    outliers = int(_OUTLIERS * len(exponents))
    low, high = exponents[outliers], exponents[-1 - outliers]
    for count in range(1, _MOST_RATIOS + 1):
        step = (high - low) / count
        if count == 1 or step >= _NARROWEST_STEP:
            yield tuple(float(f"{2 ** (low + (number + 0.5) * step):.3g}") for number in range(count))
