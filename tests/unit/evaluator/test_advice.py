"""Advice: each sentence where a figure supports it, and none where none does."""

from dataclasses import replace

import pytest

from slipway.artifacts.error_analysis import Confusion, ErrorCount
from slipway.artifacts.evaluation import BestCheckpoint, CocoMetrics, MeasuredRow

from services.evaluator.advice import Figures, advise

BEST = {
    "step": 80,
    "split": "test",
    "chosen_on": "test",
    "images": 200,
    "metrics": {"AP": 0.5, "AP50": 0.85, "APs": 0.45, "APm": 0.5, "APl": 0.55},
    "intervals": {"AP": {"low": 0.47, "high": 0.52}, "AP50": {"low": 0.81, "high": 0.88}},
    "per_class": [{"label": label, "AP": 0.5, "AP50": 0.85} for label in ("cat", "dog", "fox")],
}


def rows(aps, losses=None):
    """Build the rows of checkpoints that are 20 steps apart."""
    pairs = zip(aps, losses or [0.5] * len(aps), strict=True)
    return [
        MeasuredRow.of(20 * number, "test", loss, CocoMetrics(AP=ap, AP50=ap))
        for number, (ap, loss) in enumerate(pairs, start=1)
    ]


def figures(**fields):
    """Build figures that support no advice, but for the fields."""
    best = BestCheckpoint.model_validate(BEST | fields.pop("best", {}))
    boxes = {"cat": 100, "dog": 90, "fox": 80}
    return replace(Figures(best, rows([0.3, 0.4, 0.48, 0.5, 0.5]), (), (), boxes, is_reduced=False), **fields)


def costs(count=30, **by_kind):
    return [ErrorCount(kind=kind, count=count, AP50_cost=cost) for kind, cost in by_kind.items()]


def known_between(low, high, **fields):
    """Build the part of `best` that says within which limits AP50 is known, and AP within 0.1."""
    return {"intervals": {"AP": {"low": 0.45, "high": 0.55}, "AP50": {"low": low, "high": high}}} | fields


def test_figures_that_support_nothing_give_no_advice():
    assert advise(figures(kinds=costs(missed=0.019, double=0.01))) == ()


SURE = known_between(0.55, 0.64, images=400, metrics={"AP": 0.3, "AP50": 0.6})
UNSURE = known_between(0.47, 0.7, images=40, metrics={"AP": 0.3, "AP50": 0.6})
GOOD = known_between(0.93, 0.97, images=400, metrics={"AP": 0.7, "AP50": 0.95, "AP75": 0.8})
GOOD_UNSURE = known_between(0.88, 0.97, images=40, metrics={"AP": 0.7, "AP50": 0.95, "AP75": 0.8})


@pytest.mark.parametrize(
    ("best", "kinds", "beginnings"),
    [
        pytest.param(
            SURE, costs(missed=0.08), ["Missed boxes cost most, 0.08 of AP50: add", "With 400 test images"], id="sure"
        ),
        pytest.param(
            UNSURE,
            costs(missed=0.08),
            [
                "Missed boxes seem to cost most, about 0.08 of AP50 (too few test images to be sure): add training",
                "With 40 test images, AP50 is only known to lie between 0.47 and 0.70: about 590 would narrow that",
            ],
            id="large-but-unsure",
        ),
        pytest.param(
            UNSURE,
            costs(missed=0.04),
            ["With 40 test images, AP50 is only known to lie between 0.47 and 0.70, too wide a range to tell which"],
            id="small-and-unsure",
        ),
        pytest.param(
            UNSURE | {"intervals": None}, costs(missed=0.08), ["Missed boxes seem to cost most"], id="without-interval"
        ),
        pytest.param(GOOD, costs(wrong_class=0.03), ["Wrong classes cost most, 0.03 of AP50"], id="good"),
        pytest.param(GOOD, costs(wrong_class=0.015), [], id="good-and-nothing-stands-out"),
        pytest.param(
            GOOD_UNSURE,
            costs(count=3, wrong_class=0.02, missed=0.01),
            [
                "With 40 test images, AP50 is only known to lie between 0.88 and 0.97, too wide a range to tell which "
                "errors cost most: about 90 would narrow that to ±0.03.",
                "The report shows each error on the test images (6 in 40): check the annotation there first.",
            ],
            id="good-but-unsure",
        ),
    ],
)
def test_a_cost_that_the_interval_could_hide_is_not_a_fact(best, kinds, beginnings):
    advice = advise(figures(best=best, kinds=kinds))
    assert len(advice) == len(beginnings)
    for sentence, beginning in zip(advice, beginnings, strict=True):
        assert sentence.startswith(beginning)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("missed", "Missed boxes cost most, 0.08 of AP50: add training images with objects like"),
        ("background", "Detections on background cost most, 0.08 of AP50: check whether objects lack an annotation"),
        ("loose_box", "Loose boxes cost most, 0.08 of AP50: check that annotated boxes are drawn close"),
        ("double", "Doubles cost most, 0.08 of AP50: check whether objects are annotated twice"),
    ],
)
def test_the_kind_that_costs_most_is_named(kind, sentence):
    others = dict.fromkeys(["missed", "background", "loose_box", "double"], 0.03)
    (advice,) = advise(figures(kinds=costs(**others | {kind: 0.08})))
    assert advice.startswith(sentence)


