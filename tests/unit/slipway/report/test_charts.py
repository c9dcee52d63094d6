"""Charts are text, so they are compared as text: coordinates and ticks as literals."""

import math
from xml.etree.ElementTree import fromstring

import pytest

from slipway.report.axes import Axis, short, smooth, thin
from slipway.report.charts import Bar, Mark, Series, bar_chart, line_chart, small_line

AXES = (Axis("step"), Axis("loss"))


def texts(svg, style):
    return [node.text for node in fromstring(svg).iter("text") if style in node.get("class")]


def paths(svg, style):
    return [node.get("d") for node in fromstring(svg).iter("path") if node.get("class").startswith(style)]


def test_line_chart_places_its_points_between_round_ticks():
    svg = line_chart("Loss", [Series("loss", [(0, 2.0), (100, 1.0)])], AXES)
    assert texts(svg, "tick mid") == ["0", "20", "40", "60", "80", "100"]
    assert texts(svg, "tick end") == ["0", "0.5", "1", "1.5", "2"]
    assert paths(svg, "line") == ["M44 22L400 110"]


def test_axes_name_their_unit():
    svg = line_chart("Speed", [Series("speed", [(0, 2.0)])], (Axis("step"), Axis("images per second")))
    assert texts(svg, "label") == ["step", "images per second"]


def test_nan_leaves_a_gap_in_the_line():
    points = [(0, 1.0), (1, 1.0), (2, math.nan), (3, 1.0), (4, math.inf), (5, 1.0)]
    svg = line_chart("Loss", [Series("loss", points)], (Axis("step"), Axis("loss", 0, 1)))
    assert paths(svg, "line") == ["M44 22L115.2 22M257.6 22M400 22"]
    assert "nan" not in svg and "inf" not in svg


@pytest.mark.parametrize("points", [[], [(1, math.nan)], [(math.nan, 1.0)]], ids=["empty", "nan", "nan-step"])
def test_chart_without_values_says_so(points):
    assert texts(line_chart("Loss", [Series("loss", points)], AXES), "label") == ["no values"]


def test_single_point_is_a_dot_with_a_tooltip():
    svg = line_chart("Loss", [Series("loss", [(1, 2.5)])], AXES)
    assert [node.text for node in fromstring(svg).iter("title")] == ["loss: 2.5 at step 1"]


def test_hundred_thousand_points_are_drawn_as_500_and_keep_the_spike():
    points = [(float(x), 9.0 if x == 77_777 else 1.0 + x % 2 / 10) for x in range(100_000)]
    assert len(thin(points)) <= 500
    assert (77_777.0, 9.0) in thin(points)
    assert len(line_chart("Loss", [Series("loss", points)], AXES)) < 20_000


def test_label_with_markup_is_escaped():
    svg = line_chart("<script>", [Series('"><script>', [(0, 1.0)])], (Axis("</svg><script>"), Axis("loss")))
    assert "<script" not in svg
    assert fromstring(svg).get("aria-label") == "<script>"


def test_mark_is_a_vertical_line_with_words():
    svg = line_chart("AP", [Series("AP", [(0, 0.1), (100, 0.5)])], AXES, Mark(50, "best"))
    assert paths(svg, "mark") == ["M222 22V198"]
    assert "best" in texts(svg, "label")


def test_logarithmic_axis_ticks_powers_of_ten():
    axis = Axis("loss", is_log=True).fit([0.3, 0, 40_000, math.nan])
    assert [short(tick) for tick in axis.ticks()] == ["0.1", "1", "10", "100", "1,000", "10k", "100k"]
    assert axis.fraction(100) == pytest.approx(0.5)
    assert math.isnan(axis.fraction(0))


@pytest.mark.parametrize(
    ("values", "ends"),
    [([], (0, 1)), ([0, 0], (0, 1)), ([0.87], (0, 1)), ([-3, 12], (-5, 15)), ([1e-7], (0, 1e-7))],
    ids=["no-values", "zeros", "ap", "negative", "tiny"],
)
def test_fitted_axis_ends_at_ticks(values, ends):
    assert Axis("").fit(values).ends == pytest.approx(ends)


@pytest.mark.parametrize(
    ("value", "text"), [(0.1 + 0.2, "0.3"), (1800, "1,800"), (20_000, "20k"), (1_500_000, "1.5M"), (0, "0")]
)
def test_ticks_are_short(value, text):
    assert short(value) == text


def test_smoothing_averages_the_window_before_and_skips_nan():
    points = [(0, 1.0), (1, 3.0), (2, math.nan), (3, 5.0)]
    assert smooth(points, 2) == [(0, 1.0), (1, 2.0), (3, 4.0)]


def test_bars_stand_on_the_axis_and_say_their_count():
    svg = fromstring(bar_chart("Boxes", [Bar("small", 5, "small: 5"), Bar("large", 10, "large: 10")], ("px", "boxes")))
    assert [(bar.get("y"), bar.get("height"), bar[0].text) for bar in svg.iter("rect")] == [
        ("110", "88", "small: 5"),
        ("22", "176", "large: 10"),
    ]


def test_of_eighty_bars_only_some_are_named():
    svg = bar_chart("Boxes", [Bar(f"class-{i:02}", i, "") for i in range(80)], ("class", "boxes"))
    assert texts(svg, "tick mid") == ["class-00", "class-14", "class-28", "class-42", "class-56", "class-70"]


def test_bars_without_any_count_say_so():
    assert texts(bar_chart("Boxes", [Bar("a", math.nan, "")], ("", "")), "label") == ["no values"]


def test_small_line_has_no_text():
    svg = small_line("fox", [(0, 1.0), (1, 0.5)], (Axis("recall", 0, 1), Axis("precision", 0, 1)))
    assert paths(svg, "line") == ["M4 4L116 42"]
    assert "<text" not in svg
