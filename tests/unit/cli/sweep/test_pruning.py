import pytest

from services.cli.sweep.pruning import reason_to_stop

GOOD = (0.2, 0.4, 0.5, 0.6)


def test_a_run_clearly_below_the_median_of_the_others_is_stopped_with_its_reason():
    reason = reason_to_stop([0.1, 0.2, 0.3], [GOOD, (0.1, 0.3, 0.4)])
    assert reason == "AP 0.300 at evaluation 3, clearly below the median 0.450 of 2 other runs"


@pytest.mark.parametrize(
    ("aps", "others"),
    [
        pytest.param([0.2, 0.4, 0.46], [GOOD, GOOD], id="a-little-below"),
        pytest.param([0.1, 0.1], [GOOD, GOOD], id="too-early"),
        pytest.param([0.1, 0.1, 0.1], [GOOD], id="one-run-to-compare-with"),
        pytest.param([0.1, 0.1, 0.1], [GOOD, GOOD[:2]], id="the-other-is-not-so-far"),
        pytest.param([0.1, 0.5, 0.1], [GOOD, GOOD], id="its-best-counts-not-its-last"),
        pytest.param([0.1, 0.1, 0.1], [(-1.0,) * 3, (-1.0,) * 3], id="no-boxes-in-val"),
        pytest.param([], [GOOD, GOOD], id="not-measured-yet"),
    ],
)
def test_any_other_run_goes_on(aps, others):
    assert reason_to_stop(aps, others) == ""


def test_later_evaluations_of_the_others_do_not_count():
    assert reason_to_stop([0.1, 0.2, 0.29], [(0.1, 0.2, 0.3, 0.9), (0.1, 0.2, 0.3, 0.9)]) == ""
