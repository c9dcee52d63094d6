"""TensorBoard's event file of an evaluation: metrics as curves, and pictures."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from services.evaluator.coco import Measurement

if TYPE_CHECKING:
    from PIL.Image import Image


class EventFile:
    """Writes one event file into a local folder that is empty before."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._writer = tf.summary.create_file_writer(str(folder))
        self._folder = folder

    def add(self, step: int, measurement: Measurement, pictures: "Sequence[Image]" = ()) -> Path:
        """Write AP, AR, the loss and the pictures of one checkpoint, and return the file."""
        import tensorflow as tf

        with self._writer.as_default(step=step):
            tf.summary.scalar("validation_loss", measurement.loss)
            for name, value in measurement.metrics.by_name().items():
                if value >= 0:
                    tf.summary.scalar(name, value)
            for score in measurement.per_class:
                if score.ap >= 0:
                    tf.summary.scalar(f"AP_per_class/{score.label}", score.ap)
            for number, picture in enumerate(pictures):
                _write_picture(f"truth_and_detections/{number}", picture)
        self._writer.flush()
        return next(self._folder.iterdir())


def _write_picture(tag: str, picture: "Image") -> None:
    """Write a picture as `tf.summary.image` does, but as JPEG: its PNG is several times as large."""
    import tensorflow as tf
    from tensorboard.plugins.image.metadata import create_summary_metadata

    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=85, subsampling=0)  # thin lines keep their colour
    metadata = create_summary_metadata(display_name=None, description="Annotated boxes left, detections right.")
    width, height = (str(side).encode() for side in picture.size)
    tf.summary.write(tag, tf.constant([width, height, jpeg.getvalue()]), metadata=metadata)
