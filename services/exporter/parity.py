"""Check that an export detects what the measured model detects; otherwise nothing is exported."""

import subprocess
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.artifacts.export import Parity

from services.exporter import reload
from services.exporter.compare import Outputs, ParityError, Tolerance, compare, merge
from services.exporter.export import DETECTIONS, RAW, TFLITE_INPUT, TrainedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

EXACT = Tolerance(box_px=1e-3, score=1e-5, unmatched_ratio=0.01)
# TFLite computes with other kernels, which round differently; a wrong model differs by more than this.
CLOSE = Tolerance(box_px=0.1, score=1e-3, unmatched_ratio=0.05)


def check_saved_model(
    trained_model: TrainedModel, saved_model: Path, records: Sequence[bytes], scratch: Path
) -> Parity:
    """Compare the SavedModel, loaded by another process, with the model in the pipeline of the evaluation.

    Args:
      records: Serialized tf.Examples of real images.

    Raises:
      ParityError: An image's boxes or scores differ, or nothing could be compared.
    """
    import numpy as np

    folder = scratch / "parity"
    folder.mkdir()
    for number, record in enumerate(records):
        (folder / f"{number:04d}.image").write_bytes(_image(record))
    with ThreadPoolExecutor(1) as pool:  # the other process takes seconds to start
        reload_run = pool.submit(_run_reload, saved_model, folder)
        expected_outputs = _evaluation_outputs(trained_model, records, scratch)
        reload_run.result()
    total = Parity()
    for number, (expected, extent) in enumerate(expected_outputs):
        with np.load(folder / f"{number:04d}.npz") as file:
            arrays = dict(file)
        from_file = {name: arrays[f"encoded_{name}"] for name in DETECTIONS}
        name = _filename(records[number])
        total = merge(total, compare(expected, _outputs(arrays, extent), EXACT, name))
        compare(expected, _outputs(from_file, extent), EXACT, f"{name}, given as a file")
    if not total.anchors:
        raise ParityError("nothing was compared: the test split has no image that both could be run on")
    return total


def check_tflite(trained_model: TrainedModel, tflite: bytes, records: Sequence[bytes], scratch: Path) -> Parity:
    """Compare the TFLite file with the model, on images that are stretched to the size of its input first.

    Raises:
      ParityError: An image's detections differ by more than the rounding of other kernels.
    """
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the interpreter announces its move to another package
        runner = tf.lite.Interpreter(model_content=tflite).get_signature_runner()
    records = [_stretch(record, trained_model.config.task.model.input_size[:2]) for record in records]
    total = Parity()
    for record, (expected, extent) in zip(records, _evaluation_outputs(trained_model, records, scratch), strict=True):
        image = tf.io.decode_png(_image(record), channels=3)[tf.newaxis]
        arrays = {name: array[0] for name, array in runner(**{TFLITE_INPUT: image.numpy()}).items()}
        total = merge(total, compare(expected, _outputs(arrays, extent), CLOSE, f"{_filename(record)} in TFLite"))
    return total


def _evaluation_outputs(
    trained_model: TrainedModel, records: Sequence[bytes], scratch: Path
) -> list[tuple[Outputs, "Floats"]]:
    """Run the records through Model Garden's decoder, parser and model, as the evaluation does.

    Returns:
      Each image's outputs, and its (height, width, height, width) within the model's input, in pixels.
    """
    import numpy as np
    import tensorflow as tf

    path = str(scratch / "parity.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)
    source = trained_model.config.task.validation_data.replace(
        input_path=path, global_batch_size=1, drop_remainder=False
    )
    model = tf.function(trained_model.model)
    results = []
    for images, labels in trained_model.task.build_inputs(source):
        info = labels["image_info"]
        outputs = model(images, anchor_boxes=labels["anchor_boxes"], image_shape=info[:, 1, :], training=False)
        extent = np.tile((info[0, 0] * info[0, 2]).numpy(), 2)
        arrays = {name: outputs[name][0].numpy() for name in DETECTIONS}
        arrays["detection_boxes"] = arrays["detection_boxes"] / extent
        arrays[RAW[0]] = outputs["decoded_boxes"][0, :, 0].numpy() / extent
        arrays[RAW[1]] = outputs["decoded_box_scores"][0].numpy()
        results.append((_outputs(arrays, extent), extent))
    return results


def _outputs(arrays: dict[str, "NDArray[Any]"], extent: "Floats") -> Outputs:
    """Return the first `num_detections` detections, with boxes of the unit square converted to pixels."""
    import numpy as np

    count = int(arrays["num_detections"])
    has_raw = RAW[0] in arrays
    return Outputs(
        boxes=np.clip(arrays["detection_boxes"][:count], 0, 1) * extent,
        scores=arrays["detection_scores"][:count],
        classes=arrays["detection_classes"][:count].astype(np.int64),
        raw_boxes=np.clip(arrays[RAW[0]], 0, 1) * extent if has_raw else None,
        raw_scores=arrays[RAW[1]] if has_raw else None,
    )


def _run_reload(saved_model: Path, folder: Path) -> None:
    command = [sys.executable, "-P", reload.__file__, str(saved_model), str(folder)]
    # The command is this package's own module; no part of it comes from a user.
    process = subprocess.run(  # noqa: S603
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise ParityError(f"plain TensorFlow cannot run the SavedModel: {process.stderr.strip()[-1000:]}")


def _image(record: bytes) -> bytes:
    return bytes(_feature(record, "image/encoded"))


def _filename(record: bytes) -> str:
    return bytes(_feature(record, "image/filename")).decode(errors="replace")


def _feature(record: bytes, name: str) -> Any:
    import tensorflow as tf

    return tf.train.Example.FromString(record).features.feature[name].bytes_list.value[0]


def _stretch(record: bytes, size: Sequence[int]) -> bytes:
    """Return the tf.Example with its image resized, as PNG; its normalized boxes stay as they are."""
    import tensorflow as tf

    example = tf.train.Example.FromString(record)
    image = tf.image.resize(tf.io.decode_image(_image(record), channels=3, expand_animations=False), size)
    png = tf.io.encode_png(tf.cast(tf.round(image), tf.uint8)).numpy()
    example.features.feature["image/encoded"].bytes_list.value[0] = png
    return bytes(example.SerializeToString())
