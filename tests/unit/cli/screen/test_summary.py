"""What the summary of a run says of its detector."""

from slipway.artifacts.evaluation import CocoMetrics
from slipway.run.pipeline import State
from tests.fakes.stages import BEST

from services.cli.local.runner import Outcome
from services.cli.screen.summary import Paths, RunSummary, print_success

WARNING = "AP50 is 0.31, below 0.5: do not rely on this detector"


def summary(ap50):
    best = BEST.model_copy(update={"metrics": CocoMetrics(AP=0.1, AP50=ap50)})
    return RunSummary("ponds", Outcome(State.SUCCEEDED), best, {}, Paths("runs/ponds", "runs/ponds/logs"))


def test_a_detector_below_half_of_ap50_is_called_unreliable_beside_its_figure(capsys):
    print_success(summary(0.31))
    *_, figures, _, _, warning, report = capsys.readouterr().out.splitlines()
    assert figures == "AP50 0.310 on test, step 20"
    assert warning.startswith(WARNING)
    assert report == "report: runs/ponds"
    assert summary(0.31).event()["warning"] == warning


def test_a_better_one_is_not(capsys):
    print_success(summary(0.5))
    assert "do not rely" not in capsys.readouterr().out
    assert summary(0.5).event()["warning"] == ""
