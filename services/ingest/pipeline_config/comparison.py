"""The comparison of a pipeline config with a run: what of it is taken over, what is replaced, and why.

Most values of a config are those of the sample that it was copied from, which are right for its network and a large
GPU. So only what does not depend on them is taken over. The run may ask for any of the others.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.artifacts.dataset import ComparedConfig, ConfigField, SplitCounts
from slipway.run.plan import Plan
from slipway.text import format_count, format_value

from services.ingest.pipeline_config.messages import present_fields
from services.ingest.pipeline_config.source_config import SourceConfig, label_map_paths

_CROPS = ("crop", "scale", "pad")  # parts of the names of steps that change the size of objects
_COLOURS = ("brightness", "contrast", "hue", "saturation", "distort_color")


@dataclass(frozen=True)
class Counterparts:
    """What a run has in place of a config.

    Attributes:
      labels: In the order of their class ids.
    """

    plan: Plan
    labels: tuple[str, ...]
    splits: Mapping[str, SplitCounts]


def compare_config(config: SourceConfig, run: Counterparts) -> ComparedConfig:
    """Return every field of the config that the tutorial edits, with its counterpart in the run."""
    if config.pipeline is None:
        return ComparedConfig(file=config.file, fault=config.fault)
    fields = (
        *_compare_model(config.pipeline.model, run),
        *_compare_training(config, run),
        *_compare_augmentation(config.pipeline.train_config, run.plan),
        *_compare_inputs(config, run),
        *_compare_evaluation(config.pipeline.eval_config, run),
    )
    return ComparedConfig(file=config.file, fields=fields)


def _compare_model(model: Any, run: Counterparts) -> Iterator[ConfigField]:
    for name in present_fields(model):
        detector = getattr(model, name)
        present = present_fields(detector)
        if "num_classes" in present:
            labels = format_count(len(run.labels), "label")
            yield _same_or_replaced(
                f"{name}.num_classes", detector.num_classes, len(run.labels), f"the dataset has {labels}"
            )
        if "feature_extractor" in present:
            reason = "every preset is a RetinaNet of Model Garden, with --preset another"
            yield _replaced(f"{name}.feature_extractor.type", detector.feature_extractor.type, run.plan.preset, reason)
        if "image_resizer" in present:
            yield _compare_resizer(f"{name}.image_resizer", detector.image_resizer, run.plan)


def _compare_resizer(field: str, resizer: Any, plan: Plan) -> ConfigField:
    reason = f"{plan.reasons.get('image_size', '')}; --image-size chooses another"
    size = f"{plan.image_size} × {plan.image_size}"
    if "fixed_shape_resizer" in present_fields(resizer):
        shape = resizer.fixed_shape_resizer
        return _same_or_replaced(field, f"{shape.width} × {shape.height}", size, reason)
    shape = resizer.keep_aspect_ratio_resizer
    value = f"{shape.min_dimension} to {shape.max_dimension}, keeping the aspect ratio"
    return _replaced(field, value, f"{size}, keeping the aspect ratio", reason)


def _compare_training(config: SourceConfig, run: Counterparts) -> Iterator[ConfigField]:
    train, plan = config.pipeline.train_config, run.plan
    present = present_fields(train)
    if "batch_size" in present:
        reason = f"{plan.reasons.get('batch_size', '')}; --batch-size chooses another"
        yield _same_or_replaced("train_config.batch_size", train.batch_size, plan.batch_size, reason)
    if "num_steps" in present:
        reason = f"{plan.reasons.get('steps', '')}; --steps chooses another length"
        yield _same_or_replaced("train_config.num_steps", train.num_steps, plan.steps, reason)
    yield from _compare_learning_rate(train.optimizer, plan)
    weights, reason = plan.initial_checkpoint or "none", plan.reasons.get("initial_checkpoint", "")
    if "fine_tune_checkpoint" in present:
        text = f"a checkpoint must fit the preset; {reason}; --initial-checkpoint chooses another"
        yield _same_or_replaced("train_config.fine_tune_checkpoint", train.fine_tune_checkpoint, weights, text)
    for field in ("from_detection_checkpoint", "fine_tune_checkpoint_type"):
        if field in present:
            text = "the preset decides which modules of the model are restored: init_checkpoint_modules"
            yield _without(f"train_config.{field}", format_value(getattr(train, field)), text)


def _compare_learning_rate(optimizer: Any, plan: Plan) -> Iterator[ConfigField]:
    for optimizer_name in present_fields(optimizer):
        schedule = getattr(optimizer, optimizer_name).learning_rate
        for name in present_fields(schedule):
            rates = [rate for _, rate in getattr(schedule, name).ListFields()]
            value = f"{max(rates):g} ({name})" if rates else name
            reason = f"a rate fits one network and optimizer; {plan.reasons.get('learning_rate', '')}; "
            yield _replaced(
                f"train_config.{optimizer_name}.learning_rate",
                value,
                f"{plan.learning_rate:g}",
                f"{reason}--learning-rate chooses another",
            )


def _compare_augmentation(train: Any, plan: Plan) -> Iterator[ConfigField]:
    for step in train.data_augmentation_options:
        names = present_fields(step) or ["a step that is not known"]
        yield from (_compare_step(name, plan) for name in names)


def _compare_step(name: str, plan: Plan) -> ConfigField:
    field, augmentation = "train_config.data_augmentation_options", plan.augmentation
    if name == "random_horizontal_flip":
        if augmentation.flip:
            return _taken(field, name, "images are mirrored; --augment flip=false turns it off")
        return _replaced(field, name, "no mirrored images", plan.reasons.get("augment_flip", ""))
    if name.startswith(("random", "ssd_random")) and any(word in name for word in _CROPS):
        low, high = augmentation.scale
        reason = "images are scaled and cut at random; --augment scale=LOW..HIGH chooses other factors"
        return _replaced(field, name, f"scale {low:g} to {high:g}", reason)
    if any(word in name for word in _COLOURS):
        reason = "colours of a share of the images change; --augment colour=SHARE chooses it"
        return _replaced(field, name, f"colour {augmentation.colour:g}", reason)
    return _without(field, name, "--augment lists the changes that there are")


def _compare_inputs(config: SourceConfig, run: Counterparts) -> Iterator[ConfigField]:
    pipeline = config.pipeline
    for split, readers in (("train", pipeline.train_input_reader), ("test", pipeline.eval_input_reader)):
        for path in (path for reader in readers for path in reader.tf_record_input_reader.input_path):
            field = f"{'train' if split == 'train' else 'eval'}_input_reader.input_path"
            count = format_count(run.splits[split].images, "image")
            yield _replaced(field, path, f"records of {split}", f"they are made from the dataset's {count}")
    for path in label_map_paths(pipeline):
        if config.label_map and config.label_map.names == run.labels:
            yield _taken("label_map_path", path, f"the class ids are those of {config.label_map_file}")
        else:
            reason = (
                f"{config.label_map_file} has other labels or ids"
                if config.label_map
                else "the source has no such file"
            )
            yield _replaced("label_map_path", path, f"the label map of {', '.join(run.labels[:5])}", reason)


def _compare_evaluation(evaluation: Any, run: Counterparts) -> Iterator[ConfigField]:
    present = present_fields(evaluation)
    if "num_examples" in present:
        count = run.splits["test"].images
        reason = "every image of test is measured"
        yield _same_or_replaced("eval_config.num_examples", evaluation.num_examples, count, reason)
    if "max_evals" in present:
        count = math.ceil(run.plan.steps / run.plan.checkpoint_every)
        reason = "every checkpoint is measured once; --checkpoint-every chooses how many there are"
        yield _same_or_replaced("eval_config.max_evals", evaluation.max_evals, count, reason)


def _same_or_replaced(field: str, value: Any, counterpart: Any, reason: str) -> ConfigField:
    if value == counterpart:
        return _taken(field, format_value(value), reason)
    return _replaced(field, format_value(value), format_value(counterpart), reason)


def _taken(field: str, value: str, reason: str) -> ConfigField:
    return ConfigField(field=field, value=value, outcome="taken over", reason=reason)


def _replaced(field: str, value: str, counterpart: str, reason: str) -> ConfigField:
    return ConfigField(field=field, value=value, outcome="replaced", counterpart=counterpart, reason=reason)


def _without(field: str, value: str, reason: str) -> ConfigField:
    return ConfigField(field=field, value=value, outcome="no counterpart", reason=reason)
