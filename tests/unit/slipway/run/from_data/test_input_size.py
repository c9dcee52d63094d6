"""The input size that the smallest objects need."""

import pytest

from slipway.run.from_data.anchor_coverage import TrainBox, TrainBoxes
from slipway.run.plan import resolve
from slipway.run.spec import TrainSpec


def plan(share, median=(2000, 1500), **fields):
    """Resolve a plan where a fifth of the boxes have sides of this share of their image, and the others fill it."""
    small, large = TrainBox(0.5, 0.5, share, share, 4 / 3), TrainBox(0.5, 0.5, 0.9, 0.9, 4 / 3)
    return resolve(TrainSpec(**fields), 100, median, TrainBoxes([small, *[large] * 4] * 10, 50))


def test_objects_of_ten_pixels_and_more_need_no_larger_input():
    run_plan = plan(10.1 / 320)
    assert (run_plan.image_size, run_plan.reasons["image_size"]) == (
        320,
        "the preset's; the images' median is 2000×1500 px",
    )


def test_input_is_enlarged_until_a_tenth_of_the_boxes_has_ten_pixels():
    run_plan = plan(9 / 320)
    assert run_plan.image_size == 384
    tiny, cost = run_plan.reasons["image_size"].split("; ")
    assert tiny == "a tenth of the boxes is smaller than 9.0 px at the preset's 320"
    assert cost == "1.4 times the pixels take about as much more time"


def test_input_is_enlarged_by_half_at_most_and_the_reason_names_the_size_that_would_do():
    run_plan = plan(3 / 320)
    assert run_plan.image_size == 448
    assert run_plan.reasons["image_size"].endswith(
        "; --image-size 1088 would make them 10 px, and is not chosen without being asked for"
    )


def test_input_is_not_enlarged_beyond_640_pixels():
    run_plan = plan(5 / 640, preset="retinanet_resnet50_640")
    assert run_plan.image_size == 640
    assert run_plan.reasons["image_size"].startswith("the preset's; a tenth of the boxes is smaller than 4.3 px")


def test_small_images_are_not_enlarged_for_their_objects():
    assert plan(5 / 320, median=(380, 300)).image_size == 384
    assert plan(5 / 320, median=(320, 240)).image_size == 320
    assert plan(5 / 320, median=(200, 150)).image_size == 256


def test_few_small_objects_do_not_enlarge_the_input():
    boxes = [TrainBox(0.5, 0.5, 0.01, 0.01, 1.0), *[TrainBox(0.5, 0.5, 0.5, 0.5, 1.0)] * 19]
    assert resolve(TrainSpec(), 100, (2000, 1500), TrainBoxes(boxes, 20)).image_size == 320


def test_size_that_is_asked_for_is_used():
    run_plan = plan(5 / 320, image_size=192)
    assert (run_plan.image_size, run_plan.reasons["image_size"]) == (192, "as asked")


@pytest.mark.parametrize(("image_size", "finest_level"), [(None, 3), (448, 2)], ids=["chosen", "asked-for"])
def test_enlarged_input_has_no_finer_level_unless_it_is_asked_for(image_size, finest_level):
    run_plan = plan(8 / 320, image_size=image_size)
    assert run_plan.anchors and run_plan.anchors.min_level == finest_level
