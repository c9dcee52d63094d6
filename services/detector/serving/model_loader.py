"""A run's export in the store → a model in memory."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from pydantic import BaseModel, ValidationError

from slipway import keys
from slipway.digests import sha256_file
from slipway.errors import BrokenExport, InputError, MissingKey, StoreRefused
from slipway.run.names import Sha256
from slipway.run.run_file import load_run
from slipway.store.interface import ObjectStore, in_parallel
from slipway.text import timestamp

from services.detector.detect import Detector, load

_NEEDED = ("saved_model/", "label_map.pbtxt")  # of the manifest's files; a phone's are not


class _Manifest(BaseModel):
    """What is read of `manifest.json`."""

    step: int
    preset: str
    image_size: int
    labels: list[str]
    files: Mapping[str, Sha256]


@dataclass(frozen=True)
class Export:
    """What the store says of a run's export.

    Attributes:
      digest: SHA-256 of its manifest, which has the digests of all its files.
      score_threshold: What the run itself detected with.
    """

    run: str
    digest: str
    manifest: _Manifest
    score_threshold: float


@dataclass(frozen=True)
class Model:
    """An export that is loaded; `loaded_at` is RFC 3339."""

    export: Export
    detector: Detector
    loaded_at: str


def find(store: ObjectStore, run: str) -> Export:
    """Read what there is.

    Raises:
      MissingKey: The run has no export.
      BrokenExport: Its manifest is none.
    """
    key = keys.export_manifest(run)
    try:
        content = store.read(key)
        threshold = load_run(run, store).spec.detect.score_threshold
    except MissingKey as error:
        raise MissingKey(f"run {run!r} has no export; GET /v1/models lists the runs that have one") from error
    try:
        manifest = _Manifest.model_validate_json(content)
    except ValidationError as error:
        raise BrokenExport(f"{key}: not a manifest as the exporter writes it; export the run again") from error
    return Export(run, hashlib.sha256(content).hexdigest(), manifest, threshold)


def load_model(store: ObjectStore, export: Export, scratch: Path) -> Model:
    """Copy the export, compare every file with its digest, load it, and detect once: the first image takes a second.

    Raises:
      BrokenExport: A file is absent or another than was exported, or TensorFlow cannot load it.
    """
    with TemporaryDirectory(prefix="slipway-export-", dir=scratch) as folder:
        try:
            _fetch(store, export, Path(folder))
            detector = load(Path(folder))
        except StoreRefused:
            raise
        except (InputError, MissingKey) as error:
            raise BrokenExport(f"the export of run {export.run!r} cannot be served: {error}") from error
    detector.detect(Image.new("RGB", (64, 64)), 1.0)
    return Model(export, detector, timestamp())


def listed(store: ObjectStore, before: str, most: int) -> tuple[list[str], str | None]:
    """Return the runs that have an export among the `most` newest ones, and where to go on.

    Args:
      before: Where to go on, as it was returned; the newest run's when empty.
    """
    folder = keys.index("", "").rpartition("/")[0]
    entries = [key.removeprefix(f"{folder}/") for key in store.list(folder)]
    entries = sorted((entry for entry in entries if not before or entry < before), reverse=True)
    page = entries[:most]
    runs = list(dict.fromkeys(entry[len("2026-01-31T12:00:00Z-") :] for entry in page))
    sizes = in_parallel(lambda run: store.size(keys.export_manifest(run)), runs)
    return [run for run, size in zip(runs, sizes, strict=True) if size], page[-1] if len(entries) > most else None


def _fetch(store: ObjectStore, export: Export, folder: Path) -> None:
    def fetch(name: str) -> None:
        key = f"{keys.stage(export.run, 'export')}/{name}"
        store.download(key, folder / name)
        digest = sha256_file(folder / name)
        if digest != export.manifest.files[name]:
            raise InputError(
                f"{key}: its SHA-256 is {digest[:8]}…, the manifest says {export.manifest.files[name][:8]}…; "
                "export the run again"
            )

    in_parallel(fetch, [name for name in export.manifest.files if name.startswith(_NEEDED)])
