import pytest

from slipway.kube.cache import ObjectCache


def run(version, uid="u1", **status):
    return {"metadata": {"name": "ponds", "uid": uid, "resourceVersion": str(version)}, "spec": {}, "status": status}


@pytest.fixture
def cache():
    return ObjectCache()


def test_the_newer_version_stays_by_number(cache):
    assert cache.put("TrainingRun", run(10, state="RUNNING")) is True
    assert cache.put("TrainingRun", run(9, state="PENDING")) is False
    assert cache.owned_by("TrainingRun", "ponds") == cache.all("TrainingRun") == [run(10, state="RUNNING")]


def test_a_higher_version_of_the_same_content_changes_nothing(cache):
    cache.put("TrainingRun", run(10, state="RUNNING"))
    assert cache.put("TrainingRun", run(11, state="RUNNING")) is False
    assert cache.all("TrainingRun") == [run(11, state="RUNNING")]


def test_a_deletion_removes_only_the_object_that_was_deleted(cache):
    cache.put("TrainingRun", run(10, uid="u2"))
    assert cache.remove("TrainingRun", run(9, uid="u1")) is False
    assert cache.remove("TrainingRun", run(12, uid="u2")) is True
    assert cache.all("TrainingRun") == []


def test_a_list_removes_what_it_does_not_have_but_nothing_that_is_newer(cache):
    cache.put("TrainingRun", run(7))
    cache.remove_absent("TrainingRun", set(), "6")
    assert cache.all("TrainingRun") == [run(7)]
    cache.remove_absent("TrainingRun", set(), "7")
    assert cache.all("TrainingRun") == []


def test_fields_that_are_not_named_are_not_kept():
    cache = ObjectCache({"TrainingRun": {"metadata": ("name", "uid", "resourceVersion"), "status": ("state",)}})
    cache.put("TrainingRun", run(7, state="RUNNING", stage="train"))
    assert cache.all("TrainingRun")[0]["status"] == {"state": "RUNNING"}
    assert cache.put("TrainingRun", run(8, state="RUNNING", stage="export")) is False
