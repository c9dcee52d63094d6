"""A folder that imitates a bucket: it has an S3 address and presigned addresses."""

from pathlib import Path

from slipway.store.folder import FolderStore


class FakeBucket(FolderStore):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.url = "s3://slipway/deep"
        self.server: str | None = "https://store.example"  # the server of presigned addresses; None if there are none

    def presign(self, key: str, method: str, seconds: int) -> str | None:
        return f"{self.server}/{key}?method={method}&seconds={seconds}" if self.server else None
