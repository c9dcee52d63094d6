"""A folder that passes for a bucket: it has an S3 address, and addresses for others."""

from pathlib import Path

from slipway.store.folder import FolderStore


class FakeBucket(FolderStore):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.url = "s3://slipway/deep"
        self.server: str | None = "https://store.example"  # where its addresses lead; None: it has none

    def presign(self, key: str, method: str, seconds: int) -> str | None:
        return f"{self.server}/{key}?method={method}&seconds={seconds}" if self.server else None
