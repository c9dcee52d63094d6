"""The report's section on errors."""

import re

import pytest

from slipway.artifacts.error_analysis import ErrorAnalysis, Failure
from slipway.artifacts.evaluation import BestCheckpoint
from slipway.report.error_section import Choice, FailurePicture, Rectangle, error_section
from slipway.report.pages import RunReport, run_report

BEST = BestCheckpoint.model_validate(
    {
        "step": 9,
        "split": "test",
        "chosen_on": "test",
        "metrics": {"AP": 0.5, "AP50": 0.8, "APs": 0.2, "APm": -1, "APl": 0.6},
    }
)
BOX = {"xmin": 1, "ymin": 2, "xmax": 30, "ymax": 40}


def analysis(labels=("cat", "dog"), counts=None, **fields):
    size = len(labels) + 1
    kinds = [
        {"kind": "missed", "count": 3, "AP50_cost": 0.02},
        {"kind": "wrong_class", "count": 5, "AP50_cost": 0.08},
    ]
    matrix = counts or [[index * size + column for column in range(size)] for index in range(size)]
    content = {"split": "test", "kinds": kinds, "confusion": {"labels": labels, "counts": matrix}}
    return ErrorAnalysis.model_validate(content | fields)


def wrong_class(annotated, detected, filename="a.jpg"):
    content = {
        "kind": "wrong_class",
        "filename": filename,
        "annotated": {"label": annotated, "class_id": 1, "box": BOX},
        "detected": {"label": detected, "class_id": 2, "score": 0.875, "box": BOX},
        "iou": 0.75,
    }
    rectangle = Rectangle(10, 20, 30, 40)
    return FailurePicture(Failure.model_validate(content), b"jpeg", rectangle, rectangle)


def missed(label, filename="b.jpg"):
    content = {"kind": "missed", "filename": filename, "annotated": {"label": label, "class_id": 1, "box": BOX}}
    return FailurePicture(Failure.model_validate(content), b"jpeg", Rectangle(10, 20, 30, 40), None)


def page(errors, *pictures):
    return run_report(RunReport(name="pets-7", best=BEST, errors=errors, failures=pictures))


def text_of(html):
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html))


def test_kinds_are_sorted_by_cost_with_their_bars():
    rows = error_section(analysis(), BEST, []).kinds
    assert [(row.name, row.count, row.cost, row.share) for row in rows] == [
        ("wrong class", 5, 0.08, 100),
        ("missed", 3, 0.02, 25),
    ]
    assert "8 errors of the detections that reach their score thresholds, on test." in page(analysis())


def test_costs_of_zero_are_a_page():
    kinds = [{"kind": "missed", "count": 0, "AP50_cost": 0.0}]
    assert error_section(analysis(kinds=kinds), BEST, []).kinds[0].share == 0
    assert "0 errors" in page(analysis(kinds=kinds))


def test_ap_is_shown_for_each_size_that_has_boxes():
    assert error_section(analysis(), BEST, []).sizes == [("under 32²", 0.2), ("over 96²", 0.6)]


def test_cells_of_the_matrix_are_shaded_by_their_part_of_the_row():
    html = page(analysis(counts=[[6, 2, 0], [0, 9, 1], [3, 0, 0]]))
    assert "annotated cat dog background" in text_of(html)
    assert "cat 6 2 · dog · 9 1 background 3 · ·" in text_of(html)
    assert re.findall(r'<td class="n( right)?" style="--share:([0-9.]+)">', html)[:3] == [
        (" right", "0.750"),
        ("", "0.250"),
        ("", "0.000"),
    ]


@pytest.mark.parametrize(("labels", "has_matrix"), [(20, True), (21, False)])
def test_of_many_classes_the_most_frequent_confusions_are_listed_instead(labels, has_matrix):
    errors = analysis([f"class-{number:02d}" for number in range(labels)])
    html = page(errors)
    assert ('class="matrix"' in html) is has_matrix
    assert ("The most frequent ones" in html) is not has_matrix
    listed = error_section(errors, BEST, []).confusions
    assert listed[:2] == ([] if has_matrix else [("background", "class-20", 482), ("background", "class-19", 481)])
    assert len(listed) == (0 if has_matrix else 20)


def test_each_failure_has_a_picture_with_its_boxes_and_a_caption():
    html = page(analysis(), missed("cat"), wrong_class("cat", "dog"))
    assert "missed cat b.jpg" in text_of(html)
    assert "wrong class cat taken for dog 88% a.jpg" in text_of(html)
    assert html.count('<i class="annotated" style="left:10.0%;top:20.0%;width:30.0%;height:40.0%">') == 2
    assert html.count('<i class="detected"') == 1
    assert "2 of 8 shown: of each kind the detections with the highest scores" in text_of(html)


def test_failures_are_filtered_by_kind_and_by_class_without_a_script():
    html = page(analysis(), missed("cat"), wrong_class("cat", "dog"))
    section = error_section(analysis(), BEST, [missed("cat"), wrong_class("cat", "dog")])
    assert section.kind_choices == [Choice("k0", "missed", 1), Choice("k2", "wrong class", 1)]
    assert section.label_choices == [Choice("l0", "cat", 2), Choice("l1", "dog", 1)]
    assert [failure.ids for failure in section.failures] == [["k0", "l0"], ["k2", "l0", "l1"]]
    for choice in ("k0", "k2", "l0", "l1"):
        assert f"#{choice}:checked ~ .failures > :not(.{choice}) {{ display: none; }}" in html
        assert html.count(f'id="{choice}"') == 1
        assert html.count(f'<label for="{choice}">') == 1
    assert html.index('id="l1"') < html.index('<div class="failures">')  # CSS selects only what follows an input


def test_advice_stands_before_the_first_section():
    text = text_of(page(analysis(advice=["Add images.", "Train longer."])))
    assert text.index("Next steps Add images. Train longer.") < text.index("COCO metrics")
    assert "Next steps" not in page(analysis())


def test_a_run_of_an_older_version_has_no_such_section():
    assert "What it gets wrong" not in run_report(RunReport(name="pets-7", best=BEST))
