"""Label Studio JSON: tasks, regions and their shapes."""

import json

import pytest

from slipway.dataset.boxes import Box, ImageSize
from slipway.errors import AnnotationError
from slipway.store.folder import FolderStore

from services.ingest.formats.label_studio import LABEL_STUDIO
from services.ingest.formats.source_file import SourceFile

SIZES = {"original_width": 200, "original_height": 100, "image_rotation": 0}
RECTANGLE = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0}


@pytest.fixture
def list_images(tmp_path):
    def list_images(*tasks):
        (tmp_path / "a.json").write_text(json.dumps(tasks))
        return LABEL_STUDIO.images([SourceFile("a.json", FolderStore(tmp_path))])

    return list_images


def task(*regions, image="/data/upload/1/0123abcd-a%20b.jpg", **fields):
    return {"id": 1, "data": {"image": image}, "annotations": [{"result": list(regions), **fields}]}


def region(kind, value, **fields):
    return {"id": "r", "type": kind, "value": value, **SIZES, **fields}


def test_a_rectangle_is_in_percent_of_the_image(list_images):
    annotation = (
        list_images(task(region("rectanglelabels", {**RECTANGLE, "rectanglelabels": ["ship"]}))).pending[0].read()
    )
    assert annotation.filename == "data/upload/1/0123abcd-a b.jpg"
    assert annotation.second_filename == "a b.jpg"
    assert annotation.size == ImageSize(200, 100)
    assert [(item.label, item.box) for item in annotation.boxes] == [("ship", Box(20, 20, 80, 60))]
    assert annotation.findings == ()


def test_json_min_has_the_same_regions_without_levels(list_images):
    row = {"image": "s3://photos/a/1.jpg", "id": 1, "annotation_id": 3, "annotator": 1, "lead_time": 2.5}
    row["label"] = [{**RECTANGLE, "rectanglelabels": ["ship"], **SIZES}]
    annotation = list_images(row).pending[0].read()
    assert annotation.filename == "a/1.jpg"
    assert [(item.label, item.box) for item in annotation.boxes] == [("ship", Box(20, 20, 80, 60))]


@pytest.mark.parametrize(
    ("kind", "value", "box", "code"),
    [
        ("rectanglelabels", {**RECTANGLE, "rotation": 90, "rectanglelabels": ["a"]}, (-20, 20, 20, 80), "box_turned"),
        (
            "polygonlabels",
            {"points": [[10, 10], [20, 30], [5, 50]], "polygonlabels": ["a"]},
            (10, 10, 40, 50),
            "shape_bounded",
        ),
        (
            "ellipselabels",
            {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "ellipselabels": ["a"]},
            (80, 30, 120, 70),
            "shape_bounded",
        ),
        ("brushlabels", {"format": "rle", "rle": [1], "brushlabels": ["a"]}, None, "shape_left_out"),
        ("keypointlabels", {"x": 1, "y": 2, "keypointlabels": ["a"]}, None, "shape_left_out"),
        ("choices", {"choices": ["day"]}, None, "attributes_ignored"),
    ],
    ids=["turned", "polygon", "ellipse", "brush", "keypoint", "choice"],
)
def test_other_shapes_have_a_finding(list_images, kind, value, box, code):
    annotation = list_images(task(region(kind, value))).pending[0].read()
    assert [finding.code for finding in annotation.findings] == [code]
    assert [item.box for item in annotation.boxes] == ([pytest.approx(box)] if box else [])


def test_a_label_in_a_record_of_its_own_is_the_rectangles(list_images):
    regions = [region("rectangle", RECTANGLE), region("labels", {**RECTANGLE, "labels": ["ship", "old"]})]
    boxes = list_images(task(*regions)).pending[0].read().boxes
    assert [(item.label, item.box) for item in boxes] == [("ship", Box(20, 20, 80, 60)), ("old", Box(20, 20, 80, 60))]


def test_a_rectangle_without_a_label_is_not_passed_over(list_images):
    boxes = list_images(task(region("rectangle", RECTANGLE))).pending[0].read().boxes
    assert [item.label for item in boxes] == [""]


def test_of_several_annotations_the_ground_truth_is_used_and_the_others_are_counted(list_images):
    rows = task(region("rectanglelabels", {**RECTANGLE, "rectanglelabels": ["ship"]}), ground_truth=True)
    rows["annotations"].append({"result": []})
    annotations = list_images(rows)
    assert len(annotations.pending[0].read().boxes) == 1
    assert [finding.code for finding in annotations.findings] == ["annotation_left_out"]
    assert annotations.findings[0].message == "has 2 annotations"


def test_tasks_that_nobody_annotated_have_no_annotation_and_an_empty_one_is_background(list_images):
    annotations = list_images({"data": {"image": "a.jpg"}, "annotations": []}, task(was_cancelled=True), task())
    assert [pending.read().boxes for pending in annotations.pending] == [()]


def test_an_image_that_was_turned_is_refused(list_images):
    turned = region("rectanglelabels", {**RECTANGLE, "rectanglelabels": ["ship"]}, image_rotation=90)
    with pytest.raises(AnnotationError, match="was turned in Label Studio"):
        list_images(task(turned)).pending[0].read()


def test_the_path_of_a_local_file_is_in_the_query(list_images):
    annotation = list_images(task(image="/data/local-files/?d=photos/day%201/a.jpg")).pending[0].read()
    assert annotation.filename == "photos/day 1/a.jpg"


@pytest.mark.parametrize("content", [[], {}, [7], [{"data": {"text": 1}, "annotations": []}], [{"image": "a.jpg"}]])
def test_other_json_is_not_label_studio(tmp_path, content):
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert not LABEL_STUDIO.detect(SourceFile("a.json", FolderStore(tmp_path)))
