"""The split of every image: the source's own where it has one, otherwise a partition."""

from collections.abc import Sequence

from slipway.dataset.annotations import AnnotatedImage
from slipway.errors import InputError
from slipway.run.spec import IngestSpec

from services.ingest.splits.partition import partition
from services.ingest.splits.source_split import OwnSplit
from services.ingest.validate import Finding

_TEST_RATIO = 0.1  # the tutorial's

Splits = dict[str, str]
Images = Sequence[tuple[str, AnnotatedImage]]


def keeps_own(own: OwnSplit, spec: IngestSpec) -> bool:
    """Say whether the source's own split is kept: it has one, and the spec gives no ratio."""
    return bool(own.origin) and spec.test_ratio is None and spec.val_ratio is None


def assign(images: Images, own: OwnSplit, spec: IngestSpec) -> tuple[Splits, list[str], list[Finding]]:
    """Give each image its split.

    Args:
      images: Annotation's key and image.

    Returns:
      Filename to split (an image that the own split leaves out is absent), sentences for the report, findings.

    Raises:
      InputError: train or test would be empty.
    """
    if keeps_own(own, spec):
        return _kept(images, own)
    shares = _shares(spec)
    splits = partition([image for _, image in images], shares, spec.seed)
    words = " and ".join(f"{ratio:.0%} {name}" for name, ratio in shares.items())
    note = f"Partitioned with {words}, stratified by class, seed {spec.seed}."
    set_aside = f"The source's own split, from {own.origin}, was set aside. " if own.origin else ""
    return splits, [set_aside + note], []


def _kept(images: Images, own: OwnSplit) -> tuple[Splits, list[str], list[Finding]]:
    """Call val test where there is no test: what is reported needs images."""
    notes = [f"The split is the source's own, from {own.origin}."]
    of = own.of
    if not own.has_test and "val" in of.values():
        of = {key: "test" if split == "val" else split for key, split in of.items()}
        notes.append("It has no test split, so its val split is the test split here.")
    splits = {image.filename: of[key] for key, image in images if key in of}
    for name in ("train", "test"):
        if name not in splits.values():
            raise InputError(
                f"the source's own split, from {own.origin}, has no usable image in {name}; "
                "annotate some, or partition anew with a test ratio (--test-ratio 0.1)"
            )
    return splits, notes, [_left_out(key) for key, _ in images if key not in of]


def _left_out(file: str) -> Finding:
    action = "left out; add it to one, or partition anew with a test ratio"
    return Finding("image_in_no_split", "warning", file, None, "is in none of the source's splits", action)


def _shares(spec: IngestSpec) -> dict[str, float]:
    ratios = {"test": _TEST_RATIO if spec.test_ratio is None else spec.test_ratio, "val": spec.val_ratio or 0.0}
    shares = {name: ratio for name, ratio in ratios.items() if ratio > 0}
    if "test" not in shares:
        raise InputError("testRatio is 0, and a detector that is not measured is worth nothing; give a ratio above 0")
    if sum(shares.values()) >= 1:
        raise InputError(f"testRatio and valRatio are {sum(shares.values()):g} together; leave some for train")
    return shares
