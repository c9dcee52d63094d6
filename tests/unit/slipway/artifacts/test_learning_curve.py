import pytest

from slipway.artifacts.evaluation import Interval
from slipway.artifacts.learning_curve import LearningCurve, LearningPoint


def curve(points, boxes=400):
    points = [LearningPoint(run=f"r{n}", images=n, ap=ap50 / 2, ap50=ap50) for n, ap50 in points.items()]
    return LearningCurve(split="test", images=36, boxes=boxes, points=tuple(points))


def test_figures_that_rise_say_what_doubling_the_images_would_add():
    assert curve({73: 0.81, 145: 0.86, 291: 0.9}).sentence == (
        "From 73 to 145 to 291 training images AP50 was 0.81, 0.86, 0.90: doubling them again would add about 0.03 "
        "(differences below about 0.03 are noise on 36 test images)."
    )


def test_figures_that_do_not_rise_beyond_the_noise_show_nothing():
    assert curve({73: 0.88, 145: 0.9, 291: 0.89}, boxes=60).sentence == (
        "From 73 to 145 to 291 training images AP50 was 0.88, 0.90, 0.89: differences below about 0.08 are noise on 36 "
        "test images, so these figures do not show that more images would help."
    )


def test_the_interval_of_the_last_ap50_is_the_noise():
    interval = Interval(low=0.8, high=0.94)
    points = (*curve({73: 0.81}).points, LearningPoint(run="b", images=146, ap=0.5, ap50=0.87, interval=interval))
    whole = curve({}).model_copy(update={"points": points})
    assert whole.noise == pytest.approx(0.07)
    assert "differences below about 0.07 are noise on 36 test images, so these figures do not show" in whole.sentence


def test_figures_near_the_top_leave_nothing_to_add():
    assert "doubling them again would add less than 0.01" in curve({250: 0.95, 500: 0.99, 1000: 1.0}).sentence


@pytest.mark.parametrize(
    ("points", "gain"),
    [
        pytest.param({100: 0.6, 200: 0.8, 400: 0.9}, 0.05, id="the-error-halves-each-time"),
        pytest.param({100: 0.8, 200: 0.8, 400: 0.8}, 0.0, id="nothing-changes"),
        pytest.param({10: 0.5}, 0.0, id="one-training"),
    ],
)
def test_gain_continues_the_power_law_of_the_errors(points, gain):
    assert curve(points).gain == pytest.approx(gain)


def test_equal_numbers_of_images_have_no_gain():
    points = (LearningPoint(run="a", images=4, ap=0, ap50=0.1), LearningPoint(run="b", images=4, ap=0, ap50=0.3))
    assert LearningCurve(split="test", images=2, boxes=2, points=points).gain == 0.0


def test_a_training_that_is_added_again_replaces_its_figures_and_points_are_by_images():
    whole = curve({50: 0.5, 100: 0.6}).add(LearningPoint(run="r25", images=25, ap=0.1, ap50=0.2))
    whole = whole.add(LearningPoint(run="r50", images=50, ap=0.3, ap50=0.55))
    assert [(point.images, point.ap50) for point in whole.points] == [(25, 0.2), (50, 0.55), (100, 0.6)]
    assert LearningCurve.model_validate_json(whole.encode()) == whole
