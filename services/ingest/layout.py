"""How a source is laid out: which image an annotation is of, and which split it already belongs to."""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slipway.errors import AnnotationError, InputError, MissingKey
from slipway.store import ObjectStore

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
_SPLIT_FOLDERS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}
_IMAGE_SETS = "ImageSets/Main/"


@dataclass(frozen=True)
class Layout:
    """A source's files by what they are.

    Attributes:
      annotations: Keys of the XML files, sorted.
      images: Keys of the image files, sorted.
      by_name, by_stem: Image keys under their last name, whole and without suffix; both in lower case.
    """

    annotations: tuple[str, ...]
    images: tuple[str, ...]
    by_name: Mapping[str, list[str]]
    by_stem: Mapping[str, list[str]]

    @classmethod
    def of(cls, files: Iterable[str]) -> "Layout":
        files = list(files)
        annotations = tuple(key for key in files if suffix(key) == ".xml")
        images = tuple(key for key in files if suffix(key) in _IMAGE_SUFFIXES)
        by_name, by_stem = defaultdict(list), defaultdict(list)
        for key in images:
            by_name[posixpath.basename(key).lower()].append(key)
            by_stem[stem(key).lower()].append(key)
        return cls(annotations, images, by_name, by_stem)

    def image_of(self, annotation: str, filename: str) -> str:
        """Find the image of an annotation: by the name it gives, or by its own; the nearest in the folder tree.

        Only keys of the source are ever returned, whatever path the annotation names.

        Raises:
          AnnotationError: There is none, or two that are equally near, or the two names mean two images.
        """
        named = posixpath.basename(filename.replace("\\", "/"))
        by_filename = _nearest(annotation, self.by_name.get(named.lower(), [])) if named else []
        by_own_name = _nearest(annotation, self.by_stem.get(stem(annotation).lower(), []))
        found = by_filename or by_own_name or _nearest(annotation, self.by_stem.get(stem(named).lower(), []))
        if not found:
            raise AnnotationError(f"names the image {filename!r}, which is not in the source")
        if by_filename and by_own_name and not set(by_filename) & set(by_own_name):
            found = by_filename + by_own_name
        if len(found) > 1:
            raise AnnotationError(f"names the image {filename!r}, which can be {' or '.join(found)}")
        return found[0]


def split_folders(annotations: Iterable[str]) -> dict[str, str]:
    """Return the split of each annotation whose path goes through a folder named after one."""
    found = {}
    for key in annotations:
        names = [_SPLIT_FOLDERS[name.lower()] for name in key.split("/")[:-1] if name.lower() in _SPLIT_FOLDERS]
        if names:
            found[key] = names[0]
    return found


def image_sets(files: Iterable[str], source: ObjectStore) -> dict[str, set[str]]:
    """Read VOC's `ImageSets/Main/{train,val,test}.txt`: split to the stems in it.

    `trainval.txt` counts as train where there is no `train.txt`.

    Raises:
      InputError: A stem is in two splits.
    """
    lists = {stem(key): key for key in files if f"/{key}".rpartition("/")[0].endswith(_IMAGE_SETS.rstrip("/"))}
    names = {"train": "train", "val": "val", "test": "test"}
    if "train" not in lists and "val" not in lists:
        names["train"] = "trainval"
    found = {split: _stems(source, lists[name]) for split, name in names.items() if name in lists}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = sorted(found.get(one, set()) & found.get(other, set()))
        if shared:
            raise InputError(
                f"{lists[names[other]]}: {shared[0]!r} and {len(shared) - 1} more are in {names[one]}.txt too; "
                "keep each image in one split"
            )
    return found


def suffix(key: str) -> str:
    return posixpath.splitext(key)[1].lower()


def stem(key: str) -> str:
    return posixpath.splitext(posixpath.basename(key))[0]


def _stems(source: ObjectStore, key: str) -> set[str]:
    try:
        lines = source.read(key).decode().splitlines()
    except (MissingKey, UnicodeDecodeError) as error:
        raise InputError(f"{key}: cannot be read as text: {error}") from error
    return {line.split()[0] for line in lines if line.strip()}


def _nearest(annotation: str, images: list[str]) -> list[str]:
    """Keep the images that share most leading folders with the annotation."""
    if len(images) < 2:
        return images
    folders = annotation.split("/")[:-1]

    def shared(key: str) -> int:
        return sum(1 for _ in _common(folders, key.split("/")[:-1]))

    most = max(shared(key) for key in images)
    return [key for key in images if shared(key) == most]


def _common(one: list[str], other: list[str]) -> Iterable[str]:
    for a, b in zip(one, other, strict=False):
        if a != b:
            return
        yield a
