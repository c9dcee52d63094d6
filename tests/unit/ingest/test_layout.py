"""Which image an annotation is of, and which split it came in."""

import pytest

from slipway.errors import AnnotationError, InputError
from slipway.store import FolderStore

from services.ingest.layout import Layout, image_sets, split_folders


def layout(*files):
    return Layout.of(sorted(files))


@pytest.mark.parametrize(
    ("files", "annotation", "filename", "image"),
    [
        pytest.param(["a.jpg", "a.xml"], "a.xml", "a.jpg", "a.jpg", id="beside"),
        pytest.param(
            ["images/a.jpg", "annotations/a.xml"], "annotations/a.xml", "a.jpg", "images/a.jpg", id="two-folders"
        ),
        pytest.param(["a.JPG", "a.XML"], "a.XML", "a.jpg", "a.JPG", id="upper-case"),
        pytest.param(["a.png", "a.xml"], "a.xml", "a.jpg", "a.png", id="wrong-suffix"),
        pytest.param(["a.jpg", "a.xml"], "a.xml", "a", "a.jpg", id="no-suffix"),
        pytest.param(["a.jpg", "a.xml"], "a.xml", "", "a.jpg", id="no-filename"),
        pytest.param(["a.jpg", "a.xml"], "a.xml", r"C:\Users\me\a.jpg", "a.jpg", id="windows-path"),
        pytest.param(["a.jpg", "a.xml"], "a.xml", "renamed.jpg", "a.jpg", id="stale-filename"),
        pytest.param(["x/7.jpg", "x/1.xml"], "x/1.xml", "7.jpg", "x/7.jpg", id="only-by-filename"),
        pytest.param(["é ü.jpg", "é ü.xml"], "é ü.xml", "é ü.jpg", "é ü.jpg", id="umlauts-and-spaces"),
        pytest.param(
            ["train/images/1.jpg", "test/images/1.jpg", "test/labels/1.xml"],
            "test/labels/1.xml",
            "1.jpg",
            "test/images/1.jpg",
            id="nearest-of-the-same-name",
        ),
    ],
)
def test_image_of_an_annotation_is_found(files, annotation, filename, image):
    assert layout(*files).image_of(annotation, filename) == image


def test_path_that_leaves_the_source_finds_nothing():
    with pytest.raises(AnnotationError, match=r"names the image '\.\./\.\./etc/passwd', which is not in the source"):
        layout("b.jpg", "a.xml").image_of("a.xml", "../../etc/passwd")


def test_two_images_equally_near_are_not_guessed_between():
    with pytest.raises(AnnotationError, match=r"can be one/a\.jpg or two/a\.jpg"):
        layout("one/a.jpg", "two/a.jpg", "xml/a.xml").image_of("xml/a.xml", "a.jpg")


def test_name_of_the_file_and_name_in_it_that_mean_two_images_are_not_guessed_between():
    with pytest.raises(AnnotationError, match=r"can be b\.jpg or a\.jpg"):
        layout("a.jpg", "b.jpg", "a.xml").image_of("a.xml", "b.jpg")


def test_folders_named_after_splits_are_read_whichever_way_val_is_spelled():
    found = split_folders(["train/a.xml", "data/Test/b.xml", "valid/xml/c.xml", "training/d.xml", "e.xml"])
    assert found == {"train/a.xml": "train", "data/Test/b.xml": "test", "valid/xml/c.xml": "val"}


@pytest.fixture
def lists(tmp_path):
    def write(**splits):
        for name, text in splits.items():
            path = tmp_path / "ImageSets" / "Main" / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        source = FolderStore(tmp_path)
        return image_sets(list(source.list()), source)

    return write


def test_image_sets_are_read_line_by_line(lists):
    assert lists(train="a\nb 1\n\n", test="c\r\n") == {"train": {"a", "b"}, "test": {"c"}}


def test_trainval_counts_only_where_train_and_val_are_not_there(lists):
    assert lists(trainval="a\nb", test="c") == {"train": {"a", "b"}, "test": {"c"}}
    assert lists(train="a", val="b", trainval="a\nb", test="c") == {"train": {"a"}, "val": {"b"}, "test": {"c"}}


def test_image_in_two_lists_is_named(lists):
    with pytest.raises(InputError, match=r"test\.txt: 'b' and 0 more are in train\.txt too"):
        lists(train="a\nb", test="b\nc")
