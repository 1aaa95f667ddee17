"""What the dot-product study found: times by version and length, and who overtakes whom."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from accel_logreg.lesson.speedups import TIE, Crossing, Timed, crossings
from accel_logreg.measure.clock import median

LESSON_SECONDS = {"loop": 0.381, "np.dot": 0.00101}  # 1,000,000 numbers, as the lesson shows them
LESSON_SIZE = 1_000_000

ARRAY_LOOP = "array loop"
LIST_INDEX_LOOP = "list loop, index"
LIST_LOOP = "list loop"
NUMPY = "np.dot"


@dataclass(frozen=True)
class DotPoint:
    """One version at one size.

    first_seconds : the first call at this size; at the smallest size it compiles or loads what has to be.
    transfer_seconds : both vectors from host to device, None where there is no transfer.
    samples : seconds per call in the steady state, one per round; versions take turns in every round.
    """

    version: str
    size: int
    first_seconds: float
    transfer_seconds: float | None
    samples: tuple[float, ...]
    engine: str = ""

    @property
    def seconds(self) -> float:
        return median(self.samples)


@dataclass(frozen=True)
class DotStudy:
    """points, in order of size; stopped: version → the sentence that says where it stopped and why."""

    points: tuple[DotPoint, ...]
    stopped: dict[str, str]

    def versions(self) -> list[str]:
        return list(dict.fromkeys(point.version for point in self.points))

    def sizes(self) -> list[int]:
        return sorted({point.size for point in self.points})

    def seconds(self, version: str) -> dict[int, float]:
        """Size → median seconds, where this version ran."""
        return {point.size: point.seconds for point in self.points if point.version == version}

    def engine(self, version: str) -> str:
        return next(point.engine for point in self.points if point.version == version)

    def timed(self) -> list[Timed]:
        """Every version with its samples at every size; the baseline first."""
        return [
            Timed(
                version,
                self.engine(version),
                {point.size: point.samples for point in self.points if point.version == version},
            )
            for version in self.versions()
        ]

    def crossings(self) -> list[Crossing]:
        """Where the versions that are no loop overtake the lesson's one call, or the loop over lists."""
        ways = {way.name: way for way in self.timed()}
        others = [way for way in ways.values() if way.engine != "python"]
        return [
            one
            for rival in (LIST_LOOP, NUMPY)
            if rival in ways
            for way in others
            if way.name != rival
            for one in crossings(way, ways[rival])
        ]

    def baseline(self) -> str:
        """What speed-ups are over: the lesson's own loop, or the first version where it did not run."""
        return self.versions()[0]

    def headline_size(self) -> int:
        """1,000,000 if the baseline ran there, or else the largest size at which it ran."""
        ran = self.seconds(self.baseline())
        return LESSON_SIZE if LESSON_SIZE in ran else max(ran)

    def crossover(self, version: str, other: str) -> str:
        """Between which measured sizes ``version`` becomes faster or slower than ``other``, in words."""
        mine, theirs = self.seconds(version), self.seconds(other)
        shared = sorted(mine.keys() & theirs.keys())
        # Ties are left out: noise would make them change sides back and forth.
        winners = [
            (size, mine[size] < theirs[size])
            for size in shared
            if max(mine[size], theirs[size]) > TIE * min(mine[size], theirs[size])
        ]
        if not winners:
            return "equal" if shared else "no shared length"
        runs = [(wins, [size for size, _ in run]) for wins, run in groupby(winners, key=lambda pair: pair[1])]
        parts = []
        for k, (wins, lengths) in enumerate(runs):
            first, last = f"{lengths[0]:,}", f"{lengths[-1]:,}"
            if len(runs) == 1:
                where = "throughout"
            elif k == 0:
                where = f"to {last}"
            elif k == len(runs) - 1:
                where = f"from {first}"
            else:
                where = f"at {first}" if first == last else f"{first} to {last}"
            parts.append(f"{'faster' if wins else 'slower'} {where}")
        return ", ".join(parts)
