"""Every suite of a benchmark document as one table, without the columns that say nothing there."""

from __future__ import annotations

from collections.abc import Callable

from accel_logreg.lesson.speedups import factor
from accel_logreg.measure.clock import in_words, significant
from accel_logreg.measure.table import Table
from accel_logreg.measure.words import in_bytes, in_counts, in_percent
from bench.report.document import BenchDocument, Record
from bench.report.ways import base_of, faster, share_of_X, way

_QUESTIONS = {
    "dot": "A dot product, by loop and by engine",
    "pass": "One pass over X: the questions that solvers ask",
    "csr": "One pass over sparse X",
    "descent": "Gradient descent, the loop inside the engine",
    "fit": "Whole fits",
    "overhead": "Small problems: what a call costs by itself",
    "memory": "Extra memory at the peak of a call",
    "scaling": "How it grows with rows, columns and threads",
}
NOTES = (
    "Median and interval: of one call; the interval by bootstrap, 95 %, empty with fewer than five rounds.",
    'Times faster: than the simplest engine on the same problem, named in the column "than".',
    "Ceiling: bytes or flops per second in percent of the machine's own limit, measured in the same run.",
)


def suites(document: BenchDocument) -> list[str]:
    """The suites that have records, in the order they ran."""
    return list(dict.fromkeys(record.suite for record in document.records))


def suite_table(document: BenchDocument, suite: str) -> Table:
    """One row a benchmark."""
    groups = document.groups()
    records = [record for record in document.records if record.suite == suite]
    bases = {record.name: base_of(record, groups[record.group]) for record in records}
    cells: dict[str, list[str]] = {
        "what": [record.group for record in records],
        "way": [way(record) for record in records],
    }
    for name, say in _COLUMNS.items():
        cells[name] = [say(record) for record in records]
    cells["times faster"] = [_ratio(record, bases[record.name]) for record in records]
    cells["than"] = [
        way(base) if base is not record else "" for record in records for base in [bases[record.name]]
    ]
    order = [name for name in _ORDER if any(cells[name])]
    rows = tuple(zip(*(cells[name] for name in order), strict=True))
    return Table(_QUESTIONS.get(suite, f"Suite {suite}"), tuple(order), rows)


def _ratio(record: Record, base: Record) -> str:
    return "" if base is record else factor(faster(record, base))


def _interval(record: Record) -> str:
    low, high = record.interval
    return f"{in_words(low)} to {in_words(high)}" if low == low and high == high else ""


def _gigabytes(record: Record) -> str:
    if not record.bytes_moved:
        return ""
    return significant(record.bytes_moved / record.median_seconds / 1e9)


def _gigaflops(record: Record) -> str:
    return significant(record.flops / record.median_seconds / 1e9) if record.flops else ""


def _of_ceiling(record: Record) -> str:
    return "" if record.percent_of_ceiling is None else in_percent(record.percent_of_ceiling)


def _seconds(value: float | None) -> str:
    return "" if value is None else in_words(value)


def _gap(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


_COLUMNS: dict[str, Callable[[Record], str]] = {
    "threads": lambda record: str(record.threads) if record.threads else "",
    "cache": lambda record: record.cache,
    "solver": lambda record: record.solver,
    "median": lambda record: in_words(record.median_seconds),
    "interval": _interval,
    "first call": lambda record: _seconds(record.first_seconds),
    "compiling": lambda record: _seconds(record.compile_seconds),
    "transfer": lambda record: _seconds(record.transfer_seconds),
    "GB/s": _gigabytes,
    "GFLOP/s": _gigaflops,
    "of ceiling": _of_ceiling,
    "ceiling": lambda record: record.ceiling_of if record.percent_of_ceiling is not None else "",
    "reads": lambda record: in_counts(record.reads) if record.reads else "",
    "gap": lambda record: _gap(record.gap),
    "kind": lambda record: record.gap_kind if record.gap is not None else "",
    "(J − J*)/J*": lambda record: _gap(record.suboptimality),
    "extra memory": lambda record: "" if record.peak_bytes is None else in_bytes(record.peak_bytes),
    "of X": lambda record: _share_of_X(record),
}
_ORDER = (
    "what", "way", "median", "interval", "times faster", "GB/s", "GFLOP/s", "of ceiling", "ceiling", "reads",
    "gap", "kind", "(J − J*)/J*", "extra memory", "of X", "threads", "cache", "solver", "than", "first call",
    "compiling", "transfer",
)  # fmt: skip


def _share_of_X(record: Record) -> str:
    share = share_of_X(record)
    return "" if share is None else in_percent(share)
