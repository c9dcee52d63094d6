"""The layout of a source: its annotations, its images, and which of them belong together.

An annotation names its image, but names repeat: `dogs/005.jpg` and `cats/005.jpg` are two images. So their folders are
compared, too (`expected_folder.py`). An image that belongs to another folder is never taken, even if it is the only one
of that name: the annotation's own image is missing then.
"""

import posixpath
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from slipway.errors import AnnotationError

from services.ingest.expected_folder import ExpectedFolder, Rank, SourceFolders
from services.ingest.images.unreadable import UNREADABLE_SUFFIXES
from services.ingest.source_names import fold

JPEG_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp", ".mpo"}
_IMAGE_SUFFIXES = JPEG_SUFFIXES | {".png", ".apng", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp", ".avif", ".ppm"}


class UnmatchedAnnotation(AnnotationError):
    """The annotation has no image, or several that it may mean.

    Attributes:
      code: The finding's.
      images: Keys of the images that it may mean.
    """

    def __init__(self, code: str, message: str, images: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.images = tuple(images)


@dataclass(frozen=True)
class SourceLayout:
    """A source's files by their kind.

    Attributes:
      annotations: Keys of the XML files, sorted.
      images: Keys of the image files, sorted.
      by_name, by_stem: Image keys under their last name, whole and without suffix; both folded.
      others: Keys of all other files under their last name, folded; pictures that cannot be read also under their stem.
    """

    annotations: tuple[str, ...]
    images: tuple[str, ...]
    by_name: Mapping[str, list[str]]
    by_stem: Mapping[str, list[str]]
    folders: SourceFolders
    others: Mapping[str, list[str]]

    @classmethod
    def from_files(cls, files: Sequence[str]) -> "SourceLayout":
        """Sort the source's keys into annotations and images; other files are ignored."""
        annotations = tuple(key for key in files if suffix(key) == ".xml")
        images = tuple(key for key in files if suffix(key) in _IMAGE_SUFFIXES)
        by_name, by_stem = defaultdict(list), defaultdict(list)
        for key in images:
            by_name[fold(posixpath.basename(key))].append(key)
            by_stem[fold(stem(key))].append(key)
        folders = SourceFolders.from_keys([key for key in files if suffix(key) not in _IMAGE_SUFFIXES], images)
        return cls(annotations, images, by_name, by_stem, folders, _other_files(files))

    def image_of(self, annotation: str, filename: str, hints: Sequence[str] = ()) -> str:
        """Return the image of an annotation: by the name that it gives, or by its own; in the folder that fits best.

        Only keys of the source are ever returned, whatever path the annotation names.

        Args:
          filename: The image's name as the annotation gives it, perhaps with folders.
          hints: Paths of folders in which the image may have lain when it was annotated.

        Raises:
          UnmatchedAnnotation: There is none, or two that fit equally well, or the two names mean two images.
        """
        path = filename.replace("\\", "/")
        name = posixpath.basename(path)
        expected = ExpectedFolder.from_names(annotation, path, hints, self.folders)
        by_filename = _best(expected, self._images_named(name), name)
        by_own_name = _best(expected, self.by_stem.get(fold(stem(annotation)), ()), stem(annotation))
        images = by_filename or by_own_name or _best(expected, self.by_stem.get(fold(stem(name)), ()), stem(name))
        if not images:
            return self._other_image(expected, annotation, filename)
        is_contradicted = by_own_name and not set(images) & set(by_own_name)
        if is_contradicted and _place(expected, by_own_name[0]) <= _place(expected, images[0]):
            images = images + by_own_name
        if len(images) > 1:
            message = f"names the image {filename!r}, which can be {' or '.join(images)}"
            raise UnmatchedAnnotation("image_ambiguous", message, images)
        return images[0]

    def image_named_as(self, annotation: str) -> str:
        """Return the nearest image with the annotation's own name, or "" when there is none."""
        expected = ExpectedFolder.from_names(annotation, "", (), self.folders)
        return next(iter(_best(expected, self.by_stem.get(fold(stem(annotation)), ()), stem(annotation))), "")

    def claim(self, annotation: str, image: str) -> Rank:
        """Return how well an annotation's folder fits an image; of two annotations, the lower has the better claim."""
        return _place(ExpectedFolder.from_names(annotation, "", (), self.folders), image)

    def _images_named(self, name: str) -> Sequence[str]:
        return self.by_name.get(fold(name), []) or self.by_name.get(fold(unquote(name)), [])

    def _other_image(self, expected: ExpectedFolder, annotation: str, filename: str) -> str:
        """Return the file of the annotation's name whose suffix is not that of an image; its content may be one."""
        name = posixpath.basename(filename.replace("\\", "/"))
        for form in (name, unquote(name), stem(name), stem(annotation)):
            others = _best(expected, self.others.get(fold(form), ()), form) if form else []
            unreadable = [key for key in others if suffix(key) in UNREADABLE_SUFFIXES]
            if unreadable:
                kind = suffix(unreadable[0]).lstrip(".").upper()
                message = f"names the image {filename!r}: {unreadable[0]} is {kind}, which cannot be read"
                raise UnmatchedAnnotation("image_unreadable", message)
            if len(others) == 1 and form in (name, unquote(name)):
                return others[0]
        raise UnmatchedAnnotation("image_missing", self._describe_missing(annotation, filename))

    def _describe_missing(self, annotation: str, filename: str) -> str:
        message = f"names the image {filename!r}, which is not in the source"
        name = posixpath.basename(filename.replace("\\", "/"))
        same_names = self._images_named(name) or self.by_stem.get(fold(stem(annotation)), ())
        if not same_names:
            return message
        more = f" and {len(same_names) - 1} more of that name" if len(same_names) > 1 else ""
        return f"{message}: {same_names[0]}{more} belongs to another folder"


def _other_files(files: Sequence[str]) -> dict[str, list[str]]:
    others: dict[str, list[str]] = defaultdict(list)
    for key in files:
        if suffix(key) not in _IMAGE_SUFFIXES and suffix(key) != ".xml":
            others[fold(posixpath.basename(key))].append(key)
            if suffix(key) in UNREADABLE_SUFFIXES:
                others[fold(stem(key))].append(key)
    return others


def find_rival_annotations(image_keys: Mapping[str, str], layout: SourceLayout) -> Iterator[tuple[str, str]]:
    """Yield each annotation whose image belongs to another annotation, which fits it better or comes first, and why.

    Args:
      image_keys: Annotation's key to its image's key, which is empty when there is none.
    """
    annotations: dict[str, list[str]] = defaultdict(list)
    for annotation, image in image_keys.items():
        annotations[image].append(annotation)
    for image, rivals in annotations.items():
        if image and len(rivals) > 1:
            best = min(rivals, key=lambda annotation: layout.claim(annotation, image))
            yield from ((file, f"is of {image}, and so is {best}") for file in rivals if file != best)


def suffix(key: str) -> str:
    return posixpath.splitext(key)[1].lower()


def stem(key: str) -> str:
    return posixpath.splitext(posixpath.basename(key))[0]


def _best(expected: ExpectedFolder, images: Sequence[str], name: str) -> list[str]:
    """Return the images that fit best, without those that belong to other folders."""
    ranks = {key: expected.rank(key, name) for key in expected.nearest(images) if not expected.excludes(key)}
    best = min(ranks.values(), default=())
    return [key for key, rank in ranks.items() if rank == best]


def _place(expected: ExpectedFolder, image: str) -> Rank:
    return expected.rank(image, stem(image))
