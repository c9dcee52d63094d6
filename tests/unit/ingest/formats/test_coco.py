"""COCO JSON: what its objects become, and what is reported of those that cannot be used."""

import json
import math

import pytest

from slipway.dataset.boxes import Box, ImageSize
from slipway.errors import AnnotationError
from slipway.store.folder import FolderStore

from services.ingest.formats.coco import COCO
from services.ingest.formats.source_file import SourceFile

IMAGES = [{"id": 3, "file_name": "a.jpg", "width": 80, "height": 60}]
CATEGORIES = [{"id": 9, "name": " ship "}]


@pytest.fixture
def list_images(tmp_path):
    def list_images(document):
        text = document if isinstance(document, str) else json.dumps(document)
        (tmp_path / "a.json").write_text(text)
        return COCO.images([SourceFile("a.json", FolderStore(tmp_path))])

    return list_images


def one_object(**fields):
    return {"images": IMAGES, "categories": CATEGORIES, "annotations": [{"image_id": 3, "category_id": 9, **fields}]}


def read_one(annotations):
    assert len(annotations.pending) == 1
    return annotations.pending[0].read()


def test_bbox_is_left_top_width_height(list_images):
    annotation = read_one(list_images(one_object(bbox=[10, 20.5, 30, 4])))
    assert (annotation.file, annotation.filename, annotation.size) == ("a.json#a.jpg", "a.jpg", ImageSize(80, 60))
    assert [(item.label, item.box) for item in annotation.boxes] == [("ship", Box(10, 20.5, 40, 24.5))]
    assert annotation.findings == ()


def test_image_without_objects_is_background(list_images):
    document = {"images": IMAGES, "categories": CATEGORIES, "annotations": []}
    assert read_one(list_images(document)).boxes == ()


@pytest.mark.parametrize(
    ("fields", "code", "box"),
    [
        ({"bbox": [1, 2, 3, 4], "iscrowd": 1}, "crowd_dropped", None),
        ({"bbox": [1, 2, 3, 4], "category_id": 8}, "label_missing", None),
        ({"segmentation": [[1, 2, 30, 4, 5, 50], [0, 9, 1, 9]]}, "shape_bounded", Box(0, 2, 30, 50)),
        ({"bbox": [], "segmentation": {"counts": "x", "size": [60, 80]}}, "box_not_a_number", None),
        ({"bbox": None}, "box_not_a_number", None),
    ],
    ids=["crowd", "unknown category", "polygon alone", "mask alone", "nothing"],
)
def test_object_that_is_not_taken_as_it_is_has_a_finding(list_images, fields, code, box):
    annotation = read_one(list_images(one_object(**fields)))
    assert [finding.code for finding in annotation.findings] == [code]
    assert annotation.findings[0].file == "a.json#a.jpg"
    assert [item.box for item in annotation.boxes] == ([box] if box else [])


@pytest.mark.parametrize(
    "bbox",
    ['["10", 20, 30, 40]', "[10.0, 2e1, 30, 40]"],
    ids=["strings", "floats"],
)
def test_numbers_in_other_spellings_are_read(list_images, bbox):
    text = json.dumps(one_object(bbox=0)).replace('"bbox": 0', f'"bbox": {bbox}')
    assert read_one(list_images(text)).boxes[0].box == Box(10, 20, 40, 60)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "true", "null", '"wide"', "[1]"])
def test_anything_else_is_not_a_number(list_images, value):
    text = json.dumps(one_object(bbox=0)).replace('"bbox": 0', f'"bbox": [10, 20, {value}, 40]')
    assert math.isnan(read_one(list_images(text)).boxes[0].box.xmax)


def test_ids_are_compared_as_text(list_images):
    images = [{"id": "3", "file_name": "a.jpg"}, {"id": 1e9, "file_name": "b.jpg"}]
    objects = [{"image_id": 3.0, "category_id": "9", "bbox": [1, 1, 2, 2]}]
    annotations = list_images({"images": images, "categories": CATEGORIES, "annotations": objects})
    assert [len(pending.read().boxes) for pending in annotations.pending] == [1, 0]


def test_two_images_with_one_id_are_both_refused(list_images):
    images = [{"id": 3, "file_name": "a.jpg"}, {"id": 3, "file_name": "b.jpg"}, {"id": 3, "file_name": "a.jpg"}]
    annotations = list_images({"images": images, "categories": CATEGORIES, "annotations": []})
    assert [pending.file for pending in annotations.pending] == ["a.json#a.jpg", "a.json#b.jpg"]
    for pending in annotations.pending:
        with pytest.raises(AnnotationError, match=r"^image id 3 is given to 'a.jpg' and to 'b.jpg'; give each"):
            pending.read()


def test_image_without_id_is_refused(list_images):
    document = {"images": [{"file_name": "a.jpg"}], "categories": CATEGORIES, "annotations": []}
    with pytest.raises(AnnotationError, match="has no id"):
        read_one(list_images(document))


def test_objects_of_images_that_are_not_listed_and_unused_content_are_counted(list_images):
    document = one_object(bbox=[1, 1, 2, 2], segmentation=[[1, 1, 2, 2, 1, 2]], keypoints=[1, 1, 2])
    document["annotations"] += [{"image_id": 4, "category_id": 9, "bbox": [1, 1, 2, 2]}] * 2
    findings = list_images(document).findings
    assert [(finding.code, finding.severity) for finding in findings] == [
        ("image_not_listed", "warning"),
        ("masks_ignored", "info"),
        ("keypoints_ignored", "info"),
    ]
    assert str(findings[0]) == (
        "a.json: 2 objects are of images that the file does not list, of image id '4' first; left out"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [', "line 1, column 13: cannot be parsed as JSON"),
        ("[" * 200_000, "has too many lists or objects within one another"),
        ('{"images": ' + "9" * 5000 + "}", "cannot be parsed as JSON: Exceeds the limit"),
        ("{}", "has no lists of images, annotations and categories"),
    ],
    ids=["cut off", "deep", "long number", "other content"],
)
def test_damaged_file_is_one_line(list_images, text, message):
    with pytest.raises(AnnotationError, match=message) as raised:
        read_one(list_images(text))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "document",
    [{"images": [], "annotations": []}, {"images": [], "categories": []}, [], [{"image_id": 1, "bbox": []}], 7],
    ids=["captions", "image list", "list", "detections", "number"],
)
def test_other_json_is_not_coco(tmp_path, document):
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert not COCO.detect(SourceFile("a.json", FolderStore(tmp_path)))
