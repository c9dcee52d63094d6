"""The split that a source comes with."""

import pytest

from slipway.errors import InputError
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys

from services.ingest.splits.source_split import SourceSplit, read_source_split


@pytest.fixture
def read(tmp_path):
    """Read the split of a source with annotations of these stems and these lists."""

    def read(stems, lists):
        for name, text in lists.items():
            path = tmp_path / "ImageSets" / "Main" / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        source = FolderStore(tmp_path)
        return read_source_split({f"{stem}.xml": f"{stem}.jpg" for stem in stems}, [*list_keys(source)], source)

    return read


def test_lists_are_read_line_by_line(read):
    split = read("abc", {"train": "a\r\n\r\nb\r\n", "test": "\ufeffc"})
    assert split == SourceSplit({"a.xml": "train", "b.xml": "train", "c.xml": "test"}, "ImageSets/Main")


@pytest.mark.parametrize("line", ["my ship", "my ship.jpg", "JPEGImages/my ship.jpg", "JPEGImages\\my ship.jpg"])
def test_name_with_a_space_is_one_name_whichever_way_it_is_listed(read, line):
    assert read(["my ship", "b"], {"train": line, "test": "b"}).split_of == {"my ship.xml": "train", "b.xml": "test"}


def test_flag_behind_a_name_is_passed_over(read):
    assert read("ab", {"train": "a  1", "test": "b -1"}).split_of == {"a.xml": "train", "b.xml": "test"}


def test_trainval_counts_only_where_train_and_val_are_not_there(read):
    assert read("abc", {"trainval": "a\nb", "test": "c"}).split_of == {
        "a.xml": "train",
        "b.xml": "train",
        "c.xml": "test",
    }
    lists = {"train": "a", "val": "b", "trainval": "a\nb", "test": "c"}
    assert read("abc", lists).split_of == {"a.xml": "train", "b.xml": "val", "c.xml": "test"}


def test_one_list_is_no_split(read):
    assert read("ab", {"train": "a\nb"}) == SourceSplit({})


def test_each_folder_of_a_collection_has_its_own_lists(tmp_path):
    store = FolderStore(tmp_path)
    for key, names in {"07": {"train": b"a", "test": b"b"}, "12": {"train": b"b", "test": b"a"}}.items():
        for name, text in names.items():
            store.write(f"VOC{key}/ImageSets/Main/{name}.txt", text)
    places = {f"VOC{key}/{stem}.xml": "" for key in ("07", "12") for stem in "ab"}
    assert read_source_split(places, [*list_keys(store)], store).split_of == {
        "VOC07/a.xml": "train",
        "VOC07/b.xml": "test",
        "VOC12/a.xml": "test",
        "VOC12/b.xml": "train",
    }


def test_image_in_two_lists_is_an_error_that_names_them(read):
    split = read("ab", {"train": "a\nb", "test": "b"})
    assert split.split_of == {"a.xml": "train"}
    (finding,) = split.findings
    assert (finding.code, finding.severity) == ("split_overlap", "error")
    assert str(finding) == (
        "b.xml: is in ImageSets/Main/test.txt and in ImageSets/Main/train.txt; keep it in one of them"
    )


def test_listed_images_without_annotation_are_counted(read):
    (finding,) = read("ab", {"train": "a\ngone\nlost", "test": "b"}).findings
    assert (finding.code, finding.severity) == ("listed_without_annotation", "warning")
    assert str(finding) == ("ImageSets/Main/train.txt: lists 2 images without annotation, 'gone' first; left out")


