"""Analysis of errors, as it is stored and read."""

from slipway.artifacts.error_analysis import ERROR_KINDS, KIND_MEANINGS, ConfusionMatrix, ErrorAnalysis, kind_name

ANALYSIS = {
    "split": "test",
    "kinds": [
        {"kind": "missed", "count": 4, "AP50_cost": 0.08},
        {"kind": "wrong_class", "count": 7, "AP50_cost": 0.02},
    ],
    "confusion": {"labels": ["cat", "dog"], "counts": [[5, 2, 4], [1, 9, 0], [0, 3, 0]]},
    "failures": [{"kind": "missed", "filename": "a.jpg"}],
}


def test_an_analysis_is_stored_as_it_was_read():
    analysis = ErrorAnalysis.model_validate(ANALYSIS)
    assert analysis.content() == ANALYSIS
    assert analysis.failure_count == 11


def test_confusions_are_sorted_and_leave_out_what_is_right():
    matrix = ConfusionMatrix.model_validate(ANALYSIS["confusion"])
    pairs = [(one.annotated, one.detected, one.count) for one in matrix.confusions()]
    assert pairs == [("cat", None, 4), (None, "dog", 3), ("cat", "dog", 2), ("dog", "cat", 1)]


def test_each_kind_has_a_name_and_a_meaning():
    assert [kind_name(kind) for kind in ERROR_KINDS] == ["missed", "background", "wrong class", "loose box", "double"]
    assert KIND_MEANINGS.keys() == set(ERROR_KINDS)
