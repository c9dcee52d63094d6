"""Names of splits, as people write them in the names of folders and lists."""

import posixpath
import re
from functools import lru_cache
from typing import NamedTuple

from services.ingest.source_names import without_kinds, words

TRAINVAL = "trainval"
_SPLITS = {
    "train": re.compile(r"train(?:ing)?s?(?:set)?"),
    "val": re.compile(r"(?:val(?:id(?:ation|ate)?)?|dev|eval(?:uation)?)s?(?:set)?"),
    "test": re.compile(r"test(?:ing)?s?(?:set)?"),
    TRAINVAL: re.compile(r"train(?:ing)?(?:val(?:id(?:ation)?)?|dev)(?:set)?"),
}
_FILLERS = frozenset({"set", "sets", "split", "list", "names", "ids", "id", "index"})


class SplitName(NamedTuple):
    """A name that contains a split's.

    Attributes:
      split: `train`, `val`, `test` or `trainval`.
      rest: The other words, without years, numbers, and words such as images, set and list.
    """

    split: str
    rest: str


@lru_cache(maxsize=65536)
def parse_split_name(name: str) -> SplitName | None:
    """Return the split that a folder or a list is named after, or None: `Train`, `testing`, `cat_train`, `val2017`."""
    parts = [part for word in words(name) for part in re.findall(r"[^\W\d_]+", word)]
    parts = without_kinds([part for part in parts if part not in _FILLERS])
    splits = [(index, split) for index, part in enumerate(parts) if (split := _split_of(part))]
    if [split for _, split in splits] == ["train", "val"] and splits[0][0] + 1 == splits[1][0]:
        return SplitName(TRAINVAL, "_".join(parts[: splits[0][0]] + parts[splits[1][0] + 1 :]))
    if not splits or (len(splits) > 1 and splits[-1][0] != len(parts) - 1):
        return None
    index, split = splits[-1]
    return SplitName(split, "_".join(parts[:index] + parts[index + 1 :]))


def list_split(key: str) -> SplitName | None:
    """Return the split that a list is named after."""
    return parse_split_name(posixpath.splitext(posixpath.basename(key))[0])


def _split_of(word: str) -> str:
    return next((split for split, pattern in _SPLITS.items() if pattern.fullmatch(word)), "")
