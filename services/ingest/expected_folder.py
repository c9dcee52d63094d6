"""The folder in which an annotation's image is expected, by the folders of both and by what the annotation names."""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Self

from slipway.artifacts.dataset import Finding
from slipway.text import format_count

from services.ingest.source_names import fold, folder_names, holds_annotations, is_derived

Rank = tuple[int, ...]


@dataclass(frozen=True)
class SourceFolders:
    """The names of a source's folders.

    Attributes:
      names: Of all folders with files.
      image_names: Of folders with images that have the names of annotations.
      paired_names: Of folders that hold both annotations and their images, or that exist for either of them.
      has_originals: Whether images that have the names of annotations lie outside of folders of masks and previews.
    """

    names: frozenset[str] = frozenset()
    image_names: frozenset[str] = frozenset()
    paired_names: frozenset[str] = frozenset()
    has_originals: bool = False

    @classmethod
    def from_keys(cls, files: Sequence[str], images: Sequence[str]) -> "SourceFolders":
        """Compare the folders of images and of other files of the same names, which are taken for annotations."""
        annotation_names, image_names = _names_by_stem(files), _names_by_stem(images)
        pairs = [(names, image_names[name]) for name, names in annotation_names.items() if name in image_names]
        return cls(
            names=frozenset().union(*annotation_names.values(), *image_names.values()),
            image_names=frozenset().union(*(image_folders for _, image_folders in pairs)),
            paired_names=frozenset().union(*(names & image_folders for names, image_folders in pairs)),
            has_originals=any(
                stem(key) in annotation_names and not any(map(is_derived, folders_of(key))) for key in images
            ),
        )


def stem(key: str) -> str:
    """Return the last name of a key without its suffix, folded."""
    return fold(posixpath.splitext(posixpath.basename(key))[0])


def folders_of(key: str) -> tuple[str, ...]:
    """Return the names of the folders of a key, as they are compared."""
    return folder_names(posixpath.dirname(key))


def _names_by_stem(keys: Iterable[str]) -> dict[str, set[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        names[stem(key)].update(folders_of(key))
    return names


@dataclass(frozen=True)
class ExpectedFolder:
    """The folder in which the image of one annotation is expected.

    Attributes:
      annotation: Its key.
      named: The last folder in the image's name, if the source has one of this name, otherwise empty.
      hints: Folders in which the image lay when it was annotated, as far as the source has such folders of images.
    """

    annotation: str
    named: str
    hints: frozenset[str]
    source: SourceFolders

    @classmethod
    def from_names(cls, annotation: str, filename: str, hints: Sequence[str], source: SourceFolders) -> Self:
        """Build it from the image's name, which may have folders, and from the paths of folders in which it lay."""
        named = "".join(folders_of(filename)[-1:])
        hinted_names = {name for hint in hints for name in folder_names(hint)[-1:]}
        return cls(annotation, named if named in source.names else "", source.image_names & hinted_names, source)

    def nearest(self, images: Sequence[str]) -> Sequence[str]:
        """Return the images in folders of the same names, if there are any, otherwise all."""
        annotation_folders = folders_of(self.annotation)
        return [key for key in images if annotation_folders and folders_of(key) == annotation_folders] or images

    def excludes(self, image: str) -> bool:
        """Check whether the image belongs to another folder, and so to another annotation."""
        annotation_folders, image_folders = folders_of(self.annotation), folders_of(image)
        annotation_only, image_only = (
            set(annotation_folders) - set(image_folders),
            set(image_folders) - set(annotation_folders),
        )
        if self.named and self.named not in image_folders:
            return True
        if annotation_folders == image_folders or self.named in image_only or self.hints & image_only:
            return False
        if self.source.has_originals and any(map(is_derived, image_only)):
            return True
        if self.hints and image_folders and self.hints.isdisjoint(image_folders):
            return True
        pairs = self.source.paired_names
        return bool(annotation_only & pairs or (annotation_only and image_only & pairs))

    def rank(self, image: str, name: str) -> Rank:
        """Return how far the image is from the expected folder, and its name from the expected one; less is better."""
        annotation_folders, image_folders = folders_of(self.annotation), folders_of(image)
        folder = posixpath.dirname(image)
        is_annotation_folder = holds_annotations(posixpath.basename(folder))
        is_beside = folder == posixpath.dirname(self.annotation) and not is_annotation_folder
        return (
            int(not (is_beside or (annotation_folders and annotation_folders == image_folders))),
            int(bool(self.hints) and self.hints.isdisjoint(image_folders)),
            len(set(annotation_folders) ^ set(image_folders)),
            int(is_annotation_folder),
            _distance(self.annotation, image),
            int(name not in (posixpath.basename(image), posixpath.splitext(posixpath.basename(image))[0])),
        )


def _distance(annotation: str, image: str) -> int:
    """Count the folders in which the two keys differ, without those at the start and at the end that are the same."""
    one, other = fold(posixpath.dirname(annotation)).split("/"), fold(posixpath.dirname(image)).split("/")
    start = _count_common(one, other)
    end = _count_common(one[start:][::-1], other[start:][::-1])
    return len(one) + len(other) - 2 * (start + end)


def _count_common(one: Sequence[str], other: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def report_other_folders(image_keys: Mapping[str, str]) -> list[Finding]:
    """Report, once for each pair of folders, annotations whose images lie in a folder of quite another name.

    By their names alone, `drawn/a.xml` and `harbour/a.jpg` belong together as well as `dogs/a.xml` and `cats/a.jpg`.
    A file of several images, whose key is followed by `#`, is for those of any folder.

    Args:
      image_keys: Annotation's key to its image's key, which is empty when there is none.
    """
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for annotation, image in image_keys.items():
        annotation_folders, image_folders = set(folders_of(annotation)), set(folders_of(image))
        if (
            image
            and "#" not in annotation
            and annotation_folders - image_folders
            and image_folders - annotation_folders
        ):
            pairs[posixpath.dirname(annotation), posixpath.dirname(image)].append(annotation)
    return [
        Finding(
            "image_in_other_folder",
            "info",
            annotations[0],
            None,
            f"has its image in {image_folder}, a folder of another name ({format_count(len(annotations), 'image')})",
            "used; if they do not belong together, name the folder in <filename>",
        )
        for (_, image_folder), annotations in pairs.items()
    ]
