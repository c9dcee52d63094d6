import pytest

from slipway.store.folder import FolderStore
from tests.fakes.pipeline_configs import SSD_CONFIG

from services.ingest.pipeline_config.source_config import read_source_config

LABEL_MAP = "item { id: 1 name: 'ship' }\nitem { id: 2 name: 'buoy' }\n"


@pytest.fixture
def source(tmp_path):
    return FolderStore(tmp_path / "training_demo")


@pytest.mark.parametrize("key", ["training/ssd.config", "demo/training/ssd.config", "models/mine/pipeline.config"])
def test_the_config_is_read_where_either_edition_of_the_tutorial_puts_it(source, key):
    source.write(key, SSD_CONFIG.encode())
    config = read_source_config(source)
    assert (config.file, config.num_steps, config.fault) == (key, 200000, "")


@pytest.mark.parametrize(
    "key", ["pre-trained-models/ssd/pipeline.config", "exported-models/m/pipeline.config", "a.config"]
)
def test_the_config_beside_a_downloaded_or_exported_model_is_not_read(source, key):
    source.write(key, SSD_CONFIG.encode())
    assert read_source_config(source) is None


def test_of_several_configs_none_is_read_and_all_are_named(source):
    for name in ("a", "b"):
        source.write(f"models/{name}/pipeline.config", SSD_CONFIG.encode())
    config = read_source_config(source)
    assert (config.file, config.num_steps) == ("models/a/pipeline.config", 0)
    assert config.fault == "is not the only pipeline config (models/b/pipeline.config): none was read; leave one"


def test_a_config_that_cannot_be_read_has_a_fault(source):
    source.write("training/ssd.config", b"model {")
    config = read_source_config(source)
    assert config.fault.startswith("is not a pipeline config: ")


def test_a_config_of_many_megabytes_is_not_read(source):
    source.write("training/ssd.config", b"#" * 1_000_001)
    assert read_source_config(source).fault == "was not read: it has more than 1,000,000 bytes"


def test_the_label_map_is_looked_for_by_its_name_whatever_folder_the_config_gives(source):
    text = SSD_CONFIG.replace("annotations/label_map.pbtxt", "C:\\\\tf\\\\annotations\\\\label_map.pbtxt")
    source.write("training/ssd.config", text.encode())
    source.write("annotations/label_map.pbtxt", LABEL_MAP.encode())
    config = read_source_config(source)
    assert (config.label_map_file, config.label_map.names) == ("annotations/label_map.pbtxt", ("ship", "buoy"))
