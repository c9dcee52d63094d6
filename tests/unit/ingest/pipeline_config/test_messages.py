import pytest

from slipway.errors import InputError
from tests.fakes.pipeline_configs import SSD_CONFIG

from services.ingest.pipeline_config.messages import parse_pipeline, present_fields


def test_a_config_is_read_and_fields_that_are_not_known_are_passed_over():
    pipeline = parse_pipeline(SSD_CONFIG.encode(), "training/ssd.config")
    assert present_fields(pipeline.model) == ["ssd"]
    assert pipeline.model.ssd.feature_extractor.type == "ssd_inception_v2"
    assert pipeline.train_config.fine_tune_checkpoint == "pre-trained-model/model.ckpt"
    assert [present_fields(step) for step in pipeline.train_config.data_augmentation_options] == [
        ["random_horizontal_flip"],
        ["ssd_random_crop"],
    ]
    assert list(pipeline.eval_input_reader[0].tf_record_input_reader.input_path) == ["annotations/test.record"]


def test_of_a_field_that_is_given_twice_the_last_counts():
    pipeline = parse_pipeline(b"train_config { batch_size: 24 batch_size: 8 }", "training/ssd.config")
    assert pipeline.train_config.batch_size == 8


def test_an_augmentation_that_is_not_known_is_an_empty_step():
    pipeline = parse_pipeline(b"train_config { data_augmentation_options { random_fog { density: 1 } } }", "a.config")
    assert [present_fields(step) for step in pipeline.train_config.data_augmentation_options] == [[]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'train_config {\n  batch_size: "many"\n}', "2:15"),
        (b"train_config { batch_size: 24", "Expected"),
        (b"\xff\xfe\x00", "codec can't decode"),
        (b"model { " + b"a { " * 20000, "recursion"),
    ],
    ids=["wrong-type", "unclosed", "not-text", "nested-too-deep"],
)
def test_what_is_not_a_config_is_an_error_with_file_and_reason(content, message):
    with pytest.raises(InputError, match=message) as error:
        parse_pipeline(content, "training/ssd.config")
    assert str(error.value).startswith("training/ssd.config: is not a pipeline config: ")
