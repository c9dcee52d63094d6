"""Preset and plan → pipeline config: a Model Garden experiment, written in full as YAML."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml

from slipway.errors import InputError, SpecError
from slipway.run.from_data.anchor_coverage import Anchors
from slipway.run.model_garden import nest
from slipway.run.plan import Plan
from slipway.run.presets import Preset, load_preset

if TYPE_CHECKING:
    from official.core.config_definitions import ExperimentConfig

_WARMUP = 50  # steps; more would use up a tenth of a short training
_CLIP_NORM = 10.0
_LONGEST_REASON = 400  # characters: TensorFlow lists whole graphs


def pipeline_config(
    plan: Plan, num_labels: int, max_boxes: int, initial_checkpoint: str | None, preset: Preset | None = None
) -> "ExperimentConfig":
    """Override Model Garden's experiment with the preset, that with the plan, and that with the fields a run sets.

    Args:
      num_labels: Labels of the label map; Model Garden counts the background as one more class.
      max_boxes: Boxes of the fullest image; Model Garden would silently drop boxes above the configured number.
      initial_checkpoint: A local path, or None to train from scratch: then no layer is frozen.
      preset: The run's own; by default the built-in one that the plan names.

    The patterns of the records are relative; trainer and evaluator each prepend the folder of their local copies.
    """
    from official.core import exp_factory
    from official.vision.tasks import retinanet as _tasks  # noqa: F401  # registers experiments and task

    preset = preset or load_preset(plan.preset)
    config = exp_factory.get_exp_config(preset.experiment)
    config.override(dict(preset.overrides), is_strict=True)
    task = _task(plan, num_labels, max_boxes) | {
        "init_checkpoint": initial_checkpoint,
        **_restored_modules(plan),
        "freeze_backbone": preset.freeze_backbone and initial_checkpoint is not None,
    }
    config.override({"task": task, "trainer": _trainer(plan)}, is_strict=True)
    config.override(nest(plan.overrides), is_strict=True)
    config.validate()
    return config


def dump(config: "ExperimentConfig") -> bytes:
    """Return the content of `pipeline.yaml`: every field, not only the overrides.

    Evaluator and exporter build their model from it, and Model Garden's
    `train.py --experiment=retinanet --config_file=pipeline.yaml` reads it too.
    """
    return yaml.safe_dump(config.as_dict(), sort_keys=False).encode()


@contextmanager
def user_errors(is_customized: bool) -> Iterator[None]:
    """Translate Model Garden's errors, if the user has changed its configuration.

    Raises:
      SpecError: Model Garden cannot build what the configuration describes, although each value has the right type.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError) as error:
        if isinstance(error, InputError) or not is_customized:
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise SpecError(
            f"Model Garden cannot use the configuration of this run: {reason[:_LONGEST_REASON]}; "
            "correct train.overrides (--set) or the preset"
        ) from error


def _restored_modules(plan: Plan) -> dict[str, Any]:
    """Return the modules to restore; none in the plan of an older version, which takes those of the preset."""
    modules = plan.initial_checkpoint_modules
    if modules is None:
        return {}
    return {"init_checkpoint_modules": "all" if "head" in modules else list(modules)}


def _task(plan: Plan, num_labels: int, max_boxes: int) -> dict[str, Any]:
    boxes = {"max_num_instances": max(100, max_boxes)}
    return {
        "annotation_file": None,
        "model": {
            "num_classes": num_labels + 1,
            "input_size": [plan.image_size, plan.image_size, 3],
            **(_anchors(plan.anchors) if plan.anchors else {}),
            **_detections(plan),
        },
        "train_data": {
            "input_path": "train-*.tfrecord",
            "global_batch_size": plan.batch_size,
            "shuffle_buffer_size": 1000,
            "parser": boxes | _augmentation(plan),
        },
        "validation_data": {
            "input_path": "test-*.tfrecord",
            "global_batch_size": 8,
            "drop_remainder": False,
            "parser": boxes,
        },
        "export_config": {"output_normalized_coordinates": True},
    }


def _detections(plan: Plan) -> dict[str, Any]:
    return {"detection_generator": {"max_num_detections": plan.max_detections}} if plan.max_detections else {}


def _anchors(anchors: Anchors) -> dict[str, Any]:
    levels = {"min_level", "max_level"}
    return {**anchors.model_dump(include=levels), "anchor": anchors.model_dump(mode="json", exclude=levels)}


def _augmentation(plan: Plan) -> dict[str, Any]:
    """Return the fields of the parser for the augmentation that Model Garden has; the trainer adds the rest."""
    augmentation = plan.augmentation
    smallest, largest = augmentation.scale
    crop = {"aug_type": {"type": "ssd_random_crop"}} if augmentation.crop else {}
    return {"aug_rand_hflip": augmentation.flip, "aug_scale_min": smallest, "aug_scale_max": largest, **crop}


def _trainer(plan: Plan) -> dict[str, Any]:
    return {
        "train_steps": plan.steps,
        "checkpoint_interval": plan.checkpoint_every,
        "optimizer_config": {
            "optimizer": {"type": "adam_experimental", "adam_experimental": {"global_clipnorm": _CLIP_NORM}},
            "learning_rate": {
                "type": "cosine",
                "cosine": {"initial_learning_rate": plan.learning_rate, "decay_steps": plan.steps},
            },
            "warmup": {
                "type": "linear",
                "linear": {"warmup_steps": min(_WARMUP, plan.steps // 2), "warmup_learning_rate": 0.0},
            },
        },
    }
