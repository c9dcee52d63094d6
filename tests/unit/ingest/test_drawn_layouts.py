"""Properties of drawn sources: no image goes to another annotation, nor an entry of a list; no id is permuted."""

import posixpath
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap
from slipway.store.folder import FolderStore

from services.ingest.label_map import choose_labels
from services.ingest.source_layout import SourceLayout, UnmatchedAnnotation, find_rival_annotations
from services.ingest.splits.list_entries import AnnotationIndex
from services.ingest.splits.source_split import read_source_split

# The same examples each time, and few: a machine that is busy takes a while for each.
drawn = settings(max_examples=40, deadline=None, derandomize=True, database=None)

FOLDERS = ["dogs", "cats", "not_dogs", "Video 1", "video2", "사진", "train", "batch_7"]
# Of annotations and of images, for a folder of the dataset.
TREES = [
    ("{}", "{}"),
    ("annotations/{}", "images/{}"),
    ("data/Labels/{}", "data/JPEGImages/{}"),
    ("{}/xml", "{}/img"),
    ("{}_labels", "{}_images"),
    ("labels/{}/new", "images/{}/new"),
]
STEMS = ["0", "1", "2", "IMG_3", "frame 4"]
ANCHOR = "anchor"


@dataclass(frozen=True)
class Drawn:
    """A source, and the image that belongs to each annotation, whether the source has it or not."""

    files: list[str]
    image_of: dict[str, str]

    @property
    def layout(self):
        return SourceLayout.from_files(sorted(self.files))

    def match(self, annotation, filename, hints):
        """Return the image that is found, or the code of the finding."""
        try:
            return self.layout.image_of(annotation, filename, hints)
        except UnmatchedAnnotation as error:
            return error.code


@st.composite
def sources(draw):
    """Draw folders whose images have the same names; images and annotations are missing here and there.

    All folders but one have a complete pair, by which the trees are known to be of the same folders.
    """
    xml_tree, image_tree = draw(st.sampled_from(TREES))
    folders = draw(st.lists(st.sampled_from(FOLDERS), min_size=2, max_size=4, unique=True))
    files, image_of = [], {}
    for number, folder in enumerate(folders):
        complete = [ANCHOR] if number else []
        stems = draw(st.lists(st.sampled_from(STEMS), min_size=1, unique=True))
        for stem in stems + complete:
            xml = f"{xml_tree.format(folder)}/{stem}.xml"
            image = f"{image_tree.format(folder)}/{stem}.{draw(st.sampled_from(['jpg', 'png', 'JPG']))}"
            image_of[xml] = image
            presence = "both" if stem == ANCHOR else draw(st.sampled_from(["both", "both", "xml", "image"]))
            files += [xml] * (presence != "image") + [image] * (presence != "xml")
    return Drawn(files, image_of)


def references(image):
    """The names that tools give to an image, and what they say of its folder."""
    folder, name = posixpath.split(image)
    stem = posixpath.splitext(name)[0]
    names = [name, stem, "", f"{stem}.bmp", f"{posixpath.basename(folder)}/{name}", f"C:\\old\\{name}", "gone.jpg"]
    hints = [[], [folder], ["/home/me/pictures"], [f"D:\\work\\{posixpath.basename(folder)}"]]
    return st.tuples(st.sampled_from(names), st.sampled_from(hints))


@drawn
@given(sources(), st.data())
def test_no_annotation_gets_the_image_of_another(source, data):
    for annotation in (key for key in source.files if key.endswith(".xml")):
        image = source.image_of[annotation]
        filename, hints = data.draw(references(image))
        expected = image if image in source.files else "image_missing"
        assert source.match(annotation, filename, hints) == expected


@drawn
@given(sources())
def test_no_image_has_two_annotations(source):
    annotations = [key for key in source.files if key.endswith(".xml")]
    matches = {key: source.match(key, posixpath.basename(source.image_of[key]), []) for key in annotations}
    image_keys = {key: "" if match == "image_missing" else match for key, match in matches.items()}
    assert list(find_rival_annotations(image_keys, source.layout)) == []


@drawn
@given(sources(), st.data())
def test_entry_by_path_means_no_other_annotation(source, data):
    image_keys = {key: image for key, image in source.image_of.items() if key in source.files}
    index = AnnotationIndex(image_keys, source.layout.folders.names)
    for annotation, image in source.image_of.items():
        folder, name = posixpath.split(image)
        line = data.draw(
            st.sampled_from(
                [image, f"./{image}", f"/home/me/{image} 1", posixpath.splitext(image)[0], f"{folder}\\{name}"]
            )
        )
        assert index.find(line) == [annotation] * (annotation in image_keys)


@drawn
@given(sources(), st.data())
def test_split_of_lists_by_path_is_that_of_the_lists(tmp_path_factory, source, data):
    image_keys = {key: image for key, image in source.image_of.items() if not key.startswith("train")}
    splits = {key: data.draw(st.sampled_from(["train", "test"])) for key in image_keys}
    lists = {
        f"lists/{split}.txt": [image_keys[key] for key in splits if splits[key] == split] for split in ("train", "test")
    }
    store = FolderStore(tmp_path_factory.mktemp("source"))
    for key, lines in lists.items():
        store.write(key, "\n".join(lines).encode())
    split = read_source_split(image_keys, list(lists), store)
    is_from_lists = bool(split.origin) and "folders" not in split.origin
    assert (
        all(split.split_of[key] == splits[key] for key in splits) if is_from_lists else len(set(splits.values())) == 1
    )


LABELS = st.lists(st.text(min_size=1, max_size=8).filter(str.strip), min_size=1, max_size=6, unique=True)


@drawn
@given(LABELS, st.data())
def test_ids_of_the_sources_label_map_are_never_permuted(tmp_path_factory, labels, data):
    store = FolderStore(tmp_path_factory.mktemp("source"))
    store.write("annotations/label_map.pbtxt", LabelMap(tuple(labels)).dump().encode(errors="replace"))
    used = data.draw(st.lists(st.sampled_from(labels), min_size=1, unique=True))
    boxes = tuple(LabeledBox(label, Box(0, 0, 1, 1)) for label in used)
    image = AnnotatedImage("a.jpg", 1, "ab" * 32, "jpeg", ImageSize(9, 9), boxes)
    choice = choose_labels([image], None, ["annotations/label_map.pbtxt"], store)
    assert choice.labels.names == tuple(labels)
    assert {label: choice.labels.id(label) for label in used} == {label: labels.index(label) + 1 for label in used}
