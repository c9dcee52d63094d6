from pathlib import Path

import pytest

from slipway.run.names import PROCESS_NAMES, PROCESSES, STAGES, main_process, processes_of, slug

SERVICES = Path(__file__).parents[4] / "services"


def test_the_stages_are_in_the_order_of_the_pipeline():
    assert STAGES == ("ingest", "preprocess", "train", "export", "detect")


def test_the_evaluator_is_a_process_of_the_training_with_a_name_of_its_own():
    assert [(process.name, process.module) for process in processes_of("train")] == [
        ("train", "services.trainer"),
        ("evaluate", "services.evaluator"),
    ]
    assert PROCESS_NAMES == ("ingest", "preprocess", "train", "evaluate", "export", "detect")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_one_main_process(stage):
    assert [process for process in processes_of(stage) if not process.is_sidecar] == [main_process(stage)]


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.service)
def test_a_process_is_a_service_that_can_be_started(process):
    assert (SERVICES / process.service / "__main__.py").is_file()


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Raccoon_Dataset", "raccoon-dataset"), ("---", "images"), ("Ä", "images"), ("x" * 60, "x" * 52), ("a..b", "a-b")],
)
def test_slug_is_a_valid_name(folder, name):
    assert slug(folder) == name
