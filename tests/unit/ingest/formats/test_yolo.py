"""YOLO text: its lines, its names of classes, and its layouts."""

import pytest

from slipway.dataset.boxes import Box
from slipway.errors import AnnotationError, InputError
from slipway.store.folder import FolderStore

from services.ingest.formats.source_file import SourceFile
from services.ingest.formats.yolo import YOLO


@pytest.fixture
def read_label(tmp_path):
    """Read one label file beside files that describe the dataset."""

    def read_label(text, files=None, key="labels/a.txt"):
        for name, content in {"classes.txt": "ship\nbuoy\n", key: text, **(files or {})}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return YOLO.images([SourceFile(key, FolderStore(tmp_path))]).pending[0].read()

    return read_label


def test_a_line_is_class_centre_and_size_in_shares(read_label):
    annotation = read_label("1 0.5 0.25 0.5 0.25\n\n0.0 0.5 0.5 1 1\r\n")
    assert [(item.label, item.box) for item in annotation.boxes] == [
        ("buoy", Box(0.25, 0.125, 0.75, 0.375)),
        ("ship", Box(0, 0, 1, 1)),
    ]
    assert annotation.is_relative
    assert annotation.findings == ()


def test_an_empty_file_is_background(read_label):
    assert read_label("\n").boxes == ()


def test_a_polygon_becomes_its_bounds_and_is_counted(read_label):
    annotation = read_label("0 0.1 0.2 0.5 0.3 0.4 0.9\n0 0.5 0.5 0.1 0.1\n")
    assert annotation.boxes[0].box == Box(0.1, 0.2, 0.5, 0.9)
    assert [str(finding) for finding in annotation.findings] == [
        "labels/a.txt: 1 of its 2 objects are polygons; their bounds were taken"
    ]


def test_keypoints_are_told_from_polygons_by_the_yaml(read_label):
    yaml = {"data.yaml": "names: [ship, buoy]\nkpt_shape: [1, 2]\n"}
    annotation = read_label("0 0.5 0.5 0.5 0.5 0.9 0.9\n", yaml)
    assert annotation.boxes[0].box == Box(0.25, 0.25, 0.75, 0.75)
    assert [finding.code for finding in annotation.findings] == ["keypoints_ignored"]


def test_a_class_without_a_name_is_an_error_and_loses_no_other_box(read_label):
    annotation = read_label("7 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1\n")
    assert [item.label for item in annotation.boxes] == ["ship"]
    assert [(finding.code, finding.severity) for finding in annotation.findings] == [("label_missing", "error")]
    assert "object 0 has the class id 7, and the names are of 0 to 1" in annotation.findings[0].message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.1", "line 2 has 3 numbers after the class id"),
        ("0 0.5 0.5 0.1 0.1 0.93", "line 2 has 5 numbers after the class id"),
        ("0 50 60 10 10", "line 2 has 60, expected shares of the image from 0 to 1, not pixels"),
        ("0 nan 0.5 0.1 0.1", "line 2 is '0 nan 0.5 0.1 0.1', expected a class id"),
        ("ship 0.5 0.5 0.1 0.1", "line 2 is 'ship 0.5 0.5 0.1 0.1', expected a class id"),
        ("-1 0.5 0.5 0.1 0.1", "line 2 is '-1 0.5"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "has a polygon of 7 numbers"),
    ],
    ids=["three", "score", "pixels", "nan", "name", "negative", "odd"],
)
def test_another_line_is_refused_with_its_number(read_label, line, message):
    with pytest.raises(AnnotationError, match=message):
        read_label(f"0 0.5 0.5 0.1 0.1\n{line}\n")


@pytest.mark.parametrize(
    "files",
    [
        {"data.yaml": "names: [ship, buoy]\n"},
        {"sets/coco8.yml": "path: x\nnames:\n  0: ship\n  1: buoy\n"},
        {"obj.names": "ship\nbuoy"},
        {"train/_darknet.labels": "\ufeffship\r\nbuoy\r\n\r\n"},
        {
            "compose.yaml": "services: {}\n",
            "broken.yaml": "names: [",
            "list.yaml": "[1]\n",
            "classes.txt": "ship\nbuoy",
        },
    ],
    ids=["list", "mapping", "obj.names", "darknet", "other yaml"],
)
def test_names_are_read_from_every_usual_file(read_label, tmp_path, files):
    for name in {"classes.txt"} - files.keys():
        files = {**files, name: ""}
    assert read_label("1 0.5 0.5 0.1 0.1\n", files).boxes[0].label == "buoy"


def test_labels_without_names_are_refused_with_the_files_that_would_do(read_label):
    with pytest.raises(InputError, match=r"their names are missing; add classes.txt with one name a line"):
        read_label("0 0.5 0.5 0.1 0.1\n", {"classes.txt": ""})


def test_two_files_with_different_names_are_refused(read_label):
    with pytest.raises(InputError, match=r"differ between data.yaml and classes.txt"):
        read_label("0 0.5 0.5 0.1 0.1\n", {"data.yaml": "names: [buoy, ship]\n"})


@pytest.mark.parametrize(
    ("yaml", "key", "split"),
    [
        ("train: images/a\nval: images/b\n", "labels/b/x.txt", "val"),
        ("train: images/a\nval: images/b\n", "labels/c/x.txt", ""),
        ("train: ../one/images\nval: ../two/images\n", "two/labels/x.txt", "val"),
        ("train: /data/set/one\ntest: [/data/set/two, /data/set/three]\n", "three/x.txt", "test"),
        ("train: train.txt\n", "labels/x.txt", ""),
    ],
    ids=["parallel", "another", "roboflow", "another machine", "list"],
)
def test_folders_of_the_yaml_give_the_split(read_label, yaml, key, split):
    image_folder = key.rpartition("/")[0].replace("labels", "images")
    files = {"data.yaml": f"names: [ship, buoy]\n{yaml}", f"{image_folder}/x.jpg": ""}
    assert read_label("", files, key).split == split


@pytest.mark.parametrize(
    ("text", "is_yolo"),
    [
        ("0 0.5 0.5 0.1 0.1\n", True),
        ("0 0.1 0.2 0.5 0.3 0.4 0.9\n" * 400, True),
        ("", False),
        ("ship\nbuoy\n", False),
        ("000005 -1\n000007 1\n", False),
        ("images/train/a.jpg\n", False),
        ("1,2,3,4,5\n", False),
        ("0 0.5 0.5 0.1 0.1\nread me\n", False),
    ],
    ids=["box", "long", "empty", "names", "image set", "list", "mot", "mixed"],
)
def test_labels_are_recognized_by_their_lines(tmp_path, text, is_yolo):
    (tmp_path / "a.txt").write_text(text)
    assert YOLO.detect(SourceFile("a.txt", FolderStore(tmp_path))) == is_yolo
