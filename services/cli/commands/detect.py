"""`slipway detect`: detection with an exported model on this machine."""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from slipway import keys
from slipway.errors import EXIT_DONE, InputError

from services.cli.local.process import ExitStatus, ProcessSpec, StageProcesses
from services.cli.local.supervisor import EXIT_INTERRUPTED, Interrupts, run_processes
from services.cli.screen.console import display, print_json
from services.cli.screen.events import Show
from services.cli.screen.transfer_progress import timed_stage

_MODULE = "services.detector.detect_folder"


@dataclass(frozen=True)
class DetectRequest:
    """The model, the images, and the folder for pictures and detections.

    Attributes:
      score_threshold: None for those of the model.
    """

    model: Path
    images: Path
    out: Path
    score_threshold: float | None


def detect(request: DetectRequest, as_json: bool) -> int:
    """Run an exported model over images, and return the exit code."""
    arguments = ["--model", str(find_export(request.model)), "--images", str(request.images)]
    arguments += ["--out", str(request.out)]
    if request.score_threshold is not None:
        arguments += ["--score-threshold", str(request.score_threshold)]
    with display(as_json) as show:
        status = _run_detector(arguments, show)
    if as_json:
        out = str(request.out)
        print_json({"event": "detect_over", "code": status.code, "reason": status.reason, "out": out})
    elif status.code == EXIT_DONE:
        print(f"pictures and detections.json: {request.out}")
    else:
        print("stopped" if status.code == EXIT_INTERRUPTED else status.reason, file=sys.stderr)
    return status.code


def find_export(model: Path, out: Path = Path("slipway-out")) -> Path:
    """Return the folder of an exported model, given that folder, its run's folder, or its run's name in `out`.

    Raises:
      InputError: There is no exported model; the message names the folders that were searched.
    """
    run = out / keys.run_folder(model.name)
    folders = [model, model / "saved_model", model / "export", run / "export"]
    for folder in folders:
        if (folder / "saved_model.pb").is_file() or (folder / "saved_model" / "saved_model.pb").is_file():
            return folder
    names = ", ".join(str(folder) for folder in folders)
    raise InputError(f"{model}: no exported model (saved_model.pb) in {names}; give an export folder or a run's name")


def _run_detector(arguments: list[str], show: Show) -> ExitStatus:
    scratch = Path(tempfile.mkdtemp(prefix="slipway-"))
    environment = {"SLIPWAY_DIES_WITH_PARENT": "1", "SLIPWAY_SCRATCH": str(scratch)}
    processes = StageProcesses("detect", [ProcessSpec(_MODULE, arguments)], environment, scratch)
    try:
        with Interrupts().catch_signals() as interrupts, timed_stage(show, "detect") as stage:
            status = run_processes(processes, show, interrupts)
            stage.code = status.code
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return status
