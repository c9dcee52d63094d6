"""A dataset in YOLO's format, with the splits that Slipway made, so that the peers get the same images."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from slipway import keys
from slipway.artifacts.inputs import RunInputs
from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.boxes import normalize
from slipway.dataset.labels import LabelMap
from slipway.store.interface import ObjectStore


def export_yolo(inputs: RunInputs, store: ObjectStore, folder: Path) -> Path:
    """Write images, labels and `data.yaml`; return the path of the last.

    The file of an image is named after its source id. Where there is no val split, val is the test split, as in a run
    of Slipway, which then chooses its best checkpoint on test, too.
    """
    for split in inputs.manifest.splits:
        for image in inputs.annotated_images(store, split):
            name = image_name(image)
            _write(folder / "images" / split / name, store.read(keys.blob(image.sha256)))
            label_file = (folder / "labels" / split / name).with_suffix(".txt")
            _write(label_file, "".join(label_lines(image, inputs.labels)).encode())
    description = {
        "path": str(folder.resolve()),
        "train": "images/train",
        "val": f"images/{'val' if 'val' in inputs.manifest.splits else 'test'}",
        "test": "images/test",
        "nc": len(inputs.labels),
        "names": dict(enumerate(inputs.labels.names)),
    }
    _write(folder / "data.yaml", yaml.safe_dump(description, sort_keys=False).encode())
    return folder / "data.yaml"


def image_name(image: AnnotatedImage) -> str:
    return f"{image.source_id:06d}.{'jpg' if image.format == 'jpeg' else image.format}"


def label_lines(image: AnnotatedImage, labels: LabelMap) -> Iterable[str]:
    """Yield a line for each box: class id from 0, then centre, width and height as shares of the image."""
    for labeled_box in image.boxes:
        ymin, xmin, ymax, xmax = normalize(labeled_box.box, image.size)
        numbers = ((xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin)
        yield f"{labels.id(labeled_box.label) - 1} {' '.join(f'{number:.6f}' for number in numbers)}\n"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
