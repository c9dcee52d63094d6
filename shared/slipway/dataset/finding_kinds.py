"""The kinds of findings: the severity, the meaning and the effect of each code, and the step that a user can take."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True, slots=True)
class FindingKind:
    """One code of `finding_kinds.yaml`.

    Attributes:
      severity: `error`, `warning` or `info`; several, separated by a comma, where it depends on the case.
      meaning: The fault, as a clause.
      effect: The step that Slipway takes, and its consequence for the training.
      remedy: The step that the user can take.
    """

    severity: str
    meaning: str
    effect: str
    remedy: str


@cache
def finding_kinds() -> dict[str, FindingKind]:
    """Read the kind of each code, in the order of the file."""
    text = files("slipway.dataset").joinpath("finding_kinds.yaml").read_text("utf-8")
    return {code: FindingKind(**fields) for code, fields in yaml.safe_load(text).items()}


def effect_of(code: str) -> str:
    """Return the effect of a code; empty for a code of another version."""
    kind = finding_kinds().get(code)
    return kind.effect if kind else ""


def findings_table() -> str:
    """Return the table of docs/findings.md."""
    rows = [
        f"| `{code}` | {kind.severity} | {kind.meaning} | {kind.effect} | {kind.remedy} |".replace("<", "\\<")
        for code, kind in finding_kinds().items()
    ]
    return (
        "\n".join(["| code | severity | meaning | what Slipway does | what to do |", "|---|---|---|---|---|", *rows])
        + "\n"
    )
