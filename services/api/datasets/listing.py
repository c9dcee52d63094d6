"""Datasets as the API answers them: from their manifests."""

from collections.abc import Sequence
from itertools import islice

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from slipway import keys
from slipway.artifacts.untyped_json import read_json
from slipway.errors import MissingKey
from slipway.http.problems import Problem
from slipway.store.interface import ObjectStore, in_parallel


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class DatasetSplit(_Model):
    """One of the parts that are trained or measured on.

    Attributes:
      per_class: Boxes of each label.
    """

    images: int
    boxes: int
    per_class: dict[str, int]


class Dataset(_Model):
    """What was ingested, in numbers.

    Attributes:
      ref: What a run's `dataset.ref` calls it: `name@sha256`.
      counts: How often each kind of finding was met.
      notes: How the splits came about.
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


class DatasetPage(_Model):
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
        found = read_json(store, keys.manifest(keys.dataset(name, sha256)))
    except MissingKey as error:
        raise Problem(404, f"there is no dataset {name}@{sha256}; GET /v1/datasets lists them") from error
    splits = {split: DatasetSplit.model_validate(counts) for split, counts in found["splits"].items()}
    return Dataset(
        ref=f"{found['name']}@{found['sha256']}",
        name=found["name"],
        sha256=found["sha256"],
        images=sum(split.images for split in splits.values()),
        boxes=sum(split.boxes for split in splits.values()),
        labels=found["labels"],
        splits=splits,
        counts=found["counts"],
        notes=found["notes"],
    )


def page_of_datasets(store: ObjectStore, limit: int, after: str | None) -> DatasetPage:
    """Return the datasets that follow the one called `after`: one scan of keys, and one manifest for each."""
    refs = (ref for ref in _refs(store) if after is None or ref > after.split("@"))
    chosen = list(islice(refs, limit + 1))
    found = in_parallel(lambda ref: find_dataset(store, *ref), chosen[:limit])
    return DatasetPage(items=found, next="@".join(chosen[limit - 1]) if len(chosen) > limit else None)


def _refs(store: ObjectStore) -> Sequence[list[str]]:
    """Return name and digest of each dataset, sorted; what has no manifest yet is none."""
    keys_there = (key.split("/") for key in store.list("datasets"))
    return sorted(names[1:3] for names in keys_there if names[3:] == ["manifest.json"])
