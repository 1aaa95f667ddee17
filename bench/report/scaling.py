"""Curves over rows, columns and threads, found in a document by what varies while all else stays."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bench.report.document import BenchDocument, Record
from bench.report.ways import order

AXES: dict[str, Callable[[Record], int]] = {
    "rows": lambda record: record.shape[0],
    "columns": lambda record: record.shape[1] if len(record.shape) > 1 else 1,
    "threads": lambda record: record.threads,
}
FEWEST = {"rows": 3, "columns": 3, "threads": 2}  # points; fewer make no curve


@dataclass(frozen=True)
class Curve:
    """points: (size along the axis, record), ascending."""

    name: str
    engine: str
    points: tuple[tuple[int, Record], ...]


def curves(document: BenchDocument, suite: str = "scaling") -> dict[str, list[Curve]]:
    """Axis → its curves; an axis along which nothing was varied is left out."""
    records = [record for record in document.records if record.suite == suite]
    found: dict[str, list[Curve]] = {}
    for axis, size in AXES.items():
        families: dict[tuple[object, ...], dict[int, Record]] = {}
        for record in sorted(records, key=order):
            others = tuple(other(record) for name, other in AXES.items() if name != axis)
            key = (
                record.engine,
                _rest(record.version),
                record.dtype,
                _question(record),
                *others,
            )
            families.setdefault(key, {})[size(record)] = record
        made = [
            Curve(
                _name(next(iter(family.values())), axis),
                next(iter(family.values())).engine,
                tuple(sorted(family.items())),
            )
            for family in families.values()
            if len(family) >= FEWEST[axis]
        ]
        if made:
            found[axis] = made
    return found


def _question(record: Record) -> str:
    """The group without its numbers and what they count, which is what varies: "gradient"."""
    return _rest(record.group)


def _rest(text: str) -> str:
    words = re.sub(r"\b\d[\d,.e]*(x\d[\d,.e]*)*\b", "", text)
    words = re.sub(r"\b(by|float32|float64|rows|columns|threads?)\b", "", words)
    return " ".join(words.replace(",", " ").split())


def _name(record: Record, axis: str) -> str:
    """engine, question and what was held: "numba, gradient, 28 columns"."""
    held = {
        "rows": f"{AXES['columns'](record):,} columns",
        "columns": f"{record.shape[0]:,} rows",
        "threads": " × ".join(f"{length:,}" for length in record.shape),
    }[axis]
    parts = [record.engine, _question(record), record.dtype, held]
    if record.engine == "numba" and axis != "threads":
        parts.append("1 thread" if record.threads == 1 else f"{record.threads} threads")
    return ", ".join(part for part in parts if part)
