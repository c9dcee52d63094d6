"""Model card of an export: facts that were recorded of this run, for a person who is going to use the model."""

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.artifacts.dataset import DatasetManifest, ManifestSplit
from slipway.artifacts.evaluation import FEW_IMAGES, BestCheckpoint, ScoreIntervals
from slipway.artifacts.export import Parity
from slipway.artifacts.operating_point import MIN_BOXES
from slipway.artifacts.weights import RestoredWeights
from slipway.run.custom_preset import CustomPreset
from slipway.run.packaged_weights import PACKAGED_WEIGHTS
from slipway.run.plan import Plan
from slipway.text import format_value

_INTERVALS = "In brackets: the range in which AP and AP50 of very many images of the same kind lie, in 95 of 100 cases."
_FEW_BOXES = 30  # of a label in the train split


@dataclass(frozen=True)
class Facts:
    """Everything that the card is written from.

    Attributes:
      best: The exported checkpoint, as the evaluator measured it.
      weights: What was restored of the initial checkpoint; None if it was trained from scratch.
      keeps_aspect_ratio: The image is scaled to fit and padded, rather than stretched.
      files: File of the export to its purpose and size.
      omitted_files: File that was asked for and is not in the export, to the reason.
      custom_preset: The preset, if it is not a built-in one.
      advice: Sentences on the next step, from the evaluator.
    """

    run: str
    plan: Plan
    dataset: DatasetManifest
    best: BestCheckpoint
    labels: tuple[str, ...]
    keeps_aspect_ratio: bool
    parity: Parity
    versions: Mapping[str, str]
    files: Mapping[str, str]
    omitted_files: Mapping[str, str]
    custom_preset: CustomPreset | None = None
    advice: tuple[str, ...] = ()
    weights: RestoredWeights | None = None

    @property
    def train(self) -> ManifestSplit:
        """The counts of the train split."""
        return self.dataset.splits["train"]


def model_card(facts: Facts) -> str:
    """Return the card as Markdown."""
    sections = {
        f"# Detector of {facts.run}": _origin(facts),
        "## What it detects": _classes(facts),
        "## How well": _quality(facts),
        "## Score thresholds": _thresholds(facts),
        "## Input and output": _interface(facts),
        "## Limits": [f"- {limit}" for limit in _limits(facts)],
        "## Next steps": [f"- {sentence}" for sentence in facts.advice],
        "## Made with": [f"- {name} {version}" for name, version in facts.versions.items()],
    }
    return "\n\n".join(f"{title}\n\n" + "\n".join(lines) for title, lines in sections.items() if lines) + "\n"


def _origin(facts: Facts) -> list[str]:
    plan, dataset = facts.plan, facts.dataset
    weights = f"fine-tuned from {plan.initial_checkpoint}" if plan.initial_checkpoint else "trained from scratch"
    packaged_weights = PACKAGED_WEIGHTS.get(plan.initial_checkpoint or "")
    credit_lines = [f"{plan.initial_checkpoint}: {packaged_weights.description}."] if packaged_weights else []
    settings = ", ".join(f"`{key}` {format_value(value)}" for key, value in plan.overrides.items())
    setting_lines = (
        [f"Fields of Model Garden's configuration that were set for this run: {settings}."] if settings else []
    )
    return [
        f"Preset {_preset_name(facts)}, {plan.image_size} px, {weights} on {facts.train.images:,} images with "
        f"{facts.train.boxes:,} boxes of the dataset {dataset.name} ({dataset.sha256[:12]}).",
        f"The exported checkpoint is that of step {facts.best.step:,} of {plan.steps:,}.",
        *setting_lines,
        *([facts.weights.sentence] if facts.weights else []),
        *credit_lines,
    ]


def _preset_name(facts: Facts) -> str:
    if facts.custom_preset is None:
        return facts.plan.preset
    base = f", based on {facts.custom_preset.base}" if facts.custom_preset.base else ""
    return f"{facts.plan.preset} (of the run itself{base})"


