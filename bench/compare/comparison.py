"""Whether B is slower or faster than A: the verdicts on two benchmark documents.

A slow-down FAILS only if all of this holds, so that a failure can be believed:

1. it is slower: "not slower" is rejected at LEVEL by the test of ``significance.py``, adjusted for all
   benchmarks that are looked at together, so that the same code run twice fails once in 1 / LEVEL times;
2. it is so by more than ``relative``: the lower end of its 95 % interval lies beyond, and the same test, for
   this benchmark alone, rejects "by no more" at DOUBT;
3. it is so by more than ``absolute`` seconds: 30 % of nothing is nothing;
4. neither document says of itself that nothing should be concluded from it.

"Slower" and "faster" mean 1, and a difference of at least VISIBLE. "No difference seen" means that a change
by ``relative`` can be excluded. Anything else is "too noisy to say".
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from accel_logreg.measure.clock import in_words
from accel_logreg.measure.intervals import Interval
from bench.compare import significance
from bench.compare.context import incomparable, machine_factors, shared_differences
from bench.compare.selection import Selection
from bench.report.document import BenchDocument, Record

LEVEL = 0.01  # chance of any false verdict in one comparison, at most
DOUBT = 0.05  # chance that a slow-down is taken to pass the relative threshold and does not, at most
VISIBLE = 0.03  # a smaller difference is no news, however certain
_PROMISED = 1e-8  # the suboptimality that a fit promises unless told otherwise
_WORSE = 10.0  # answers within the promise differ by this much before it is said


class Verdict(StrEnum):
    FASTER = "faster"
    SLOWER = "slower"
    SAME = "no difference seen"
    NOISY = "too noisy to say"


@dataclass(frozen=True)
class Thresholds:
    """How much slower is too slow: ``relative`` (0.10 is 10 %) and ``absolute`` in seconds, both."""

    relative: float = 0.10
    absolute: float = 20e-6

    def __post_init__(self) -> None:
        if not 0.0 < self.relative < math.inf:
            raise ValueError(f"--relative {self.relative:g} must be above 0; 0.10 is ten per cent")
        if not 0.0 <= self.absolute < math.inf:
            raise ValueError(f"--absolute {self.absolute:g} must be seconds, at least 0; 20e-6 is 20 µs")

    @property
    def margin(self) -> float:
        return math.log1p(self.relative)


@dataclass(frozen=True)
class Row:
    """One benchmark of both.

    median_a, median_b : seconds
    ratio : B/A with its 95 % interval; of paired samples, the median of the rounds' ratios
    """

    name: str
    median_a: float
    median_b: float
    ratio: Interval
    verdict: Verdict
    fails: bool = False
    remark: str = ""


@dataclass(frozen=True)
class Comparison:
    """What two documents say of each other.

    differences : what is not alike in machine, versions and settings, in sentences
    incomparable : benchmark → what it differs in
    worse : sentences on answers that B gives less exactly than A
    scatter : how much two runs of the same code differ, relative; None where samples are paired
    """

    rows: tuple[Row, ...]
    thresholds: Thresholds
    paired: bool
    scatter: float | None
    differences: tuple[str, ...] = ()
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    incomparable: dict[str, str] = field(default_factory=dict)
    worse: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.fails)


def compare(
    a: BenchDocument,
    b: BenchDocument,
    thresholds: Thresholds,
    *,
    select: Selection | None = None,
    paired: bool = False,
    anyway: bool = False,
) -> Comparison:
    """Compare B with A, benchmark by benchmark.

    Parameters
    ----------
    select : Selection or None
        Which names to look at; None is all.
    paired : bool
        Figure i of a record was taken in the same round in both documents.
    anyway : bool
        Compare also records that differ in threads, shape, … and conclude from documents that warn.

    Raises
    ------
    ValueError
        No benchmark to compare.
    """
    of_a, of_b = ({record.name: record for record in document.records} for document in (a, b))
    common = [(record, of_b[name]) for name, record in of_a.items() if name in of_b]
    chosen = select or Selection("")
    refused = {first.name: why for first, second in common if (why := incomparable(first, second))}
    pairs = [pair for pair in common if pair[0].name in chosen and (anyway or pair[0].name not in refused)]
    if not pairs:
        raise ValueError(_nothing(of_a.keys(), of_b.keys(), refused, chosen))
    # Of all benchmarks, not of those selected: the scatter of runs is better known so.
    ratios = [(x.engine, y.median_seconds / x.median_seconds) for x, y in common if x.name not in refused]
    scatter, known_by = significance.scatter_of_runs(ratios, [_noise(a), _noise(b)])
    evidence: list[significance.Evidence] = []
    for first, second in pairs:
        if paired:
            evidence.append(significance.Paired(first.seconds, second.seconds))
            continue
        slower, faster = machine_factors(a, b, first, second)
        evidence.append(
            significance.Apart(
                first.seconds,
                second.seconds,
                scatter=scatter,
                known_by=known_by,
                slower_machine=slower,
                faster_machine=faster,
            )
        )
    warned = not anyway and any(document.noise.get("warning") for document in (a, b))
    return Comparison(
        rows=tuple(_rows(pairs, evidence, thresholds, warned)),
        thresholds=thresholds,
        paired=paired,
        scatter=None if paired else scatter,
        differences=shared_differences(a, b),
        only_a=tuple(name for name in of_a if name not in of_b and name in chosen),
        only_b=tuple(name for name in of_b if name not in of_a and name in chosen),
        incomparable={name: why for name, why in refused.items() if name in chosen},
        worse=tuple(text for first, second in pairs if (text := _worse(first, second))),
    )


def unsettled(a: Sequence[float], b: Sequence[float], thresholds: Thresholds) -> bool:
    """Whether paired rounds so far leave a change possible, so that more rounds are worth their time."""
    half = thresholds.margin / 2.0
    so_far = significance.Paired(a, b)
    return abs(math.log(so_far.interval.value)) > half or not so_far.within(thresholds.margin)


def _rows(
    pairs: Sequence[tuple[Record, Record]],
    evidence: Sequence[significance.Evidence],
    thresholds: Thresholds,
    warned: bool,
) -> list[Row]:
    margin = thresholds.margin
    slower = significance.holm(item.above(0.0) for item in evidence)
    faster = significance.holm(item.below(0.0) for item in evidence)
    rows = []
    for i, (first, second) in enumerate(pairs):
        ratio = evidence[i].interval
        verdict = Verdict.NOISY
        if slower[i] <= LEVEL and ratio.low > 1.0 and ratio.value >= 1.0 + VISIBLE:
            verdict = Verdict.SLOWER
        elif faster[i] <= LEVEL and ratio.high < 1.0 and ratio.value <= 1.0 / (1.0 + VISIBLE):
            verdict = Verdict.FASTER
        elif evidence[i].within(margin):
            verdict = Verdict.SAME
        fails, remark = False, ""
        if warned and verdict in (Verdict.SLOWER, Verdict.FASTER):
            verdict, remark = Verdict.NOISY, f"seen as {verdict}, but a run warns of noise"
        elif verdict is Verdict.SLOWER:
            certain = evidence[i].above(margin) <= DOUBT and ratio.low > 1.0 + thresholds.relative
            fails, remark = _judge(second.median_seconds - first.median_seconds, certain, thresholds)
        elif verdict is Verdict.NOISY and not ratio.known:
            remark = f"{min(len(first.seconds), len(second.seconds))} rounds are too few"
        rows.append(
            Row(first.name, first.median_seconds, second.median_seconds, ratio, verdict, fails, remark)
        )
    return rows


def _judge(more: float, certain: bool, thresholds: Thresholds) -> tuple[bool, str]:
    """Whether a slow-down fails, and what keeps one from it."""
    if not certain:
        return False, f"not certainly by more than {thresholds.relative:.0%}"
    if more <= thresholds.absolute:
        return False, f"by {in_words(more)}, no more than {in_words(thresholds.absolute)}"
    return True, ""


def _worse(a: Record, b: Record) -> str:
    """A sentence if B's answer is further from the optimum than A's in a way that matters; else empty."""
    for what in ("suboptimality", "gap"):
        before, after = getattr(a, what), getattr(b, what)
        if before is None or after is None:
            continue
        broken = after > _PROMISED >= before
        if broken or after > max(_WORSE * before, _PROMISED / 10.0):
            return f"{a.name}: {what} {after:.1e}, was {before:.1e}" + (
                f"; beyond the {_PROMISED:g} that a fit promises" if broken else ""
            )
    return ""


def _noise(document: BenchDocument) -> float:
    value = document.noise.get("relative")
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _nothing(of_a: Collection[str], of_b: Collection[str], refused: dict[str, str], chosen: Selection) -> str:
    """Why there is nothing to compare, and what would help."""
    both = [name for name in of_a if name in of_b]
    if not both:
        return (
            f"A has {len(of_a)} benchmarks and B {len(of_b)}, but none of the same name: nothing to compare"
        )
    named = [name for name in both if name in chosen]
    if not named:
        return f"-k {chosen.pattern!r} names none of the {len(both)} benchmarks of both, such as {both[0]}"
    why = f"{named[0]}: {refused[named[0]]}"
    return (
        f"none of {len(named)} benchmarks measures the same in both ({why}); --anyway compares them even so"
    )
