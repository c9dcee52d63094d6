"""Annotated boxes and detections, drawn at random: a detector that is better on some images than on others."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap

from services.evaluator.coco import Detection, GroundTruth, TrueBox

_SIZE = ImageSize(640, 480)


@dataclass(frozen=True)
class Scene:
    """How images and detector are drawn.

    Attributes:
      shares: Of the classes among the boxes; a class later in the list is also detected worse.
      boxes, false_detections: Mean number in an image.
      quality: About 0 for a detector that finds half of the boxes, 4 for one that finds nearly all.
    """

    shares: tuple[float, ...] = (0.6, 0.3, 0.1)
    boxes: float = 3.0
    false_detections: float = 3.0
    quality: float = 2.0

    def draw(self, generator: np.random.Generator, images: int) -> tuple[GroundTruth, list[Detection]]:
        """Draw a split and its detections; boxes in one image are easy or hard together."""
        labels = LabelMap(tuple(f"class-{number}" for number in range(1, len(self.shares) + 1)))
        boxes: list[TrueBox] = []
        detections: list[Detection] = []
        for image_id in range(1, images + 1):
            ease = generator.normal(0, 0.8)
            for _ in range(generator.poisson(self.boxes)):
                boxes.append(TrueBox(image_id, self._class(generator), _box(generator)))
                detections += self._detect(generator, boxes[-1], ease)
            for _ in range(generator.poisson(self.false_detections)):
                score = _logistic(generator.normal(-2, 1))
                detections.append(Detection(image_id, self._class(generator), _box(generator), score))
        return GroundTruth(labels, dict.fromkeys(range(1, images + 1), _SIZE), boxes), detections

    def _class(self, generator: np.random.Generator) -> int:
        return int(generator.choice(len(self.shares), p=self.shares)) + 1

    def _detect(self, generator: np.random.Generator, true_box: TrueBox, ease: float) -> Iterator[Detection]:
        """Yield one detection of a box, or none, or a double; the easier the box, the tighter and surer."""
        ease += self.quality + generator.normal() - 0.5 * (true_box.class_id - 1)
        count = int(generator.random() < _logistic(1.5 * ease)) + int(generator.random() < 0.1)
        for number in range(count):
            spread = (0.04 + 0.12 * generator.random() + 0.05 * max(0.0, 1.5 - ease)) * (1 + number)
            box = true_box.box
            width, height = box.width, box.height
            shifts = generator.normal(0, spread, 4) * (width, height, width, height)
            shifted = Box(*(float(side + shift) for side, shift in zip(box, shifts, strict=True)))
            is_right = generator.random() < 0.95
            class_id = true_box.class_id if is_right else self._class(generator)
            score = _logistic(ease - 1 - number + generator.normal(0, 0.7))
            if not shifted.is_empty:
                yield Detection(true_box.image_id, class_id, shifted, score)


def _box(generator: np.random.Generator) -> Box:
    x, y = generator.uniform(0, 560), generator.uniform(0, 400)
    width, height = generator.uniform(20, 80, 2)
    return Box(x, y, float(x + width), float(y + height))


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))