def _classes(facts: Facts) -> list[str]:
    scores = {score.label: score for score in facts.best.per_class}
    lines = ["| class id | label | boxes in train | AP | AP50 |", "|---|---|---|---|---|"]
    for class_id, label in enumerate(facts.labels, start=1):
        score = scores.get(label)
        figures = _figures({"AP": score.ap, "AP50": score.ap50} if score else {}, score.intervals if score else None)
        ap, ap50 = (figures.get(name, _number(None)) for name in ("AP", "AP50"))
        cells = (class_id, _cell(label), facts.train.per_class.get(label, 0), ap, ap50)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _quality(facts: Facts) -> list[str]:
    best = facts.best
    sentences = [
        f"Measured on {best.images:,} images of the {best.split} split.",
        f"The checkpoint was chosen by its AP on the {best.chosen_on} split.",
        best.note,
        _INTERVALS if best.intervals else "",
    ]
    lines = ["| metric | value |", "|---|---|"]
    figures = _figures(best.metrics.by_name(), best.intervals)
    lines += [f"| {name} | {figure} |" for name, figure in figures.items()]
    warning = [f"**{best.warning}**", ""] if best.warning else []
    return [*warning, *lines, "", " ".join(filter(None, sentences))]


def _thresholds(facts: Facts) -> list[str]:
    """Write the measured thresholds; nothing for a checkpoint that an older version measured."""
    points = facts.best.operating_points
    if not points:
        return []
    lines = ["| label | score threshold | precision | recall | F1 |", "|---|---|---|---|---|"]
    rows = [(_cell(p.label) + ("*" if p.is_overall else ""), p) for p in points.per_class]
    for name, point in [*rows, ("all, with one threshold", points.overall)]:
        rates = (_number(rate) for rate in (point.precision, point.recall, point.f1))
        lines.append(f"| {' | '.join([name, f'{point.threshold:.3f}', *rates])} |")
    sentences = [
        f"Thresholds of the best F1 at IoU 0.5, chosen and measured on the {points.split} split.",
        f"*The one over all labels: of this one the split has fewer than {MIN_BOXES} boxes, or none was found."
        if any(point.is_overall for point in points.per_class)
        else "",
        facts.best.threshold_note,
        "The model itself returns detections of any score: leave out those below the threshold of their label.",
    ]
    return [*lines, "", " ".join(filter(None, sentences))]


def _interface(facts: Facts) -> list[str]:
    size, parity = facts.plan.image_size, facts.parity
    resize = (
        f"scaled to fit {size}×{size} px, top left, the rest filled with RGB 124, 116, 104"
        if facts.keeps_aspect_ratio
        else f"stretched to {size}×{size} px"
    )
    lines = [f"- `{name}`: {purpose}" for name, purpose in facts.files.items()]
    lines += [f"- `{name}` is missing: {reason}" for name, reason in facts.omitted_files.items()]
    return [
        *lines,
        "",
        f"The SavedModel takes RGB images of any size, turned upright, and resizes them itself ({resize}). TFLite "
        f"takes uint8 [1, {size}, {size}, 3], resized so by the caller, bilinear; both normalize the colours "
        "themselves.",
        "",
        "`detection_boxes` are (ymin, xmin, ymax, xmax) in the unit square of the input, best first; only the first "
        "`num_detections` count. `detection_classes` are the class ids above.",
        "",
        f"Checked on {parity.images} images against the measured model: boxes differ by at most "
        f"{parity.max_box_diff_px:.1e} px, scores by at most {parity.max_score_diff:.1e}.",
    ]


def _limits(facts: Facts) -> list[str]:
    best, train = facts.best, facts.train
    limits = [f"It knows images like its {train.images:,} training images; its quality on others was not measured."]
    if best.images < FEW_IMAGES:
        limits.append(f"The figures come from {best.images} images only: expect several points of noise.")
    labels_without_boxes = [score.label for score in best.per_class if not score.boxes]
    if labels_without_boxes:
        names = ", ".join(labels_without_boxes)
        limits.append(f"The {best.split} split has no box of: {names}. How well they are found is unknown.")
    rare_labels = [label for label in facts.labels if train.per_class.get(label, 0) < _FEW_BOXES]
    if rare_labels:
        limits.append(f"Fewer than {_FEW_BOXES} training boxes: {', '.join(rare_labels)}.")
    return limits


def _figures(values: Mapping[str, float], intervals: ScoreIntervals | None) -> dict[str, str]:
    """Write metrics with the intervals that exist."""
    figures = {name: _number(value) for name, value in values.items()}
    if intervals:
        figures |= {
            "AP": f"{figures['AP']} ({intervals.ap})",
            "AP50": f"{figures['AP50']} ({intervals.ap50})",
        }
    return figures


def _number(value: float | None) -> str:
    """Return three decimals, or words for -1, which COCO writes where there is no box to find."""
    return "no boxes" if value is None or not value >= 0 else f"{value:.3f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
