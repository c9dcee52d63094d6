"""Batches for the training, with mosaic and colour jitter between Model Garden's decoder and its parser."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway.run.augmentation import Augmentation

from services.trainer.augmentation.colour import jitter_colours
from services.trainer.augmentation.mosaic import Canvas, Example, mosaic

if TYPE_CHECKING:
    import tensorflow as tf
    from official.vision.configs.retinanet import RetinaNetTask

_MOSAIC_SHARE = 0.8  # of the steps; the last ones show whole images, as the detector will see them


@dataclass(frozen=True)
class Progress:
    """The part of a training that this process does.

    Attributes:
      steps: Length of the whole training.
      start_step: The step that was reached before.
      seed: Seed of the whole training.
    """

    steps: int
    start_step: int
    seed: int


def build_inputs(
    task: "RetinaNetTask",
    augmentation: Augmentation,
    progress: Progress,
    input_context: "tf.distribute.InputContext",
) -> "tf.data.Dataset":
    """Build the batches of one worker: those of Model Garden's task, from augmented images.

    What is drawn for an image follows from the seed, from the worker and from the number of images before it since the
    first step: it does not depend on the order in which threads run, and a resumed training goes on with other draws.

    Source: tf-models-official, `official/vision/tasks/retinanet.py`, `RetinaNetTask.build_inputs`, which has no place
    for a step between decoder and parser.
    """
    from official.common.dataset_fn import pick_dataset_fn
    from official.core.input_reader import InputReader
    from official.vision.dataloaders.tf_example_decoder import TfExampleDecoder

    data = task.train_data
    draws = _Draws.of_worker(progress, data.global_batch_size, input_context)
    reader = InputReader(
        data,
        dataset_fn=pick_dataset_fn(data.file_type),
        decoder_fn=TfExampleDecoder(regenerate_source_id=data.decoder.get().regenerate_source_id).decode,
        sample_fn=lambda examples: _augment(examples, task, augmentation, draws),
        parser_fn=_parser(task).parse_fn(is_training=True),
    )
    return reader.read(input_context=input_context)


def _parser(task: "RetinaNetTask") -> Any:
    """Return Model Garden's parser, with every field of its configuration."""
    from official.vision.dataloaders.retinanet_input import Parser

    model, data = task.model, task.train_data
    fields = {field.name: getattr(data.parser, field.name) for field in dataclasses.fields(data.parser)}
    for unused_field in ("num_channels", "aug_policy"):
        del fields[unused_field]
    return Parser(
        output_size=model.input_size[:2],
        min_level=model.min_level,
        max_level=model.max_level,
        num_scales=model.anchor.num_scales,
        aspect_ratios=model.anchor.aspect_ratios,
        anchor_size=model.anchor.anchor_size,
        box_coder_weights=model.detection_generator.box_coder_weights,
        dtype=data.dtype,
        **fields,
    )


@dataclass(frozen=True)
class _Draws:
    """The random draws of one worker.

    Attributes:
      seed: Differs between workers.
      start: Number of images that this worker has drawn before.
      mosaic_end: Number of images after which no mosaic is made.
    """

    seed: int
    start: int
    mosaic_end: int

    @classmethod
    def of_worker(cls, progress: Progress, batch_size: int, input_context: "tf.distribute.InputContext") -> "_Draws":
        images_per_step = batch_size // input_context.num_input_pipelines
        return cls(
            seed=progress.seed + (input_context.input_pipeline_id << 32),  # a run's seed is below 2³¹
            start=progress.start_step * images_per_step,
            mosaic_end=int(progress.steps * _MOSAIC_SHARE) * images_per_step,
        )


def _augment(
    examples: "tf.data.Dataset", task: "RetinaNetTask", augmentation: Augmentation, draws: _Draws
) -> "tf.data.Dataset":
    import tensorflow as tf

    height, width = task.model.input_size[:2]
    canvas = Canvas(height, width, task.train_data.parser.keep_aspect_ratio)

    def augment(number: "tf.Tensor", group: Sequence[Example]) -> Example:
        seeds = tf.unstack(tf.random.split(tf.stack([tf.constant(draws.seed, tf.int64), number]), 3))
        example = group[0]
        if augmentation.mosaic:
            is_drawn = tf.random.stateless_uniform([], seeds[0]) < augmentation.mosaic
            is_mosaic = is_drawn & (number < draws.mosaic_end) & (tf.size(group[-1]["image"]) > 0)
            example = tf.cond(is_mosaic, lambda: mosaic(group, canvas, seeds[1]), lambda: dict(group[0]))
        if augmentation.colour:
            example = {**example, "image": jitter_colours(example["image"], augmentation.colour, seeds[2])}
        return example

    groups = _with_examples_before(examples, 3) if augmentation.mosaic else tf.data.Dataset.zip((examples,))
    return groups.enumerate(draws.start).map(augment, num_parallel_calls=tf.data.AUTOTUNE)


def _with_examples_before(examples: "tf.data.Dataset", count: int) -> "tf.data.Dataset":
    """Return each example with those just before it, in a tuple: an image is then decoded once, not once a mosaic.

    They come in random order already. Before the first example are empty ones, whose images have no pixels.
    """
    import tensorflow as tf

    empty_example = {
        key: tf.zeros([side or 0 for side in spec.shape], spec.dtype) for key, spec in examples.element_spec.items()
    }

    def shift(previous: Any, example: Example) -> tuple[Any, Any]:
        group = (example, *previous)
        return group[:-1], group

    return examples.scan((empty_example,) * count, shift)
