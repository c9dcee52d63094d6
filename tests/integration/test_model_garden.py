"""The table of Model Garden's fields, compared with the installed Model Garden."""

import json
from importlib import resources

import pytest
import yaml

from slipway.errors import SpecError
from slipway.run.from_data.anchor_coverage import TrainBoxes
from slipway.run.model_garden import check_overrides, flatten, table
from slipway.run.plan import resolve
from slipway.run.presets import load_preset
from slipway.run.spec import TrainSpec
from tests.model_garden_fields import dump, model_garden_fields

from services.trainer.pipeline_config import dump as dump_config
from services.trainer.pipeline_config import pipeline_config

pytestmark = pytest.mark.slow


def config_of(**overrides):
    plan = resolve(
        TrainSpec(overrides={key.replace("__", "."): value for key, value in overrides.items()}), 100, (640, 480)
    )
    return pipeline_config(plan, 2, 130, None)


def test_table_is_that_of_the_installed_version():
    text = (resources.files("slipway.run") / "model_garden.json").read_text()
    assert text == dump(model_garden_fields()), "run make model-garden"


@pytest.mark.parametrize("experiment", table().experiments)
def test_every_value_of_an_experiment_has_the_type_of_the_table(experiment):
    from official.core import exp_factory

    values = flatten(exp_factory.get_exp_config(experiment).as_dict())
    known_values = {key: value for key, value in values.items() if key in table().fields}
    assert len(known_values) > 100
    for key, value in known_values.items():
        try:
            assert check_overrides({key: value}) == {key: list(value) if isinstance(value, tuple) else value}
        except SpecError as error:
            assert "cannot be set" in str(error)


def test_fields_of_a_run_are_applied_last():
    rate = "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate"
    config = config_of(
        **{
            "task.losses.focal_loss_gamma": 2,
            "task.train_data.parser.aug_rand_hflip": False,
            "task.train_data.parser.aug_type.type": "ssd_random_crop",
            "trainer.optimizer_config.optimizer.type": "sgd",
            rate: 0.01,
        }
    )
    text = yaml.safe_load(dump_config(config))
    values = flatten(text)
    assert values["task.losses.focal_loss_gamma"] == 2.0
    assert values["task.train_data.parser.aug_rand_hflip"] is False
    assert values["task.train_data.parser.aug_type.type"] == "ssd_random_crop"
    assert values["trainer.optimizer_config.optimizer.type"] == "sgd"
    assert values[rate] == 0.01
    assert (
        values["task.train_data.parser.aug_scale_min"]
        == load_preset("retinanet_efficientnet_lite0_320").augment.scale[0]
    )
    assert json.dumps(text)


def test_detections_of_an_image_are_as_many_as_the_plan_has():
    plan = resolve(TrainSpec(), 100, (640, 480), TrainBoxes(most_per_image=150))
    generator = pipeline_config(plan, 2, 150, None).task.model.detection_generator
    assert (generator.max_num_detections, generator.pre_nms_top_k) == (250, 1000)


def test_preset_of_a_runs_own_makes_the_configuration():
    spec = TrainSpec.model_validate(
        {
            "preset": "mine",
            "customPreset": {
                "base": "retinanet_resnet10_320",
                "experiment": "retinanet_spinenet_coco",
                "overrides": {
                    "task.model.backbone.type": "spinenet",
                    "task.model.backbone.spinenet.min_level": 3,
                    "task.model.backbone.spinenet.max_level": 6,
                    "task.model.decoder.type": "identity",
                    "trainer.optimizer_config.optimizer.type": "sgd",
                },
            },
        }
    )
    plan = resolve(spec, 100, (640, 480))
    config = pipeline_config(plan, 2, 130, None, spec.find_preset(plan.preset))
    assert config.trainer.optimizer_config.optimizer.type == "sgd"
    task = config.task
    assert (task.model.backbone.type, task.model.decoder.type) == ("spinenet", "identity")
    assert task.model.head.num_filters == 64


def test_coarser_levels_need_a_larger_multiple_of_the_image_size():
    assert config_of(**{"task.model.max_level": 7}).task.model.input_size == [384, 384, 3]
