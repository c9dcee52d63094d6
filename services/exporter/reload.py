"""Run of a SavedModel in a process that imports TensorFlow alone, neither Slipway nor Model Garden.

`python reload.py SAVED_MODEL FOLDER` reads each `NAME.image` of the folder and writes `NAME.npz` beside it: the outputs
of every signature, those of the encoded image under `encoded_…`.
"""

import sys
from pathlib import Path

_FOREIGN = {"official", "tf_keras", "slipway", "services"}


def reload(saved_model: Path, folder: Path) -> None:
    """Detect in every image; exit with an error if a module of `_FOREIGN` was imported for it."""
    import numpy as np
    import tensorflow as tf

    signatures = tf.saved_model.load(str(saved_model)).signatures
    for path in sorted(folder.glob("*.image")):
        content = tf.constant([path.read_bytes()])
        image = tf.io.decode_image(content[0], channels=3, expand_animations=False)[tf.newaxis]
        outputs = {
            **signatures["serving_default"](image_tensor=image),
            **signatures["raw"](image_tensor=image),
            **{f"encoded_{name}": value for name, value in signatures["image_bytes"](image_bytes=content).items()},
        }
        np.savez(path.with_suffix(".npz"), **{name: value[0].numpy() for name, value in outputs.items()})
    foreign = _FOREIGN & {name.partition(".")[0] for name in sys.modules}
    if foreign:
        raise SystemExit(f"{', '.join(sorted(foreign))} was imported; the SavedModel must need TensorFlow alone")


if __name__ == "__main__":
    reload(Path(sys.argv[1]), Path(sys.argv[2]))
