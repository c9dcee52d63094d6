"""How a source is laid out: its annotations, its images, and which belong together."""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from slipway.errors import AnnotationError

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


class Unmatched(AnnotationError):
    """An annotation's image cannot be told; `code` is the finding's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


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
    def of(cls, files: Sequence[str]) -> "Layout":
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
          Unmatched: There is none, or two that are equally near, or the two names mean two images.
        """
        named = posixpath.basename(filename.replace("\\", "/"))
        by_filename = _nearest(annotation, self.by_name.get(named.lower(), ()))
        by_own_name = _nearest(annotation, self.by_stem.get(stem(annotation).lower(), ()))
        found = by_filename or by_own_name or _nearest(annotation, self.by_stem.get(stem(named).lower(), ()))
        if not found:
            raise Unmatched("image_missing", f"names the image {filename!r}, which is not in the source")
        is_contradicted = by_own_name and not set(found) & set(by_own_name)
        if is_contradicted and _distance(annotation, by_own_name[0]) <= _distance(annotation, found[0]):
            found = found + by_own_name
        if len(found) > 1:
            raise Unmatched("image_ambiguous", f"names the image {filename!r}, which can be {' or '.join(found)}")
        return found[0]

    def image_named_as(self, annotation: str) -> str:
        """Return the nearest image of the annotation's own name, for an annotation that names none; "" for none."""
        return next(iter(_nearest(annotation, self.by_stem.get(stem(annotation).lower(), ()))), "")


def suffix(key: str) -> str:
    return posixpath.splitext(key)[1].lower()


def stem(key: str) -> str:
    return posixpath.splitext(posixpath.basename(key))[0]


def _nearest(annotation: str, images: Iterable[str]) -> list[str]:
    """Keep the images that are fewest steps up and down the folder tree away."""
    steps = {key: _distance(annotation, key) for key in images}
    return [key for key, distance in steps.items() if distance == min(steps.values())]


def _distance(one: str, other: str) -> int:
    folders, others = one.split("/")[:-1], other.split("/")[:-1]
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(folders, others, strict=False)))
    return len(folders) + len(others) - 2 * shared
