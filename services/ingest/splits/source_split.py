"""The source's own split: folders named after splits, or lists of images."""

import posixpath
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from slipway.artifacts.dataset import Finding
from slipway.errors import InputError
from slipway.store.interface import ObjectStore
from slipway.text import format_count

from services.ingest.splits.split_folders import FolderSplit, read_folder_split
from services.ingest.splits.split_lists import ListSplit, read_list_split

_FOLDERS = "the folders it came in"


@dataclass(frozen=True)
class SourceSplit:
    """The split that a source has, if any.

    Attributes:
      split_of: Annotation's key to split.
      origin: Where it is from, in words; empty when the source has no split.
      findings: The contradictions in it; without a split, the reasons why something that looks like one is not used.
    """

    split_of: Mapping[str, str]
    origin: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def has_test(self) -> bool:
        return "test" in self.split_of.values()


def read_source_split(image_keys: Mapping[str, str], files: Sequence[str], source: ObjectStore) -> SourceSplit:
    """Read the source's own split: from folders if train and another split are among them, otherwise from lists.

    Args:
      image_keys: Annotation's key to its image's key.
    """
    folders = read_folder_split(image_keys)
    if folders.is_split:
        with suppress(InputError):  # of lists that are not needed
            lists = read_list_split(image_keys, files, source)
            return SourceSplit(folders.split_of, _FOLDERS, (*folders.findings, *_compare(folders, lists)))
        return SourceSplit(folders.split_of, _FOLDERS, folders.findings)
    lists = read_list_split(image_keys, files, source)
    if lists.origin:
        return SourceSplit(lists.split_of, lists.origin, tuple(lists.findings))
    return SourceSplit({}, findings=(*_report_unused(folders, len(image_keys)), *lists.findings))


def _compare(folders: FolderSplit, lists: ListSplit) -> list[Finding]:
    """Report images that lists put into another split than folders do, but for originals whose copies are in it."""
    copies = {(posixpath.basename(key), split) for key, split in folders.split_of.items()}
    pairs = {
        key: (folders.split_of.get(key, "no split"), split)
        for key, split in lists.split_of.items()
        if key in folders.split_of or (posixpath.basename(key), split) not in copies
    }
    different = [key for key, (folder_split, split) in pairs.items() if folder_split != split]
    if not different:
        return []
    folder_split, split = pairs[different[0]]
    images = format_count(len(different), "image")
    message = f"{lists.origin} puts {images} into other splits than folders do: this one into {split}"
    action = f"the folders were used: it is in {folder_split}"
    return [Finding("split_not_used", "warning", different[0], None, message, action)]


def _report_unused(folders: FolderSplit, annotation_count: int) -> list[Finding]:
    """Report folders that look like a split, unless they are of one split that has all annotations."""
    plain_names = {folder: name for folder, name in folders.names.items() if not name.rest}
    is_of_one = len({name.split for name in folders.names.values()}) == 1
    if not folders.names or (is_of_one and (not plain_names or len(folders.split_of) == annotation_count)):
        return []
    first, *others = sorted(folders.names)
    more = f", and so is {others[0]}" if others else ""
    message = f"is named after a split{more}, but there are no folders of train and of test or val with the same name"
    return [Finding("split_not_used", "warning", first, None, message, "not used: the images were partitioned anew")]
