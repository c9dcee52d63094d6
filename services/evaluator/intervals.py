"""Intervals around AP and AP50, from AP in random halves of the images of a split.

AP is measured on a sample of images; other images would give another AP. Its spread over random halves of the sample
(half-sampling: Wolter 2007, "Introduction to Variance Estimation", chapter 3) is that over other samples of this size.
Detections are matched once: a half only gives each image a weight, 1 or 0.

Percentiles of a bootstrap are not used: of drawn test splits of 40 to 80 images, they contained the AP of very many
images in 72 to 85 of 100 cases, and these intervals in 90 to 97. For AP of few images is too high (COCO takes the
highest precision at or beyond a recall, which is the highest of several noisy figures), and the more so, the fewer the
images. The halves tell by how much, and the interval is moved down accordingly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from slipway.artifacts.evaluation import Interval, ScoreIntervals

from services.evaluator.matching import Flags, Floats, ImageMatches, Integers

_QUANTILE = 0.975  # of the upper end; the lower one is as far away
_RECALLS: Floats = np.linspace(0.0, 1.0, 101)  # at which COCO reads the precision
_HALVES = 200  # the spread of so many is within 5 % of that of very many
_SEED = 0  # the same detections give the same interval
# The excess of AP falls with the root of the number of images (so it does in drawn scenes of 20 to 2,560 images): that
# in halves is √2 times that in the whole, and their difference times this number is the excess in the whole.
_EXCESS = 1 / (math.sqrt(2) - 1)
_EXCESS_ERROR = 0.75  # standard deviation, as a share of the excess: it is only estimated
_BLOCK = 2_000_000  # numbers in an array: what a small pod has room for


@dataclass(frozen=True)
class ClassMatches:
    """The detections of one class, best first, in all images of a split.

    Attributes:
      images: int [detections]: index of the detection's image.
      is_match: bool [detections, IoU thresholds].
      boxes: int [images]: number of annotated boxes of the class.
    """

    images: Integers
    is_match: Flags
    boxes: Integers


@dataclass(frozen=True)
class SplitIntervals:
    """The intervals over all classes and of each, in the order of class ids; None where there are too few images."""

    overall: ScoreIntervals | None
    per_class: tuple[ScoreIntervals | None, ...]


def estimate_intervals(images: Sequence[ImageMatches], class_count: int) -> SplitIntervals:
    """Estimate the intervals of a split whose images are matched at COCO's IoU thresholds."""
    weights = _halves(len(images))
    classes = [matches_of_class(images, class_id) for class_id in range(1, class_count + 1)]
    scores = np.stack([_scores(matches, weights) for matches in classes], axis=1)  # [draws, classes, (AP, AP50)]
    boxes = np.array([matches.boxes.sum() for matches in classes])
    per_class = tuple(
        _intervals(scores[:, index], int(np.count_nonzero(matches.boxes)), float(boxes[index]))
        for index, matches in enumerate(classes)
    )
    has_boxes = boxes > 0
    if not has_boxes.any():
        return SplitIntervals(None, per_class)
    # The mean over classes varies as much as a share of so many boxes: a class with few is as weighty as the others.
    overall_boxes = np.count_nonzero(has_boxes) ** 2 / np.sum(1 / boxes[has_boxes])
    overall = _intervals(_mean(scores[:, has_boxes], axis=1), len(images), float(overall_boxes))
    return SplitIntervals(overall, per_class)


def matches_of_class(images: Sequence[ImageMatches], class_id: int) -> ClassMatches:
    """Collect the detections of one class; equal scores stay in the order of the images, as in COCO."""
    rows = [np.flatnonzero(image.class_ids == class_id) for image in images]
    scores = np.concatenate([image.scores[row] for image, row in zip(images, rows, strict=True)])
    is_match = np.concatenate([image.matches[row] >= 0 for image, row in zip(images, rows, strict=True)])
    indices = np.repeat(np.arange(len(images)), [len(row) for row in rows])
    order = np.argsort(-scores, kind="stable")
    boxes = np.array([np.count_nonzero(image.box_class_ids == class_id) for image in images])
    return ClassMatches(indices[order], is_match[order], boxes)


