"""What a person has to know of an export before using it: only what was recorded of this run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.run.plan import Plan

_FEW_IMAGES = 30  # below it one image more or less found moves AP50 by several points


@dataclass(frozen=True)
class Facts:
    """All that the card is written from.

    Attributes:
      dataset: The dataset's manifest.
      best: What the evaluator wrote of the exported checkpoint.
      keeps_aspect_ratio: The image is scaled to fit and padded, rather than stretched.
      files: File of the export to what it is, with its size.
      omitted: What was asked for and is not in the export, and why.
    """

    run: str
    plan: Plan
    dataset: Mapping[str, Any]
    best: Mapping[str, Any]
    labels: Sequence[str]
    keeps_aspect_ratio: bool
    parity: Mapping[str, float]
    versions: Mapping[str, str]
    files: Mapping[str, str]
    omitted: Mapping[str, str]


def model_card(facts: Facts) -> str:
    """Write the card as Markdown."""
    sections = {
        f"# Detector of {facts.run}": _origin(facts),
        "## What it detects": _classes(facts),
        "## How well": _quality(facts),
        "## Input and output": _interface(facts),
        "## Limits": [f"- {limit}" for limit in _limits(facts)],
        "## Made with": [f"- {name} {version}" for name, version in facts.versions.items()],
    }
    return "\n\n".join(f"{title}\n\n" + "\n".join(lines) for title, lines in sections.items()) + "\n"


def _origin(facts: Facts) -> list[str]:
    plan = facts.plan
    weights = f"fine-tuned from {plan.initial_checkpoint}" if plan.initial_checkpoint else "trained from scratch"
    train = facts.dataset["splits"]["train"]
    return [
        f"Preset {plan.preset}, {plan.image_size} px, {weights} on {train['images']:,} images with "
        f"{train['boxes']:,} boxes of the dataset {facts.dataset['name']} ({facts.dataset['sha256'][:12]}).",
        f"The exported checkpoint is that of step {facts.best['step']:,} of {plan.steps:,}.",
    ]


def _classes(facts: Facts) -> list[str]:
    train = facts.dataset["splits"]["train"].get("per_class") or {}
    rows = {row["label"]: row for row in facts.best.get("per_class", [])}
    lines = ["| class id | label | boxes in train | AP | AP50 |", "|---|---|---|---|---|"]
    for class_id, label in enumerate(facts.labels, start=1):
        row = rows.get(label, {})
        cells = (class_id, _cell(label), train.get(label, 0), _score(row.get("AP")), _score(row.get("AP50")))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _quality(facts: Facts) -> list[str]:
    best, metrics = facts.best, facts.best["metrics"]
    chosen = f"The checkpoint was chosen by its AP on the {best['chosen_on']} split."
    measured = f"Measured on {best['images']:,} images of the {best['split']} split."
    lines = ["| metric | value |", "|---|---|"]
    lines += [f"| {name} | {_score(value)} |" for name, value in metrics.items()]
    return [*lines, "", " ".join(filter(None, [measured, chosen, best.get("note")]))]


def _interface(facts: Facts) -> list[str]:
    size = facts.plan.image_size
    how = (
        f"scaled to fit {size}×{size} px, top left, the rest filled with RGB 124, 116, 104"
        if facts.keeps_aspect_ratio
        else f"stretched to {size}×{size} px"
    )
    lines = [f"- `{name}`: {what}" for name, what in facts.files.items()]
    lines += [f"- `{name}` is missing: {why}" for name, why in facts.omitted.items()]
    return [
        *lines,
        "",
        f"The SavedModel takes RGB images of any size, turned upright, and resizes them itself ({how}). TFLite takes "
        f"uint8 [1, {size}, {size}, 3], resized so by the caller, bilinear; both normalize the colours themselves.",
        "",
        "`detection_boxes` are (ymin, xmin, ymax, xmax) in the unit square of the input, best first; only the first "
        "`num_detections` count. `detection_classes` are the class ids above.",
        "",
        f"Checked on {facts.parity['images']} images against the measured model: boxes differ by at most "
        f"{facts.parity['max_box_diff_px']:.1e} px, scores by at most {facts.parity['max_score_diff']:.1e}.",
    ]


def _limits(facts: Facts) -> list[str]:
    best, train = facts.best, facts.dataset["splits"]["train"]
    limits = [f"It knows images like its {train['images']:,} training images; how it does on others was not measured."]
    if best["images"] < _FEW_IMAGES:
        limits.append(f"The figures come from {best['images']} images only: expect several points of noise.")
    unseen = [row["label"] for row in best.get("per_class", []) if not row["boxes"]]
    if unseen:
        limits.append(
            f"The {best['split']} split has no box of: {', '.join(unseen)}. How well they are found is unknown."
        )
    rare = [label for label in facts.labels if (train.get("per_class") or {}).get(label, 0) < _FEW_IMAGES]
    if rare:
        limits.append(f"Fewer than {_FEW_IMAGES} training boxes: {', '.join(rare)}.")
    return limits


def _score(value: float | None) -> str:
    """COCO writes -1 where there is no box to find."""
    return "no boxes" if value is None or not value >= 0 else f"{value:.3f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
