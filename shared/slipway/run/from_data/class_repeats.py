"""How often the training sees the images of rare classes.

A class that is in one image of a hundred is in one step of ten, and its few examples lose against all others. Its
images are therefore repeated, by the square root of what the class lacks: repeat-factor sampling, Gupta et al. 2019,
https://arxiv.org/abs/1908.03195, with the most frequent class as the measure.
"""

import math
from collections.abc import Mapping

_RARE = 10  # times fewer images than the most frequent class
_FREQUENT_ENOUGH = 4  # times fewer images than the most frequent class: such a class is seen once
_MOST_REPEATS = 4.0  # beyond, the few images are learnt by heart


def choose_class_repeats(images_per_label: Mapping[str, int]) -> tuple[dict[str, float], str]:
    """Return for each rare class how often its images are seen while others are seen once, and the reason."""
    counts = {label: count for label, count in images_per_label.items() if count}
    if not counts:
        return {}, "no boxes are known"
    frequent, most_images = max(counts.items(), key=lambda item: item[1])
    rare, fewest_images = min(counts.items(), key=lambda item: item[1])
    sentence = f"{frequent!r} is in {most_images:,} images, {rare!r} in {fewest_images:,}"
    if most_images <= _RARE * fewest_images:
        return {}, f"{sentence}: no class is {_RARE} times rarer than another"
    repeats = {label: math.sqrt(most_images / _FREQUENT_ENOUGH / count) for label, count in counts.items()}
    chosen = {label: round(min(factor, _MOST_REPEATS), 2) for label, factor in repeats.items() if factor > 1}
    return chosen, f"{sentence}: images of rare classes are seen more often"
