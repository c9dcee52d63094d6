import pytest

from slipway.run.from_data.max_detections import MAX_DETECTIONS, choose_max_detections
from slipway.run.presets import load_preset
from slipway.run.spec import TrainSpec

PRESET = load_preset("retinanet_resnet10_320")


def test_presets_number_stays_where_it_suffices():
    assert choose_max_detections(TrainSpec(), PRESET, 100) == (100, "the preset's; no image has more than 100 boxes")
    assert choose_max_detections(TrainSpec(), PRESET, 0) == (100, "the preset's; no boxes are known")


@pytest.mark.parametrize(("most_boxes", "count"), [(101, 200), (150, 250), (600, 900), (900, 1000)])
def test_number_is_raised_with_the_fullest_image(most_boxes, count):
    reason = f"an image has {most_boxes} boxes, and the preset's 100 detections cannot cover them"
    assert choose_max_detections(TrainSpec(), PRESET, most_boxes) == (count, reason)


def test_image_with_more_boxes_than_any_detector_gives_is_named_with_the_remedy():
    count, reason = choose_max_detections(TrainSpec(), PRESET, 1500)
    assert (count, reason.split("; ")[1]) == (1000, "1000 is the most that is chosen, so cut such images into tiles")


def test_number_that_the_run_sets_is_as_asked():
    spec = TrainSpec(overrides={MAX_DETECTIONS: 300})
    preset = PRESET.overridden(spec.requested_overrides)
    assert choose_max_detections(spec, preset, 400) == (300, "as asked")
