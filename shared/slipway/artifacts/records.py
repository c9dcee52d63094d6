"""Documents of records: one for each shard, and preprocess's result."""

from collections.abc import Mapping

from slipway import keys
from slipway.artifacts.outcome import StageResult
from slipway.models import ArtifactModel


class ShardPart(ArtifactModel):
    """A shard of records that is complete.

    Key: `records/<dataset-sha256>/<recipe-sha256>/parts/<shard>.json`. Writer: the worker of preprocess that wrote the
    shard. Reader: the worker of preprocess that finds every shard complete.

    Attributes:
      max_boxes: Number of boxes of the image that has the most.
      bytes: Size of the shard.
      sha256: Digest of the shard.
    """

    images: int
    boxes: int
    max_boxes: int
    bytes: int
    sha256: str = ""


class RecordSplit(ArtifactModel):
    """The records of one split."""

    images: int
    boxes: int
    bytes: int
    shards: int


class PreprocessResult(StageResult):
    """The records that a run trains and measures on.

    Key: `runs/<run>/preprocess/result.json`. Writer: preprocess. Readers: trainer, evaluator, exporter, detector.

    Attributes:
      records: The prefix of their keys.
      splits: `train`, `val` and `test`, as far as there are any.
      max_boxes: Number of boxes of the image that has the most.
    """

    records: str
    splits: Mapping[str, RecordSplit]
    max_boxes: int

    def shard_keys(self, split: str) -> list[str]:
        """Return the keys of the split's shards, in order."""
        shards = self.splits[split].shards
        return [keys.shard(self.records, split, number, shards) for number in range(shards)]
