"""Answers on datasets, made from their manifests."""

from itertools import islice

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest, SplitCounts
from slipway.artifacts.json_io import read_document
from slipway.errors import MissingKey
from slipway.http.problems import Problem
from slipway.models import AnswerModel
from slipway.store.interface import ObjectStore, in_parallel


class DatasetSplit(AnswerModel):
    """The images and boxes of one split.

    Attributes:
      per_class: Boxes of each label.
    """

    images: int
    boxes: int
    per_class: dict[str, int]


class Dataset(AnswerModel):
    """The numbers of an ingested dataset.

    Attributes:
      ref: The value of a run's `dataset.ref`: `name@sha256`.
      counts: Findings by code.
      notes: Sentences on how the splits were chosen.
    """

    ref: str
    name: str
    sha256: str
    images: int
    boxes: int
    labels: list[str]
    splits: dict[str, DatasetSplit]
    counts: dict[str, int]
    notes: list[str]


class DatasetPage(AnswerModel):
    """Some of the datasets.

    Attributes:
      items: By name.
      next: Give it as `page` to get the items that follow; absent after the last.
    """

    items: list[Dataset]
    next: str | None = None


def find_dataset(store: ObjectStore, name: str, sha256: str) -> Dataset:
    """Return a dataset. Raises `Problem` 404."""
    try:
        manifest = read_document(store, keys.manifest(keys.dataset(name, sha256)), DatasetManifest)
    except MissingKey as error:
        raise Problem(404, f"there is no dataset {name}@{sha256}; GET /v1/datasets lists them") from error
    return Dataset(
        ref=f"{manifest.name}@{manifest.sha256}",
        name=manifest.name,
        sha256=manifest.sha256,
        images=sum(split.images for split in manifest.splits.values()),
        boxes=sum(split.boxes for split in manifest.splits.values()),
        labels=[*manifest.labels],
        splits={name: _split(counts) for name, counts in manifest.splits.items()},
        counts={**manifest.counts},
        notes=[*manifest.notes],
    )


def page_of_datasets(store: ObjectStore, limit: int, last_ref: str | None) -> DatasetPage:
    """Return the datasets that follow `last_ref`: one listing of keys, and one manifest for each."""
    refs = (ref for ref in _list_refs(store) if last_ref is None or ref > last_ref.split("@"))
    page_refs = list(islice(refs, limit + 1))
    datasets = in_parallel(lambda ref: find_dataset(store, *ref), page_refs[:limit])
    return DatasetPage(items=datasets, next="@".join(page_refs[limit - 1]) if len(page_refs) > limit else None)


def _split(counts: SplitCounts) -> DatasetSplit:
    return DatasetSplit(images=counts.images, boxes=counts.boxes, per_class={**counts.per_class})


def _list_refs(store: ObjectStore) -> list[list[str]]:
    """Return name and digest of each dataset, sorted; a folder without a manifest is not a dataset yet."""
    names_of_keys = (item.key.split("/") for item in store.scan("datasets"))
    return sorted(names[1:3] for names in names_of_keys if names[3:] == ["manifest.json"])
