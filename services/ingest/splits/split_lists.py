"""The split that lists of images give: VOC's `ImageSets/Main`, and others such as `train.txt` and `test.txt`."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from slipway.artifacts.dataset import Finding
from slipway.dataset.source_folder import read_file
from slipway.errors import InputError
from slipway.store.interface import ObjectStore
from slipway.text import format_count

from services.ingest.expected_folder import folders_of
from services.ingest.splits.list_entries import AnnotationIndex, read_entries
from services.ingest.splits.split_names import TRAINVAL, list_split

_VOC_LIST = re.compile(r"(?P<root>(?:.*/)?)(?P<kind>ImageSets(?:/[^/]+)?)/[^/]+\.(?:txt|lst)", re.IGNORECASE)
_LIST = re.compile(r".+\.(?:txt|lst|csv)", re.IGNORECASE)
_LISTS_OF_ALL = {"default", "all"}
_LEAST_SHARE = 0.5  # of a list's entries that are annotated images; another text that is named like a list has fewer
_NAMES = ("train", "val", "test")
_ACTION = "not used: the images were partitioned anew"

_Matches = Mapping[str, Sequence[str]]  # entry of a list to the annotations that it may mean


@dataclass(frozen=True)
class _SplitList:
    """A list of images.

    Attributes:
      root: Prefix of the annotations that it names.
      kind: The folder of VOC's lists, such as `ImageSets/Main`; empty for other lists.
      split: That it is named after; empty when it is named after none.
      rest: The other words of its name, such as a class.
    """

    key: str
    root: str
    kind: str
    split: str
    rest: str


@dataclass
class ListSplit:
    """The split that lists give.

    Attributes:
      split_of: Annotation's key to split.
      origin: The lists, in words; empty when they give no split.
      findings: The contradictions in them; without a split, the reasons why they give none.
    """

    split_of: dict[str, str] = field(default_factory=dict)
    origin: str = ""
    findings: list[Finding] = field(default_factory=list)


def read_list_split(image_keys: Mapping[str, str], files: Sequence[str], source: ObjectStore) -> ListSplit:
    """Read the split from lists: VOC's before others, `Main` before other tasks; lists of classes if all are such.

    Args:
      image_keys: Annotation's key to its image's key.

    Raises:
      InputError: One of VOC's lists is not text.
    """
    indexes: dict[str, AnnotationIndex] = {}
    findings: list[Finding] = []
    kinds = _find_lists(files, image_keys)
    folders = {name for key in files for name in folders_of(key)} if kinds else ()
    for lists in kinds:
        plain = [item for item in lists if not item.rest]
        chosen = plain if _gives_split(plain) else [item for item in lists if item.split]
        for root in {item.root for item in chosen} - indexes.keys():
            indexes[root] = _index(root, image_keys, folders)
        matches = {item: _match(item, source, indexes[item.root]) for item in chosen}
        fitting = {item: entries for item, entries in matches.items() if item.kind or _is_list(entries)}
        if _gives_split(fitting):
            return _merge(fitting)
        findings += _report_unused(lists, matches, len(image_keys))
    return ListSplit(findings=findings)


def _find_lists(files: Iterable[str], image_keys: Iterable[str]) -> list[list[_SplitList]]:
    """Return the lists that can be used together, the usual first."""
    kinds: dict[tuple[int, str], list[_SplitList]] = defaultdict(list)
    annotations = set(image_keys)  # of YOLO's train.txt beside train.jpg
    for key in files:
        name = list_split(key)
        if match := _VOC_LIST.fullmatch(key):
            root, kind = match.group("root", "kind")
            order = 0 if kind.lower() == "imagesets/main" else 1 + kind.count("/")
            kinds[order, kind.lower()].append(_SplitList(key, root, kind, *(name or ("", ""))))
        elif name and _LIST.fullmatch(key) and key not in annotations:
            folder = posixpath.dirname(key)
            kinds[3, ""].append(_SplitList(key, f"{folder}/" if folder else "", "", *name))
    return [kinds[order] for order in sorted(kinds)]


def _gives_split(lists: Iterable[_SplitList]) -> bool:
    splits = {item.split for item in lists} - {""}
    return bool(splits & {"train", TRAINVAL}) and len(splits - {TRAINVAL} | {"train"}) > 1


def _index(root: str, image_keys: Mapping[str, str], folders: Collection[str]) -> AnnotationIndex:
    """Return an index of the annotations below a folder, or of all if there are none below it."""
    below = {key: image for key, image in image_keys.items() if key.startswith(root) or image.startswith(root)}
    return AnnotationIndex(below or image_keys, folders)


def _match(split_list: _SplitList, source: ObjectStore, index: AnnotationIndex) -> _Matches:
    """Read a list, and find the annotations of its entries."""
    entries: list[str] = []
    with suppress(*(() if split_list.kind else (InputError,))):
        entries = read_entries(read_file(source, split_list.key), split_list.key)
    return {entry: index.find(entry) for entry in entries}


def _is_list(matches: _Matches) -> bool:
    image_count = sum(map(bool, matches.values()))
    return image_count > 0 and image_count >= _LEAST_SHARE * len(matches)


def _merge(matches: Mapping[_SplitList, _Matches]) -> ListSplit:
    """Assign the annotations that the lists name, and report those that are in two splits, or in none."""
    result = ListSplit(origin=_origin(matches))
    lists_of: dict[str, dict[str, str]] = defaultdict(dict)
    for item, entries in matches.items():
        beside = {other: keys for other, keys in matches.items() if other.root == item.root}
        if item.split == TRAINVAL and any(other.split == "train" for other in beside):
            continue
        in_val = {key for other in beside if other.split == "val" for keys in beside[other].values() for key in keys}
        for key in (key for keys in entries.values() for key in keys):
            if item.split != TRAINVAL or key not in in_val:
                lists_of[key].setdefault("train" if item.split == TRAINVAL else item.split, item.key)
        result.findings += _check_entries(item, entries)
    for key, lists in lists_of.items():
        if len(lists) == 1:
            result.split_of[key] = next(iter(lists))
        else:
            message = f"is in {' and in '.join(lists.values())}"
            result.findings.append(Finding("split_overlap", "error", key, None, message, "keep it in one of them"))
    return result


def _origin(lists: Iterable[_SplitList]) -> str:
    """Name VOC's folder, or the lists."""
    kinds = {item.kind for item in lists} - {""}
    return kinds.pop() if kinds else " and ".join(sorted(item.key for item in lists)[:3])


