"""The documents of a run's earlier stages, read once and passed to a stage as plain values."""

from collections.abc import Iterator
from dataclasses import dataclass

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest, IngestResult
from slipway.artifacts.json_io import read_document, read_optional
from slipway.artifacts.records import PreprocessResult
from slipway.dataset import annotations
from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.labels import LabelMap
from slipway.errors import MissingKey
from slipway.run.plan import Plan
from slipway.run.presets import Preset
from slipway.run.spec import TrainingRun
from slipway.store.interface import ObjectStore


@dataclass(frozen=True)
class RunInputs:
    """The results of ingest and preprocess for a run.

    Attributes:
      run: The run as it was requested.
      dataset: The prefix of the dataset's keys.
      plan: Every choice of the run, with its reason.
      preprocessed: None until preprocess has ended.
    """

    run: TrainingRun
    dataset: str
    manifest: DatasetManifest
    labels: LabelMap
    plan: Plan
    preprocessed: PreprocessResult | None = None

    @classmethod
    def load(cls, store: ObjectStore, run: TrainingRun) -> "RunInputs":
        """Read the documents that exist.

        Raises:
          MissingKey: Ingest has not ended.
          BrokenDocument: A document does not have the form that this version reads.
        """
        name = run.metadata.name
        dataset = read_document(store, keys.result(name, "ingest"), IngestResult).dataset
        label_map, plan = keys.label_map(dataset), keys.plan(name)
        return cls(
            run=run,
            dataset=dataset,
            manifest=read_document(store, keys.manifest(dataset), DatasetManifest),
            labels=LabelMap.parse(store.read(label_map).decode(), label_map),
            plan=Plan.parse(store.read(plan), plan),
            preprocessed=read_optional(store, keys.result(name, "preprocess"), PreprocessResult),
        )

    @property
    def name(self) -> str:
        return self.run.metadata.name

    @property
    def preset(self) -> Preset:
        """The preset that the plan names, or the run's own. Raises `SpecError` if there is none."""
        return self.run.spec.train.find_preset(self.plan.preset)

    @property
    def records(self) -> PreprocessResult:
        """The run's records. Raises `MissingKey` until preprocess has ended."""
        if self.preprocessed is None:
            raise MissingKey(f"{keys.result(self.name, 'preprocess')}: not there; preprocess has not ended")
        return self.preprocessed

    def annotated_images(self, store: ObjectStore, split: str) -> Iterator[AnnotatedImage]:
        """Read a split's annotations, shard by shard."""
        for key in self.manifest.annotation_keys(split):
            yield from annotations.parse(store.read(key), key)
