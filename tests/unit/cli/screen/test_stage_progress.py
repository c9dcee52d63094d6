import pytest

from services.cli.screen.stage_progress import StageProgress, line_of


def test_progress_tells_amount_rate_and_time_left():
    progress = StageProgress("ingest")
    progress.update({"event": "progress", "done": 100, "total": 400, "unit": "images"}, 10.0)
    progress.update({"event": "progress", "done": 200, "total": 400, "unit": "images"}, 12.0)
    assert progress.text(12.0) == "200/400 images · 50 images/s · 4.0 s left"


def test_progress_adds_up_the_workers():
    progress = StageProgress("preprocess")
    for index in (0, 1):
        progress.update({"event": "progress", "index": index, "done": 5, "total": 10, "unit": "images"}, 10.0)
    assert progress.text(10.0) == "10/20 images"


def test_a_trainings_progress_tells_loss_speed_and_ap():
    progress = StageProgress("train")
    progress.update({"event": "step", "step": 410, "steps": 1500, "loss": 0.523}, 100.0)
    progress.update({"event": "evaluated", "step": 400, "split": "test", "AP": 0.5, "AP50": 0.814}, 101.0)
    progress.update({"event": "step", "step": 420, "steps": 1500, "loss": 0.4123, "images_per_sec": 18.04}, 105.0)
    assert progress.text(105.0) == "step 420/1500 · loss 0.412 · 18 images/s · AP50 0.81 (step 400) · 9 min 0 s left"


def test_the_evaluator_is_shown_with_the_trainer():
    assert (line_of({"stage": "evaluate"}), line_of({"stage": "ingest"}), line_of({})) == ("train", "ingest", "")


@pytest.mark.parametrize("event", [{"event": "step"}, {"event": "evaluated", "AP50": "nan", "step": 1}, {}], ids=str)
def test_progress_passes_over_what_it_does_not_know(event):
    assert not StageProgress("train").update(event, 0.0)
