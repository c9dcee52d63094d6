"""The split that folders give: `train/` and `test/`, at any depth and in any spelling."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from slipway.artifacts.dataset import Finding

from services.ingest.splits.split_names import TRAINVAL, SplitName, parse_split_name

_Group = tuple[str, str]


@dataclass(frozen=True)
class FolderSplit:
    """The split of each annotation that is, or whose image is, somewhere below a folder named after a split.

    Attributes:
      split_of: Annotation's key to split; complete only if `is_split`.
      names: Folders that are named after splits, and their names.
      findings: Annotations in the folder of one split whose images are in that of another.
    """

    split_of: Mapping[str, str]
    names: Mapping[str, SplitName]
    findings: tuple[Finding, ...] = ()

    @property
    def is_split(self) -> bool:
        """Check whether train and another split are among the folders."""
        return {"train"} < set(self.split_of.values())


def read_folder_split(image_keys: Mapping[str, str]) -> FolderSplit:
    """Read the split from the folders of annotations and of their images.

    Folders side by side belong together when their names differ in nothing but the split, such as `raccoon_train` and
    `raccoon_test`; folders of plain names may be anywhere.

    Args:
      image_keys: Annotation's key to its image's key.
    """
    groups: dict[_Group, set[str]] = defaultdict(set)
    for key, image in image_keys.items():
        for _, group, name in (*_named_folders(key), *_named_folders(image)):
            groups[group].add(name.split)
    split_groups = {group for group, splits in groups.items() if splits & {"train", TRAINVAL} and len(splits) > 1}
    split_of, findings = {}, []
    names: dict[str, SplitName] = {}
    for key, image in image_keys.items():
        own, of_image = (_choose(path, split_groups) for path in (key, image))
        names |= {folder: name for path in (key, image) for folder, _, name in _named_folders(path)}
        if own and of_image and own != of_image:
            findings.append(_report_contradiction(key, own, image, of_image))
        elif own or of_image:
            split_of[key] = own or of_image
    return FolderSplit(_resolve_trainval(split_of), names, tuple(findings))


def _named_folders(key: str) -> Iterator[tuple[str, _Group, SplitName]]:
    """Yield each folder of a key that is named after a split: its path, its group, and its split."""
    folders = key.split("/")[:-1]
    for depth, folder in enumerate(folders):
        if name := parse_split_name(folder):
            yield "/".join(folders[: depth + 1]), ("/".join(folders[:depth]), name.rest), name


def _choose(key: str, split_groups: set[_Group]) -> str:
    """Return the split of the first folder in a group, or else of the first of a plain name that holds no group."""
    named_folders = list(_named_folders(key))
    parents = {f"{parent}/" for parent, _ in split_groups}
    in_group = (name.split for _, group, name in named_folders if group in split_groups)
    plain = (
        name.split
        for folder, _, name in named_folders
        if not name.rest and not any(parent.startswith(f"{folder}/") for parent in parents)
    )
    return next(in_group, "") or next(plain, "")


def _resolve_trainval(split_of: Mapping[str, str]) -> dict[str, str]:
    """Use trainval as train in a source without train; in a source with both, its images are in no split."""
    if "train" in split_of.values():
        return {key: split for key, split in split_of.items() if split != TRAINVAL}
    return {key: "train" if split == TRAINVAL else split for key, split in split_of.items()}


def _report_contradiction(annotation: str, split: str, image: str, image_split: str) -> Finding:
    message = f"is in a folder of {split}, and its image {image} in one of {image_split}"
    return Finding("split_overlap", "error", annotation, None, message, "keep both in one of them")
