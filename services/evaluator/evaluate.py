"""One checkpoint → its detections on one split, by Model Garden's own validation step."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.evaluator.coco import Detection, Measured

if TYPE_CHECKING:
    from PIL.Image import Image


class Evaluation:
    """A model that is built once and measured with many checkpoints.

    Args:
      experiment: Model Garden's name of it.
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
        """Take up the weights of a checkpoint; the path is TensorFlow's prefix."""
        self._checkpoint.read(str(checkpoint)).expect_partial().assert_existing_objects_matched()

    def detect(self, records: str) -> tuple[list[Detection], float]:
        """Run the model over a split.

        Args:
          records: Pattern of the local TFRecord files.

        Returns:
          Rows of image_id, category_id, bbox [x, y, width, height] in pixels of the stored image and score; and the
          mean validation loss of the batches.
        """
        data = self._config.task.validation_data.replace(input_path=records)
        dataset = self._task.build_inputs(data)
        step = self._step(dataset.element_spec)
        detections: list[Detection] = []
        losses = []
        for inputs in dataset:
            logs = step(inputs)
            losses.append(float(logs["loss"]))
            _, outputs = logs["coco_metric"]
            detections.extend(_rows({name: value.numpy() for name, value in outputs.items()}))
        return detections, sum(losses) / max(len(losses), 1)

    def _step(self, spec: Any) -> Any:
        import tensorflow as tf

        if str(spec) not in self._steps:  # one trace a shape; the last batch is smaller, but its spec is the same
            self._steps[str(spec)] = tf.function(
                lambda inputs: self._task.validation_step(inputs, self._model), input_signature=[spec]
            )
        return self._steps[str(spec)]


def _rows(outputs: Mapping[str, Any]) -> Iterator[Detection]:
    """Read one batch: boxes float [batch, N, 4] as (ymin, xmin, ymax, xmax), scaled as `image_info` says."""
    boxes = outputs["detection_boxes"] / outputs["image_info"][:, 2:3, :].repeat(2, axis=1).reshape(-1, 1, 4)
    for index, source_id in enumerate(outputs["source_id"]):
        for row in range(int(outputs["num_detections"][index])):
            ymin, xmin, ymax, xmax = (float(value) for value in boxes[index, row])
            yield {
                "image_id": int(source_id),
                "category_id": int(outputs["detection_classes"][index, row]),
                "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
                "score": float(outputs["detection_scores"][index, row]),
            }


class EventFile:
    """TensorBoard's event file of the evaluation."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._writer = tf.summary.create_file_writer(str(folder))
        self._folder = folder

    def add(self, step: int, measured: Measured, pictures: "Sequence[Image]" = ()) -> Path:
        """Write AP, AR, the loss and pictures of one checkpoint, and return the file."""
        import tensorflow as tf

        with self._writer.as_default(step=step):
            tf.summary.scalar("validation_loss", measured.loss)
            for name, value in measured.metrics.items():
                if value >= 0:
                    tf.summary.scalar(name, value)
            for row in measured.per_class:
                if row["AP"] >= 0:
                    tf.summary.scalar(f"AP_per_class/{row['label']}", row["AP"])
            for number, picture in enumerate(pictures):
                _write_picture(f"truth_and_detections/{number}", picture)
        self._writer.flush()
        return next(self._folder.iterdir())


def _write_picture(tag: str, picture: "Image") -> None:
    """Write what `tf.summary.image` does, but a JPEG: its PNG is several times as large."""
    import tensorflow as tf
    from tensorboard.plugins.image.metadata import create_summary_metadata

    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=85, subsampling=0)  # thin lines keep their colour
    metadata = create_summary_metadata(display_name=None, description="Annotated boxes left, detections right.")
    width, height = (str(side).encode() for side in picture.size)
    tf.summary.write(tag, tf.constant([width, height, jpeg.getvalue()]), metadata=metadata)
