"""A benchmark document and its records, made up, with any field as a test wants it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from bench.report.document import BenchDocument, Record

MACHINE = {"cpu": "a processor", "usable_cores": 2, "python": "CPython 3.11", "packages": {"numpy": "2.4.6"}}


def record(name: str = "a benchmark", seconds: Sequence[float] = (1e-3, 2e-3), **changed: Any) -> Record:
    """One benchmark; its interval is not known."""
    return Record(
        **{
            "name": name,
            "suite": "pass",
            "group": "gradient 20x3 float64",
            "engine": "numba",
            "version": "",
            "problem": "correlated",
            "shape": (20, 3),
            "dtype": "float64",
            "threads": 2,
            "seed": 1,
            "seconds": tuple(map(float, seconds)),
            "median_seconds": statistics.median(seconds),
            "interval": (math.nan, math.nan),
            **changed,
        }
    )


def document(records: Sequence[Record] = (), **changed: Any) -> BenchDocument:
    return BenchDocument(
        **{
            "command": "make bench",
            "mode": "quick",
            "revision": "abc1234",
            "machine": MACHINE,
            "ceilings": {},
            "noise": {"relative": 0.01, "load_average": 0.1, "warning": ""},
            "records": tuple(records),
            **changed,
        }
    )
