"""TensorBoard on this machine: of its own runs, or of what an installation's run has written so far."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from slipway import keys
from slipway.errors import EXIT_DONE, EXIT_INPUT, InputError, SpecError

from services.cli.commands.artifacts import fetch_events

_HOST = "127.0.0.1"  # it asks nobody for a password


def tensorboard(what: str | None, out: Path, port: int) -> int:
    """Run TensorBoard until Ctrl-C, and return the exit code.

    Args:
      what: A folder, or a run of `out` or of an installation; every run of `out` when absent.
    """
    program, folder = command(), event_folder(what, out)
    print(f"TensorBoard shows {folder} at http://{_HOST}:{port} until Ctrl-C", flush=True)
    options = ["--logdir", str(folder), "--host", _HOST, "--port", str(port), "--reload_interval", "15"]
    try:
        ended = subprocess.call([*program, *options])  # noqa: S603 (its words are a list, and no shell reads them)
    except KeyboardInterrupt:
        return EXIT_DONE
    return EXIT_INPUT if ended else EXIT_DONE


def command() -> Sequence[str]:
    """Return how TensorBoard is started.

    Raises:
      InputError: It is not installed beside this command.
    """
    if find_spec("tensorboard") is None:
        raise InputError(
            f"TensorBoard is not installed for {sys.executable}; "
            "run `pip install tensorboard 'setuptools<81'`, or open a run's report.html, which has the same curves"
        )
    return [sys.executable, "-m", "tensorboard.main"]


def event_folder(what: str | None, out: Path) -> Path:
    """Return the folder that was meant; what is not on this machine is fetched from the installation.

    Raises:
      InputError: There is none; the message says where it was looked for.
    """
    runs = Path(what) if what else out / keys.run_folder("")
    here = [runs, out / keys.run_folder(what)] if what and Path(what).name == what else [runs]
    for folder in here:
        if folder.is_dir():
            return folder
    looked = ", ".join(str(folder) for folder in here)
    if len(here) == 1:
        raise InputError(f"{looked}: no such folder; give a folder of event files, or a run's name")
    return _fetched(what or "", out, looked)


def _fetched(run: str, out: Path, looked: str) -> Path:
    folder = out / "fetched" / run
    try:
        fetch_events(run, folder)
    except SpecError as error:
        raise InputError(f"{run}: no such folder or run ({looked}), and {error}") from error
    print(
        f"these are the curves of {run} as they are now; call this again for newer ones, or watch them move with "
        "`kubectl port-forward service/slipway-tensorboard 6006`"
    )
    return folder