def test_the_most_frequent_confusion_is_named_where_wrong_classes_cost_most():
    confusions = [
        Confusion(annotated="cat", detected=None, count=20),
        Confusion(annotated="cat", detected="dog", count=12),
        Confusion(annotated="dog", detected="cat", count=3),
    ]
    (advice,) = advise(figures(kinds=costs(wrong_class=0.11), confusions=confusions))
    assert advice.startswith("Wrong classes cost most, 0.11 of AP50: cat is most often taken for dog (12 of them);")
    (advice,) = advise(figures(kinds=costs(wrong_class=0.11)))
    assert advice.startswith("Wrong classes cost most, 0.11 of AP50: no two classes stand out, as")


def test_an_ap_that_still_rises_asks_for_more_steps():
    rising = rows([0.3, 0.4, 0.45, 0.48, 0.5])
    (advice,) = advise(figures(best={"step": 100}, rows=rising))
    assert advice == "AP still rose at the end, from 0.48 at step 80 to 0.50 at step 100: train longer (--steps)."
    assert advise(figures(best={"step": 60}, rows=rising[:3])) == ()  # too few checkpoints


def test_a_validation_loss_that_rises_after_the_best_asks_for_images():
    loss = [0.9, 0.6, 0.5, 0.55, 0.6]
    (advice,) = advise(figures(best={"step": 60}, rows=rows([0.3, 0.4, 0.5, 0.49, 0.48], loss)))
    assert advice.startswith("AP was best at step 60, and the validation loss rose from 0.50 at step 60 to 0.60")
    assert advise(figures(best={"step": 100}, rows=rows([0.3, 0.4, 0.5, 0.5, 0.505], loss))) == ()


def test_a_wide_interval_says_how_many_images_would_narrow_it():
    intervals = {"AP": {"low": 0.4, "high": 0.6}, "AP50": {"low": 0.7, "high": 0.88}}
    (advice,) = advise(figures(best={"images": 20, "intervals": intervals}))
    assert advice == (
        "With 20 test images, AP50 is only known to lie between 0.70 and 0.88: about 180 would narrow that to ±0.03."
    )
    assert advise(figures(best={"images": 20, "intervals": None})) == ()


@pytest.mark.parametrize(
    ("ap50", "highest_ap50", "boxes", "is_named"),
    [
        pytest.param(0.41, 0.7, 12, True, id="rare-and-worse"),
        pytest.param(0.41, 0.7, 80, False, id="not-rare"),
        pytest.param(0.85, 0.87, 12, False, id="as-good"),
        pytest.param(0.41, 0.92, 12, False, id="perhaps-as-good"),
        pytest.param(0.41, None, 12, False, id="in-one-image"),
    ],
)
def test_the_rarest_class_is_named_if_it_is_surely_worse_than_the_others(ap50, highest_ap50, boxes, is_named):
    scores = [{"label": "cat", "AP": 0.5, "AP50": 0.9}, {"label": "dog", "AP": 0.5, "AP50": 0.86}]
    intervals = known_between(0.2, highest_ap50) if highest_ap50 else {}
    best = {"per_class": [*scores, {"label": "fox", "AP": 0.3, "AP50": ap50} | intervals]}
    advice = advise(figures(best=best, train_boxes={"cat": 100, "dog": 90, "fox": boxes}))
    named = "fox has the fewest training boxes (12) and AP50 0.41, where the median of the other classes is 0.88: add"
    assert [sentence.startswith(named) for sentence in advice] == [True] * is_named


