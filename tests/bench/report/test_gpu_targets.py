"""The table of GPU targets from MADE-UP records: no figure in this file was measured."""

from __future__ import annotations

from typing import Any

import pytest
from support.bench_documents import record

from bench.report import gpu_targets
from bench.report.document import Record


def made_up(suite: str, version: str, shape: tuple[int, int], seconds: float, **facts: Any) -> Record:
    """A float32 record of the CuPy engine; what is no field of a record is extra."""
    named = {name: facts.pop(name) for name in ("dtype", "engine", "group") if name in facts}
    named = {"dtype": "float32", "engine": "cupy", **named}
    return record("made up", [seconds], suite=suite, version=version, shape=shape, extra=facts, **named)


def gradient(shape: tuple[int, int], percent: float, dtype: str = "float32") -> Record:
    facts = {"percent_of_copy": percent, "device_copy_bytes_per_second": 1e12}
    return made_up("gpu_gradient", "ours", shape, 1e-2, dtype=dtype, **facts)


def reached(row: int, records: list[Record]) -> tuple[bool, str]:
    """Whether a target is met, and what was reached, in words; no words where nothing was measured."""
    words, met = gpu_targets.TARGETS[row].judge(records) or ("", False)
    return met, words


def test_the_slowest_large_gradient_counts() -> None:
    records = [
        gradient((10_000_000, 28), 95.0),
        gradient((10_000_000, 50), 91.0),
        gradient((1_000_000, 28), 20.0),  # too small
        gradient((100_000_000, 20), 20.0),  # too few features
        gradient((10_000_000, 50), 20.0, "float64"),
    ]
    met, words = reached(0, records)
    assert met
    assert words.startswith("91.0 % by kernels, 20.0 % by the whole question, at 10,000,000×50")
    met, words = reached(0, [*records, gradient((25_000, 12_288), 89.9)])
    assert not met
    assert "lowest of 3 shapes" in words


@pytest.mark.parametrize(
    ("row", "shape", "most"), [(1, (10_000_000, 50), 6e-3), (2, (1_000_000, 28), 1.5e-3)]
)
def test_resident_fits(row: int, shape: tuple[int, int], most: float) -> None:
    parts = {"checking": 1e-3, "taking rows": 1e-3, "questions": 2e-3, "solver": 5e-4}
    for seconds, met in ((most, True), (1.01 * most, False)):
        found, words = reached(row, [made_up("gpu_fit", "ours", shape, seconds, seconds_of_parts=parts)])
        assert found is met
        assert "profiled, 2.50 ms were questions and solver" in words
    others = [
        made_up("gpu_fit", "cuML, qn", shape, 1e-4),
        made_up("gpu_fit", "ours", shape, 1e-4, dtype="float64"),
        made_up("gpu_fit", "ours", (5, 5), 1e-4),
    ]
    assert reached(row, others) == (False, "")


def test_descent_and_one_step_beside_the_loop() -> None:
    shape = (209, 12_288)
    both = ("float32", "float64")
    ours = [made_up("gpu_descent", "ours", shape, 19e-3, dtype=dtype, steps=2000) for dtype in both]
    assert reached(3, ours)[0]
    assert reached(5, ours) == (False, "")
    loop = made_up("gpu_descent", "", shape, 0.3, dtype="float64", engine="python", steps=3)
    met, words = reached(5, [*ours, loop])
    assert met
    assert words.startswith("10,526 ×")
    faster_loop = made_up("gpu_descent", "", shape, 0.2, dtype="float64", engine="python", steps=3)
    met, words = reached(5, [*ours, faster_loop])
    assert words
    assert not met


def test_a_host_fit_beside_the_faster_copy() -> None:
    shape = (5_000_000, 28)
    group = [
        made_up("gpu_host", "fit", shape, 13e-3, group="g"),
        made_up("gpu_host", "copy alone, pinned", shape, 10e-3, group="g"),
        made_up("gpu_host", "copy alone, plain", shape, 40e-3, group="g"),
    ]
    met, words = reached(4, group)
    assert met
    assert words.startswith("1.30 ×")
    worse = [
        made_up("gpu_host", "fit", (3_000_000, 50), 14e-3, group="h"),
        made_up("gpu_host", "copy alone, pinned", (3_000_000, 50), 10e-3, group="h"),
    ]
    met, words = reached(4, [*group, *worse])
    assert words
    assert not met
    assert reached(4, group[:1]) == (False, "")  # nothing to compare with


def test_the_table_says_what_was_not_measured() -> None:
    lines = gpu_targets.text([gradient((10_000_000, 28), 95.0)]).splitlines()
    assert lines[0] == "Targets on a GPU"
    assert len(lines) == 2 + len(gpu_targets.TARGETS)
    assert lines[2].endswith("  met")
    assert all("not measured in this run" in line and line.endswith("  not met") for line in lines[3:])
