"""The names of the classes of a YOLO dataset, and its split, in the files beside its labels."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from slipway.dataset.source_folder import read_file, source_files
from slipway.errors import InputError
from slipway.store.interface import ObjectStore

from services.ingest.formats.json_fields import fields, text

_NAMES_FILES = re.compile(r"(?:.*/)?(?:classes\.txt|predefined_classes\.txt|[^/]*\.names|_darknet\.labels)")
_MOST_BYTES = 1 << 20  # COCO's file has 5 KB


@dataclass(frozen=True)
class YoloDataset:
    """The content of the files that describe a YOLO dataset.

    Attributes:
      names: Class id, from 0, to its name.
      has_keypoints: The numbers behind a box are keypoints, not points of a polygon.
      folder_splits: Folder of images to the split for which a `data.yaml` names it.
    """

    names: Mapping[int, str]
    has_keypoints: bool = False
    folder_splits: Mapping[str, str] = field(default_factory=dict)

    def split_of(self, label: str) -> str:
        """Return the split of a label file's image, from the innermost folder that has one; empty if none has."""
        folder = posixpath.dirname(_with_images_folder(label))
        while folder and folder not in self.folder_splits:
            folder = posixpath.dirname(folder)
        return self.folder_splits.get(folder, "")


def read_yolo_dataset(source: ObjectStore) -> YoloDataset:
    """Read the names of the classes: in a YAML file with `names`, or one a line in `classes.txt`, `obj.names` or alike.

    Raises:
      InputError: There are none, or two files with different names.
    """
    keys = source_files(source)
    documents = dict(_yaml_documents(source, keys))
    names_of = {key: _yaml_names(document) for key, document in documents.items()}
    names_of |= {key: _listed_names(source, key) for key in keys if _NAMES_FILES.fullmatch(key)}
    names = _agreed_names(source.url, {key: names for key, names in names_of.items() if names})
    folders = {posixpath.dirname(key) for key in keys}
    folder_splits: dict[str, str] = {}
    for key, document in documents.items():
        folder_splits |= _folder_splits(posixpath.dirname(key), document, folders)
    return YoloDataset(names, any(document.get("kpt_shape") for document in documents.values()), folder_splits)


def _agreed_names(url: str, names_of: Mapping[str, dict[int, str]]) -> dict[int, str]:
    if not names_of:
        raise InputError(
            f"{url}: YOLO's labels have numbers for classes, and their names are missing; add classes.txt with one "
            "name a line, in the order of the numbers, or the dataset's data.yaml"
        )
    (first_key, names), *others = names_of.items()
    for key, other_names in others:
        if other_names != names:
            raise InputError(
                f"{url}: the names of the classes differ between {first_key} and {key}, so the numbers in the labels "
                "have two meanings; remove the file that is wrong"
            )
    return names


def _yaml_documents(source: ObjectStore, keys: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each YAML file that has `names`; others do not describe a dataset."""
    for key in keys:
        if posixpath.splitext(key)[1].lower() in (".yaml", ".yml"):
            try:
                document = fields(yaml.safe_load(_read_text(source, key)))
            except (yaml.YAMLError, RecursionError, ValueError):
                continue
            if document.get("names"):
                yield key, document


def _yaml_names(document: Mapping[str, Any]) -> dict[int, str]:
    names = document.get("names")
    rows = names.items() if isinstance(names, dict) else enumerate(names) if isinstance(names, list) else ()
    return {int(class_id): text(name) for class_id, name in rows if text(class_id).isdecimal() and text(name)}


def _listed_names(source: ObjectStore, key: str) -> dict[int, str]:
    lines = (line.strip() for line in _read_text(source, key).splitlines())
    return {class_id: name for class_id, name in enumerate(lines) if name}


def _read_text(source: ObjectStore, key: str) -> str:
    content = read_file(source, key)
    if len(content) > _MOST_BYTES:
        raise InputError(f"{key}: has {len(content):,} bytes, too many for names of classes; remove it")
    return content.decode("utf-8-sig", errors="replace")


def _folder_splits(folder: str, document: Mapping[str, Any], folders: set[str]) -> dict[str, str]:
    """Return the folders of the source that a `data.yaml` names, with their splits.

    Its paths may be relative to the file or to its `path`, or be those of another machine: the longest end of a path
    that is a folder of the source decides.
    """
    splits: dict[str, str] = {}
    for split in ("train", "val", "test"):
        paths = document.get(split)
        for path in paths if isinstance(paths, list) else [paths]:
            parts = [part for part in text(path).replace("\\", "/").split("/") if part not in ("", ".", "..")]
            ends = (posixpath.join(folder, *parts[start:]) for start in range(len(parts)))
            splits |= {end: split for end in ends if any(f"{name}/".startswith(f"{end}/") for name in folders)}
    return splits


def _with_images_folder(key: str) -> str:
    """Return the path that an image has by Ultralytics' rule: `images` in place of the last `labels`."""
    head, separator, tail = f"/{key}".rpartition("/labels/")
    return f"{head}/images/{tail}".lstrip("/") if separator else key
