"""How well a median is known: percentile bootstrap intervals of medians and of ratios of medians.

Times on a shared machine have no known distribution: a hard floor, a long tail, now and then a second
mode. The bootstrap (Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7,
1979) asks the samples themselves: draw as many with replacement, take the median, do it again, and keep
the middle 95 % of what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 2_000
FEWEST = 5  # samples; fewer say nothing of their spread


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds it lies between with the stated confidence.

    low, high : float
        NaN where there were too few samples to say.
    """

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    @property
    def relative_width(self) -> float:
        """(high − low) / value; NaN where the bounds are not known."""
        return (self.high - self.low) / self.value


def median_interval(samples: Sequence[float], confidence: float = CONFIDENCE, seed: int = 0) -> Interval:
    """The median of samples, e.g. in seconds, and its bootstrap interval; the same for the same seed.

    Raises
    ------
    ValueError
        No samples.
    """
    return _interval(np.median, (samples,), paired=False, confidence=confidence, seed=seed)


def ratio_interval(
    samples: Sequence[float],
    base: Sequence[float],
    *,
    paired: bool = False,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """median(samples) / median(base) and its bootstrap interval; the same for the same seed.

    ``paired`` says that sample i of both was taken in the same round, one after the other. The same
    rounds are then drawn for both, so that what slowed a round slows numerator and denominator alike.

    Raises
    ------
    ValueError
        No samples, or paired ones that are not equally many.
    """
    if paired and len(samples) != len(base):
        raise ValueError(f"paired samples must be equally many, got {len(samples)} and {len(base)}")
    return _interval(_ratio, (samples, base), paired=paired, confidence=confidence, seed=seed)


def _ratio(samples: Any, base: Any, axis: int = -1) -> Any:
    return np.median(samples, axis=axis) / np.median(base, axis=axis)


def _interval(
    statistic: Callable[..., Any],
    data: tuple[Sequence[float], ...],
    *,
    paired: bool,
    confidence: float,
    seed: int,
) -> Interval:
    fewest = min(map(len, data))
    if fewest == 0:
        raise ValueError("no samples were given; at least one is needed for a median")
    value = float(statistic(*data))
    if fewest < FEWEST:
        return Interval(value, float("nan"), float("nan"))
    from scipy.stats import bootstrap  # here: it takes most of a second to load

    bounds = bootstrap(
        data, statistic, n_resamples=RESAMPLES, paired=paired, vectorized=True, method="percentile",
        confidence_level=confidence, random_state=seed,
    ).confidence_interval  # fmt: skip
    return Interval(value, float(bounds.low), float(bounds.high))
