"""The lines that the screen shows for an event."""

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.text import format_duration, format_value

from services.cli.screen.events import Event

_MOST_FINDINGS = 10  # the report has all of them


def event_lines(event: Event) -> list[str]:
    """Return the lines to show for an event; none if it is meant only for the log, or is malformed."""
    stage, lines = event.get("stage"), []
    match event:
        case {"event": "run_begun", "run": run, "folder": folder}:
            lines = [f"run {run} in {folder}"]
        case {"event": "trial_begun" | "trial_pruned" | "trial_over"}:
            lines = [_trial_line(event)]
        case {"event": "stage_skipped"}:
            lines = [f"{stage}: done before"]
        case {"event": "stage_over", "code": 0, "duration_sec": seconds}:
            lines = [f"{stage}: done in {format_duration(seconds)}"]
        case {"event": "stage_retried", "reason": reason, "wait_sec": seconds}:
            lines = [f"{stage}: {reason}; trying again in {seconds:g} s"]
        case {"event": "choices", "choices": choices}:
            lines = [_choice_line(**choice) for choice in choices]
        case {"event": "findings", "counts": counts, "findings": findings, "notes": notes, "report": report}:
            lines = [f"  {note}" for note in notes] + _finding_lines(counts, findings, report)
        case {"event": "config", "file": file, "fault": fault, "fields": fields}:
            lines = _config_lines(file, fault, fields)
        case {"event": "image_skipped", "reason": reason}:
            lines = [f"skipped {finding_line({**event, 'message': reason})}"]
        case {"event": "tflite_omitted", "reason": reason}:
            lines = [f"{stage}: no TFLite model: {reason}"]
        case {"event": "detected", "images": images, "detections": detections}:
            lines = [f"{stage}: {detections} detections in {images} images"]
        case {"level": ("ERROR" | "CRITICAL") as level, "message": message}:
            lines = [f"{stage}: {level}: {message}"]
    return lines


def values_text(values: Mapping[str, Any]) -> str:
    """Return the values that a run of a sweep tries."""
    return ", ".join(f"{key_text(key)} {format_value(value)}" for key, value in values.items()) or "as it is"


def key_text(key: str) -> str:
    """Return an option's name in words, and a field of Model Garden's configuration as it is."""
    return key if "." in key else key.replace("_", " ")


def _trial_line(event: Event) -> str:
    """Return the line for the begin or the end of a run of a sweep."""
    match event:
        case {"event": "trial_begun", "values": values, "number": count, "count": total}:
            return f"run {count} of {total}: {values_text(values)}"
        case {"event": "trial_pruned", "reason": reason}:
            return f"stopped early: {reason}"
        case _:
            reason = event.get("reason")
            return f"{event.get('run')}: {event.get('state')}" + (f": {reason}" if reason else "")


def finding_line(finding: Mapping[str, Any]) -> str:
    """Return file, box and fault of a finding, each of them once."""
    message, file, index = str(finding.get("message", "")), str(finding.get("file", "")), finding.get("object")
    if not file or file in message:
        return message
    if index is None or f"object {index}" in message:
        return f"{file}: {message}"
    return f"{file}: object {index}: {message}"


def _choice_line(field: str, value: Any, reason: str) -> str:
    name = field if "." in field else field.replace("_", " ")  # a dotted key is Model Garden's, to be copied as it is
    return f"  {name} {format_value(value)}: {reason}"


def _config_lines(file: str, fault: str, fields: Sequence[Event]) -> list[str]:
    """Return a line for each field of a pipeline config, with its counterpart in the run."""
    if fault:
        return [f"  {file}: {fault}"]
    lines = [f"    {row['field']} {row['value']}: {row['outcome_text']}; {row['reason']}" for row in fields]
    return [f"  {file}:", *lines]


def _finding_lines(counts: Mapping[str, int], findings: Sequence[Event], report: str) -> list[str]:
    if not any(counts.values()):
        return ["  findings: none"]
    lines = ["  findings: " + ", ".join(f"{count} {code}" for code, count in counts.items() if count)]
    if len(findings) <= _MOST_FINDINGS:
        lines += [f"    {finding_line(finding)}" for finding in findings]
    return [*lines, f"    all of them: {report}"]
