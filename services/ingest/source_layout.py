"""The layout of a source: its annotations, its images, and which of them belong together."""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from slipway.errors import AnnotationError

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


class UnmatchedAnnotation(AnnotationError):
    """The annotation has no image, or several that it may mean; `code` is the finding's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class SourceLayout:
    """A source's files by their kind.

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
    def from_files(cls, files: Sequence[str]) -> "SourceLayout":
        """Sort the source's keys into annotations and images; other files are ignored."""
        annotations = tuple(key for key in files if suffix(key) == ".xml")
        images = tuple(key for key in files if suffix(key) in _IMAGE_SUFFIXES)
        by_name, by_stem = defaultdict(list), defaultdict(list)
        for key in images:
            by_name[posixpath.basename(key).lower()].append(key)
            by_stem[stem(key).lower()].append(key)
        return cls(annotations, images, by_name, by_stem)

    def image_of(self, annotation: str, filename: str) -> str:
        """Return the image of an annotation: by the name that it gives, or by its own; the nearest in the folder tree.

        Only keys of the source are ever returned, whatever path the annotation names.

        Raises:
          UnmatchedAnnotation: There is none, or two that are equally near, or the two names mean two images.
        """
        name = posixpath.basename(filename.replace("\\", "/"))
        by_filename = _nearest(annotation, self.by_name.get(name.lower(), ()))
        by_own_name = _nearest(annotation, self.by_stem.get(stem(annotation).lower(), ()))
        images = by_filename or by_own_name or _nearest(annotation, self.by_stem.get(stem(name).lower(), ()))
        if not images:
            raise UnmatchedAnnotation("image_missing", f"names the image {filename!r}, which is not in the source")
        is_contradicted = by_own_name and not set(images) & set(by_own_name)
        if is_contradicted and _distance(annotation, by_own_name[0]) <= _distance(annotation, images[0]):
            images = images + by_own_name
        if len(images) > 1:
            message = f"names the image {filename!r}, which can be {' or '.join(images)}"
            raise UnmatchedAnnotation("image_ambiguous", message)
        return images[0]

    def image_named_as(self, annotation: str) -> str:
        """Return the nearest image with the annotation's own name, or "" when there is none."""
        return next(iter(_nearest(annotation, self.by_stem.get(stem(annotation).lower(), ()))), "")


def suffix(key: str) -> str:
    return posixpath.splitext(key)[1].lower()


def stem(key: str) -> str:
    return posixpath.splitext(posixpath.basename(key))[0]


def _nearest(annotation: str, images: Iterable[str]) -> list[str]:
    """Return the images that the fewest steps up and down the folder tree lead to."""
    steps = {key: _distance(annotation, key) for key in images}
    return [key for key, distance in steps.items() if distance == min(steps.values())]


def _distance(annotation: str, image: str) -> int:
    one, other = annotation.split("/")[:-1], image.split("/")[:-1]
    common_parents = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return len(one) + len(other) - 2 * common_parents
