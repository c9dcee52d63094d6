"""The assignment of each image to a split: the source's own where it has one, otherwise a partition."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import AnnotatedImage
from slipway.errors import InputError
from slipway.run.spec import IngestSpec

from services.ingest.splits.partition import partition, take_share
from services.ingest.splits.source_split import SourceSplit

_TEST_RATIO = 0.1  # the tutorial's

Images = Sequence[tuple[str, AnnotatedImage]]


@dataclass(frozen=True)
class Assignment:
    """The split of each image.

    Attributes:
      split_of: Filename to split; an image that the source's own split leaves out is absent.
      notes: Sentences for the report on how the splits were chosen.
      findings: The images that were left out.
    """

    split_of: dict[str, str]
    notes: list[str]
    findings: list[Finding]


def wants_source_split(spec: IngestSpec) -> bool:
    """Check whether the source's own split is to be used, if it has one: the spec gives no ratio."""
    return spec.test_ratio is None and spec.val_ratio is None


def assign(images: Images, source_split: SourceSplit, spec: IngestSpec) -> Assignment:
    """Assign each image to a split, and leave out all of train but its share where the spec gives one.

    Args:
      images: Annotation's key and image.

    Raises:
      InputError: train or test would be empty.
    """
    by_source = bool(source_split.origin) and wants_source_split(spec)
    assignment = _assign_by_source(images, source_split) if by_source else _assign_anew(images, source_split, spec)
    return _limit_train(assignment, images, spec.train_share, spec.seed) if spec.train_share else assignment


def _limit_train(assignment: Assignment, images: Images, share: float, seed: int) -> Assignment:
    """Leave out the images of train that do not belong to its share."""
    split_of = assignment.split_of
    train = [image for _, image in images if split_of.get(image.filename) == "train"]
    names = take_share(train, share, seed)
    note = f"{len(names)} of the {len(train)} images of train are used: a share of {share:g}, stratified by class."
    split_of = {name: split for name, split in split_of.items() if split != "train" or name in names}
    return Assignment(split_of, [*assignment.notes, note], assignment.findings)


def _assign_anew(images: Images, source_split: SourceSplit, spec: IngestSpec) -> Assignment:
    shares = _shares(spec)
    split_of = partition([image for _, image in images], shares, spec.seed)
    words = " and ".join(f"{ratio:.0%} {name}" for name, ratio in shares.items())
    note = f"Partitioned with {words}, stratified by class, seed {spec.seed}."
    if source_split.origin:
        note = f"The source's own split, from {source_split.origin}, was set aside. {note}"
    return Assignment(split_of, [note], [])


def _assign_by_source(images: Images, source_split: SourceSplit) -> Assignment:
    """Assign as the source does; a val split becomes test where there is no test, since the report needs one."""
    notes = [f"The split is the source's own, from {source_split.origin}."]
    names = source_split.split_of
    if not source_split.has_test and "val" in names.values():
        names = {key: "test" if split == "val" else split for key, split in names.items()}
        notes.append("It has no test split, so its val split is the test split here.")
    split_of = {image.filename: names[key] for key, image in images if key in names}
    for name in ("train", "test"):
        if name not in split_of.values():
            raise InputError(
                f"the source's own split, from {source_split.origin}, has no usable image in {name}; "
                "annotate some, or partition anew with a test ratio (--test-ratio 0.1)"
            )
    digests = {image.sha256 for _, image in images if image.filename in split_of}
    return Assignment(split_of, notes, _report_left_out([pair for pair in images if pair[0] not in names], digests))


def _report_left_out(images: Images, digests: Collection[str]) -> list[Finding]:
    """Report images that are in no split: all originals of copies that are in one together, and each of the others.

    Args:
      digests: Of the images in the splits.
    """
    message, originals = "is in none of the source's splits", [key for key, image in images if image.sha256 in digests]
    action = "left out; add it to one, or partition anew with a test ratio"
    findings = [
        Finding("image_in_no_split", "warning", key, None, message, action)
        for key, image in images
        if image.sha256 not in digests
    ]
    if originals:
        more = f", like {len(originals) - 1} more," if len(originals) > 1 else ""
        message = f"{message}{more} but an image of the same bytes is"
        findings.append(Finding("original_of_copy", "info", originals[0], None, message, "left out; its copy is used"))
    return findings


def _shares(spec: IngestSpec) -> dict[str, float]:
    ratios = {"test": _TEST_RATIO if spec.test_ratio is None else spec.test_ratio, "val": spec.val_ratio or 0.0}
    shares = {name: ratio for name, ratio in ratios.items() if ratio > 0}
    if "test" not in shares:
        raise InputError("testRatio is 0, and a detector that is not measured is worth nothing; give a ratio above 0")
    if sum(shares.values()) >= 1:
        raise InputError(f"testRatio and valRatio are {sum(shares.values()):g} together; leave some for train")
    return shares
