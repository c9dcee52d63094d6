import pytest

from services.cli.remote.answers import Run, RunPage, UploadAnswer, parse_answer
from services.cli.remote.errors import ApiRefused

RUN = {"metadata": {"name": "ponds"}}


def test_fields_of_a_newer_server_are_ignored_and_printed():
    answer = RUN | {"status": {"state": "PAUSED", "stages": {"distill": {"phase": "odd"}}, "mood": 1}, "more": []}
    run = parse_answer(Run, answer, "https://a.example")
    assert (run.state, run.is_final, run.stages) == ("PAUSED", False, {})
    assert run.json_content == answer
    assert run.status.json_content == answer["status"]


def test_null_is_as_good_as_absent():
    run = parse_answer(Run, RUN | {"status": {"best": None, "progress": None, "stages": None}}, "https://a.example")
    assert (run.status.best, run.status.progress, run.stages, run.state) == (None, "", {}, "PENDING")


def test_a_missing_field_is_named():
    says = r"^https://a\.example: the answer is not as this version of slipway reads it: .*metadata"
    with pytest.raises(ApiRefused, match=says):
        parse_answer(Run, {"spec": {}}, "https://a.example")


@pytest.mark.parametrize("answer", [None, [], "<html>"], ids=str)
def test_an_answer_that_is_not_an_object_is_refused(answer):
    with pytest.raises(ApiRefused, match="the answer is not as this version of slipway reads it"):
        parse_answer(RunPage, answer, "https://a.example")


@pytest.mark.parametrize(
    ("dataset", "text"),
    [
        ({"ref": f"ponds@{'ab' * 32}"}, "ponds"),
        ({"name": "ponds", "source": "s3://a/b"}, "ponds"),
        ({"source": "s3://a/b"}, "s3://a/b"),
        ({}, ""),
    ],
    ids=["ref", "name", "source", "nothing"],
)
def test_a_dataset_is_shown_by_its_shortest_name(dataset, text):
    assert str(Run.model_validate(RUN | {"spec": {"dataset": dataset}}).spec.dataset) == text


def test_only_parts_that_have_not_arrived_have_addresses():
    parts = [{"number": 1}, {"number": 2, "url": "https://s3.example/2"}, {"number": 3, "url": None}]
    upload = UploadAnswer.model_validate({"id": "a", "partBytes": 5, "parts": parts})
    assert (upload.part_bytes, upload.addresses) == (5, {2: "https://s3.example/2"})
