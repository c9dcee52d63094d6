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


def costs(**by_kind):
    return [ErrorCount(kind=kind, count=9, AP50_cost=cost) for kind, cost in by_kind.items()]


def test_figures_that_support_nothing_give_no_advice():
    assert advise(figures(kinds=costs(missed=0.019, double=0.01))) == ()


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


def test_the_rarest_class_is_named_if_it_is_worse_than_the_others():
    scores = [{"label": label, "AP": 0.5, "AP50": ap50} for label, ap50 in (("cat", 0.9), ("dog", 0.86), ("fox", 0.41))]
    (advice,) = advise(figures(best={"per_class": scores}, train_boxes={"cat": 100, "dog": 90, "fox": 12}))
    assert advice.startswith("fox has the fewest training boxes (12) and AP50 0.41, where the median of the other")
    assert advise(figures(best={"per_class": scores})) == ()  # it has nearly as many
    assert advise(figures(train_boxes={"cat": 100, "dog": 90, "fox": 12})) == ()  # it is as good


@pytest.mark.parametrize(
    ("is_reduced", "step"),
    [(True, "raise --image-size"), (False, "add images of small objects")],
    ids=["reduced", "whole"],
)
def test_small_objects_that_are_found_worse_are_named(is_reduced, step):
    metrics = {"AP": 0.5, "AP50": 0.85, "APs": 0.12, "APm": 0.5, "APl": -1}
    (advice,) = advise(figures(best={"metrics": metrics}, is_reduced=is_reduced))
    assert advice.startswith(f"Boxes under 32² pixels have AP 0.12, larger ones up to 0.50: {step}")


def test_three_sentences_are_enough():
    intervals = {"AP": {"low": 0.4, "high": 0.6}, "AP50": {"low": 0.7, "high": 0.88}}
    metrics = {"AP": 0.5, "AP50": 0.85, "APs": 0.12, "APm": 0.5, "APl": -1}
    best = {"step": 100, "intervals": intervals, "metrics": metrics}
    advice = advise(figures(best=best, rows=rows([0.3, 0.4, 0.45, 0.48, 0.5]), kinds=costs(missed=0.1)))
    assert [sentence.split()[0] for sentence in advice] == ["Missed", "AP", "With"]


def test_a_run_without_boxes_to_find_has_no_advice():
    metrics = {"AP": -1, "AP50": -1}
    assert advise(figures(best={"metrics": metrics, "intervals": None, "per_class": []}, rows=[])) == ()
