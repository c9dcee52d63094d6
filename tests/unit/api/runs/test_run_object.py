"""A TrainingRun as the API reads it, of this version and of others."""

import pytest

from slipway.errors import BrokenDocument
from tests.unit.api.conftest import SPEC

from services.api.runs.run_object import RunObject

SHA = "ab" * 32


def run(spec=None, status=None, **metadata):
    return RunObject({"metadata": {"name": "ponds", **metadata}, "spec": SPEC | (spec or {}), "status": status or {}})


def test_fields_of_a_newer_version_are_passed_on():
    newer = run({"colour": "red"}, {"state": "RUNNING", "mood": "good"}, labels={"a": "b"})
    assert newer.answer() == {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": "ponds"},
        "spec": SPEC | {"colour": "red"},
        "status": {"state": "RUNNING", "mood": "good"},
    }


def test_a_run_without_a_status_is_pending():
    assert run().state == "PENDING"
    assert run().answer()["status"] == {"state": "PENDING"}


@pytest.mark.parametrize(
    ("spec", "status", "version", "is_over"),
    [
        pytest.param({}, {"state": "RUNNING"}, "7", False, id="running"),
        pytest.param({}, {"state": "FAILED"}, "7", True, id="failed"),
        pytest.param({"attempt": 2}, {"state": "FAILED", "attempt": 1}, "7", False, id="to-be-tried-again"),
        pytest.param({"attempt": 2}, {"state": "FAILED", "attempt": 2}, "7", True, id="failed-again"),
        pytest.param({}, {"state": "RUNNING"}, None, True, id="without-an-object"),
    ],
)
def test_a_run_is_over_when_nothing_can_happen_any_more(spec, status, version, is_over):
    metadata = {"resourceVersion": version} if version else {}
    assert run(spec, status, **metadata).is_over is is_over


@pytest.mark.parametrize(
    ("dataset", "artifacts", "names"),
    [
        ({"source": "s3://photos/My Ponds/"}, {}, {"my-ponds"}),
        ({"source": "s3://photos/ponds", "name": "lakes"}, {}, {"lakes"}),
        ({"source": "s3://photos/ponds"}, {"dataset": f"datasets/ponds/{SHA}"}, {"ponds", f"ponds@{SHA}"}),
        ({"ref": f"ponds@{SHA}"}, {}, {"ponds", f"ponds@{SHA}"}),
    ],
    ids=["source", "name", "ingested", "ref"],
)
def test_a_dataset_has_its_name_and_its_reference_once_that_is_known(dataset, artifacts, names):
    assert run({"dataset": dataset}, {"artifacts": artifacts}).dataset_names == names


def test_the_etag_changes_with_the_version_and_without_one_with_the_content():
    assert run(resourceVersion="7").etag == '"7"'
    assert run().etag != run(status={"state": "FAILED"}).etag
    assert run().etag == run().etag


def test_a_wrong_status_is_refused_by_field():
    with pytest.raises(BrokenDocument, match="status of TrainingRun ponds: state: Input should be"):
        assert run(status={"state": "ASLEEP"}).status
