import pytest

from slipway.errors import MissingKey, SpecError
from slipway.run.spec import RunSpec, TrainingRun, begin, load, parse_run, sha256_json
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


def spec(**fields):
    return RunSpec.model_validate({"dataset": {"source": "/ponds", "sha256": "ab" * 32}, **fields})


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


def test_stages_end_with_until():
    assert spec(until="train").stages == ("ingest", "preprocess", "train")


@pytest.mark.parametrize(
    "same",
    [
        {"suspend": True},
        {"cancel": True},
        {"attempt": 2},
        {"queue": "teams"},
        {"preprocess": {"workers": 9}},
        {"train": {"gpus": 0}},
        {"train": {"workers": 2, "pool": "a100"}},
    ],
    ids=str,
)
def test_the_digest_is_blind_to(same):
    assert spec(**same).digest() == spec().digest()


@pytest.mark.parametrize(
    "other", [{"train": {"steps": 7}}, {"ingest": {"seed": 1}}, {"until": "train"}, {"train": {"seed": 1}}], ids=str
)
def test_the_digest_sees(other):
    assert spec(**other).digest() != spec().digest()


def test_the_digest_goes_by_the_sources_content_and_not_by_its_folder():
    there = RunSpec.model_validate({"dataset": {"source": "/elsewhere", "sha256": "ab" * 32}})
    changed = RunSpec.model_validate({"dataset": {"source": "/ponds", "sha256": "cd" * 32}})
    assert there.digest() == spec().digest() != changed.digest()


def test_the_digest_without_a_content_digest_goes_by_the_address():
    one, other = (RunSpec.model_validate({"dataset": {"source": f"s3://b/{name}"}}) for name in "ab")
    assert one.digest() != other.digest()


def test_the_same_run_may_begin_again(store):
    run = parse_run(YAML, "run.yaml")
    begin(run, store)
    begin(run, store)
    assert load("ponds-1", store) == run


def test_a_name_that_is_taken_by_another_run_is_refused(store):
    begin(parse_run(YAML, "run.yaml"), store)
    other = parse_run(YAML.replace("100", "200"), "run.yaml")
    with pytest.raises(
        SpecError, match=r"run 'ponds-1' exists with digest \w{8}, this one has \w{8}; give .* another name"
    ):
        begin(other, store)


def test_run_json_stays_as_it_was_written(store):
    run = parse_run(YAML, "run.yaml")
    begin(run, store)
    begin(run.model_copy(update={"spec": run.spec.model_copy(update={"attempt": 2})}), store)
    assert load("ponds-1", store).spec.attempt == 1


def test_an_unknown_run_is_a_missing_key(store):
    with pytest.raises(MissingKey, match=r"runs/none/run\.json"):
        load("none", store)


def test_equal_contents_have_equal_digests():
    assert sha256_json({"a": 1, "b": [1.5, None]}) == sha256_json({"b": [1.5, None], "a": 1})
    assert sha256_json({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_the_kind_is_a_training_run():
    assert TrainingRun.model_validate({"metadata": {"name": "a"}, "spec": spec()}).kind == "TrainingRun"
