"""`slipway check`: ingest alone, with every finding."""

from dataclasses import replace
from pathlib import Path

from slipway import keys
from slipway.artifacts.dataset import DataReport, IngestResult
from slipway.artifacts.json_io import read_document
from slipway.errors import EXIT_DONE, EXIT_INPUT
from slipway.store.folder import FolderStore

from services.cli.commands.run import print_summary, run_stages
from services.cli.local.run_request import RunRequest
from services.cli.screen.console import print_json
from services.cli.screen.data_report import print_data_report


def check(request: RunRequest, out: Path, as_json: bool) -> int:
    """Ingest without stopping at errors in the annotations; return 65 if a run would stop at them."""
    is_strict = request.options.get("invalid") != "drop"
    options = {**request.options, "invalid": "drop", "until": "ingest"}
    summary = run_stages(replace(request, options=options), out, as_json)
    if not summary.is_done:
        return print_summary(summary, as_json)
    report = _read_report(FolderStore(out.absolute()), summary.run)
    would_stop = is_strict and any(finding.severity == "error" for finding in report.findings)
    code = EXIT_INPUT if would_stop else EXIT_DONE
    if as_json:
        print_json({**summary.event(), "code": code, "report": report.content()})
        return code
    print_data_report(report)
    if would_stop:
        print("slipway run stops at findings of severity error, unless --invalid drop leaves them out")
    print(f"report: {summary.paths.data_report}")
    return code


def _read_report(store: FolderStore, run: str) -> DataReport:
    dataset = read_document(store, keys.result(run, "ingest"), IngestResult).dataset
    return read_document(store, keys.data_report(dataset, "json"), DataReport)
