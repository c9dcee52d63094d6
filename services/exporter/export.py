"""Trained model → a SavedModel and a TFLite file, whose input is an image and whose output is boxes.

Model Garden's own exporter is not used: it takes the resize settings from the training parser rather than from the
evaluation's, normalizes in another order, and saves the Keras layers beside the graph. Here the image passes through
the functions of the evaluation's parser, and only graph and variables are saved: that takes 3 s instead of 30, and
TensorFlow alone loads the result.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from slipway.errors import SlipwayError

if TYPE_CHECKING:
    import tensorflow as tf
    from official.core.base_task import Task
    from official.core.config_definitions import ExperimentConfig

Tensors = dict[str, "tf.Tensor"]

INPUT, ENCODED_INPUT, TFLITE_INPUT = "image_tensor", "image_bytes", "image"
DETECTIONS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
RAW = ("raw_detection_boxes", "raw_detection_scores")
SIGNATURES: dict[str, dict[str, str | tuple[str, ...]]] = {
    "serving_default": {INPUT: "uint8 [batch, height, width, 3], RGB, upright, of any size", "outputs": DETECTIONS},
    ENCODED_INPUT: {ENCODED_INPUT: "string [1]: the bytes of one JPEG, PNG or BMP file", "outputs": DETECTIONS},
    "raw": {INPUT: "as above; what comes out is before score threshold and NMS", "outputs": RAW},
}


class ConversionError(SlipwayError):
    """The model cannot be written in a format that was asked for."""


@dataclass(frozen=True)
class TrainedModel:
    """A model as the evaluator measured it: built from `pipeline.yaml`, weights from the checkpoint."""

    config: "ExperimentConfig"
    task: "Task"
    model: Any


def load_trained_model(experiment: str, pipeline: bytes, checkpoint: Path) -> TrainedModel:
    """Build the model and read its weights; the checkpoint must have all of them.

    Args:
      experiment: Model Garden's name of the configuration that `pipeline` overrides.
      checkpoint: Its path without suffix.

    The model computes in float32, even if the training did not, since not every machine supports bfloat16.
    """
    import tensorflow as tf
    from official.core import exp_factory, task_factory
    from official.vision.tasks import retinanet as _tasks  # noqa: F401  # registers experiments and task

    config = exp_factory.get_exp_config(experiment)
    config.override(yaml.safe_load(pipeline), is_strict=True)
    config.task.validation_data.dtype = "float32"
    config.task.model.detection_generator.return_decoded = True  # for the `raw` signature
    task = task_factory.get_task(config.task)
    model = task.build_model()
    tf.train.Checkpoint(model=model).read(str(checkpoint)).expect_partial().assert_existing_objects_matched()
    return TrainedModel(config, task, model)


def export_saved_model(trained_model: TrainedModel, folder: Path) -> None:
    """Save the signatures of `SIGNATURES`; boxes are (ymin, xmin, ymax, xmax) in the unit square."""
    import tensorflow as tf

    def detect(image_tensor: "tf.Tensor") -> Tensors:
        return _detect(trained_model, image_tensor, DETECTIONS)

    def detect_raw(image_tensor: "tf.Tensor") -> Tensors:
        return _detect(trained_model, image_tensor, RAW)

    def detect_encoded(image_bytes: "tf.Tensor") -> Tensors:
        return detect(tf.io.decode_image(image_bytes[0], channels=3, expand_animations=False)[tf.newaxis])

    images = tf.TensorSpec([None, None, None, 3], tf.uint8, name=INPUT)
    files = tf.TensorSpec([1], tf.string, name=ENCODED_INPUT)
    module = tf.Module()
    module.model_variables = trained_model.model.variables
    module.detect = tf.function(detect, [images])
    module.detect_encoded = tf.function(detect_encoded, [files])
    module.detect_raw = tf.function(detect_raw, [images])
    signatures = {
        "serving_default": module.detect.get_concrete_function(),
        ENCODED_INPUT: module.detect_encoded.get_concrete_function(),
        "raw": module.detect_raw.get_concrete_function(),
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)


def export_tflite(trained_model: TrainedModel) -> bytes:
    """Convert to TFLite with built-in operations only, NMS among them.

    The input is uint8 [1, size, size, 3], resized as in the evaluation; the model normalizes it.

    Raises:
      ConversionError: An operation of the model has no built-in counterpart.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import ConverterError

    height, width = trained_model.config.task.model.input_size[:2]

    def detect(image: "tf.Tensor") -> Tensors:
        return _detect(trained_model, image, DETECTIONS)

    module = tf.Module()
    module.model_variables = trained_model.model.variables
    module.detect = tf.function(detect, [tf.TensorSpec([1, height, width, 3], tf.uint8, name=TFLITE_INPUT)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.detect.get_concrete_function()], module)
    try:
        content: bytes = converter.convert()
    except ConverterError as error:
        raise ConversionError(f"TensorFlow's converter refuses it: {str(error)[:300]}") from error
    return content


def _detect(trained_model: TrainedModel, images: "tf.Tensor", names: Iterable[str]) -> Tensors:
    import tensorflow as tf

    inputs, image_info = _preprocess(trained_model, images)
    outputs = trained_model.model(inputs, image_shape=image_info[:, 1, :], training=False)
    # One division for two steps: from the resized image back to the image, and from there to the unit square.
    extent = tf.tile(image_info[:, 0:1, :] * image_info[:, 2:3, :], [1, 1, 2])
    results = {
        "detection_boxes": tf.clip_by_value(outputs["detection_boxes"] / extent, 0.0, 1.0),
        "detection_classes": outputs["detection_classes"],
        "detection_scores": outputs["detection_scores"],
        "num_detections": outputs["num_detections"],
        "raw_detection_boxes": tf.clip_by_value(outputs["decoded_boxes"][:, :, 0] / extent, 0.0, 1.0),
        "raw_detection_scores": outputs["decoded_box_scores"],
    }
    return {name: results[name] for name in names}


def _preprocess(trained_model: TrainedModel, images: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
    """Normalize and resize the images as the evaluation's parser does.

    Returns:
      The images, float32 [batch, padded height, padded width, 3], and their image_info, float32 [batch, 4, 2].

    Source: tf-models-official, `official/vision/dataloaders/retinanet_input.py`, `Parser._parse_eval_data`.
    """
    import tensorflow as tf
    from official.vision.ops import preprocess_ops

    settings, parser = trained_model.config.task.model, trained_model.config.task.validation_data.parser
    size = settings.input_size[:2]
    padded_size = preprocess_ops.compute_padded_size(size, 2**settings.max_level) if parser.pad else size

    def resize(image: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
        image, image_info = preprocess_ops.resize_and_crop_image(
            preprocess_ops.normalize_image(image),
            size,
            padded_size=padded_size,
            keep_aspect_ratio=parser.keep_aspect_ratio,
        )
        return tf.ensure_shape(image, [*padded_size, 3]), image_info

    if images.shape[0] == 1:  # so that the TFLite file has no loop
        return tuple(tensor[tf.newaxis] for tensor in resize(images[0]))
    specs = (tf.TensorSpec([*padded_size, 3]), tf.TensorSpec([4, 2]))
    batch: tuple[tf.Tensor, tf.Tensor] = tf.map_fn(resize, images, fn_output_signature=specs)
    return batch
