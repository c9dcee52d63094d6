"""`slipway tensorboard`: the curves of local runs, or those of an installation's run so far."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from slipway import keys
from slipway.errors import EXIT_DONE, EXIT_INPUT, InputError, SpecError

from services.cli.commands.artifacts import fetch_events

_HOST = "127.0.0.1"  # TensorBoard has no authentication


def tensorboard(name: str | None, out: Path, port: int) -> int:
    """Run TensorBoard until Ctrl-C, and return the exit code.

    Args:
      name: A folder, or a run in `out` or of an installation; when absent, every run in `out`.
    """
    program, folder = command_line(), event_folder(name, out)
    print(f"TensorBoard shows {folder} at http://{_HOST}:{port} until Ctrl-C", flush=True)
    options = ["--logdir", str(folder), "--host", _HOST, "--port", str(port), "--reload_interval", "15"]
    try:
        code = subprocess.call([*program, *options])  # noqa: S603 (a list of arguments, without a shell)
    except KeyboardInterrupt:
        return EXIT_DONE
    return EXIT_INPUT if code else EXIT_DONE


def command_line() -> Sequence[str]:
    """Return the command line that starts TensorBoard.

    Raises:
      InputError: It is not installed beside this command.
    """
    if find_spec("tensorboard") is None:
        raise InputError(
            f"TensorBoard is not installed for {sys.executable}; "
            "run `pip install tensorboard 'setuptools<81'`, or open a run's report.html, which has the same curves"
        )
    return [sys.executable, "-m", "tensorboard.main"]


def event_folder(name: str | None, out: Path) -> Path:
    """Return the folder of event files; for a run that is not on this machine, fetch them from the installation.

    Raises:
      InputError: There is no such folder or run; the message names the folders that were searched.
    """
    folder = Path(name) if name else out / keys.run_folder("")
    candidates = [folder, out / keys.run_folder(name)] if name and Path(name).name == name else [folder]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    names = ", ".join(str(candidate) for candidate in candidates)
    if len(candidates) == 1:
        raise InputError(f"{names}: no such folder; give a folder of event files, or a run's name")
    return _fetch_event_folder(name or "", out, names)


def _fetch_event_folder(run: str, out: Path, searched_folders: str) -> Path:
    folder = out / "fetched" / run
    try:
        fetch_events(run, folder)
    except SpecError as error:
        raise InputError(f"{run}: no such folder or run ({searched_folders}), and {error}") from error
    print(
        f"these are the curves of {run} as they are now; call this again for newer ones, or watch them move with "
        "`kubectl port-forward service/slipway-tensorboard 6006`"
    )
    return folder
