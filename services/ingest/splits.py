"""The split of every image: the source's own where it has one, otherwise a partition."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slipway.annotations import AnnotatedImage
from slipway.errors import InputError
from slipway.run import IngestSpec
from slipway.store import ObjectStore

from services.ingest.layout import Layout, image_sets, split_folders, stem
from services.ingest.partition import partition
from services.ingest.validate import Finding

_TEST_RATIO = 0.1  # the tutorial's

Splits = dict[str, str]


@dataclass(frozen=True)
class Split:
    """The split that a source has.

    Attributes:
      of: Annotation's key to split; empty when the source has none.
      origin: In words, where it is from.
    """

    of: Splits
    origin: str = ""


def own_split(layout: Layout, files: Sequence[str], source: ObjectStore) -> Split:
    """Read the split that the source has, if any.

    Folders count when train and another are among them; so do the lists of VOC's `ImageSets/Main`.
    """
    folders = split_folders(layout.annotations)
    if {"train"} < set(folders.values()):
        return Split(_with_test(folders), "the folders it came in")
    lists = image_sets(files, source)
    if "train" in lists and len(lists) > 1:
        named = {stem_: split for split, stems in lists.items() for stem_ in stems}
        found = {key: named[stem(key)] for key in layout.annotations if stem(key) in named}
        return Split(_with_test(found), "ImageSets/Main")
    return Split({})


def assign(
    images: Sequence[tuple[str, AnnotatedImage]], own: Split, spec: IngestSpec
) -> tuple[Splits, list[str], list[Finding]]:
    """Give each image its split.

    Args:
      images: Annotation's key and image.
      own: What `own_split` found; set aside when the spec gives a ratio.

    Returns:
      Filename to split (an image that the own split leaves out is absent), sentences for the report, findings.

    Raises:
      InputError: train or test would be empty.
    """
    is_asked = spec.test_ratio is not None or spec.val_ratio is not None
    if own.of and not is_asked:
        splits = {image.filename: own.of[key] for key, image in images if key in own.of}
        left_out = [_left_out(key) for key, _ in images if key not in own.of]
        _check_filled(splits)
        return splits, [f"The split is the source's own, from {own.origin}."], left_out + _leaks(images, splits)
    ratios = {"test": _TEST_RATIO if spec.test_ratio is None else spec.test_ratio, "val": spec.val_ratio or 0.0}
    shares = {name: ratio for name, ratio in ratios.items() if ratio > 0}
    if "test" not in shares:
        raise InputError("testRatio is 0, and a detector that is not measured is worth nothing; give a ratio above 0")
    if sum(shares.values()) >= 1:
        raise InputError(f"testRatio and valRatio are {sum(shares.values()):g} together; leave some for train")
    splits = partition([image for _, image in images], shares, spec.seed)
    words = " and ".join(f"{ratio:.0%} {name}" for name, ratio in shares.items())
    note = f"Partitioned with {words}, stratified by class, seed {spec.seed}."
    set_aside = f"The source's own split, from {own.origin}, was set aside. " if own.of else ""
    return splits, [set_aside + note], []


def _left_out(file: str) -> Finding:
    action = "left out; add it to one, or partition anew with a test ratio"
    return Finding("image_in_no_split", "warning", file, None, "is in none of the source's splits", action)


def _with_test(splits: Splits) -> Splits:
    """Call val test where there is no test: what is reported needs images."""
    if "test" in splits.values():
        return splits
    return {key: "test" if split == "val" else split for key, split in splits.items()}


def _check_filled(splits: Splits) -> None:
    counts = Counter(splits.values())
    empty = [name for name in ("train", "test") if not counts[name]]
    if empty:
        raise InputError(
            f"the source's own split has no usable image in {empty[0]}; "
            "annotate some, or partition anew with a test ratio"
        )


def _leaks(images: Sequence[tuple[str, AnnotatedImage]], splits: Mapping[str, str]) -> list[Finding]:
    """Name images that are in two splits under two names: they flatter what is measured."""
    first: dict[str, AnnotatedImage] = {}
    findings = []
    for _, image in images:
        other = first.setdefault(image.sha256, image)
        pair = splits.get(image.filename), splits.get(other.filename)
        if None not in pair and pair[0] != pair[1]:
            text = f"is in {pair[0]}, and {other.filename} with the same bytes is in {pair[1]}"
            findings.append(
                Finding(
                    "duplicate_across_splits", "warning", image.filename, None, text, "kept; it flatters the metrics"
                )
            )
    return findings
