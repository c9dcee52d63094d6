"""`slipway artifacts`: the files of a run, listed or fetched into a folder."""

from collections.abc import Sequence
from pathlib import Path

from slipway.errors import EXIT_DONE, InputError
from slipway.store.file_errors import as_store_errors
from slipway.text import format_bytes

from services.cli.remote.answers import ArtifactAnswer, ArtifactList
from services.cli.remote.client import Api, Call, run_path
from services.cli.remote.credentials import connect
from services.cli.remote.downloads import Download
from services.cli.remote.errors import printable
from services.cli.screen.console import display, print_json
from services.cli.screen.transfer_progress import TransferProgress, timed_stage


def artifacts(run: str, out: Path | None, paths: Sequence[str], as_json: bool) -> int:
    """List a run's artifacts, or fetch them into `out`; `paths` are artifacts, or folders of them."""
    api = connect()
    items = select(_list_artifacts(api, run), paths, run)
    if out is None:
        _print_list(items, as_json)
        return EXIT_DONE
    _fetch(Download(api, run, out), items, as_json)
    total = sum(item.bytes for item in items)
    if as_json:
        print_json({"event": "fetched", "run": run, "artifacts": len(items), "bytes": total, "out": str(out)})
    else:
        print(f"{len(items)} artifacts, {format_bytes(total)}, are in {out}")
    return EXIT_DONE


def fetch_events(run: str, out: Path) -> None:
    """Fetch the event files that a run has written so far, which TensorBoard reads.

    Raises:
      InputError: There are none yet.
    """
    api = connect()
    items = [item for item in _list_artifacts(api, run) if ".tfevents." in item.path]
    if not items:
        raise InputError(
            f"run {run} has no event files; its training writes them: `slipway status {run}` says if it is there"
        )
    _fetch(Download(api, run, out), items, as_json=False)


def select(items: Sequence[ArtifactAnswer], paths: Sequence[str], run: str) -> list[ArtifactAnswer]:
    """Return the artifacts that are one of the paths or below one; without paths, all of them.

    Raises:
      InputError: No artifact has one of the paths.
    """
    folders = [path.strip("/") for path in paths]
    for folder in folders:
        if not any(_is_in(item.path, folder) for item in items):
            raise InputError(f"run {run} has no artifact {folder}; `slipway artifacts {run}` lists what there is")
    return [item for item in items if not folders or any(_is_in(item.path, folder) for folder in folders)]


def _list_artifacts(api: Api, run: str) -> Sequence[ArtifactAnswer]:
    return api.answer(ArtifactList, Call("GET", run_path(run, "/artifacts"))).items


def _fetch(download: Download, items: Sequence[ArtifactAnswer], as_json: bool) -> None:
    out = download.out
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; give a folder")
    with as_store_errors(str(out)):
        out.mkdir(parents=True, exist_ok=True)
    total = sum(item.bytes for item in items)
    with display(as_json) as show, timed_stage(show, "fetch"):
        download.fetch_all(items, TransferProgress(show, "fetch", total).update)


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _print_list(items: Sequence[ArtifactAnswer], as_json: bool) -> None:
    if as_json:
        print_json({"items": [item.json_content for item in items]})
        return
    for item in items:
        print(f"{format_bytes(item.bytes):>10}  {printable(item.path)}")
