"""The number of detections that the detector gives of one image: the preset's, or more if images have more boxes."""

import math

from slipway.run.presets import Preset
from slipway.run.spec import TrainSpec

MAX_DETECTIONS = "task.model.detection_generator.max_num_detections"
_SPARE = 1.5  # detections for each box of the fullest image, since some of them are wrong
_STEP = 50
_MOST = 1000  # boxes of a class that most presets keep before NMS


def choose_max_detections(spec: TrainSpec, preset: Preset, most_boxes: int) -> tuple[int, str]:
    """Return the number of detections of one image, and the reason for it.

    Args:
      most_boxes: Number of boxes of the image that has the most, of all splits; 0 if it is unknown.
    """
    limit = preset.max_detections
    if MAX_DETECTIONS in (spec.overrides or {}):
        return limit, "as asked"
    fullest = f"no image has more than {most_boxes} boxes" if most_boxes else "no boxes are known"
    if most_boxes <= limit:
        return limit, f"the preset's; {fullest}"
    wanted = math.ceil(_SPARE * most_boxes / _STEP) * _STEP
    count = max(limit, min(wanted, _MOST))
    reason = f"an image has {most_boxes} boxes, and the preset's {limit} detections cannot cover them"
    if count < most_boxes:
        reason += f"; {count} is the most that is chosen, so cut such images into tiles"
    return count, reason
