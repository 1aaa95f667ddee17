"""How well a median is known, how much faster one way is than another, and where it overtakes.

Times on a shared machine have no known distribution: a hard floor, a long tail, now and then a second
mode. The bootstrap (Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7,
1979) asks the samples themselves: draw as many with replacement, take the median, do it again, and keep
the middle 95 % of what comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from accel_logreg.measure.words import significant

CONFIDENCE = 0.95
RESAMPLES = 2_000
FEWEST = 5  # samples; fewer say nothing of their spread
TIE = 1.1  # without intervals, medians within 10 % of each other are called equal


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds it lies between with 95 % confidence; NaN where too few samples say."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    @property
    def leads(self) -> bool | None:
        """Of a ratio: True: above 1; False: below it; None: not to be told from 1."""
        low, high = (self.low, self.high) if self.known else (self.value / TIE, self.value * TIE)
        return None if low <= 1.0 <= high else low > 1.0

    def factor(self) -> str:
        """ "12.3×", with its bounds where these are known: "12.3× (11.9 to 12.8)"."""
        text = f"{significant(self.value)}×"
        return f"{text} ({significant(self.low)} to {significant(self.high)})" if self.known else text


def median_interval(samples: Sequence[float], seed: int = 0) -> Interval:
    """The median of samples, e.g. in seconds, and its bootstrap interval; the same for the same seed.

    Raises
    ------
    ValueError
        No samples.
    """
    return _interval(np.median, (samples,), paired=False, seed=seed)


def ratio_interval(samples: Sequence[float], base: Sequence[float], *, paired: bool = False) -> Interval:
    """median(samples) / median(base) and its bootstrap interval; the same for the same samples.

    ``paired`` says that sample i of both was taken in the same round, one after the other. The same
    rounds are then drawn for both, so that what slowed a round slows numerator and denominator alike.

    Raises
    ------
    ValueError
        No samples, or paired ones that are not equally many.
    """
    if paired and len(samples) != len(base):
        raise ValueError(f"paired samples must be equally many, got {len(samples)} and {len(base)}")
    return _interval(_ratio, (samples, base), paired=paired, seed=0)


def _ratio(samples: Any, base: Any, axis: int = -1) -> Any:
    return np.median(samples, axis=axis) / np.median(base, axis=axis)


def _interval(
    statistic: Callable[..., Any], data: tuple[Sequence[float], ...], *, paired: bool, seed: int
) -> Interval:
    fewest = min(map(len, data))
    if fewest == 0:
        raise ValueError("no samples were given; at least one is needed for a median")
    value = float(statistic(*data))
    if fewest < FEWEST:
        return Interval(value)
    from scipy.stats import bootstrap  # here: it takes most of a second to load

    bounds = bootstrap(
        data, statistic, n_resamples=RESAMPLES, paired=paired, vectorized=True, method="percentile",
        confidence_level=CONFIDENCE, random_state=seed,
    ).confidence_interval  # fmt: skip
    return Interval(value, float(bounds.low), float(bounds.high))


@dataclass(frozen=True)
class Timed:
    """One way to do the same work at several sizes."""

    name: str
    engine: str  # whose colour it gets
    samples: Mapping[int, Sequence[float]]  # size → seconds per call, one figure a round
    paired: bool = True  # sample i was taken in the same round as sample i of what it is compared with

    def over(self, base: Timed) -> dict[int, Interval]:
        """Size → how many times faster than ``base``, where both ran."""
        ratios = {}
        for size in sorted(self.samples.keys() & base.samples.keys()):
            slow, fast = base.samples[size], self.samples[size]
            paired = self.paired and base.paired and len(slow) == len(fast)
            ratios[size] = ratio_interval(slow, fast, paired=paired)
        return ratios


@dataclass(frozen=True)
class Crossing:
    """Up to size ``below`` one is ahead, from ``above`` on the other; nothing between them was measured."""

    name: str
    other: str
    below: int
    above: int
    rising: bool  # ``name`` is slower first and faster then

    def in_words(self, unit: str) -> str:
        where = f"between {self.below:,} and {self.above:,} {unit}"
        return f"{self.name} {'overtakes' if self.rising else 'falls behind'} {self.other} {where}."


def crossings(mine: Timed, other: Timed) -> list[Crossing]:
    """Every change of order that the intervals do not leave open.

    A size at which the interval of the ratio holds 1 decides nothing and is passed over, so that noise
    does not make two equals cross back and forth; where there are no intervals, 10 % decide.
    """
    told = [(size, ratio.leads) for size, ratio in mine.over(other).items() if ratio.leads is not None]
    return [
        Crossing(mine.name, other.name, below, above, ahead)
        for (below, before), (above, ahead) in pairwise(told)
        if before != ahead
    ]
