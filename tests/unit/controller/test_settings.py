from pathlib import Path

import pytest
import yaml

from slipway.errors import SpecError
from slipway.run.spec import RunSpec
from slipway.settings_file import read_settings_file

from services.controller.settings import Pool, Settings, check_request

MINIMAL = {"store": {"url": "s3://a", "secret": "s"}, "images": {"data": "d", "tf": "t"}, "pools": {"cpu": {}}}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "settings.yaml"


def test_little_has_to_be_said(file):
    file.write_text(yaml.safe_dump(MINIMAL))
    settings = read_settings_file(file, Settings)
    assert (settings.retries, settings.grace_period, settings.keep_jobs) == (3, 120, 86400)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"pools": {}}, "pools has no cpu", id="no-cpu-pool"),
        pytest.param({"stages": {"export": "big"}}, "pools has no big", id="unknown-pool"),
        pytest.param({"stages": {"boil": "cpu"}}, "stages.boil", id="unknown-stage"),
        pytest.param({"retrys": 1}, "retrys: Extra inputs", id="misspelt"),
        pytest.param({"gracePeriod": 0}, r"gracePeriod: .*greater.*\(got 0\)", id="range"),
    ],
)
def test_a_wrong_file_is_told_where(file, change, says):
    file.write_text(yaml.safe_dump(MINIMAL | change))
    with pytest.raises(SpecError, match=says):
        read_settings_file(file, Settings)


def test_a_file_that_is_no_yaml_or_not_there_is_told(file):
    with pytest.raises(SpecError, match="No such file"):
        read_settings_file(file, Settings)
    file.write_text("pools: [")
    with pytest.raises(SpecError, match="not YAML"):
        read_settings_file(file, Settings)


def test_a_batch_that_workers_cannot_share_is_refused_with_a_size_that_they_can(settings):
    train = {"workers": 2, "gpus": 2, "batchSize": 6}
    with pytest.raises(SpecError, match="batchSize is 6, to be shared by 4 replicas; ask for a multiple of 4"):
        check_request(RunSpec.model_validate({"dataset": {"source": "s3://a/b"}, "train": train}), settings)
    shared = {"dataset": {"source": "s3://a/b"}, "train": train | {"batchSize": 8}}
    check_request(RunSpec.model_validate(shared), settings)


@pytest.mark.parametrize("model", [Settings, Pool])
def test_every_setting_is_described(model):
    page = (Path(__file__).parents[3] / "docs/install.md").read_text()
    for name, field in model.model_fields.items():
        assert f"`{field.alias or name}" in page, name