def test_list_that_is_no_text_is_named(tmp_path, read):
    read("ab", {"train": "a", "test": "b"})
    (tmp_path / "ImageSets" / "Main" / "test.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match=r"ImageSets/Main/test\.txt: cannot be read as text"):
        read("ab", {})


@pytest.fixture
def read_files(tmp_path):
    """Read the split of a source with these annotations, each with an image of its stem, and these lists."""

    def read_files(annotations, lists, images="images"):
        store = FolderStore(tmp_path)
        for key, text in lists.items():
            store.write(key, text.encode())
        image_keys = {key: f"{images}/{key.rpartition('/')[2].removesuffix('.xml')}.jpg" for key in annotations}
        return read_source_split(image_keys, [*list_keys(store)], store)

    return read_files


ABC = ["Annotations/a.xml", "Annotations/b.xml", "Annotations/c.xml"]
ABC_SPLIT = {"Annotations/a.xml": "train", "Annotations/b.xml": "train", "Annotations/c.xml": "test"}


@pytest.mark.parametrize(
    ("train", "test", "origin"),
    [
        pytest.param("ImageSets/Main/Train.txt", "ImageSets/Main/Test.txt", "ImageSets/Main", id="upper-case"),
        pytest.param("ImageSets/train.txt", "ImageSets/test.txt", "ImageSets", id="without-main"),
        pytest.param("imagesets/main/train.lst", "imagesets/main/test.lst", "imagesets/main", id="lower-case"),
        pytest.param("ImageSets/Layout/train.txt", "ImageSets/Layout/test.txt", "ImageSets/Layout", id="other-task"),
        pytest.param("train.txt", "test.txt", "test.txt and train.txt", id="at-the-top"),
        pytest.param(
            "splits/train_list.txt", "splits/testing.txt", "splits/testing.txt and splits/train_list.txt", id="folder"
        ),
        pytest.param(
            "images/train.txt", "images/test.txt", "images/test.txt and images/train.txt", id="beside-the-images"
        ),
        pytest.param("ImageSets/Main/training_2.txt", "ImageSets/Main/test2017.txt", "ImageSets/Main", id="numbers"),
    ],
)
def test_lists_are_read_wherever_they_are_and_however_they_are_named(read_files, train, test, origin):
    split = read_files(ABC, {train: "a\nb", test: "c"})
    assert split == SourceSplit(ABC_SPLIT, origin)


def test_val_lists_of_cvat_are_read(read_files):
    split = read_files(ABC, {"ImageSets/Main/Train.txt": "a\nb", "ImageSets/Main/Validation.txt": "c"})
    assert split.split_of == ABC_SPLIT | {"Annotations/c.xml": "val"}


def test_lists_of_classes_are_read_where_there_are_no_others(read_files):
    lists = {
        "ImageSets/Main/cat_train.txt": "a.jpg 1\nb.jpg -1",
        "ImageSets/Main/cat_test.txt": "c.jpg 1",
        "ImageSets/Main/dog_train.txt": "a.jpg -1\nb.jpg 1",
        "ImageSets/Main/dog_test.txt": "c.jpg -1",
    }
    assert read_files(ABC, lists) == SourceSplit(ABC_SPLIT, "ImageSets/Main")
    plain = {"ImageSets/Main/train.txt": "b\nc", "ImageSets/Main/test.txt": "a"}
    assert read_files(ABC, lists | plain).split_of["Annotations/a.xml"] == "test"


def test_main_counts_before_lists_of_other_tasks_and_others(read_files):
    lists = {f"ImageSets/Main/{split}.txt": names for split, names in {"train": "a\nb", "test": "c"}.items()}
    others = {
        "ImageSets/Segmentation/train.txt": "c",
        "ImageSets/Segmentation/test.txt": "a",
        "train.txt": "c",
        "test.txt": "b",
    }
    assert read_files(ABC, lists | others) == SourceSplit(ABC_SPLIT, "ImageSets/Main")


@pytest.mark.parametrize(
    "line",
    ["images/a.jpg", "/home/me/images/a.jpg", r"C:\data\a.jpg", "a.jpg,1", "./images/a.jpg ./Annotations/a.xml", "'a'"],
)
def test_line_may_be_a_path_from_any_machine_and_have_other_words_behind_it(read_files, line):
    split = read_files(ABC, {"train.txt": f"{line}\nb", "test.txt": "c"})
    assert (split.split_of, split.findings) == (ABC_SPLIT, ())


VIDEOS = [f"Annotations/video{video}/frame_{frame}.xml" for video in (1, 2) for frame in (0, 1)]


def test_lists_by_path_tell_names_apart_that_repeat(read_files):
    lists = {
        f"ImageSets/Main/{name}.txt": f"video{n}/frame_0\nvideo{n}/frame_1" for n, name in ((1, "train"), (2, "test"))
    }
    split = read_files(VIDEOS, lists)
    assert split.split_of == dict(zip(VIDEOS, ["train", "train", "test", "test"], strict=True))
    assert split.findings == ()


def test_path_in_a_list_whose_folder_has_no_such_image_means_no_image_of_another_folder(read_files):
    split = read_files(
        VIDEOS[:3], {"ImageSets/Main/train.txt": "video1/frame_0", "ImageSets/Main/test.txt": "video2/frame_1"}
    )
    assert split.split_of == {VIDEOS[0]: "train"}
    assert [finding.code for finding in split.findings] == ["listed_without_annotation"]


def test_name_in_a_list_that_several_annotations_have_is_reported(read_files):
    split = read_files(VIDEOS, {"ImageSets/Main/train.txt": "frame_0", "ImageSets/Main/test.txt": "frame_1"})
    assert [(finding.code, finding.file) for finding in split.findings] == [
        ("listed_ambiguous", "ImageSets/Main/test.txt"),
        ("listed_ambiguous", "ImageSets/Main/train.txt"),
    ]
    assert split.findings[1].message == (
        "lists 1 name that several annotations have: 'frame_0' can be "
        "Annotations/video1/frame_0.xml or Annotations/video2/frame_0.xml"
    )


def test_names_in_lists_that_differ_in_case_are_two(read_files):
    split = read_files(["IMG_0.xml", "img_0.xml"], {"train.txt": "IMG_0.jpg", "test.txt": "img_0"})
    assert split.split_of == {"IMG_0.xml": "train", "img_0.xml": "test"}


def test_train_and_test_may_be_lists_of_two_roots(read_files):
    annotations = ["A/Annotations/1.xml", "A/Annotations/2.xml", "B/Annotations/1.xml"]
    split = read_files(annotations, {"A/ImageSets/Main/trainval.txt": "1\n2", "B/ImageSets/Main/test.txt": "1"})
    assert split.split_of == dict(zip(annotations, ["train", "train", "test"], strict=True))


def test_trainval_without_train_is_train_without_val(read_files):
    lists = {"ImageSets/Main/trainval.txt": "a\nb\nc", "ImageSets/Main/val.txt": "b"}
    split = read_files(ABC, lists)
    assert split.split_of == {"Annotations/a.xml": "train", "Annotations/b.xml": "val", "Annotations/c.xml": "train"}


def test_csv_of_the_tutorial_lists_its_images(read_files):
    rows = "filename,width,height,class,xmin,ymin,xmax,ymax\n{}.jpg,9,9,ship,1,1,2,2\n{}.jpg,9,9,ship,3,3,4,4\n"
    split = read_files(
        ABC, {"data/train_labels.csv": rows.format("a", "b"), "data/test_labels.csv": rows.format("c", "c")}
    )
    assert split == SourceSplit(ABC_SPLIT, "data/test_labels.csv and data/train_labels.csv")


@pytest.mark.parametrize(
    ("lists", "file", "message"),
    [
        pytest.param(
            {"ImageSets/Main/train.txt": "a\nb"},
            "ImageSets/Main/train.txt",
            "is a list of train, but no list beside it is of test or val",
            id="train-alone",
        ),
        pytest.param(
            {"test.txt": "c"}, "test.txt", "is a list of test, but no list beside it is of train", id="test-alone"
        ),
        pytest.param(
            {"train.txt": "a\nb", "test.txt": "one\ntwo\nthree"},
            "test.txt",
            "is named like a list of test, but only 0 of its 3 lines are annotated images",
            id="other-content",
        ),
        pytest.param(
            {"ImageSets/Main/fold1.txt": "a", "ImageSets/Main/fold2.txt": "b"},
            "ImageSets/Main/fold1.txt",
            "is a list of images, but its name is none of train, val, test and trainval",
            id="other-names",
        ),
    ],
)
def test_list_that_looks_like_a_split_and_is_not_used_is_reported_with_the_reason(read_files, lists, file, message):
    split = read_files(ABC, lists)
    assert (split.split_of, split.origin) == ({}, "")
    (finding,) = split.findings
    assert (finding.code, finding.severity, finding.file) == ("split_not_used", "warning", file)
    assert str(finding) == f"{file}: {message}; not used: the images were partitioned anew"


@pytest.mark.parametrize(
    "lists",
    [
        pytest.param({"ImageSets/Main/default.txt": "a\nb\nc"}, id="cvat's-default"),
        pytest.param({"ImageSets/Main/train.txt": "a\nb\nc"}, id="all-are-train"),
        pytest.param({"test.txt": "notes of a test"}, id="notes"),
        pytest.param({"models/train.txt": "x", "models/test.txt": "y"}, id="lists-of-something-else"),
    ],
)
def test_list_that_sets_no_image_apart_is_passed_over(read_files, lists):
    assert read_files(ABC, lists) == SourceSplit({})


def test_folders_that_look_like_a_split_and_are_not_used_are_reported(read_files):
    (finding,) = read_files(["train_a/a.xml", "test_b/b.xml", "c.xml"], {}).findings
    assert (finding.code, finding.file) == ("split_not_used", "test_b")
    assert finding.message.startswith("is named after a split, and so is train_a, but")
    (finding,) = read_files(["test/a.xml", "b.xml"], {}).findings
    assert (finding.code, finding.file) == ("split_not_used", "test")
    assert read_files(["test/a.xml", "test/b.xml"], {}) == read_files(["training_demo/a.xml"], {}) == SourceSplit({})


def test_lists_that_contradict_the_folders_are_reported_and_the_folders_used(read_files):
    annotations = ["train/a.xml", "train/b.xml", "test/c.xml"]
    agreeing = {"ImageSets/Main/train.txt": "a\nb", "ImageSets/Main/test.txt": "c"}
    expected = {"train/a.xml": "train", "train/b.xml": "train", "test/c.xml": "test"}
    assert read_files(annotations, agreeing) == SourceSplit(expected, "the folders it came in")
    split = read_files(annotations, {"ImageSets/Main/train.txt": "a", "ImageSets/Main/test.txt": "b\nc"})
    assert split.split_of == expected
    assert [str(finding) for finding in split.findings] == [
        "train/b.xml: ImageSets/Main puts 1 image into other splits than folders do: this one into test; "
        "the folders were used: it is in train"
    ]


def test_utf16_list_of_windows_is_read(tmp_path, read_files):
    (tmp_path / "train.txt").write_bytes("a\r\nb".encode("utf-16"))
    assert read_files(ABC, {"test.txt": "c"}).split_of == ABC_SPLIT


def test_entry_in_a_folder_without_annotations_means_none_in_another(read_files):
    lists = {"train.txt": "video 1/a.jpg\nvideo2/b", "test.txt": "video2/a.jpg\nvideo2/c", "video 1/a.jpg": ""}
    split = read_files([f"video2/{name}.xml" for name in "abc"], lists, "video2")
    assert split.split_of == {"video2/a.xml": "test", "video2/b.xml": "train", "video2/c.xml": "test"}


def test_name_with_a_space_that_is_not_annotated_does_not_mean_its_first_word(read_files):
    lists = {"ImageSets/Main/train.txt": "a\nb 4.jpg\nb 4\nimages/c 2.jpg 1", "ImageSets/Main/test.txt": "c"}
    split = read_files(ABC, lists)
    assert split.split_of == {"Annotations/a.xml": "train", "Annotations/c.xml": "test"}


def test_lists_that_name_the_copies_of_originals_beside_split_folders_agree_with_the_folders(read_files):
    annotations = ["images/a.xml", "images/b.xml", "images/train/a.xml", "images/test/b.xml"]
    split = read_files(annotations, {"train_labels.csv": "filename\na.jpg", "test_labels.csv": "filename\nb.jpg"})
    assert (split.origin, split.findings) == ("the folders it came in", ())


def test_lists_that_put_an_original_into_another_split_than_its_copy_are_reported(read_files):
    annotations = ["images/a.xml", "images/b.xml", "images/train/a.xml", "images/test/b.xml"]
    split = read_files(annotations, {"train_labels.csv": "filename\nb.jpg", "test_labels.csv": "filename\na.jpg"})
    assert [finding.code for finding in split.findings] == ["split_not_used"]