def _check_entries(split_list: _SplitList, entries: _Matches) -> list[Finding]:
    """Report entries without an annotation, and entries that may mean several."""
    file, findings = split_list.key, []
    unknown = [entry for entry, keys in entries.items() if not keys]
    if unknown:
        message = f"lists {format_count(len(unknown), 'image')} without annotation, {unknown[0]!r} first"
        findings.append(Finding("listed_without_annotation", "warning", file, None, message, "left out"))
    ambiguous = [entry for entry, keys in entries.items() if len(keys) > 1]
    if ambiguous:
        names, images = format_count(len(ambiguous), "name"), " or ".join(entries[ambiguous[0]])
        message = f"lists {names} that several annotations have: {ambiguous[0]!r} can be {images}"
        findings.append(Finding("listed_ambiguous", "warning", file, None, message, f"all are in {split_list.split}"))
    return findings


def _report_unused(lists: Sequence[_SplitList], matches: Mapping[_SplitList, _Matches], count: int) -> list[Finding]:
    """Report lists that look like a split, unless they name no annotated image, or all of them as one split."""
    listed = {key for entries in matches.values() for keys in entries.values() for key in keys}
    unnamed = [item.key for item in lists if not item.split and _stem(item) not in _LISTS_OF_ALL]
    if not matches and unnamed:
        return [_unused(unnamed[0], f"is a list of images, but its name is none of {', '.join(_NAMES)} and {TRAINVAL}")]
    if not listed or (len(listed) == count and len({item.split for item in matches}) == 1):
        return []
    for item, entries in matches.items():
        if _gives_split(matches) and not _is_list(entries):
            images = sum(map(bool, entries.values()))
            lines = f"only {images} of its {len(entries)} lines are annotated images"
            return [_unused(item.key, f"is named like a list of {item.split}, but {lines}")]
    item = next(iter(matches))
    lack = "test or val" if item.split in ("train", TRAINVAL) else "train"
    return [_unused(item.key, f"is a list of {item.split}, but no list beside it is of {lack}")]


def _unused(file: str, message: str) -> Finding:
    return Finding("split_not_used", "warning", file, None, message, _ACTION)


def _stem(split_list: _SplitList) -> str:
    return posixpath.splitext(posixpath.basename(split_list.key))[0].lower()
