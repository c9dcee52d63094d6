"""The split that a source comes with: folders named after splits, or the lists of VOC's `ImageSets/Main`."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from slipway.dataset.source_folder import read_file
from slipway.errors import InputError
from slipway.store.interface import ObjectStore

from services.ingest.source_layout import stem
from services.ingest.validate import Finding

_SPLIT_FOLDERS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}
_IMAGE_SET = re.compile(r"(?P<root>(?:.*/)?)ImageSets/Main/(?P<name>train|val|trainval|test)\.txt")


@dataclass(frozen=True)
class OwnSplit:
    """What a source says about its split.

    Attributes:
      of: Annotation's key to split.
      origin: In words, where it is from; empty when the source has no split.
      findings: What contradicts itself in it.
    """

    of: Mapping[str, str]
    origin: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def has_test(self) -> bool:
        return "test" in self.of.values()


def own_split(places: Mapping[str, str], files: Iterable[str], source: ObjectStore) -> OwnSplit:
    """Read the split that the source has, if any.

    Folders count when train and another are among them; so do the lists of VOC's `ImageSets/Main`.

    Args:
      places: Key of each annotation, and of its image.
    """
    folders = split_folders(places)
    if {"train"} < set(folders.values()):
        return OwnSplit(folders, "the folders it came in")
    lists = _image_set_lists(files)
    if not any({"train"} < names.keys() for names in lists.values()):
        return OwnSplit({})
    found: dict[str, str] = {}
    findings: list[Finding] = []
    for root, names in lists.items():
        own = [key for key in places if key.startswith(root)]
        for key, splits in _listed(names, own, source, findings).items():
            if len(splits) == 1:
                found[key] = splits[0]
            else:
                findings.append(_overlap(key, [names[split] for split in splits]))
    return OwnSplit(found, "ImageSets/Main", tuple(findings))


def split_folders(places: Mapping[str, str]) -> dict[str, str]:
    """Return the split of each annotation that is, or whose image is, somewhere in a folder named after one."""
    found = {}
    for key, image in places.items():
        folders = [name.lower() for path in (key, image) for name in path.split("/")[:-1]]
        names = [_SPLIT_FOLDERS[name] for name in folders if name in _SPLIT_FOLDERS]
        if names:
            found[key] = names[0]
    return found


def _image_set_lists(files: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return, for each folder that has an `ImageSets/Main`, split to the key of its list.

    `trainval.txt` is train where there is neither `train.txt` nor `val.txt`, and nothing new where there is.
    """
    lists: dict[str, dict[str, str]] = defaultdict(dict)
    for key in files:
        if match := _IMAGE_SET.fullmatch(key):
            lists[match["root"]][match["name"]] = key
    for names in lists.values():
        both = names.pop("trainval", None)
        if both and not {"train", "val"} & names.keys():
            names["train"] = both
    return lists


def _listed(
    names: Mapping[str, str], annotations: Sequence[str], source: ObjectStore, findings: list[Finding]
) -> dict[str, list[str]]:
    """Return the splits in whose lists each annotation is."""
    by_stem = defaultdict(list)
    for key in annotations:
        by_stem[stem(key)].append(key)
    listed: dict[str, list[str]] = defaultdict(list)
    for split, file in names.items():
        entries = _entries(read_file(source, file), file, by_stem)
        for key in (key for entry in entries for key in by_stem.get(entry, ())):
            listed[key].append(split)
        absent = [entry for entry in entries if entry not in by_stem]
        if absent:
            text = f"lists {len(absent)} images that have no annotation, {absent[0]!r} first"
            findings.append(Finding("listed_without_annotation", "warning", file, None, text, "left out"))
    return listed


def _entries(content: bytes, file: str, known: Collection[str]) -> list[str]:
    """Read a list's names, each once: a line is a name, or a path, or either with a flag behind it."""
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: cannot be read as text: {error}; save it as UTF-8") from error
    return list(dict.fromkeys(_known(line, known) for line in lines if line))


def _known(line: str, known: Collection[str]) -> str:
    """Return the stem that the line means; the line itself when it means none."""
    name = line.replace("\\", "/").rpartition("/")[2]
    first = name.split(" ")[0].split("\t")[0]
    return next((text for text in (line, name, stem(name), first, stem(first)) if text in known), line)


def _overlap(annotation: str, lists: Sequence[str]) -> Finding:
    text = f"is in {' and in '.join(lists)}"
    return Finding("split_overlap", "error", annotation, None, text, "keep it in one of them")
