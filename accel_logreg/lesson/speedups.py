"""Speed-up against size with its uncertainty, and where one way overtakes another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accel_logreg.measure.intervals import Interval, ratio_interval
from accel_logreg.measure.words import significant

TIE = 1.1  # without intervals, medians within 10 % of each other are called equal


@dataclass(frozen=True)
class Timed:
    """One way to do the same work at several sizes.

    engine : str
        Whose colour it gets.
    samples : mapping of int to sequence of float
        Size → seconds per call, one figure a round.
    paired : bool
        Sample i was taken in the same round as sample i of what it is compared with.
    """

    name: str
    engine: str
    samples: Mapping[int, Sequence[float]]
    paired: bool = True

    def over(self, base: Timed) -> dict[int, Interval]:
        """Size → how many times faster than ``base``, where both ran."""
        return {
            size: _faster(base.samples[size], self.samples[size], self.paired and base.paired)
            for size in sorted(self.samples.keys() & base.samples.keys())
        }


@dataclass(frozen=True)
class Crossing:
    """Up to size ``below`` the one is ahead, from ``above`` on the other; between them nothing was measured.

    rising : bool
        ``name`` is slower first and faster then.
    """

    name: str
    other: str
    below: int
    above: int
    rising: bool

    def in_words(self, unit: str) -> str:
        where = f"between {self.below:,} and {self.above:,} {unit}"
        return f"{self.name} {'overtakes' if self.rising else 'falls behind'} {self.other} {where}."


def crossings(mine: Timed, other: Timed) -> list[Crossing]:
    """Every change of order that the intervals do not leave open.

    A size at which the interval of the ratio holds 1 decides nothing and is passed over, so that noise
    does not make two equals cross back and forth; where there are no intervals, 10 % decide.
    """
    found: list[Crossing] = []
    last: tuple[int, bool] | None = None
    for size, ratio in mine.over(other).items():
        ahead = leads(ratio)
        if ahead is None:
            continue
        if last is not None and last[1] != ahead:
            found.append(Crossing(mine.name, other.name, last[0], size, ahead))
        last = size, ahead
    return found


def leads(ratio: Interval) -> bool | None:
    """True: faster; False: slower; None: not to be told from 1."""
    low, high = (ratio.low, ratio.high) if ratio.known else (ratio.value / TIE, ratio.value * TIE)
    return None if low <= 1.0 <= high else low > 1.0


def factor(ratio: Interval) -> str:
    """ "12.3×", with its interval where that is known: "12.3× (11.9 to 12.8)"."""
    text = f"{significant(ratio.value)}×"
    return f"{text} ({significant(ratio.low)} to {significant(ratio.high)})" if ratio.known else text


def _faster(base: Sequence[float], mine: Sequence[float], paired: bool) -> Interval:
    return ratio_interval(base, mine, paired=paired and len(base) == len(mine))
