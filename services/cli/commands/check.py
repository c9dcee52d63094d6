"""`slipway check`: ingest alone, with every finding."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from slipway import keys
from slipway.artifacts.dataset import DataReport, Faults, Finding, IngestResult
from slipway.artifacts.json_io import read_document, read_optional
from slipway.errors import EXIT_DONE, EXIT_INPUT
from slipway.store.folder import FolderStore

from services.cli.commands.run import print_summary, run_stages
from services.cli.local.run_request import RunRequest
from services.cli.screen.console import print_json
from services.cli.screen.data_report import print_data_report, print_findings
from services.cli.screen.summary import RunSummary


def check(request: RunRequest, out: Path, as_json: bool) -> int:
    """Ingest without stopping at errors in the annotations; return 65 if a run would stop at them."""
    is_strict = request.options.get("invalid") != "drop"
    options = {**request.options, "invalid": "drop", "until": "ingest"}
    summary = run_stages(replace(request, options=options), out, as_json)
    store = FolderStore(out.absolute())
    if not summary.is_done:
        return _print_refusal(summary, _read_faults(store, summary), as_json)
    report = _read_report(store, summary.run)
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


def _print_refusal(summary: RunSummary, faults: Sequence[Finding], as_json: bool) -> int:
    """Print every finding because of which the source was refused, and then the reason with the first few."""
    if not faults:
        return print_summary(summary, as_json)
    if as_json:
        print_json({**summary.event(), "findings": [asdict(finding) for finding in faults]})
        return summary.outcome.code
    print_findings(faults, Counter(finding.code for finding in faults))
    return print_summary(summary, as_json)


def _read_faults(store: FolderStore, summary: RunSummary) -> Sequence[Finding]:
    """Return the findings behind the reason; none if it has another cause, whatever an earlier try has written."""
    faults = read_optional(store, keys.faults(summary.run), Faults)
    return faults.root if faults and str(faults.root[0]) in (summary.outcome.reason or "") else ()


def _read_report(store: FolderStore, run: str) -> DataReport:
    dataset = read_document(store, keys.result(run, "ingest"), IngestResult).dataset
    return read_document(store, keys.data_report(dataset, "json"), DataReport)
