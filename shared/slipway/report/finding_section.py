"""The report's section on findings as plain values: the kinds with their counts, the details, the pictures."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from slipway.artifacts.dataset import Finding
from slipway.dataset.finding_kinds import effect_of
from slipway.report.error_section import Rectangle

# A browser could not open a page with every finding of a broken dataset; the counts are always complete.
MOST_FINDINGS = 200
SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """Findings of one code.

    Attributes:
      count: Number of all findings; `shown` holds those that there is room for.
      action: The action for all of them; empty when they differ, and each row then has its own.
    """

    code: str
    severity: str
    count: int
    action: str
    has_objects: bool
    shown: Sequence[Finding]

    @property
    def effect(self) -> str:
        """The step that Slipway takes, and its consequence for the training; empty for a code of another version."""
        return effect_of(self.code)


@dataclass(frozen=True)
class FindingPicture:
    """A small picture of an image that has a finding.

    Attributes:
      box: The box of the finding in the picture; None when it is about the whole image, or the box is unknown.
    """

    finding: Finding
    jpeg: bytes
    box: Rectangle | None

    @property
    def source(self) -> str:
        """The picture as the `src` of an image in HTML."""
        return data_url(self.jpeg)


def data_url(jpeg: bytes) -> str:
    """Return a picture as a URL that contains it."""
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"


def finding_groups(
    findings: Iterable[Finding], counts: Mapping[str, int], room: int = MOST_FINDINGS
) -> list[FindingGroup]:
    """Group findings by code, the most severe first; small groups are shown whole, large ones share the rest.

    Args:
      counts: Of all findings, by code; `findings` may be fewer.
      room: Number of all findings that are shown.
    """
    by_code: dict[str, list[Finding]] = {code: [] for code, count in counts.items() if count}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    waiting, shown = len(by_code), {}
    for code in sorted(by_code, key=lambda code: len(by_code[code])):
        shown[code] = by_code[code][: room // waiting]
        room, waiting = room - len(shown[code]), waiting - 1
    groups = [_group(code, all_of, shown[code], counts.get(code, 0)) for code, all_of in by_code.items()]
    return sorted(groups, key=lambda group: (_rank(group.severity), -group.count))


def _group(code: str, findings: Sequence[Finding], shown: Sequence[Finding], count: int) -> FindingGroup:
    severity = min((finding.severity for finding in findings), key=_rank, default="info")
    actions = {finding.action for finding in findings}
    has_objects = any(finding.object is not None for finding in shown)
    action = actions.pop() if len(actions) == 1 else ""
    return FindingGroup(code, severity, max(count, len(findings)), action, has_objects, shown)


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity)
