"""Whether B is slower or faster than A: the verdicts on two benchmark documents; ``report.py`` shows them.

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
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from accel_logreg.measure.intervals import Interval
from accel_logreg.measure.words import in_words
from bench.compare import significance
from bench.report.document import BenchDocument, Record

LEVEL = 0.01  # chance of any false verdict in one comparison, at most
DOUBT = 0.05  # chance that a slow-down is taken to pass the relative threshold and does not, at most
VISIBLE = 0.03  # a smaller difference is no news, however certain
_PROMISED = 1e-8  # the suboptimality that a fit promises unless told otherwise
_WORSE = 10.0  # answers within the promise differ by this much before it is said

# Of the machine: another one, if any of these differs; and what may differ on the same one.
_IDENTITY = {
    "cpu": "processor", "cpu_id": "processor's family", "instruction_set": "instruction set",
    "physical_cores": "cores without their threads", "logical_cores": "cores", "usable_cores": "usable cores",
    "cpu_quota": "limit in cores", "gpus": "GPUs",
}  # fmt: skip
_OF_LATE = ("cpu_id", "instruction_set", "physical_cores")  # which files before version 3 do not tell
_SETTINGS = {
    "platform": "system", "memory_bytes": "memory in bytes", "cache_bytes": "caches in bytes",
    "python": "Python", "blas": "BLAS", "driver": "driver", "cuda": "CUDA", "nvrtc": "NVRTC",
}  # fmt: skip
# Of a record: it measures something else, if any of these differs.
_MEASURED = ("engine", "group", "problem", "shape", "dtype", "threads", "seed", "cache")

_TERM = r"(not )?((?<!\S)(?!(?:and|or|not)(?: |$))\S+)"
_TERMS = rf"{_TERM}(?: (?:and )?{_TERM})*"


@dataclass(frozen=True)
class Selection:
    """Names that hold the words of ``pattern`` in any case, as ``-k`` of pytest; an empty one chooses all.

    Words side by side, or joined by "and", must all occur; "not" turns the next word round; "or" separates
    alternatives and binds least. There are no parentheses.

    Raises
    ------
    ValueError
        An operator that has nothing to join.
    """

    pattern: str = ""

    def __post_init__(self) -> None:
        if self._text and not re.fullmatch(rf"{_TERMS}(?: or {_TERMS})*", self._text):
            raise ValueError(
                f"-k {self.pattern!r}: an operator has nothing to join; write words such as 'gradient and "
                "numba', 'fit or descent', 'not float32'"
            )

    def __contains__(self, name: str) -> bool:
        return any(
            all((word in name.lower()) is not bool(no) for no, word in re.findall(_TERM, words))
            for words in self._text.split(" or ")
        )

    @property
    def _text(self) -> str:
        return " ".join(self.pattern.lower().split())


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
    busy : sentences on a machine that was busy while A or B was measured
    only_a, only_b : benchmarks that are gone, and new ones
    incomparable : benchmark → what it differs in
    worse : benchmark → how much less exactly B answers than A
    wrong : benchmark → whose answer was wrong, and how; it has no times
    scatter : how much two runs of the same code differ, relative; None where samples are paired
    """

    rows: tuple[Row, ...]
    thresholds: Thresholds
    paired: bool
    scatter: float | None
    differences: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    incomparable: dict[str, str] = field(default_factory=dict)
    worse: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)

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
    chosen = select or Selection()
    refused = {first.name: why for first, second in common if (why := _incomparable(first, second))}
    pairs = [pair for pair in common if pair[0].name in chosen and (anyway or pair[0].name not in refused)]
    if not pairs:
        raise ValueError(_nothing(of_a.keys(), of_b.keys(), refused, chosen))
    # Of all benchmarks, not of those selected: the scatter of runs is better known so.
    ratios = [(x.engine, y.median_seconds / x.median_seconds) for x, y in common if x.name not in refused]
    noise = [float(document.noise.get("relative") or 0.0) for document in (a, b)]
    scatter, known_by = significance.scatter_of_runs(ratios, noise)
    evidence: list[significance.Evidence] = []
    for first, second in pairs:
        if paired:
            evidence.append(significance.Paired(first.seconds, second.seconds))
            continue
        slower, faster = _machine_factors(a, b, first, second)
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
        differences=_differences(a, b),
        busy=_busy(a, b),
        only_a=tuple(name for name in of_a if name not in of_b and name in chosen),
        only_b=tuple(name for name in of_b if name not in of_a and name in chosen),
        incomparable={name: why for name, why in refused.items() if name in chosen},
        worse={first.name: text for first, second in pairs if (text := _worse(first, second))},
    )


def unsettled(a: Sequence[float], b: Sequence[float], thresholds: Thresholds) -> bool:
    """Whether paired rounds so far leave a change possible, so that more rounds are worth their time."""
    so_far = significance.Paired(a, b)
    changed = abs(math.log(so_far.interval.value)) > thresholds.margin / 2.0
    return changed or not so_far.within(thresholds.margin)


