"""What is compared with what in a benchmark document: the ways of one group, from the slowest idea on."""

from __future__ import annotations

from collections.abc import Sequence

from accel_logreg.backends import BACKENDS
from accel_logreg.lesson.plots_staircase import Step
from accel_logreg.lesson.speedups import Crossing, Timed, crossings
from accel_logreg.measure.intervals import Interval, ratio_interval
from bench.report.document import BenchDocument, Record

LESSON_SIZE = 1_000_000
# The staircase: what every machine is asked for, in order, and how a record is recognised.
LADDER = ("loop over arrays", "loop over lists", "NumPy", "Numba, 1 thread", "Numba, all threads", "CuPy")
_ENGINE_OF = dict(zip(LADDER, ("python", "python", "numpy", "numba", "numba", "cupy"), strict=True))


def way(record: Record) -> str:
    """The record's label, its engine not said twice: "numba, one thread", "np.dot"."""
    return (
        record.version
        if record.engine in record.version or record.version.startswith("np.")
        else record.label
    )


def order(record: Record) -> int:
    """From the slowest idea to the fastest."""
    names = list(BACKENDS)
    return names.index(record.engine) if record.engine in names else len(names)


def base_of(record: Record, group: Sequence[Record]) -> Record:
    """What a record is compared with: the first of the simplest engine on the same problem, in its group."""
    same = [one for one in group if (one.shape, one.dtype) == (record.shape, record.dtype)]
    return min(same, key=order)


def share_of_X(record: Record) -> float | None:
    """Extra memory in percent of X; None where either is not known."""
    if record.peak_bytes is None:
        return None
    if (percent := record.extra.get("percent_of_X")) is not None:
        return float(percent)
    if record.bytes_moved and record.reads:  # one read of X moves its bytes
        return 100.0 * record.peak_bytes * record.reads / record.bytes_moved
    return None


def faster(record: Record, base: Record) -> Interval:
    """How many times faster than ``base``; paired where both were timed in the same rounds."""
    paired = record.interleaved and base.interleaved and len(record.seconds) == len(base.seconds)
    return ratio_interval(base.seconds, record.seconds, paired=paired)


def dot_groups(document: BenchDocument) -> dict[int, list[Record]]:
    """Length of the vectors → its records, shortest first; those from a cold cache are another question."""
    found: dict[int, list[Record]] = {}
    for record in document.records:
        if record.suite == "dot" and record.dtype == "float64" and record.cache != "cold":
            found.setdefault(max(record.shape), []).append(record)
    return dict(sorted(found.items()))


def staircase_steps(document: BenchDocument) -> tuple[int, list[Step]]:
    """The length that shows most of the ladder, a million if it does as well, and its steps.

    No step at all where no dot product was measured.
    """
    groups = dot_groups(document)
    if not groups:
        return 0, []
    size = max(
        groups, key=lambda size: (len({rung(record) for record in groups[size]}), size == LESSON_SIZE, size)
    )
    steps = []
    for name in LADDER:
        records = [record for record in groups[size] if rung(record) == name]
        best = min(records, key=lambda record: record.median_seconds, default=None)
        if best is None:
            steps.append(Step(name, _ENGINE_OF[name], None, why_absent(document, name)))
        else:
            words = f"Numba, {best.threads} threads" if name == "Numba, all threads" else name
            steps.append(Step(words, best.engine, Interval(best.median_seconds, *best.interval)))
    return size, steps


def rung(record: Record) -> str:
    """Which step of the ladder a record of the suite "dot" is."""
    if record.engine == "python":
        return "loop over lists" if "list" in record.version else "loop over arrays"
    if record.engine == "numba":
        return "Numba, 1 thread" if record.threads == 1 else "Numba, all threads"
    return {"numpy": "NumPy", "cupy": "CuPy"}.get(record.engine, record.engine)


def why_absent(document: BenchDocument, name: str) -> str:
    """The reason that the document gives for a step that was not measured."""
    engine = _ENGINE_OF[name]
    if name == "Numba, all threads" and document.machine.get("usable_cores") == 1:
        return "this machine has one core"
    reasons = [(("dot" not in key), reason) for key, reason in document.skipped.items() if engine in key]
    return min(reasons)[1] if reasons else "no reason recorded"


def dot_ways(document: BenchDocument) -> list[Timed]:
    """Every way to take a dot product with its samples by length; the simplest first."""
    found: dict[str, tuple[Record, dict[int, Sequence[float]]]] = {}
    for size, records in dot_groups(document).items():
        for record in sorted(records, key=order):
            found.setdefault(way(record), (record, {}))[1][size] = record.seconds
    ways = [Timed(name, first.engine, samples, first.interleaved) for name, (first, samples) in found.items()]
    return sorted(ways, key=lambda one: list(BACKENDS).index(one.engine) if one.engine in BACKENDS else 9)


def dot_crossings(ways: Sequence[Timed]) -> list[Crossing]:
    """Where engines overtake NumPy's one call, and where they overtake the fastest loop."""
    loops = [one for one in ways if one.engine == "python"]
    calls = [one for one in ways if one.engine == "numpy"]
    rivals = loops[-1:] + calls[:1]
    return [
        crossing
        for rival in rivals
        for one in ways
        if one.engine not in ("python", rival.engine)
        for crossing in crossings(one, rival)
    ]
