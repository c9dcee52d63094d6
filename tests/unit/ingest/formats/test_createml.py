"""CreateML JSON: boxes by their centres."""

import json

import pytest

from slipway.dataset.boxes import Box
from slipway.errors import AnnotationError
from slipway.store.folder import FolderStore

from services.ingest.formats.createml import CREATEML
from services.ingest.formats.source_file import SourceFile


@pytest.fixture
def list_images(tmp_path):
    def list_images(document):
        (tmp_path / "a.json").write_text(json.dumps(document))
        return CREATEML.images([SourceFile("a.json", FolderStore(tmp_path))]).pending

    return list_images


@pytest.mark.parametrize("name", ["image", "imagefilename"])
def test_coordinates_are_centre_and_size(list_images, name):
    item = {"label": "ship", "coordinates": {"x": 20, "y": 30.5, "width": 10, "height": "4"}}
    annotation = list_images([{name: "a.jpg", "annotations": [item]}, {name: "b.jpg", "annotations": []}])[0].read()
    assert (annotation.file, annotation.filename, annotation.size) == ("a.json#a.jpg", "a.jpg", None)
    assert [(item.label, item.box) for item in annotation.boxes] == [("ship", Box(15, 28.5, 25, 32.5))]


@pytest.mark.parametrize("item", [{}, {"coordinates": 3}, {"coordinates": {"x": 1}}])
def test_an_object_without_coordinates_has_no_box(list_images, item):
    assert list_images([{"image": "a.jpg", "annotations": [item]}])[0].read().boxes[0].box.is_empty


def test_an_image_that_is_listed_twice_is_refused(list_images):
    with pytest.raises(AnnotationError, match=r"^lists 'a\.jpg' twice; join its annotations"):
        list_images([{"image": "a.jpg", "annotations": []}] * 2)[0].read()


@pytest.mark.parametrize("content", [[], {}, [{"image": "a.jpg"}], [{"annotations": []}], [7]])
def test_other_json_is_not_createml(tmp_path, content):
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert not CREATEML.detect(SourceFile("a.json", FolderStore(tmp_path)))
