"""The median rule, which stops a run early whose AP is clearly below that of the other runs of a sweep."""

from collections.abc import Iterable, Sequence
from statistics import median

_FIRST_EVALUATION = 3  # of ten, by default: before it, a low learning rate only looks worse
_FEWEST_RUNS = 2  # to compare with
_MARGIN = 0.1  # of the median; two seeds of one recipe differ by less


def reason_to_stop(aps: Sequence[float], other_runs: Iterable[Sequence[float]]) -> str:
    """Return why a run should be stopped; empty if it should go on.

    Its highest AP so far is compared with the median of those of the other runs at the same evaluation.

    Args:
      aps: AP at each evaluation of the run so far, in order.
      other_runs: The same of each other run that was not stopped early, also while it runs.

    Source: the median stopping rule of Golovin et al. 2017, "Google Vizier: A Service for Black-Box Optimization".
    """
    number = len(aps)
    best_aps = [max(other_aps[:number]) for other_aps in other_runs if len(other_aps) >= number > 0]
    if number < _FIRST_EVALUATION or len(best_aps) < _FEWEST_RUNS:
        return ""
    limit, ap = median(best_aps), max(aps)
    if ap >= limit * (1 - _MARGIN):
        return ""
    return f"AP {ap:.3f} at evaluation {number}, clearly below the median {limit:.3f} of {len(best_aps)} other runs"
