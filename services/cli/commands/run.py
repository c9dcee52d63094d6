"""What the commands do, once their options are known."""

import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from slipway import keys
from slipway.artifacts.untyped_json import read_json
from slipway.errors import EXIT_DONE, EXIT_INPUT, InputError, SpecError
from slipway.run.plan import load_preset, preset_names
from slipway.store.folder import FolderStore

from services.cli.local.process import Crew, Event, Part
from services.cli.local.run_request import Asked, training_run
from services.cli.local.runner import run_local
from services.cli.local.supervisor import EXIT_INTERRUPTED, Interrupts, run_crew
from services.cli.screen.console import display, say_json
from services.cli.screen.summary import closing, data_tables, failing, summarize


def run(asked: Asked, out: Path, as_json: bool) -> int:
    """Bring a run to its end, tell how it went, and return the exit code."""
    _, summary, worked = _run(asked, out, as_json)
    return _tell(summary, as_json, worked)


def check(asked: Asked, out: Path, as_json: bool) -> int:
    """Ingest alone, without stopping at findings; 65 when a run would stop at them."""
    strict = asked.options.get("invalid") != "drop"
    options = {**asked.options, "invalid": "drop", "until": "ingest"}
    store, summary, _ = _run(replace(asked, options=options), out, as_json)
    if summary["code"] != EXIT_DONE:
        return _tell(summary, as_json)
    dataset = read_json(store, keys.result(summary["run"], "ingest"))["dataset"]
    report = read_json(store, keys.data_report(dataset, "json"))
    stops = strict and any(finding["severity"] == "error" for finding in report["findings"])
    if as_json:
        say_json({**summary, "code": EXIT_INPUT if stops else EXIT_DONE, "report": report})
    else:
        data_tables(report)
        if stops:
            print("slipway run stops at findings of severity error, unless --invalid drop leaves them out")
        print(f"report: {summary['paths']['data_report']}")
    return EXIT_INPUT if stops else EXIT_DONE


def detect(model: Path, images: Path, out: Path, score_threshold: float, as_json: bool) -> int:
    """Run an exported model over images, and return the exit code."""
    given = ["--model", str(find_export(model)), "--images", str(images), "--out", str(out)]
    part = Part("services.detector.detect_folder", (*given, "--score-threshold", str(score_threshold)))
    scratch = Path(tempfile.mkdtemp(prefix="slipway-"))
    try:
        environment = {"SLIPWAY_DIES_WITH_PARENT": "1", "SLIPWAY_SCRATCH": str(scratch)}
        with display(as_json) as show, Interrupts().counted() as interrupts:
            show({"event": "stage_begun", "stage": "detect"})
            started = time.monotonic()
            ended = run_crew(Crew("detect", [part], environment, scratch), show, interrupts)
            seconds = round(time.monotonic() - started, 1)
            show({"event": "stage_over", "stage": "detect", "code": ended.code, "duration_sec": seconds})
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if as_json:
        say_json({"event": "detect_over", "code": ended.code, "reason": ended.reason, "out": str(out)})
    elif ended.code == EXIT_DONE:
        print(f"pictures and detections.json: {out}")
    else:
        print("stopped" if ended.code == EXIT_INTERRUPTED else ended.reason, file=sys.stderr)
    return ended.code


def presets(as_json: bool) -> int:
    """List what `--preset` may name."""
    rows = [load_preset(name) for name in preset_names()]
    fields = ("name", "summary", "image_size", "batch_size", "gpus")
    if as_json:
        say_json({"presets": [{field: getattr(row, field) for field in fields} for row in rows]})
        return EXIT_DONE
    width = max(len(row.name) for row in rows)
    print(f"{'preset':<{width}}  image  batch  GPUs  what for")
    for row in rows:
        print(f"{row.name:<{width}}  {row.image_size:>5}  {row.batch_size:>5}  {row.gpus:>4}  {row.summary}")
    return EXIT_DONE


def find_export(model: Path, out: Path = Path("slipway-out")) -> Path:
    """Return the folder of an exported model, given that, its run's folder, or its run's name in `out`.

    Raises:
      InputError: There is no exported model; the message says where it was looked for.
    """
    run = out / keys.run_folder(model.name)
    places = [model, model / "saved_model", model / "export", run / "export"]
    for place in places:
        if (place / "saved_model.pb").is_file() or (place / "saved_model" / "saved_model.pb").is_file():
            return place
    looked = ", ".join(str(place) for place in places)
    raise InputError(f"{model}: no exported model (saved_model.pb) in {looked}; give an export folder or a run's name")


def _run(asked: Asked, out: Path, as_json: bool) -> tuple[FolderStore, Event, bool]:
    """Run the stages; return where, what came of it, and whether anything was left to do."""
    if out.exists() and not out.is_dir():
        raise SpecError(f"--out {out} is a file; give a folder")
    wanted = training_run(asked, out)
    store = FolderStore(out.absolute())
    with display(as_json) as show:
        name = wanted.metadata.name
        show({"event": "run_begun", "run": name, "folder": str(store.root / keys.run_folder(name))})
        outcome = run_local(wanted, store, show)
    return store, summarize(store, name, wanted.spec, outcome), outcome.worked


def _tell(summary: Event, as_json: bool, worked: bool = True) -> int:
    """Say how a run ended, in the way that was asked for."""
    if as_json:
        say_json(summary)
    elif summary["code"] == EXIT_DONE:
        closing(summary, worked)
    else:
        print("\n".join(failing(summary)), file=sys.stderr)
    return int(summary["code"])
