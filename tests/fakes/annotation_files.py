"""One drawn dataset, written as the annotation tools write it: a function for each format."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

Box = tuple[str, int, int, int, int]


@dataclass(frozen=True)
class DrawnImage:
    """An image of one colour, and its boxes as (label, xmin, ymin, xmax, ymax)."""

    split: str
    name: str
    width: int
    height: int
    boxes: tuple[Box, ...]

    @property
    def key(self) -> str:
        return f"{self.split}/{self.name}.jpg"


def drawn_images() -> list[DrawnImage]:
    """Return twelve images, every third of them in test, and every fifth without a box."""
    images = []
    for number in range(12):
        width, height = 64 + number, 48 + 2 * number
        label = ("ship", "buoy", "Anchor chain")[(number + number // 3) % 3]
        boxes = ((label, 3, 5 + number, 30, 40), ("ship", 40, 1, 41 + number, 44)) if number % 5 else ()
        images.append(DrawnImage("test" if number % 3 == 1 else "train", f"view-{number:02}", width, height, boxes))
    return images


def draw(folder: Path, images: list[DrawnImage]) -> None:
    for number, image in enumerate(images):
        (folder / image.key).parent.mkdir(parents=True, exist_ok=True)
        colour = (number * 20, 99, 255 - number * 20)
        Image.new("RGB", (image.width, image.height), colour).save(folder / image.key)


def write_voc(folder: Path, images: list[DrawnImage]) -> None:
    for image in images:
        objects = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
            f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
            for label, xmin, ymin, xmax, ymax in image.boxes
        )
        (folder / image.key).with_suffix(".xml").write_text(
            f"<annotation><filename>{image.name}.jpg</filename><size><width>{image.width}</width>"
            f"<height>{image.height}</height><depth>3</depth></size>{objects}</annotation>"
        )


def write_coco(folder: Path, images: list[DrawnImage]) -> None:
    """Write Roboflow's layout: a file in each split's folder; category ids in the order of their first use."""
    for split in ("train", "test"):
        document = coco_document([image for image in images if image.split == split])
        (folder / split / "_annotations.coco.json").write_text(json.dumps(document))


def coco_document(images: list[DrawnImage], folder: str = "") -> dict[str, Any]:
    """Return a document whose image ids have gaps.

    Args:
      folder: In front of the names of the images.
    """
    labels = list(dict.fromkeys(box[0] for image in images for box in image.boxes))
    objects = [
        {"image_id": 10 * number + 7, "category_id": 5 + 3 * labels.index(label), "iscrowd": 0}
        | {"bbox": [xmin, ymin, xmax - xmin, ymax - ymin], "area": (xmax - xmin) * (ymax - ymin)}
        for number, image in enumerate(images)
        for label, xmin, ymin, xmax, ymax in image.boxes
    ]
    return {
        "info": {"description": "drawn"},
        "images": [
            {"id": 10 * number + 7, "file_name": f"{folder}{image.name}.jpg"}
            | {"width": image.width, "height": image.height}
            for number, image in enumerate(images)
        ],
        "categories": [{"id": 5 + 3 * index, "name": label} for index, label in enumerate(labels)],
        "annotations": [{"id": index, **item} for index, item in enumerate(objects, start=1)],
    }


WRITERS = {"voc": write_voc, "coco": write_coco}
