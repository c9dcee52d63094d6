"""The reading half of the tutorial's scripts, written anew: what they find in files, and how they compute with it."""

import csv
import io
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

COLUMNS = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]


def xml_to_csv(folder: Path) -> list[dict[str, str]]:
    """Read the boxes of a folder's XML files, by the order of their tags as the first edition's script does."""
    rows = []
    for path in sorted(folder.glob("*.xml")):
        root = ElementTree.parse(path).getroot()
        size = root.find("size")
        for member in root.findall("object"):
            corners = [int(member[4][index].text) for index in range(4)]
            values = [root.find("filename").text, int(size[0].text), int(size[1].text), member[0].text, *corners]
            rows.append(dict(zip(COLUMNS, map(str, values), strict=True)))
    return rows


def read_csv(content: bytes) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(content.decode()))
    rows = list(reader)
    assert reader.fieldnames == COLUMNS
    return rows


def examples(rows: list[dict[str, str]], img_path: Path, class_ids: dict[str, int]) -> dict[str, dict]:
    """Return the features that generate_tfrecord writes for each image of a table, by the image's bytes."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["filename"]].append(row)
    features = {}
    for filename, group in groups.items():
        content = (img_path / filename).read_bytes()
        width, height = Image.open(io.BytesIO(content)).size
        features[content] = {
            "image/width": [width],
            "image/height": [height],
            "image/object/bbox/xmin": [int(row["xmin"]) / width for row in group],
            "image/object/bbox/xmax": [int(row["xmax"]) / width for row in group],
            "image/object/bbox/ymin": [int(row["ymin"]) / height for row in group],
            "image/object/bbox/ymax": [int(row["ymax"]) / height for row in group],
            "image/object/class/text": [row["class"].encode() for row in group],
            "image/object/class/label": [class_ids[row["class"]] for row in group],
        }
    return features
