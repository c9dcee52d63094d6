"""The entries of a list of images, and the annotations that they mean."""

import csv
import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from slipway.errors import InputError

from services.ingest.source_names import fold, folder_names

_SUFFIX = re.compile(r"\.(?:jpe?g|jpe|jfif|png|bmp|gif|tiff?|webp|xml|txt|json)\Z", re.IGNORECASE)
_FLAGS = ("1", "0", "-1")  # whether an image shows a class
_IMAGE_COLUMNS = ("filename", "file_name", "image", "image_path", "path", "file")


def read_entries(content: bytes, file: str) -> list[str]:
    """Read the entries of a list, each once: the lines of a text, or the column of a CSV that names images.

    Raises:
      InputError: It is not text.
    """
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        lines = [line.strip() for line in content.decode(encoding).splitlines()]
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: cannot be read as text: {error}; save it as UTF-8") from error
    if file.lower().endswith(".csv"):
        lines = list(_image_column(lines))
    return list(dict.fromkeys(line for line in lines if line))


def _image_column(lines: Sequence[str]) -> Iterator[str]:
    rows = csv.reader(lines)
    header = [name.strip().lower() for name in next(rows, [])]
    column = next((header.index(name) for name in _IMAGE_COLUMNS if name in header), None)
    if column is not None:
        yield from (row[column].strip() for row in rows if len(row) > column)


class AnnotationIndex:
    """The annotations that the entries of lists may mean, by the names of their own files and of their images."""

    def __init__(self, image_keys: Mapping[str, str], folders: Collection[str] = ()) -> None:
        """Index the annotations.

        Args:
          image_keys: Annotation's key to its image's key.
          folders: Names of all folders of the source: an entry in one of them is not an annotation in another.
        """
        self._paths: dict[str, tuple[str, ...]] = {key: (key, image) for key, image in image_keys.items()}
        self._by_name: dict[str, set[str]] = defaultdict(set)
        self._folders = set(folders)
        for key, paths in self._paths.items():
            for path in filter(None, paths):
                name = posixpath.basename(path)
                self._by_name[fold(name)].add(key)
                self._by_name[fold(_SUFFIX.sub("", name))].add(key)
                self._folders.update(folder_names(posixpath.dirname(path)))

    def find(self, entry: str) -> list[str]:
        """Return the annotations that an entry may mean, sorted; several only if the entry does not tell them apart.

        An entry is a name or a path, with or without a suffix, with or without a flag or other words behind it.
        """
        for text in _readings(entry):
            folder, name = posixpath.split(text)
            keys = self._by_name.get(fold(name)) or self._by_name.get(fold(_SUFFIX.sub("", name)), set())
            if keys:
                return sorted(self._of_exact_name(self._in_folder(keys, folder), name))
        return []

    def _in_folder(self, keys: Iterable[str], folder: str) -> list[str]:
        """Return the annotations whose folders end like the entry's the most; none that contradict it."""
        last = "".join(folder_names(folder)[-1:])
        if last in self._folders:
            keys = [
                key for key in keys if any(last in folder_names(posixpath.dirname(path)) for path in self._paths[key])
            ]
        depths = {key: max(_common_end(folder, posixpath.dirname(path)) for path in self._paths[key]) for key in keys}
        return [key for key, depth in depths.items() if depth == max(depths.values())]

    def _of_exact_name(self, keys: Sequence[str], name: str) -> Sequence[str]:
        """Return those of the very name, if there are any: two names may differ in case only."""
        stem = _SUFFIX.sub("", name)
        exact = [
            key for key in keys if any(_SUFFIX.sub("", posixpath.basename(path)) == stem for path in self._paths[key])
        ]
        return exact or keys


def _readings(entry: str) -> Iterator[str]:
    """Yield the paths that an entry may be: all of it, without VOC's flag, or one of several columns."""
    path = entry.replace("\\", "/").strip("\"'")
    yield path
    columns = path.split()
    if columns[-1:] and columns[-1] in _FLAGS:
        yield path.removesuffix(columns[-1]).strip()
    if len(parts := re.split(r"[\t,;]", path)) > 1:
        yield parts[0].strip().strip("\"'")
    yield from (column for column in (columns[:1] + columns[-1:]) if _SUFFIX.search(column))


def _common_end(one: str, other: str) -> int:
    """Count the folders at the end of two paths that are the same."""
    pairs = zip(fold(one).split("/")[::-1], fold(other).split("/")[::-1], strict=False)
    count = 0
    for a, b in pairs:
        if a != b or not a:
            break
        count += 1
    return count
