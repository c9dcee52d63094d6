"""The learning curve of a run: AP50 after training on shares of its images, and the answer that it gives."""

import math
from collections.abc import Sequence
from statistics import linear_regression

from slipway.artifacts.evaluation import BestCheckpoint, Interval
from slipway.models import ArtifactModel

_LEAST_ERROR = 0.005  # of an AP50 of 1.0: an error of 0 has no logarithm
_LEAST_GAIN = 0.005  # below it, the gain would be written as 0.00


class LearningPoint(ArtifactModel):
    """The best checkpoint of one training.

    Attributes:
      images: Images that it was trained on.
      ap, ap50: On the split of the learning curve.
      interval: That of AP50; None where it was not measured.
    """

    run: str
    images: int
    ap: float
    ap50: float
    interval: Interval | None = None

    @classmethod
    def of(cls, run: str, images: int, best: BestCheckpoint) -> "LearningPoint":
        interval = best.intervals.ap50 if best.intervals else None
        return cls(run=run, images=images, ap=best.metrics.ap, ap50=best.metrics.ap50, interval=interval)


class LearningCurve(ArtifactModel):
    """Trainings on nested shares of the same images, all measured on the same split.

    Key: `runs/<run>/learning_curve.json`, of the run on all images. Writer: command. Readers: command, detector (for
    the run's report).

    Attributes:
      split: The split on which they are measured.
      images, boxes: Of that split.
      points: By number of images; the run on all images is missing until it has ended.
    """

    split: str
    images: int
    boxes: int
    points: tuple[LearningPoint, ...] = ()

    def add(self, point: LearningPoint) -> "LearningCurve":
        """Return the curve with one more training, or with newer figures of one that it has."""
        points = [*(old for old in self.points if old.run != point.run), point]
        return self.model_copy(update={"points": tuple(sorted(points, key=lambda p: p.images))})

    @property
    def noise(self) -> float:
        """Half the width of the last AP50's interval; without one, AP50 counts as the share of boxes that are found."""
        ap50, interval = self.points[-1].ap50, self.points[-1].interval
        if interval:
            return (interval.high - interval.low) / 2
        return 1.96 * math.sqrt(max(ap50 * (1 - ap50), 0.0) / max(self.boxes, 1))

    @property
    def gain(self) -> float:
        """AP50 that doubling the images again would add, if its distance from 1 shrinks on as a power of their number.

        Source: Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically", section 3.
        """
        doublings = [math.log2(point.images) for point in self.points]
        errors = [max(1 - point.ap50, _LEAST_ERROR) for point in self.points]
        if len(set(doublings)) < 2:
            return 0.0
        slope = linear_regression(doublings, [math.log(error) for error in errors]).slope
        return (1 - self.points[-1].ap50) * (1 - math.exp(slope))

    @property
    def sentence(self) -> str:
        """The answer to the question whether more images would help."""
        points = self.points
        figures = f"{_listed([p.images for p in points])} training images AP50 was {_scores([p.ap50 for p in points])}"
        noise = f"differences below about {max(self.noise, 0.01):.2f} are noise on {self.images} {self.split} images"
        if points[-1].ap50 - points[0].ap50 <= self.noise:
            return f"From {figures}: {noise}, so these figures do not show that more images would help."
        if self.gain < _LEAST_GAIN:
            return f"From {figures}: doubling them again would add less than 0.01 ({noise})."
        return f"From {figures}: doubling them again would add about {self.gain:.2f} ({noise})."


def _listed(numbers: Sequence[int]) -> str:
    return " to ".join(f"{number:,}" for number in numbers)


def _scores(scores: Sequence[float]) -> str:
    return ", ".join(f"{score:.2f}" for score in scores)
