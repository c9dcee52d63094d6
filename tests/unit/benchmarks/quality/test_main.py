"""The order of the trainings of the quality benchmark, and its continuation after an interruption."""

from dataclasses import replace

import pytest

from tests.benchmarks.quality import __main__ as quality
from tests.benchmarks.quality.datasets import Dataset
from tests.benchmarks.quality.processes import CommandFailed, Usage
from tests.benchmarks.quality.results import ResultsFile
from tests.benchmarks.quality.runs import Outcome

OUTCOME = Outcome(ap=0.5, ap50=0.8, usage=Usage(300.0, 550.0), images_per_sec=30.0, length="1", image_size=320)
PONDS = Dataset("ponds")


class Trainings:
    """Stands in for the trainings: each takes 300 s and fails if its recipe is in `broken`.

    Attributes:
      names: Recipes in the order of their trainings, each with its budget.
    """

    def __init__(self):
        self.names = []
        self.broken = set()

    def run_slipway(self, prepared, options, checkout, out):
        return self._train(out.name, None)

    def run_budgeted(self, recipe, prepared, budget_sec, image_size, folder):
        return self._train(recipe, budget_sec)

    def _train(self, name, budget_sec):
        if name in self.broken:
            raise CommandFailed(f"{name} ended with 1")
        self.names.append((name, budget_sec))
        return OUTCOME


@pytest.fixture
def trainings(monkeypatch, prepared):
    trainings = Trainings()
    monkeypatch.setattr(quality, "prepare", lambda dataset, seed, work: replace(prepared, seed=seed))
    monkeypatch.setattr(quality, "run_slipway", trainings.run_slipway)
    monkeypatch.setattr(quality, "run_budgeted", trainings.run_budgeted)
    return trainings


def benchmark(path, *recipes):
    parsed = dict(quality.parse_recipe(text) for text in recipes)
    return quality.Benchmark(parsed, ResultsFile(path / "quality.jsonl"), path / "work", None)


def test_the_reference_is_first_and_its_time_is_the_budget_of_the_others(trainings, tmp_path):
    assert [*benchmark(tmp_path, "yolo11n", "default", "scratch").measure_all(PONDS, 0)] == []
    assert trainings.names == [("scratch", None), ("yolo11n", 300.0), ("default", None)]


def test_a_budget_needs_the_reference_even_if_it_was_not_asked_for(trainings, tmp_path):
    assert [*benchmark(tmp_path, "yolo11n").measure_all(PONDS, 0)] == []
    assert trainings.names == [("scratch", None), ("yolo11n", 300.0)]


def test_after_an_interruption_only_the_missing_trainings_run(trainings, tmp_path):
    assert [*benchmark(tmp_path, "scratch").measure_all(PONDS, 0)] == []
    assert [*benchmark(tmp_path, "scratch", "yolo11n").measure_all(PONDS, 0)] == []
    assert [*benchmark(tmp_path, "scratch", "yolo11n").measure_all(PONDS, 0)] == []
    assert [name for name, _ in trainings.names] == ["scratch", "yolo11n"]


def test_a_failed_training_is_reported_and_has_no_row(trainings, tmp_path):
    trainings.broken = {"yolo11n"}
    failures = [*benchmark(tmp_path, "yolo11n", "default").measure_all(PONDS, 0)]
    assert failures == ["ponds, seed 0: yolo11n: yolo11n ended with 1"]
    assert [row.recipe for row in ResultsFile(tmp_path / "quality.jsonl").rows] == ["scratch", "default"]


def test_without_the_reference_there_is_no_budget(trainings, tmp_path):
    trainings.broken = {"scratch"}
    failures = [*benchmark(tmp_path, "yolo11n").measure_all(PONDS, 0)]
    assert failures[-1] == "ponds, seed 0: yolo11n: the reference failed, so there is no budget"


def test_a_recipe_keeps_its_options_in_one_file(trainings, tmp_path):
    assert [*benchmark(tmp_path, "flat=--learning-rate 0.001").measure_all(PONDS, 0)] == []
    with pytest.raises(ValueError, match=r"flat was measured with the options '--learning-rate 0\.001'"):
        [*benchmark(tmp_path, "flat=--learning-rate 0.01").measure_all(PONDS, 0)]


def test_options_are_added_to_those_of_a_recipe():
    assert quality.parse_recipe("scratch=--steps 40") == (
        "scratch",
        ("--preset", "retinanet_resnet10_320", "--steps", "40"),
    )
    assert quality.parse_recipe("retinanet_mobilenetv2_320") == (
        "retinanet_mobilenetv2_320",
        ("--preset", "retinanet_mobilenetv2_320"),
    )
    assert quality.parse_recipe("default") == ("default", ())
    assert quality.parse_recipe("yolov8n") == ("yolov8n", None)


@pytest.mark.parametrize("text", ["yolov5n", "yolov8n=--steps 40"])
def test_an_unknown_recipe_names_those_that_exist(text):
    with pytest.raises(ValueError, match="choose one of scratch, default, stock, stock-small, yolo11n"):
        quality.parse_recipe(text)


def test_a_second_benchmark_is_refused(tmp_path):
    with (
        quality.lock(tmp_path),
        pytest.raises(SystemExit, match="another benchmark runs"),
        quality.lock(tmp_path),
    ):
        pass
