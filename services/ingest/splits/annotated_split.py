"""The split that annotations give: a field of each image, or the name of a file that annotates several images."""

import posixpath
import re
from collections.abc import Mapping

from services.ingest.splits.source_split import SourceSplit

_SPLIT = re.compile(r"(?<![a-z])(?:(train(?:ing)?)|(val(?:id(?:ation)?)?|dev)|(test(?:ing)?|eval))(?![a-z])")
_NAMES = ("train", "val", "test")


def annotated_split(words: Mapping[str, str]) -> SourceSplit | None:
    """Return the split that the annotations give; None unless train and another split are among them.

    Args:
      words: Annotation to the text that may name its split, such as `instances_train2017.json`.
    """
    split_of = {file: split for file, word in words.items() if (split := split_in_name(word))}
    return SourceSplit(split_of, "the annotations") if {"train"} < set(split_of.values()) else None


def split_in_name(name: str) -> str:
    """Return the split that the last part of a path names as a word of its own; empty if there are none or several."""
    stem = posixpath.splitext(posixpath.basename(name))[0].lower()
    splits = {_NAMES[(match.lastindex or 1) - 1] for match in _SPLIT.finditer(stem)}
    return splits.pop() if len(splits) == 1 else ""
