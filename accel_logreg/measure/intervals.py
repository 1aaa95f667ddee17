"""How well a median is known: percentile bootstrap intervals of medians and of ratios of medians.

Times on a shared machine have no known distribution: a hard floor, a long tail, now and then a second
mode. The bootstrap (Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7,
1979) asks the samples themselves: draw as many with replacement, take the median, do it again, and keep
the middle 95 % of what comes out.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    value = _median(samples)
    if len(samples) < FEWEST:
        return Interval(value, float("nan"), float("nan"))
    medians = _medians(samples, np.random.default_rng(seed))
    return Interval(value, *_middle(medians, confidence))


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
    value = _median(samples) / _median(base)
    if min(len(samples), len(base)) < FEWEST:
        return Interval(value, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    if paired:
        rounds = rng.integers(0, len(base), (RESAMPLES, len(base)))
        ratios = np.median(np.asarray(samples)[rounds], axis=1) / np.median(np.asarray(base)[rounds], axis=1)
    else:
        ratios = _medians(samples, rng) / _medians(base, rng)
    return Interval(value, *_middle(ratios, confidence))


def _median(samples: Sequence[float]) -> float:
    if not len(samples):
        raise ValueError("no samples were given; at least one is needed for a median")
    return float(statistics.median(samples))


def _medians(samples: Sequence[float], rng: np.random.Generator) -> NDArray[np.float64]:
    values = np.asarray(samples, dtype=np.float64)
    medians: NDArray[np.float64] = np.median(
        values[rng.integers(0, len(values), (RESAMPLES, len(values)))], axis=1
    )
    return medians


def _middle(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    outside = (1.0 - confidence) / 2.0
    low, high = np.quantile(values, [outside, 1.0 - outside])
    return float(low), float(high)
