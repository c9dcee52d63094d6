"""Detections of the best checkpoint → what it gets wrong, as the run's report shows it."""

from collections.abc import Sequence

from slipway.artifacts.error_analysis import ERROR_KINDS, ErrorAnalysis, ErrorCount
from slipway.artifacts.operating_point import ScoreThresholds

from services.evaluator.coco import GroundTruth
from services.evaluator.error_costs import ap50_costs
from services.evaluator.error_kinds import confusion_matrix, count_errors, judge, list_failures, reach_thresholds
from services.evaluator.matching import ImageMatches


def analyze_errors(truth: GroundTruth, images: Sequence[ImageMatches], thresholds: ScoreThresholds) -> ErrorAnalysis:
    """Analyze the errors of the detections that reach the threshold of their label, and the costs of all.

    Args:
      images: The images of a split, matched at IoU 0.5 first.
    """
    judgements = [judge(image, reach_thresholds(image, truth.labels, thresholds)) for image in images]
    counts, costs = count_errors(judgements), ap50_costs(len(truth.labels.names), images)
    kinds = [ErrorCount(kind=kind, count=counts[kind], AP50_cost=round(costs[kind], 4)) for kind in ERROR_KINDS]
    return ErrorAnalysis(
        split="test",
        kinds=tuple(kinds),
        confusion=confusion_matrix(truth.labels, images, judgements),
        failures=list_failures(truth, images, judgements),
    )