def _rows(
    pairs: Sequence[tuple[Record, Record]],
    evidence: Sequence[significance.Evidence],
    thresholds: Thresholds,
    warned: bool,
) -> list[Row]:
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
        elif evidence[i].within(thresholds.margin):
            verdict = Verdict.SAME
        fails, remark = False, ""
        if warned and verdict in (Verdict.SLOWER, Verdict.FASTER):
            verdict, remark = Verdict.NOISY, f"seen as {verdict}, but a run warns of noise"
        elif verdict is Verdict.SLOWER:
            more = second.median_seconds - first.median_seconds
            if ratio.low <= 1.0 + thresholds.relative or evidence[i].above(thresholds.margin) > DOUBT:
                remark = f"not certainly by more than {thresholds.relative:.0%}"
            elif more <= thresholds.absolute:
                remark = f"by {in_words(more)}, no more than {in_words(thresholds.absolute)}"
            fails = not remark
        elif verdict is Verdict.NOISY and not ratio.known:
            remark = f"{min(len(first.seconds), len(second.seconds))} rounds are too few"
        medians = first.median_seconds, second.median_seconds
        rows.append(Row(first.name, *medians, ratio, verdict, fails, remark))
    return rows


def _worse(a: Record, b: Record) -> str:
    """In words if B's answer is further from the optimum than A's in a way that matters; else empty."""
    for what in ("suboptimality", "gap"):
        before, after = getattr(a, what), getattr(b, what)
        if before is None or after is None:
            continue
        broken = after > _PROMISED >= before
        if broken or after > max(_WORSE * before, _PROMISED / 10.0):
            return f"{what} {after:.1e}, was {before:.1e}" + (
                f"; beyond the {_PROMISED:g} that a fit promises" if broken else ""
            )
    return ""


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


def other_machine(a: BenchDocument, b: BenchDocument) -> tuple[str, ...]:
    """In what the machines differ, in sentences; empty for the same one."""
    return tuple(_unlike(a.machine, b.machine, _IDENTITY))


def _differences(a: BenchDocument, b: BenchDocument) -> tuple[str, ...]:
    """What differs in machine, versions and mode, in sentences."""
    of_a, of_b = (document.machine.get("packages") or {} for document in (a, b))
    names = {name: name for name in {**of_a, **of_b} if name != "accel_logreg"}
    told = _unlike(a.machine, b.machine, _IDENTITY | _SETTINGS) + _unlike(of_a, of_b, names)
    if a.mode != b.mode:
        told.append(f"mode: {a.mode} in A, {b.mode} in B")
    told += [
        f"{name}: {a.ceilings[name]:.3g} in A, {b.ceilings[name]:.3g} in B, measured in each run"
        for name in a.ceilings
        if b.ceilings.get(name) and not 1 / 1.05 < a.ceilings[name] / b.ceilings[name] < 1.05
    ]
    return tuple(told)


def _busy(a: BenchDocument, b: BenchDocument) -> tuple[str, ...]:
    """What the documents warn of, which stands above every figure that is made from them."""
    pairs = (("A", a.noise.get("warning")), ("B", b.noise.get("warning")))
    return tuple(f"The machine was busy while {side} was measured: {why}." for side, why in pairs if why)


def _incomparable(a: Record, b: Record) -> str:
    """In what two records of one name differ, so that their times cannot be compared; empty if in nothing."""
    pairs = ((name, getattr(a, name), getattr(b, name)) for name in _MEASURED)
    return "; ".join(f"{name} {_shown(x)} in A, {_shown(y)} in B" for name, x, y in pairs if x != y)


def _machine_factors(a: BenchDocument, b: BenchDocument, of_a: Record, of_b: Record) -> tuple[float, float]:
    """By which factor the machine's own limit fell from A to B, and by which it rose: each at least 1.

    The limit measured beside the record where there is one, else the worst and the best of the run's.
    """
    if of_a.ceiling and of_b.ceiling and of_a.ceiling_of == of_b.ceiling_of:
        fallen = [of_a.ceiling / of_b.ceiling]
    else:
        fallen = [
            value / b.ceilings[name] for name, value in a.ceilings.items() if value and b.ceilings.get(name)
        ]
    return max([1.0, *fallen]), max([1.0, *(1.0 / factor for factor in fallen)])


def _unlike(a: Mapping[str, Any], b: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    return [
        f"{text}: {_shown(a.get(name))} in A, {_shown(b.get(name))} in B"
        for name, text in names.items()
        if a.get(name) != b.get(name) and not (name in _OF_LATE and (name in a) != (name in b))
    ]


def _shown(value: Any) -> str:
    if value is None or value in ("", []):
        return "none"
    if isinstance(value, tuple | list):
        return ("x" if isinstance(value, tuple) else ", ").join(map(_shown, value))
    if isinstance(value, dict):
        return " ".join(str(item) for item in (value.get("name"), value.get("version")) if item) or str(value)
    return str(value)
