"""The splits of a dataset as folders of files: the tutorial's `train/` and `test/`."""

import posixpath
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest
from slipway.dataset.annotations import AnnotatedImage, parse
from slipway.store.folder import FolderStore

from services.cli.partition.voc_file import voc_xml

_SUFFIXES = {"jpeg": (".jpg", ".jpeg"), "png": (".png",)}


def write_split_files(store: FolderStore, manifest: DatasetManifest, out: Path, with_xml: bool) -> dict[str, int]:
    """Write each split's images, and their XML if it is wanted, and return the number of images by split.

    Images are written as the dataset has them: upright, and as PNG where training cannot read the original.
    """
    counts = {}
    for split in manifest.splits:
        folder = out / split
        folder.mkdir(parents=True)
        images = [image for key in manifest.annotation_keys(split) for image in parse(store.read(key), key)]
        for image, name in zip(images, file_names(images), strict=True):
            shutil.copyfile(store.root / keys.blob(image.sha256), folder / name)
            if with_xml:
                (folder / name).with_suffix(".xml").write_bytes(voc_xml(image, name))
        counts[split] = len(images)
    return counts


def file_names(images: Iterable[AnnotatedImage]) -> list[str]:
    """Return a file name for each image: its own, with its folders before it if two would have the same stem."""
    images = list(images)
    stems = [posixpath.splitext(image.filename)[0] for image in images]
    counts = Counter(posixpath.basename(stem).casefold() for stem in stems)
    used: set[str] = set()
    names = []
    for image, stem in zip(images, stems, strict=True):
        base = posixpath.basename(stem)
        name = base if counts[base.casefold()] == 1 else stem.replace("/", "_")
        while name.casefold() in used:
            name = f"{name}_{image.source_id}"
        used.add(name.casefold())
        names.append(f"{name}{_suffix(image)}")
    return names


def _suffix(image: AnnotatedImage) -> str:
    """Return the suffix of the image's own name if it is right for its stored bytes, otherwise the usual one."""
    suffix, suffixes = posixpath.splitext(image.filename)[1], _SUFFIXES[image.format]
    return suffix if suffix.lower() in suffixes else suffixes[0]
