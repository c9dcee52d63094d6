"""`slipway weights`: initial checkpoints, sent into an installation or a store, and listed."""

import getpass
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import EXIT_DONE, InputError, SpecError
from slipway.run.names import slug
from slipway.run.packaged_weights import PACKAGED_WEIGHTS
from slipway.store.from_url import open_store
from slipway.text import format_bytes, timestamp
from slipway.weights.checkpoint.object_graph import read_modules
from slipway.weights.checkpoint.table import checkpoint_files
from slipway.weights.download import download, unpack_file
from slipway.weights.stored import find_checkpoint, keep_named, list_kept

from services.cli.remote.answers import WeightsAnswer, WeightsList
from services.cli.remote.client import Call
from services.cli.remote.credentials import connect
from services.cli.remote.uploads import UNPACKING_SEC, slices
from services.cli.remote.zip_stream import survey
from services.cli.screen.console import display, print_json
from services.cli.screen.transfer_progress import TransferProgress, timed_stage

_ARCHIVES = (".tar.gz", ".tgz", ".zip")


@dataclass(frozen=True)
class PushRequest:
    """Weights to send.

    Attributes:
      source: A folder, a checkpoint's path without suffix, an archive, or an `https://` address.
      name: By default made from the source.
      address: The address under which runs find them too; the source's, if it is one.
      store: The store to write to; by default, they are sent to the installation of the login.
    """

    source: str
    name: str | None
    address: str | None
    store: str | None


def push(request: PushRequest, as_json: bool) -> int:
    """Send weights, and print the values of `initialCheckpoint` that mean them."""
    if request.source in PACKAGED_WEIGHTS:
        raise SpecError(f"{request.source} is in the image of every installation; runs may name it without a push")
    stem = request.source.rstrip("/").rpartition("/")[2]
    for suffix in _ARCHIVES:
        stem = stem.removesuffix(suffix)
    name = request.name or slug(stem)
    address = request.source if request.source.startswith("https://") else request.address
    with tempfile.TemporaryDirectory() as scratch:
        prefix = _local_checkpoint(request.source, Path(scratch))
        addresses = [name, *([address] if address else [])]
        if request.store:
            checkpoints = keep_named(open_store(request.store), prefix, addresses, getpass.getuser(), timestamp())
            items: Sequence[WeightsAnswer] = [
                WeightsAnswer.model_validate(weights.content()) for weights in checkpoints
            ]
        else:
            items = _send(prefix, addresses, Path(scratch) / "send", as_json)
    _print(items, as_json)
    return EXIT_DONE


def list_weights(store: str | None, as_json: bool) -> int:
    """Print the weights of a store, or of the installation of the login, that have a name or an address."""
    if store:
        items = [WeightsAnswer.model_validate(weights.content()) for weights in list_kept(open_store(store))]
    else:
        items = list(connect().answer(WeightsList, Call("GET", "/v1/weights")).items)
    _print(sorted(items, key=lambda item: item.address), as_json)
    return EXIT_DONE


def _local_checkpoint(source: str, scratch: Path) -> Path:
    """Return the local path without suffix of the source's one checkpoint. Raises `InputError` if it cannot be read."""
    folder, archive = scratch / "files", scratch / "archive"
    try:
        if "://" in source:
            download(source, archive)
            unpack_file(archive, folder)
            prefix = find_checkpoint(folder)
        elif source.endswith(_ARCHIVES):
            unpack_file(Path(source), folder)
            prefix = find_checkpoint(folder)
        else:
            path = Path(source)
            is_prefix = path.name and path.with_name(f"{path.name}.index").is_file()
            prefix = path if is_prefix else find_checkpoint(path)
        read_modules(prefix)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    return prefix


def _send(prefix: Path, addresses: Sequence[str], folder: Path, as_json: bool) -> Sequence[WeightsAnswer]:
    """Send the files of a checkpoint, and nothing else of its folder."""
    folder.mkdir()
    for file in checkpoint_files(prefix):
        (folder / file.name).symlink_to(file.absolute())
    api = connect()
    with display(as_json) as show:
        with timed_stage(show, "survey"):
            archive = survey(folder, TransferProgress(show, "survey").update)
        with timed_stage(show, "upload"):
            progress = TransferProgress(show, "upload", archive.size).update
            call = Call(
                "POST",
                "/v1/weights",
                {"name": addresses[0], "address": addresses[1] if len(addresses) > 1 else None},
                lambda: slices(archive.chunks(), progress),
                {"Content-Type": "application/zip", "Content-Length": str(archive.size)},
                UNPACKING_SEC,
            )
            return api.answer(WeightsList, call).items


def _print(items: Sequence[WeightsAnswer], as_json: bool) -> None:
    if as_json:
        print_json({"weights": [item.model_dump(by_alias=True) for item in items]})
        return
    width = max((len(item.address) for item in items), default=0)
    for item in items:
        print(
            f"{item.address:<{width}}  {format_bytes(item.bytes):>7}  {item.sha256[:12]}  {item.kept_at}  {item.user}"
        )
