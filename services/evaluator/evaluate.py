"""One checkpoint → its detections on one split, by Model Garden's own validation step."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from slipway.dataset.boxes import Box

from services.evaluator.coco import Detection


class Evaluation:
    """A model that is built once and loads one checkpoint after another.

    Args:
      experiment: Model Garden's name of the experiment.
      config: Content of `pipeline.yaml`.
    """

    def __init__(self, experiment: str, config: Mapping[str, Any]) -> None:
        import tensorflow as tf
        from official.core import exp_factory, task_factory
        from official.vision.tasks import retinanet as _tasks  # noqa: F401  # registers experiments and task

        self._config = exp_factory.get_exp_config(experiment)
        self._config.override(dict(config), is_strict=False)
        self._task = task_factory.get_task(self._config.task)
        self._model = self._task.build_model()
        self._task.build_metrics(training=False)
        self._checkpoint = tf.train.Checkpoint(model=self._model)
        self._steps: dict[str, Any] = {}

    def load(self, checkpoint: Path) -> None:
        """Load the weights of a checkpoint; the path is TensorFlow's prefix."""
        self._checkpoint.read(str(checkpoint)).expect_partial().assert_existing_objects_matched()

    def detect(self, records: str) -> tuple[list[Detection], float]:
        """Run the model over a split.

        Args:
          records: Pattern of the local TFRecord files.

        Returns:
          The detections, and the mean validation loss of the batches.
        """
        data = self._config.task.validation_data.replace(input_path=records)
        dataset = self._task.build_inputs(data)
        step = self._validation_step(dataset.element_spec)
        detections: list[Detection] = []
        losses = []
        for inputs in dataset:
            logs = step(inputs)
            losses.append(float(logs["loss"]))
            _, outputs = logs["coco_metric"]
            detections.extend(_detections({name: value.numpy() for name, value in outputs.items()}))
        return detections, sum(losses) / max(len(losses), 1)

    def _validation_step(self, spec: Any) -> Any:
        import tensorflow as tf

        if str(spec) not in self._steps:  # one trace for each shape; the smaller last batch has the same spec
            self._steps[str(spec)] = tf.function(
                lambda inputs: self._task.validation_step(inputs, self._model), input_signature=[spec]
            )
        return self._steps[str(spec)]


def _detections(outputs: Mapping[str, Any]) -> Iterator[Detection]:
    """Yield the detections of one batch.

    Args:
      outputs: `detection_boxes` is float [batch, N, 4], (ymin, xmin, ymax, xmax) in pixels of the model's input;
        `image_info` has the scale of each image.
    """
    boxes = outputs["detection_boxes"] / outputs["image_info"][:, 2:3, :].repeat(2, axis=1).reshape(-1, 1, 4)
    classes, scores = outputs["detection_classes"], outputs["detection_scores"]
    for index, source_id in enumerate(outputs["source_id"]):
        for row in range(int(outputs["num_detections"][index])):
            ymin, xmin, ymax, xmax = (float(value) for value in boxes[index, row])
            box = Box(xmin, ymin, xmax, ymax)
            yield Detection(int(source_id), int(classes[index, row]), box, float(scores[index, row]))
