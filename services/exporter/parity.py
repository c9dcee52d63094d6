"""The gate: what was exported must be the model that was measured, or nothing is exported."""

import subprocess
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.exporter import reload
from services.exporter.compare import Outputs, Parity, ParityError, Tolerance, compare
from services.exporter.export import DETECTIONS, RAW, TFLITE_INPUT, Trained

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

EXACT = Tolerance(box_px=1e-3, score=1e-5, unmatched=0.01)
# TFLite computes with other kernels, so it rounds otherwise; a wrong model is further off than this.
CLOSE = Tolerance(box_px=0.1, score=1e-3, unmatched=0.05)


def check_saved_model(trained: Trained, saved_model: Path, records: Sequence[bytes], scratch: Path) -> Parity:
    """Compare the SavedModel, loaded anew by another process, with the model in the evaluation's own pipeline.

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
        reloaded = pool.submit(_reload, saved_model, folder)
        measured = _in_training(trained, records, scratch)
        reloaded.result()
    total = Parity()
    for number, (own, extent) in enumerate(measured):
        with np.load(folder / f"{number:04d}.npz") as file:
            arrays = dict(file)
        from_file = {name: arrays[f"encoded_{name}"] for name in DETECTIONS}
        name = _filename(records[number])
        total += compare(own, _outputs(arrays, extent), EXACT, name)
        compare(own, _outputs(from_file, extent), EXACT, f"{name}, given as a file")
    if not total.anchors:
        raise ParityError("nothing was compared: the test split has no image that both could be run on")
    return total


def check_tflite(trained: Trained, tflite: bytes, records: Sequence[bytes], scratch: Path) -> Parity:
    """Compare the TFLite file with the model, on images that are stretched to its input beforehand.

    Raises:
      ParityError: An image's detections differ by more than another kernel's rounding.
    """
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the interpreter announces that it moves to a package of its own
        runner = tf.lite.Interpreter(model_content=tflite).get_signature_runner()
    stretched = [_stretch(record, trained.config.task.model.input_size[:2]) for record in records]
    total = Parity()
    for number, (own, extent) in enumerate(_in_training(trained, stretched, scratch)):
        image = tf.io.decode_png(_image(stretched[number]), channels=3)[tf.newaxis]
        arrays = {name: array[0] for name, array in runner(**{TFLITE_INPUT: image.numpy()}).items()}
        total += compare(own, _outputs(arrays, extent), CLOSE, f"{_filename(records[number])} in TFLite")
    return replace(total, anchors=0)


def _in_training(trained: Trained, records: Sequence[bytes], scratch: Path) -> list[tuple[Outputs, "Floats"]]:
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
    source = trained.config.task.validation_data.replace(input_path=path, global_batch_size=1, drop_remainder=False)
    model = tf.function(trained.model)
    results = []
    for images, labels in trained.task.build_inputs(source):
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
    """Pick the detections that count, and turn boxes of the unit square into pixels within the image."""
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


def _reload(saved_model: Path, folder: Path) -> None:
    command = [sys.executable, "-P", reload.__file__, str(saved_model), str(folder)]
    # Our own file, and nothing of it comes from a user.
    done = subprocess.run(  # noqa: S603
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ParityError(f"plain TensorFlow cannot run the SavedModel: {done.stderr.strip()[-1000:]}")


def _image(record: bytes) -> bytes:
    return bytes(_feature(record, "image/encoded"))


def _filename(record: bytes) -> str:
    return bytes(_feature(record, "image/filename")).decode(errors="replace")


def _feature(record: bytes, name: str) -> Any:
    import tensorflow as tf

    return tf.train.Example.FromString(record).features.feature[name].bytes_list.value[0]


def _stretch(record: bytes, size: Sequence[int]) -> bytes:
    """Give a tf.Example its image in another size, as PNG; its boxes are normalized and stay."""
    import tensorflow as tf

    example = tf.train.Example.FromString(record)
    image = tf.image.resize(tf.io.decode_image(_image(record), channels=3, expand_animations=False), size)
    encoded = tf.io.encode_png(tf.cast(tf.round(image), tf.uint8)).numpy()
    example.features.feature["image/encoded"].bytes_list.value[0] = encoded
    return bytes(example.SerializeToString())
