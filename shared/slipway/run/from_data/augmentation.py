"""The augmentation of a run: its preset's, but without mirrored images where labels tell left from right."""

import re
from collections.abc import Sequence
from typing import Any

from slipway.run.presets import Preset
from slipway.run.spec import TrainSpec

_SIDES = (
    ("left", "right"),
    ("links", "rechts"),
    ("gauche", "droite"),
    ("izquierda", "derecha"),
    ("esquerda", "direita"),
    ("sinistra", "destra"),
)
_SEPARATORS = re.compile(r"[\W_]+")


def choose_augmentation(spec: TrainSpec, preset: Preset, labels: Sequence[str]) -> dict[str, tuple[Any, str]]:
    """Return each field of `Augmentation` with its value and the reason for it."""
    preset_values = preset.augment.model_dump()
    choices = {
        field: (value, "the preset's" if value == preset_values[field] else "from the fields of Model Garden")
        for field, value in preset.augmentation.model_dump().items()
    }
    conflict = flip_conflict(labels)
    if conflict and choices["flip"] == (True, "the preset's"):
        choices["flip"] = False, f"{conflict}; flip=true mirrors images all the same"
    asked_values = spec.augment.model_dump(exclude_none=True) if spec.augment else {}
    return choices | {field: (value, "as asked") for field, value in asked_values.items()}


def flip_conflict(labels: Sequence[str]) -> str | None:
    """Return why mirrored images would be wrong for these labels; None if nothing in them says so.

    Two labels conflict if they differ only by the word left or right: `left_hand` and `right_hand`, `arrow-left` and
    `arrow-right`, `turnLeft` and `turnRight`. `L` and `R` are too vague. Otherwise labels conflict if most of them are
    single letters or digits.
    """
    if pair := _sided_pair(labels):
        return f"labels {pair[0]!r} and {pair[1]!r} differ only by their side"
    characters = [label for label in labels if len(label) == 1 and label.isalnum()]
    if len(characters) > 1 and 2 * len(characters) > len(labels):
        count = "all labels" if len(characters) == len(labels) else f"{len(characters)} of {len(labels)} labels"
        return f"{count} are letters or digits, such as {characters[0]!r} and {characters[1]!r}"
    return None


def _sided_pair(labels: Sequence[str]) -> tuple[str, str] | None:
    labels_by_word = {_SEPARATORS.sub("", label).casefold(): label for label in labels}
    for word, label in labels_by_word.items():
        for left, right in _SIDES:
            mirrored_label = labels_by_word.get(word.replace(left, right))
            if left in word and mirrored_label is not None:
                return label, mirrored_label
    return None