@pytest.mark.parametrize(
    ("is_reduced", "step"),
    [(True, "raise --image-size"), (False, "add images of small objects")],
    ids=["reduced", "whole"],
)
def test_small_objects_that_are_found_worse_are_named(is_reduced, step):
    metrics = {"AP": 0.5, "AP50": 0.85, "APs": 0.12, "APm": 0.5, "APl": -1}
    (advice,) = advise(figures(best={"metrics": metrics}, is_reduced=is_reduced))
    assert advice.startswith(f"Boxes under 32² pixels have AP 0.12, larger ones up to 0.50: {step}")


def test_small_objects_are_not_named_where_the_interval_could_hide_the_difference():
    metrics = {"AP": 0.3, "AP50": 0.85, "APs": 0.12, "APm": 0.25}
    assert len(advise(figures(best=known_between(0.82, 0.88, metrics=metrics)))) == 1
    unsure = {"AP": {"low": 0.2, "high": 0.4}, "AP50": {"low": 0.82, "high": 0.88}}
    assert advise(figures(best={"metrics": metrics, "intervals": unsure})) == ()


@pytest.mark.parametrize(
    ("count", "ap50", "sentence"),
    [
        (1, 0.95, "The report shows each error on the test images (1 in 200): check"),
        (20, 0.95, "The report shows each error on the test images (20 in 200)"),
        (21, 0.95, ""),
        (0, 0.95, ""),
        (20, 0.8, ""),
    ],
)
def test_few_errors_of_a_good_detector_are_to_be_looked_at(count, ap50, sentence):
    best = known_between(0.8, 0.87, images=200, metrics={"AP": 0.5, "AP50": ap50})
    advice = advise(figures(best=best, kinds=costs(count=count, missed=0.01)))
    assert [text[: len(sentence)] for text in advice] == ([sentence] if sentence else [])


@pytest.mark.parametrize(
    ("ap50", "ap75", "is_reduced", "sentence"),
    [
        (0.95, 0.6, True, "Objects are found (AP50 0.95), but their boxes fit loosely (AP75 0.60): where close boxes "),
        (
            0.95,
            0.6,
            False,
            "Objects are found (AP50 0.95), but their boxes fit loosely (AP75 0.60): where close boxes ",
        ),
        (0.95, 0.8, True, ""),
        (0.6, 0.2, True, ""),
        (0.95, -1, True, ""),
    ],
)
def test_loose_boxes_of_a_good_detector_are_named(ap50, ap75, is_reduced, sentence):
    best = {"metrics": {"AP": 0.5, "AP50": ap50, "AP75": ap75}}
    advice = advise(figures(best=best, is_reduced=is_reduced))
    assert [text[: len(sentence)] for text in advice] == ([sentence] if sentence else [])
    assert [("raise --image-size" in text) for text in advice] == ([is_reduced] if sentence else [])


def test_three_sentences_are_enough():
    intervals = {"AP": {"low": 0.4, "high": 0.6}, "AP50": {"low": 0.7, "high": 0.88}}
    metrics = {"AP": 0.5, "AP50": 0.85, "APs": 0.12, "APm": 0.5, "APl": -1}
    best = {"step": 100, "intervals": intervals, "metrics": metrics}
    advice = advise(figures(best=best, rows=rows([0.3, 0.4, 0.45, 0.48, 0.5]), kinds=costs(missed=0.1)))
    assert [sentence.split()[0] for sentence in advice] == ["Missed", "AP", "With"]


def test_a_run_without_boxes_to_find_has_no_advice():
    metrics = {"AP": -1, "AP50": -1}
    assert advise(figures(best={"metrics": metrics, "intervals": None, "per_class": []}, rows=[])) == ()
