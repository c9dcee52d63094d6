"""`slipway partition`: the split of `slipway run` as folders of files, as in the tutorial."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest, IngestResult
from slipway.artifacts.json_io import read_document
from slipway.errors import EXIT_DONE, InputError, SpecError
from slipway.store.folder import FolderStore
from slipway.text import format_count

from services.cli.commands.run import print_summary, run_stages
from services.cli.local.run_request import RunRequest
from services.cli.partition.split_files import write_split_files
from services.cli.screen.console import print_json


@dataclass(frozen=True)
class PartitionRequest:
    """The folders that a partition reads and writes.

    Attributes:
      run: Of the ingest that partitions the folder.
      out: Does not exist, or is empty.
      with_xml: Write a Pascal VOC file beside each image.
    """

    run: RunRequest
    out: Path
    with_xml: bool = False


def partition(request: PartitionRequest, as_json: bool) -> int:
    """Write the splits of a folder to another one, which is complete or absent; return the exit code.

    Raises:
      SpecError: `out` is not empty, or inside of the folder.
      InputError: The folder does not exist, or `out` cannot be written.
    """
    out = request.out.resolve()
    _check_out(out, Path(str(request.run.folder)).resolve())
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".slipway-partition-", dir=out.parent) as scratch:
        store = FolderStore(Path(scratch) / "store")
        summary = run_stages(request.run, store.root, as_json)
        if not summary.is_done:
            return print_summary(summary, as_json)
        dataset = read_document(store, keys.result(summary.run, "ingest"), IngestResult).dataset
        manifest = read_document(store, keys.manifest(dataset), DatasetManifest)
        counts = write_split_files(store, manifest, Path(scratch) / "splits", request.with_xml)
        try:
            (Path(scratch) / "splits").rename(out)
        except OSError as error:
            raise InputError(f"{out}: cannot be written: {error.strerror}; choose another folder") from error
    if as_json:
        print_json({"event": "partitioned", "out": str(out), "images": counts})
    else:
        print("\n".join(f"{out / split}: {format_count(count, 'image')}" for split, count in counts.items()))
    return EXIT_DONE


def _check_out(out: Path, folder: Path) -> None:
    if out == folder or folder in out.parents:
        raise SpecError(f"OUT {out} is inside {folder}, which is never changed; choose a folder outside of it")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SpecError(f"OUT {out} exists and is not an empty folder; choose another, or remove it")
