"""The source's own split: folders named after splits, or the lists of VOC's `ImageSets/Main`."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from slipway.artifacts.dataset import Finding
from slipway.dataset.source_folder import read_file
from slipway.errors import InputError
from slipway.store.interface import ObjectStore

from services.ingest.source_layout import stem

_SPLIT_FOLDERS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}
_IMAGE_SET = re.compile(r"(?P<root>(?:.*/)?)ImageSets/Main/(?P<name>train|val|trainval|test)\.txt")


@dataclass(frozen=True)
class SourceSplit:
    """The split that a source has, if any.

    Attributes:
      split_of: Annotation's key to split.
      origin: Where it is from, in words; empty when the source has no split.
      findings: The contradictions in it.
    """

    split_of: Mapping[str, str]
    origin: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def has_test(self) -> bool:
        return "test" in self.split_of.values()


def read_source_split(image_keys: Mapping[str, str], files: Iterable[str], source: ObjectStore) -> SourceSplit:
    """Read the source's own split.

    Folders count when train and another split are among them; so do the lists of VOC's `ImageSets/Main`.

    Args:
      image_keys: Annotation's key to its image's key.
    """
    folders = split_folders(image_keys)
    if {"train"} < set(folders.values()):
        return SourceSplit(folders, "the folders it came in")
    lists = _image_set_lists(files)
    if not any({"train"} < list_keys.keys() for list_keys in lists.values()):
        return SourceSplit({})
    split_of: dict[str, str] = {}
    findings: list[Finding] = []
    for root, list_keys in lists.items():
        annotations = [key for key in image_keys if key.startswith(root)]
        for key, splits in _read_lists(list_keys, annotations, source, findings).items():
            if len(splits) == 1:
                split_of[key] = splits[0]
            else:
                findings.append(_overlap(key, [list_keys[split] for split in splits]))
    return SourceSplit(split_of, "ImageSets/Main", tuple(findings))


def split_folders(image_keys: Mapping[str, str]) -> dict[str, str]:
    """Return the split of each annotation that is, or whose image is, somewhere below a folder named after a split."""
    split_of = {}
    for key, image in image_keys.items():
        folders = [name.lower() for path in (key, image) for name in path.split("/")[:-1]]
        names = [_SPLIT_FOLDERS[name] for name in folders if name in _SPLIT_FOLDERS]
        if names:
            split_of[key] = names[0]
    return split_of


def _image_set_lists(files: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return, for each folder that has an `ImageSets/Main`, split to the key of its list.

    `trainval.txt` stands for train where there is neither `train.txt` nor `val.txt`, and is ignored elsewhere.
    """
    lists: dict[str, dict[str, str]] = defaultdict(dict)
    for key in files:
        if match := _IMAGE_SET.fullmatch(key):
            root, name = match.group("root", "name")
            lists[root][name] = key
    for list_keys in lists.values():
        trainval = list_keys.pop("trainval", None)
        if trainval and not {"train", "val"} & list_keys.keys():
            list_keys["train"] = trainval
    return lists


def _read_lists(
    list_keys: Mapping[str, str], annotations: Sequence[str], source: ObjectStore, findings: list[Finding]
) -> dict[str, list[str]]:
    """Return the splits of each annotation that a list names; add findings on names without an annotation."""
    by_stem = defaultdict(list)
    for key in annotations:
        by_stem[stem(key)].append(key)
    splits_of: dict[str, list[str]] = defaultdict(list)
    for split, file in list_keys.items():
        entries = _entries(read_file(source, file), file, by_stem)
        for key in (key for entry in entries for key in by_stem.get(entry, ())):
            splits_of[key].append(split)
        unknown_entries = [entry for entry in entries if entry not in by_stem]
        if unknown_entries:
            message = f"lists {len(unknown_entries)} images that have no annotation, {unknown_entries[0]!r} first"
            findings.append(Finding("listed_without_annotation", "warning", file, None, message, "left out"))
    return splits_of


def _entries(content: bytes, file: str, stems: Collection[str]) -> list[str]:
    """Parse the names of a list, each once: a line is a name, or a path, or either with a flag behind it."""
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: cannot be read as text: {error}; save it as UTF-8") from error
    return list(dict.fromkeys(_match_stem(line, stems) for line in lines if line))


def _match_stem(line: str, stems: Collection[str]) -> str:
    """Return the stem that the line means, or the line itself when it means none."""
    name = line.replace("\\", "/").rpartition("/")[2]
    first = name.split(" ")[0].split("\t")[0]
    return next((text for text in (line, name, stem(name), first, stem(first)) if text in stems), line)


def _overlap(annotation: str, lists: Sequence[str]) -> Finding:
    message = f"is in {' and in '.join(lists)}"
    return Finding("split_overlap", "error", annotation, None, message, "keep it in one of them")
