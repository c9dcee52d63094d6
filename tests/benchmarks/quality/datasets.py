"""Datasets of the quality benchmark: folders, the drawn harbour, and smaller train splits of either."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement

from slipway import keys
from slipway.artifacts.inputs import RunInputs
from slipway.dataset.annotations import AnnotatedImage
from slipway.store.interface import ObjectStore
from tests.benchmarks.quality.yolo_format import image_name
from tests.fakes import harbour

HARBOUR = "harbour"


@dataclass(frozen=True)
class Dataset:
    """One dataset as the command line names it.

    Attributes:
      source: A folder of annotated images; None for the drawn harbour.
      images: Number of images of the drawn harbour.
      test_ratio: Share of the test split; None for Slipway's default, or the source's own split.
      train_images: Number of images that the train split is reduced to; None for all.
    """

    name: str
    source: Path | None = None
    images: int = 400
    test_ratio: float | None = None
    train_images: int | None = None

    @property
    def options(self) -> list[str]:
        """The options of `slipway run` that belong to the dataset."""
        return [] if self.test_ratio is None else ["--test-ratio", str(self.test_ratio)]


def parse_dataset(text: str) -> Dataset:
    """Read `NAME=FOLDER`, or `NAME=harbour` for drawn images, with options after commas.

    Options: `test-ratio=0.2`, `train=45` (images of the train split), `images=60` (of the harbour).

    Raises:
      ValueError: The text has another form, or the folder does not exist.
    """
    name, _, rest = text.partition("=")
    source, *words = rest.split(",")
    options = dict(word.partition("=")[::2] for word in words)
    unknown = options.keys() - {"test-ratio", "train", "images"}
    if not name or not source or unknown:
        raise ValueError(f"{text}: expected NAME=FOLDER or NAME={HARBOUR}, then ,test-ratio=R ,train=N ,images=N")
    folder = None if source == HARBOUR else Path(source).resolve()
    if folder and not folder.is_dir():
        raise ValueError(f"{text}: {folder} is not a folder")
    return Dataset(
        name=name,
        source=folder,
        images=int(options.get("images", Dataset.images)),
        test_ratio=float(options["test-ratio"]) if "test-ratio" in options else None,
        train_images=int(options["train"]) if "train" in options else None,
    )


def source_folder(dataset: Dataset, work: Path) -> Path:
    """Return the folder of all images; the harbour is drawn the first time, with the seed of `make demo`."""
    if dataset.source:
        return dataset.source
    folder = work / f"harbour-{dataset.images}"
    if not (folder / "complete").exists():
        harbour.draw(folder, dataset.images, seed=1)
        (folder / "complete").touch()
    return folder


def write_smaller_source(inputs: RunInputs, store: ObjectStore, train_images: int, folder: Path) -> None:
    """Write a source with a part of the train split, drawn with the run's seed, and the other splits as they are.

    Its folders are named after the splits, so that Slipway keeps them.
    """
    for split in inputs.manifest.splits:
        images = list(inputs.annotated_images(store, split))
        if split == "train":
            images = choose(images, train_images, inputs.run.spec.train.seed)
        for image in images:
            content = store.read(keys.blob(image.sha256))
            _write_image(image, content, folder / split)


def choose(images: Sequence[AnnotatedImage], count: int, seed: int) -> list[AnnotatedImage]:
    """Choose some images; a larger count with the same seed chooses these and others.

    Raises:
      ValueError: There are fewer images.
    """
    if count > len(images):
        raise ValueError(f"train={count}: the train split has only {len(images)} images")
    order = sorted(images, key=lambda image: image.source_id)
    random.Random(seed).shuffle(order)
    return order[:count]


def _write_image(image: AnnotatedImage, content: bytes, folder: Path) -> None:
    """Write an image and its annotation, in the format of labelImg."""
    folder.mkdir(parents=True, exist_ok=True)
    filename = image_name(image)
    (folder / filename).write_bytes(content)
    ElementTree(_annotation(image, filename)).write((folder / filename).with_suffix(".xml"))


def _annotation(image: AnnotatedImage, filename: str) -> Element:
    root = Element("annotation")
    SubElement(root, "filename").text = filename
    size = SubElement(root, "size")
    for name in ("width", "height"):
        SubElement(size, name).text = str(getattr(image.size, name))
    for labeled_box in image.boxes:
        item = SubElement(root, "object")
        SubElement(item, "name").text = labeled_box.label
        for flag in ("truncated", "difficult"):
            SubElement(item, flag).text = str(int(getattr(labeled_box, flag)))
        corners = SubElement(item, "bndbox")
        for name, value in labeled_box.box._asdict().items():
            SubElement(corners, name).text = str(value)
    return root