def average_precision(matches: ClassMatches, weights: Integers) -> Floats:
    """Return the AP of one class in draws of images: with weights of 1 it is COCO's.

    Precision is highest where a detection matches, so that it is computed only there.

    Args:
      weights: int [draws, images]: how often each image was drawn.

    Returns:
      float [draws, IoU thresholds]; NaN in a draw without a box of the class.
    """
    boxes = (weights @ matches.boxes)[:, None]
    detection_counts = np.cumsum(weights[:, matches.images], axis=1)
    ap = np.empty((len(weights), matches.is_match.shape[1]))
    for threshold in range(ap.shape[1]):
        rows = np.flatnonzero(matches.is_match[:, threshold])
        hits = np.cumsum(weights[:, matches.images[rows]], axis=1)
        precision = hits / np.maximum(detection_counts[:, rows], 1)
        best_precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recalls = np.searchsorted(_RECALLS, hits / np.maximum(boxes, 1), side="right")
        ap[:, threshold] = (best_precision * np.diff(recalls, axis=1, prepend=0)).sum(axis=1) / len(_RECALLS)
    return np.where(boxes > 0, ap, np.nan)


def _halves(images: int) -> Integers:
    """Return weights of random halves, and last those of the whole: int [draws, images]."""
    is_drawn = np.tile(np.arange(images) < images // 2, (_HALVES, 1))
    weights = np.random.default_rng(_SEED).permuted(is_drawn, axis=1).astype(np.int64)
    return np.concatenate([weights, np.ones((1, images), np.int64)])


def _scores(matches: ClassMatches, weights: Integers) -> Floats:
    """Return AP and AP50 of one class: float [draws, 2]."""
    rows = max(1, _BLOCK // (len(matches.images) + 1))
    blocks = [average_precision(matches, weights[start : start + rows]) for start in range(0, len(weights), rows)]
    ap = np.concatenate(blocks)
    return np.stack([ap.mean(axis=1), ap[:, 0]], axis=1)


def _intervals(scores: Floats, images: int, boxes: float) -> ScoreIntervals | None:
    """Return the intervals of AP and AP50.

    Args:
      scores: float [draws, 2], that of all images last.
      images: Number of those that bear on the scores.
      boxes: Number of those, likewise.
    """
    if images < 2:
        return None
    quantile = _student_quantile(images - 1) * math.sqrt(images / (images - 1))
    score = scores[-1]
    # AP50 varies at least as the share of the boxes that are found does, and AP with it.
    least_variance = score[1] * (1 - score[1]) / boxes * (score / max(score[1], 1e-9)) ** 2
    variance = np.maximum(np.nanvar(scores[:-1], axis=0), least_variance)
    excess = _EXCESS * (np.nanmean(scores[:-1], axis=0) - score)
    variance += (_EXCESS_ERROR * excess) ** 2
    bounded = (score > 0) & (score < 1) & (variance > 0)
    cases = np.where(bounded, score * (1 - score) / np.where(bounded, variance, 1.0), boxes)
    shares = np.clip(score - excess, 0.0, 1.0)
    ap, ap50 = (_wilson(float(share), quantile**2 / float(n)) for share, n in zip(shares, cases, strict=True))
    return ScoreIntervals(AP=ap, AP50=ap50)


def _wilson(share: float, weight: float) -> Interval:
    """Return Wilson's interval of a share; it is longer towards the middle, and does not vanish for a share of 1.

    Args:
      weight: Square of the quantile, by the number of cases. AP is not a share of cases: the number is that with which
        a share would vary as much (the effective number of Korn and Graubard 1998).
    """
    middle = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight * share * (1 - share) + weight**2 / 4) / (1 + weight)
    return Interval(low=round(max(middle - half, 0.0), 4), high=round(min(middle + half, 1.0), 4))


def _student_quantile(freedom: int) -> float:
    """Return the quantile of Student's t distribution.

    Source: Abramowitz and Stegun, 26.7.5; within 0.003 from four degrees of freedom on, and too low below.
    """
    z = NormalDist().inv_cdf(_QUANTILE)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, start=1))


def _mean(scores: Floats, axis: int) -> Floats:
    """Return the mean of the scores that exist; NaN where none does."""
    exists = ~np.isnan(scores)
    totals, counts = np.where(exists, scores, 0.0).sum(axis=axis), exists.sum(axis=axis)
    means: Floats = np.full(totals.shape, np.nan)
    np.divide(totals, counts, out=means, where=counts > 0)
    return means
