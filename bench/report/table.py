"""The document as text: one block a group, fastest first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from accel_logreg.measure.clock import in_words, significant
from accel_logreg.measure.table import Table, plain_lines
from bench.harness.noise import Noise
from bench.report.document import BenchDocument, Record


def text(document: BenchDocument) -> str:
    """Every group, what was skipped and why, ceilings, and whether the machine was quiet."""
    blocks = ["\n".join(_block(group, records)) for group, records in document.groups().items()]
    if document.skipped:
        blocks.append("\n".join(_skipped(document.skipped)))
    blocks.append("\n".join(_ceilings(document.ceilings)))
    if document.noise:
        blocks.append(f"noise: {Noise.verdict(document.noise)}")
    return "\n\n".join(blocks)


def _block(group: str, records: Sequence[Record]) -> list[str]:
    ordered = sorted(records, key=lambda record: record.median_seconds)
    slowest = ordered[-1].median_seconds
    columns: dict[str, Callable[[Record], str]] = {
        "": lambda record: record.label,
        "threads": lambda record: str(record.threads),
        "median": lambda record: in_words(record.median_seconds),
        "95 % interval": _interval,
        "times faster": lambda record: significant(slowest / record.median_seconds),
        "first call": lambda record: _time(record.first_seconds),
        "compiling": lambda record: _time(record.compile_seconds),
        "reads": lambda record: "" if not record.reads else f"{record.reads:.3g}",
        "rate": _rate,
        "of ceiling": lambda record: _percent(record.percent_of_ceiling),
        "of a plain sum": lambda record: _percent(record.extra.get("percent_of_plain_sum")),
        "gap": lambda record: "" if record.suboptimality is None else f"{record.suboptimality:.1e}",
        "solver": lambda record: record.solver,
        "extra memory": lambda record: "" if record.peak_bytes is None else _bytes(record.peak_bytes),
    }
    cells = {name: [cell(record) for record in ordered] for name, cell in columns.items()}
    shown = [name for name, column in cells.items() if any(column)]
    rows = zip(*(cells[name] for name in shown), strict=True)
    turns = " (in turns)" if len(ordered) > 1 and all(record.interleaved for record in ordered) else ""
    return plain_lines(Table(group + turns, tuple(shown), tuple(rows)))


def _interval(record: Record) -> str:
    low, high = record.interval
    if math.isnan(low):
        return f"{len(record.seconds)} of them"
    return f"{in_words(low)} to {in_words(high)}"


def _rate(record: Record) -> str:
    if record.rate is None:
        return ""
    return f"{significant(record.rate / 1e9)} G{'FLOP' if 'product' in record.ceiling_of else 'B'}/s"


def _time(seconds: float | None) -> str:
    return "" if seconds is None else in_words(seconds)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2g} %" if value < 1 else f"{value:.0f} %"


def _bytes(n: int) -> str:
    return f"{n / 1e6:.3g} MB"


def _skipped(skipped: dict[str, str]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        by_reason.setdefault(reason, []).append(name.rpartition("/")[2])
    return [
        "not run:",
        *(
            f"  {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason}"
            for reason, names in by_reason.items()
        ),
    ]


def _ceilings(ceilings: dict[str, float]) -> list[str]:
    return [
        "ceilings, measured in this run:",
        *(
            f"  {name}: {significant(rate / 1e9)} G{'FLOP' if 'product' in name else 'B'}/s"
            for name, rate in ceilings.items()
        ),
    ]
