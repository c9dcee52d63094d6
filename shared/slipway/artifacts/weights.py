"""Documents of initial checkpoints: those that the store keeps, and what a training restored from one."""

from collections.abc import Mapping

from slipway.models import ArtifactModel


class KeptWeights(ArtifactModel):
    """An initial checkpoint that the store keeps, by the value of `train.initialCheckpoint` that means it.

    Key: `checkpoints/addresses/<sha256 of the address>.json`. Writers: ingest, API, command. Readers: ingest, API,
    command, retention.

    Attributes:
      address: A name, or the address of an archive.
      sha256: Digest of the checkpoint's files, under which they are kept.
      bytes: Of these files.
      kept_at: RFC 3339, in UTC.
      user: Who sent them; empty if a run fetched them from the address.
    """

    address: str
    sha256: str
    bytes: int
    kept_at: str
    user: str = ""


class RestoredWeights(ArtifactModel):
    """The variables that a training took from its initial checkpoint, and those that it initialized anew.

    Key: `runs/<run>/train/weights.json`. Writer: worker 0 of the trainer, before the first step. Readers: trainer (for
    its result), exporter (for the model card), detector (for the run's report).

    Attributes:
      address: The value of `train.initialCheckpoint`.
      sha256: Digest of the checkpoint; of a package's weights, that of the file in the package.
      restored: Module of the model, such as the backbone, to the number of its variables that were restored.
      new: Module to the number of its other variables.
    """

    address: str
    sha256: str = ""
    restored: Mapping[str, int]
    new: Mapping[str, int]

    @property
    def sentence(self) -> str:
        """One line for people."""
        restored_count, new_count = sum(self.restored.values()), sum(self.new.values())
        digest = f" (sha256 {self.sha256[:12]})" if self.sha256 else ""
        new_modules = f"; new: {_list_modules(self.new)}" if new_count else ""
        return (
            f"Restored {restored_count:,} of {restored_count + new_count:,} variables from {self.address}{digest}: "
            f"{_list_modules(self.restored)}{new_modules}."
        )


def _list_modules(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{module} ({count:,})" for module, count in counts.items() if count)
