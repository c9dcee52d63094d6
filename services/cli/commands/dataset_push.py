"""`slipway dataset push`: a folder of annotated images, sent to an installation and ingested there."""

import sys
from dataclasses import dataclass
from pathlib import Path

from slipway.artifacts.dataset import DataReport, IngestResult
from slipway.errors import EXIT_DONE
from slipway.models import validate
from slipway.run.names import LONGEST_NAME, slug

from services.cli.remote.answers import Run
from services.cli.remote.client import Api, Call, run_path
from services.cli.remote.credentials import connect
from services.cli.remote.run_events import ending, exit_code, watch_run
from services.cli.remote.uploads import NewDataset, upload
from services.cli.remote.zip_stream import survey
from services.cli.screen.console import display, print_json
from services.cli.screen.data_report import print_data_report
from services.cli.screen.transfer_progress import TransferProgress, timed_stage

_LONGEST_NAME = LONGEST_NAME - 9  # a run's name has "-" and eight digits more


@dataclass(frozen=True)
class PushRequest:
    """The options of `slipway dataset push`.

    Attributes:
      name: Name of the dataset; when absent, made from the folder's.
      test_ratio, val_ratio: Shares of the images for these splits; None leaves them to the installation.
    """

    folder: Path
    name: str | None = None
    test_ratio: float | None = None
    val_ratio: float | None = None


def push(request: PushRequest, as_json: bool) -> int:
    """Send a folder, wait until it is ingested, and print its report and its name."""
    api, folder = connect(), request.folder
    name = request.name or slug(folder.resolve().name, _LONGEST_NAME)
    dataset = NewDataset(name, request.test_ratio, request.val_ratio)
    with display(as_json) as show:
        with timed_stage(show, "survey"):
            archive = survey(folder, TransferProgress(show, "survey").update)
        with timed_stage(show, "upload"):
            run_name = upload(api, archive, dataset, TransferProgress(show, "upload", archive.size).update)
    run = watch_run(api, run_name, as_json)
    code = exit_code(api, run)
    if code == EXIT_DONE:
        _print_dataset(api, run, as_json)
    elif as_json:
        print_json({"event": "push_over", "code": code, "run": run.json_content})
    else:
        print(ending(run), file=sys.stderr)
    return code


def _print_dataset(api: Api, run: Run, as_json: bool) -> None:
    """Print the data report, and then the name by which runs refer to the dataset."""
    path = run_path(run.name, "/artifacts/ingest/result.json")
    _, name, sha256 = validate(IngestResult, api.json(Call("GET", path)), path).dataset.split("/")
    dataset = f"{name}@{sha256}"
    path = f"/v1/datasets/{dataset}/report"
    report = api.json(Call("GET", path, headers={"Accept": "application/json"}))
    if as_json:
        print_json({"event": "push_over", "code": EXIT_DONE, "dataset": dataset, "report": report})
        return
    print_data_report(validate(DataReport, report, path))
    print(f"dataset: {dataset}")
