"""Whether a ratio of times is more than chance, for many benchmarks at once.

Two kinds of evidence, because two kinds of samples come here.

Paired: figure i of both was taken in round i, in turns, by processes that lived for that round only. What
a neighbour did to a round it did to both, and rounds are independent. Where the two are alike, B is the
slower one in as many rounds as A, but for chance, and chance is a coin's. This sign test is exact whatever
the noise looks like: no tail and no second mode makes it say "slower" more often than the stated level,
and a few rounds that went wrong for one of the two do not hide what all the others say. The ratio is
accordingly the median of the rounds' ratios, where what a round did to both has cancelled.

Apart: two runs, each of many samples from one process. Those samples tell how much a median varies
WITHIN a run. They cannot tell how much two runs of the same code differ, which on a shared machine is
the larger part. That part is estimated from the ratios of all benchmarks of the run: most of them have
not changed, so their scatter is that of a run. The fastest quarter of the samples has to say the
same as the median: a neighbour lengthens the tail, more work moves everything.

Many benchmarks are looked at, so the levels are adjusted by Holm's step-down procedure (Scandinavian
Journal of Statistics 6, 1979): the chance of ANY false verdict among them is at most the level.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from accel_logreg.measure.intervals import FEWEST, Interval, median_interval, ratio_interval

UNKNOWN_SCATTER = 0.03  # of two runs' ratios, relative, where too few benchmarks tell
LEAST_SCATTER = 0.01  # no two runs agree better than this, whatever a few benchmarks say
_FEWEST_RATIOS = 8
_NORMAL = stats.norm()

Mask = NDArray[np.bool_]


class Evidence(Protocol):
    """What samples say about log(B/A).

    interval : of the ratio of medians, 95 %, as the samples alone have it
    """

    interval: Interval

    def above(self, margin: float) -> float:
        """Chance of seeing this, or more, if log(B/A) were no larger than ``margin``."""

    def below(self, margin: float) -> float:
        """Chance of seeing this, or less, if log(B/A) were no smaller than ``margin``."""

    def within(self, margin: float) -> bool:
        """Whether log(B/A) lies between ±margin with 95 % confidence."""


class Paired:
    """Evidence of rounds in which both were measured in turns; a and b (n,) seconds."""

    def __init__(self, a: Sequence[float], b: Sequence[float]) -> None:
        if len(a) != len(b):
            raise ValueError(f"paired samples must be equally many, got {len(a)} and {len(b)}")
        self._logs = np.log(b) - np.log(a)
        # Of the rounds' ratios, and not of the ratio of two medians, which may come from different rounds.
        self.interval = median_interval(np.exp(self._logs).tolist())

    def above(self, margin: float) -> float:
        return self._coin(self._logs > margin, self._logs != margin)

    def below(self, margin: float) -> float:
        return self._coin(self._logs < margin, self._logs != margin)

    def within(self, margin: float) -> bool:
        low, high = self.interval.low, self.interval.high
        return self.interval.known and -margin < math.log(low) and math.log(high) < margin

    @staticmethod
    def _coin(heads: Mask, decided: Mask) -> float:
        """Chance of as many heads as there are, or more, among the rounds that decide anything."""
        tosses = int(decided.sum())
        if tosses < FEWEST:
            return 1.0
        return float(stats.binomtest(int(heads.sum()), tosses, alternative="greater").pvalue)


class Apart:
    """Evidence of two runs, each of samples on their own.

    Parameters
    ----------
    a, b : (n,), (m,) seconds
    scatter : float
        How much two runs of the same code differ, as a standard deviation of log(B/A).
    known_by : int
        From how many benchmarks ``scatter`` was found.
    slower_machine, faster_machine : float
        By which factor the machine's own limits fell, or rose, between the runs: at least 1.
    """

    def __init__(
        self,
        a: Sequence[float],
        b: Sequence[float],
        *,
        scatter: float,
        known_by: int,
        slower_machine: float = 1.0,
        faster_machine: float = 1.0,
    ) -> None:
        self.interval = interval = ratio_interval(b, a)
        said = math.log(interval.value), math.log(np.quantile(b, 0.25) / np.quantile(a, 0.25))
        # What the median and the fastest quarter both say, less what the machine itself explains.
        self._at_least = min(said) - math.log(slower_machine)
        self._at_most = max(said) + math.log(faster_machine)
        if not interval.known:
            return
        own = math.log(interval.high / interval.low) / (2.0 * float(_NORMAL.ppf(0.975)))
        deviation = math.hypot(own, scatter)
        # Welch and Satterthwaite: how many degrees of freedom a sum of two estimated variances has.
        share = (own / deviation) ** 2
        fewest = max(min(len(a), len(b)) - 1, 1)
        degrees = 1.0 / (share**2 / fewest + (1.0 - share) ** 2 / max(known_by - 1, 1))
        self._noise = stats.t(degrees, scale=deviation)

    def above(self, margin: float) -> float:
        return float(self._noise.sf(self._at_least - margin)) if self.interval.known else 1.0

    def below(self, margin: float) -> float:
        return float(self._noise.sf(margin - self._at_most)) if self.interval.known else 1.0

    def within(self, margin: float) -> bool:
        if not self.interval.known:
            return False
        reach = float(self._noise.ppf(0.975))
        return max(abs(self._at_least), abs(self._at_most)) + reach < margin


def holm(chances: Iterable[float]) -> list[float]:
    """The chances, adjusted for being looked at together; each at least as large as it was."""
    given = np.fromiter(chances, dtype=np.float64)
    order = np.argsort(given)
    adjusted = np.empty_like(given)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, np.arange(len(given), 0, -1) * given[order]))
    return [float(chance) for chance in adjusted]


def rounds_needed(benchmarks: int, level: float) -> int:
    """Fewest paired rounds after which the exact test can say anything about one of so many benchmarks."""
    return max(FEWEST, math.ceil(math.log2(max(benchmarks, 1) / level)))


def scatter_of_runs(ratios: Iterable[tuple[str, float]], noise: Sequence[float]) -> tuple[float, int]:
    """How much log(B/A) varies from run to run, and from how many ratios that is known.

    ratios : of medians, each with the engine it is of. A change in one engine is a change of its middle
    and no scatter, so each engine's ratios are taken about their own median. The deviation is the one whose
    three quarters hold as many of them: it takes heavier tails into account than the half would.
    noise : of a fixed piece of work during each run, relative; the scatter is at least that.
    """
    engines: dict[str, list[float]] = {}
    for engine, ratio in ratios:
        engines.setdefault(engine, []).append(math.log(ratio))
    apart = [abs(log - float(np.median(logs))) for logs in engines.values() if len(logs) > 2 for log in logs]
    floor = max(LEAST_SCATTER, *noise)
    if len(apart) < _FEWEST_RATIOS:
        return max(UNKNOWN_SCATTER, floor), _FEWEST_RATIOS
    return max(float(np.quantile(apart, 0.75) / _NORMAL.ppf(0.875)), floor), len(apart)
