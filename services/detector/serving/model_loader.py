"""Export of a run in the store → a model in memory."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from slipway import keys
from slipway.artifacts.export import ExportManifest
from slipway.artifacts.json_io import parse_document
from slipway.artifacts.operating_point import ScoreThresholds, choose_thresholds
from slipway.digests import sha256_file
from slipway.errors import BrokenDocument, BrokenExport, InputError, MissingKey, StoreRefused
from slipway.run.run_file import load_run
from slipway.store.interface import ObjectStore, in_parallel, list_keys
from slipway.text import timestamp

from services.detector.detect import Detector, load

_DETECTOR_FILES = ("saved_model/", "label_map.pbtxt")  # prefixes; the other files of an export are not needed
_TIMESTAMP_LENGTH = len("2026-01-31T12:00:00Z-")  # at the start of an entry of the index


@dataclass(frozen=True)
class Export:
    """An export of a run, as the store has it.

    Attributes:
      digest: SHA-256 of its manifest, which has the digests of all its files.
      thresholds: The run's own, or else those that were measured.
    """

    run: str
    digest: str
    manifest: ExportManifest
    thresholds: ScoreThresholds


@dataclass(frozen=True)
class Model:
    """An export that is loaded; `loaded_at` is RFC 3339."""

    export: Export
    detector: Detector
    loaded_at: str


def find_export(store: ObjectStore, run: str) -> Export:
    """Read the manifest of a run's export.

    Raises:
      MissingKey: The run has no export.
      BrokenExport: The manifest cannot be read.
    """
    key = keys.export_manifest(run)
    try:
        content = store.read(key)
        requested = load_run(run, store).spec.detect.score_threshold
    except MissingKey as error:
        raise MissingKey(f"run {run!r} has no export; GET /v1/models lists the runs that have one") from error
    try:
        manifest = parse_document(content, key, ExportManifest)
    except BrokenDocument as error:
        raise BrokenExport(f"{key}: not a manifest as the exporter writes it; export the run again") from error
    thresholds = choose_thresholds(requested, manifest.operating_points)
    return Export(run, hashlib.sha256(content).hexdigest(), manifest, thresholds)


def load_model(store: ObjectStore, export: Export, scratch: Path) -> Model:
    """Copy the export, verify the digest of each file, load it, and detect once: the first image takes a second.

    Raises:
      BrokenExport: A file is missing or has another digest, or TensorFlow cannot load it.
    """
    with TemporaryDirectory(prefix="slipway-export-", dir=scratch) as folder:
        try:
            _fetch(store, export, Path(folder))
            detector = load(Path(folder))
        except StoreRefused:
            raise
        except (InputError, MissingKey) as error:
            raise BrokenExport(f"the export of run {export.run!r} cannot be served: {error}") from error
    detector.detect(Image.new("RGB", (64, 64)), ScoreThresholds(1.0))
    return Model(export, detector, timestamp())


def list_exported_runs(store: ObjectStore, page: str, limit: int) -> tuple[list[str], str | None]:
    """Return those of the `limit` newest runs that have an export, and the next page.

    Args:
      page: As it was returned for the page before; empty for the newest runs.
    """
    folder = keys.index("", "").rpartition("/")[0]
    entries = [key.removeprefix(f"{folder}/") for key in list_keys(store, folder)]
    entries = sorted((entry for entry in entries if not page or entry < page), reverse=True)
    newest = entries[:limit]
    runs = list(dict.fromkeys(entry[_TIMESTAMP_LENGTH:] for entry in newest))
    stats = in_parallel(lambda run: store.stat(keys.export_manifest(run)), runs)
    next_page = newest[-1] if len(entries) > limit else None
    return [run for run, stat in zip(runs, stats, strict=True) if stat and stat.size], next_page


def _fetch(store: ObjectStore, export: Export, folder: Path) -> None:
    def fetch(name: str) -> None:
        key, expected = f"{keys.stage(export.run, 'export')}/{name}", export.manifest.files[name]
        store.download(key, folder / name)
        digest = sha256_file(folder / name)
        if digest != expected:
            raise InputError(
                f"{key}: its SHA-256 is {digest[:8]}…, the manifest says {expected[:8]}…; export the run again"
            )

    in_parallel(fetch, [name for name in export.manifest.files if name.startswith(_DETECTOR_FILES)])
