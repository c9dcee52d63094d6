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


def write_yolo(folder: Path, images: list[DrawnImage]) -> None:
    """Write Roboflow's layout: `images` and `labels` in each split's folder, and the names in `data.yaml`."""
    labels = list(dict.fromkeys(box[0] for image in images for box in image.boxes))
    names = "".join(f"  {class_id}: {label}\n" for class_id, label in enumerate(labels))
    (folder / "data.yaml").write_text(f"train: ../train/images\ntest: ../test/images\nnames:\n{names}")
    for image in images:
        label_file = folder / image.split / "labels" / f"{image.name}.txt"
        label_file.parent.mkdir(exist_ok=True)
        label_file.write_text("".join(_yolo_line(image, box, labels) for box in image.boxes))
        (folder / image.split / "images").mkdir(exist_ok=True)
        (folder / image.key).rename(folder / image.split / "images" / f"{image.name}.jpg")


def _yolo_line(image: DrawnImage, box: Box, labels: list[str]) -> str:
    label, xmin, ymin, xmax, ymax = box
    x, y = (xmin + xmax) / 2 / image.width, (ymin + ymax) / 2 / image.height
    return (
        f"{labels.index(label)} {x:.6f} {y:.6f} {(xmax - xmin) / image.width:.6f} {(ymax - ymin) / image.height:.6f}\n"
    )


def write_csv(folder: Path, images: list[DrawnImage]) -> None:
    """Write the tutorial's tables; an image without boxes, which `xml_to_csv.py` leaves out, has a row of its own."""
    for split in ("train", "test"):
        rows = [("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")]
        for image in images:
            size = (f"{image.name}.jpg", image.width, image.height)
            rows += [(*size, *map(str, box)) for box in image.boxes or [("",) * 5] if image.split == split]
        (folder / f"{split}_labels.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))


def write_cvat(folder: Path, images: list[DrawnImage]) -> None:
    """Write a project's export: one file, with the split of each image."""
    rows = []
    for number, image in enumerate(images):
        boxes = "".join(
            f'<box label="{label}" source="manual" occluded="0" xtl="{xmin:.2f}" ytl="{ymin:.2f}" xbr="{xmax:.2f}" '
            f'ybr="{ymax:.2f}" z_order="0"></box>'
            for label, xmin, ymin, xmax, ymax in image.boxes
        )
        names = f'id="{number}" name="{image.name}.jpg" subset="{image.split}"'
        rows.append(f'<image {names} width="{image.width}" height="{image.height}">{boxes}</image>')
    meta = "<meta><project><name>drawn</name></project></meta>"
    (folder / "annotations.xml").write_text(f"<annotations><version>1.1</version>{meta}{''.join(rows)}</annotations>")


def write_labelme(folder: Path, images: list[DrawnImage]) -> None:
    """Write rectangles, whose two corners may be any opposite ones."""
    for image in images:
        shapes = [
            {"label": label, "points": [[xmax, ymin], [xmin, ymax]], "group_id": None, "shape_type": "rectangle"}
            for label, xmin, ymin, xmax, ymax in image.boxes
        ]
        document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{image.name}.jpg"}
        document |= {"imageData": None, "imageHeight": image.height, "imageWidth": image.width}
        (folder / image.key).with_suffix(".json").write_text(json.dumps(document))


def write_createml(folder: Path, images: list[DrawnImage]) -> None:
    """Write Roboflow's layout: a file in each split's folder."""
    for split in ("train", "test"):
        rows = [
            {"image": f"{image.name}.jpg", "annotations": [_createml_object(box) for box in image.boxes]}
            for image in images
            if image.split == split
        ]
        (folder / split / "_annotations.createml.json").write_text(json.dumps(rows))


def _createml_object(box: Box) -> dict[str, Any]:
    label, xmin, ymin, xmax, ymax = box
    coordinates = {"x": (xmin + xmax) / 2, "y": (ymin + ymax) / 2, "width": xmax - xmin, "height": ymax - ymin}
    return {"label": label, "coordinates": coordinates}


def write_label_studio(folder: Path, images: list[DrawnImage]) -> None:
    """Write a file for each split, with the names that uploaded images get."""
    for split in ("train", "test"):
        tasks = [
            {"id": number, "data": {"image": f"/data/upload/1/{number:08x}-{image.name}.jpg"}}
            | {"annotations": [{"was_cancelled": False, "result": [_region(image, box) for box in image.boxes]}]}
            for number, image in enumerate(images)
            if image.split == split
        ]
        (folder / f"{split}.json").write_text(json.dumps(tasks))


def _region(image: DrawnImage, box: Box) -> dict[str, Any]:
    label, xmin, ymin, xmax, ymax = box
    value = {"x": 100 * xmin / image.width, "y": 100 * ymin / image.height, "rotation": 0, "rectanglelabels": [label]}
    value |= {"width": 100 * (xmax - xmin) / image.width, "height": 100 * (ymax - ymin) / image.height}
    sizes = {"original_width": image.width, "original_height": image.height, "image_rotation": 0}
    return {"type": "rectanglelabels", "from_name": "label", "to_name": "image", "value": value, **sizes}


WRITERS = {
    "voc": write_voc,
    "coco": write_coco,
    "yolo": write_yolo,
    "cvat": write_cvat,
    "labelme": write_labelme,
    "createml": write_createml,
    "label-studio": write_label_studio,
    "csv": write_csv,
}
