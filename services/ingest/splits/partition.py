"""The partition of images into splits: stratified by class, repeatable by seed, with equal images in one split."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from slipway.dataset.annotations import AnnotatedImage
from slipway.errors import InputError
from slipway.text import format_count

_BACKGROUND = ""  # the class of an image without boxes; no label is empty


def partition(images: Sequence[AnnotatedImage], ratios: Mapping[str, float], seed: int) -> dict[str, str]:
    """Divide images into `train` and the splits of `ratios`.

    Classes are dealt out from the rarest to the most frequent, so that each split gets its share of every class; a
    class with as many images as there are splits is in each of them. Images with the same bytes stay together.

    Args:
      ratios: Split to its share of the images, such as {"test": 0.1}; train gets the rest.
      seed: Another seed gives another partition; the order of the files has no influence.

    Returns:
      Filename to split.

    Raises:
      InputError: There are fewer images than splits.

    Source: the rarest class first is the idea of Sechidis et al. 2011, "On the Stratification of Multi-Label Data".
    """
    groups = _groups(images, seed)
    if len(groups) <= len(ratios):
        count = format_count(len(groups), "different image")
        raise InputError(f"{count} cannot be divided into train, {', '.join(ratios)}; annotate more images")
    split: dict[str, str] = {}
    for _, group_keys in sorted(_members(groups).items(), key=lambda item: (len(item[1]), item[0])):
        for name, ratio in ratios.items():
            target = max(round(ratio * len(group_keys)), int(ratio > 0 and len(group_keys) > len(ratios)))
            present = sum(split.get(key) == name for key in group_keys)
            for key in [key for key in group_keys if key not in split][: max(0, target - present)]:
                split[key] = name
        for key in group_keys:
            split.setdefault(key, "train")
    _fill(split, list(groups), [name for name, ratio in ratios.items() if ratio > 0])
    return {image.filename: split[key] for key, group in groups.items() for image in group}


def take_share(images: Sequence[AnnotatedImage], share: float, seed: int) -> set[str]:
    """Return the filenames of a share of the images, at least one of each class.

    Each class gives the same share, as in `partition`, and a larger share contains every smaller one of the same seed.

    Args:
      share: In (0, 1].
    """
    groups = _groups(images, seed)
    members = _members(groups)
    by_rarest_label: dict[str, list[str]] = defaultdict(list)
    for key, group in groups.items():
        by_rarest_label[min(_labels(group), key=lambda label: (len(members[label]), label))].append(key)
    # The first image of each class comes first in every share; a class may be rarest in none of its images.
    keys = {group_keys[0] for group_keys in members.values()}
    for group_keys in by_rarest_label.values():
        keys |= set(group_keys[: round(share * len(group_keys))])
    return {image.filename for key in keys for image in groups[key]}


def _members(groups: Mapping[str, list[AnnotatedImage]]) -> dict[str, list[str]]:
    """Return the groups of each class, in their order."""
    members: dict[str, list[str]] = defaultdict(list)
    for key, group in groups.items():
        for label in _labels(group):
            members[label].append(key)
    return members


def _groups(images: Sequence[AnnotatedImage], seed: int) -> dict[str, list[AnnotatedImage]]:
    """Group images of equal bytes, in an order that depends on bytes and seed only."""
    groups: dict[str, list[AnnotatedImage]] = {}
    for image in images:
        groups.setdefault(image.sha256, []).append(image)
    return {
        key: groups[key] for key in sorted(groups, key=lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest())
    }


def _labels(group: list[AnnotatedImage]) -> set[str]:
    return {labeled_box.label for image in group for labeled_box in image.boxes} or {_BACKGROUND}


def _fill(split: dict[str, str], order: list[str], names: Sequence[str]) -> None:
    """Move one image of the largest split into each empty one."""
    for name in ("train", *names):
        if name not in split.values():
            largest = Counter(split.values()).most_common(1)[0][0]
            split[next(key for key in order if split[key] == largest)] = name
