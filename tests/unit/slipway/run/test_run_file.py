import pytest

from slipway.errors import MissingKey, SpecError
from slipway.run.run_file import begin_run, load_run, parse_run
from slipway.store.folder import FolderStore

YAML = """
apiVersion: slipway.dev/v1alpha1
kind: TrainingRun
metadata: {name: ponds-1}
spec:
  dataset: {source: s3://bucket/ponds}
  train: {batchSize: 4, steps: 100}
"""


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def test_the_envelope_is_read_in_camel_case():
    run = parse_run(YAML, "run.yaml")
    assert (run.metadata.name, run.spec.train.batch_size, run.spec.train.steps) == ("ponds-1", 4, 100)


def test_what_is_dumped_is_read_back():
    run = parse_run(YAML, "run.yaml")
    assert parse_run(run.dump(), "run.json") == run


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        pytest.param(("steps: 100", "steps: 0"), r"run.yaml: spec.train.steps: .*greater.*1 \(got 0\)", id="range"),
        pytest.param(("steps:", "setps:"), "spec.train.setps: Extra inputs", id="unknown-field"),
        pytest.param(("steps: 100", "imageSize: 100"), r"train.imageSize: .*multiple of 32 \(got 100\)", id="multiple"),
        pytest.param(("source: s3://bucket/ponds", ""), "dataset: give either source or ref", id="no-dataset"),
        pytest.param(("ponds-1", "Ponds_1"), "metadata.name: .*'Ponds_1'", id="name"),
        pytest.param(("ponds-1", "p" * 53), "metadata.name: .*at most 52", id="long-name"),
        pytest.param(("v1alpha1", "v2"), "apiVersion: .*'slipway.dev/v1alpha1'", id="version"),
        pytest.param(("metadata:", "metadata: ["), "run.yaml: not YAML", id="no-yaml"),
        pytest.param((YAML, "- a list"), "run.yaml: the document: ", id="no-mapping"),
        pytest.param((YAML, ""), "run.yaml: the document: ", id="empty"),
    ],
)
def test_a_wrong_run_file_is_told_where(wrong, says):
    with pytest.raises(SpecError, match=says):
        parse_run(YAML.replace(*wrong), "run.yaml")


def test_every_wrong_field_is_named_at_once():
    with pytest.raises(SpecError, match=r"spec\.train\.steps.*; spec\.train\.batchSize"):
        parse_run(YAML.replace("batchSize: 4, steps: 100", "batchSize: x, steps: y"), "run.yaml")


def test_the_same_run_may_begin_again(store):
    run = parse_run(YAML, "run.yaml")
    begin_run(run, store)
    begin_run(run, store)
    assert load_run("ponds-1", store) == run


def test_a_name_that_is_taken_by_another_run_is_refused(store):
    begin_run(parse_run(YAML, "run.yaml"), store)
    other = parse_run(YAML.replace("100", "200"), "run.yaml")
    with pytest.raises(
        SpecError, match=r"run 'ponds-1' exists with digest \w{8}, this one has \w{8}; give .* another name"
    ):
        begin_run(other, store)


def test_run_json_stays_as_it_was_written(store):
    run = parse_run(YAML, "run.yaml")
    begin_run(run, store)
    begin_run(run.model_copy(update={"spec": run.spec.model_copy(update={"attempt": 2})}), store)
    assert load_run("ponds-1", store).spec.attempt == 1


def test_an_unknown_run_is_a_missing_key(store):
    with pytest.raises(MissingKey, match=r"runs/none/run\.json"):
        load_run("none", store)
