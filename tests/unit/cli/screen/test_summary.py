"""What the summary of a run says of its detector."""

from dataclasses import replace

from slipway import keys
from slipway.artifacts.dataset import IngestResult
from slipway.artifacts.evaluation import CocoMetrics, Interval, ScoreIntervals
from slipway.artifacts.json_io import write_document
from slipway.artifacts.outcome import StageResult
from slipway.run.pipeline import State
from slipway.run.spec import RunSpec
from slipway.store.folder import FolderStore
from tests.fakes.stages import BEST

from services.cli.local.runner import Outcome
from services.cli.screen.summary import Paths, RunSummary, print_success, summarize

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


def test_only_the_first_advice_is_printed_and_the_last_event_has_all(capsys):
    advised = replace(summary(0.834), advice=("Add images.", "Train longer."))
    print_success(advised)
    text = capsys.readouterr().out
    assert "\nAdd images.\nreport: " in text
    assert "Train longer." not in text
    assert advised.event()["advice"] == ["Add images.", "Train longer."]


def test_intervals_follow_the_figures_and_are_in_the_last_event(capsys):
    intervals = ScoreIntervals(AP=Interval(low=0.43, high=0.58), AP50=Interval(low=0.75, high=0.9))
    best = BEST.model_copy(update={"intervals": intervals})
    measured = RunSummary("ponds", Outcome(State.SUCCEEDED), best, {}, Paths("runs/ponds", "runs/ponds/logs"))
    print_success(measured)
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("AP50 0.834 on test, step 20") + 1] == (
        "AP50 0.83 (0.75 to 0.90), AP 0.51 (0.43 to 0.58): 95 % intervals, from the spread over 2 test images"
    )
    assert measured.event()["intervals"]["AP"] == {"low": 0.43, "high": 0.58}
    assert summary(0.5).event()["intervals"] is None


def test_stage_whose_result_has_no_duration_counts_as_long_as_the_command_waited(tmp_path):
    store, spec = FolderStore(tmp_path), RunSpec.model_validate({"dataset": {"source": "s"}, "until": "preprocess"})
    write_document(
        store, keys.result("ponds", "ingest"), IngestResult(dataset="datasets/ponds/0ff1ce", duration_sec=0.5)
    )
    write_document(store, keys.result("ponds", "preprocess"), StageResult())
    outcome = Outcome(State.SUCCEEDED, durations={"ingest": 1.3, "preprocess": 8.5})
    assert summarize(store, "ponds", spec, outcome).durations == {"ingest": 0.5, "preprocess": 8.5}
    assert summarize(store, "ponds", spec, Outcome(State.SUCCEEDED)).durations == {"ingest": 0.5}
