"""From pytest-benchmark's JSON to records, ceilings and the printed table."""

from __future__ import annotations

from typing import Any

import pytest
from support.bench_documents import document

from bench.harness.laboratory import Replay
from bench.harness.noise import Noise
from bench.report import table
from bench.report.ceilings import none_above
from bench.report.results_file import record

CEILINGS = {"read bandwidth": 1e10, "float64 product": 1e11, "float32 product": 2e11, "device copy": 1e12}


def entry(seconds: list[float], **info: Any) -> dict[str, Any]:
    known = {
        "engine": "numba",
        "shape": [1000, 10],
        "dtype": "float64",
        "threads": 2,
        "seed": 1,
        "interleaved": True,
    }
    return {
        "fullname": "bench/suites/bench_pass.py::bench_gradient[numba-1000x10]",
        "group": "gradient",
        "stats": {"data": seconds},
        "extra_info": {**known, **info},
    }


def test_a_record_has_fields_by_name_and_the_rest_as_extra() -> None:
    made = record(entry([1.0, 3.0, 2.0, 2.0, 2.0], version="one thread", steps=5), CEILINGS)
    assert (made.name, made.suite) == ("bench_pass.py::bench_gradient[numba-1000x10]", "pass")
    assert (made.label, made.shape, made.median_seconds) == ("numba, one thread", (1000, 10), 2.0)
    assert made.interval[0] <= 2.0 <= made.interval[1]
    assert made.extra == {"steps": 5}
    assert made.interleaved


@pytest.mark.parametrize(
    ("info", "rate", "of", "percent"),
    [
        ({"bytes_moved": 1e9, "flops": 1e9, "cache": "memory"}, 1e9, "read bandwidth", 10.0),
        ({"bytes_moved": 1e9, "flops": 5e10, "cache": "memory"}, 5e10, "float64 product", 50.0),
        ({"flops": 5e10, "arithmetic": "float32"}, 5e10, "float32 product", 25.0),
        ({"bytes_moved": 1e9, "flops": 1e9, "cache": "hot"}, 1e9, "", None),
        ({"bytes_moved": 1e9, "flops": 5e10, "cache": "hot"}, 5e10, "float64 product", 50.0),
        ({"bytes_moved": 1e11, "engine": "cupy"}, 1e11, "device copy", 10.0),
        ({"bytes_moved": 1e9, "flops": 5e13, "arithmetic": "int8"}, 5e13, "", None),
        ({}, None, "", None),
    ],
)
def test_the_ceiling_is_what_takes_longest(
    info: dict[str, Any], rate: float | None, of: str, percent: float | None
) -> None:
    made = record(entry([1.0] * 5, **info), CEILINGS)
    assert (made.rate, made.ceiling_of) == (rate, of)
    assert made.percent_of_ceiling == (None if percent is None else pytest.approx(percent))


def test_the_timer_of_pytest_benchmark_replays_our_samples() -> None:
    replay = Replay()
    replay.load([0.25, 0.5])
    spans = []
    for _ in range(2):
        start = replay()
        spans.append(replay() - start)
    assert spans == [0.25, 0.5]


def test_a_quiet_run_is_not_called_busy() -> None:
    found = document([record(entry([1.0] * 5), {})])
    assert "busy" not in table.text(found)
    assert "noise: Quiet enough to compare." in table.text(found)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("", "the Python loop"),
        ("one read", "the Python loop (one read)"),
        ("loop over lists", "the loop over lists"),
    ],
)
def test_a_baseline_is_named(version: str, words: str) -> None:
    """In every table that says "times faster", the printed one too."""
    slow = entry([2e-3] * 5, engine="python", version=version)
    found = document([record(each, {}) for each in (slow, entry([1e-3] * 5))])
    title, columns, first, *_ = table.text(found).splitlines()
    assert title == "gradient (in turns)"
    assert "times faster" in columns
    assert "than" in columns
    assert words in first


def test_a_ceiling_that_was_exceeded_is_said() -> None:
    fast = entry([1e-3] * 5, bytes_moved=2e7, cache="memory")
    half = entry([1e-3] * 5, bytes_moved=1e7, cache="memory", engine="numpy")
    limits = {"read bandwidth": 1e10}
    found = none_above(document([record(each, limits) for each in (fast, half)], ceilings=limits))
    text = table.text(found)
    assert "read bandwidth: 20.0 GB/s, the best rate seen: measured by itself it was 10.0 GB/s" in text
    assert "200 %" not in text
    assert " 100 %" in text
    machine = {**found.machine, "cache_bytes": {"L3": 1 << 30}}
    cached = none_above(document([record(fast, limits)], ceilings=limits, machine=machine))
    (row,) = table.record_table("", cached.records, cached).rows
    assert "none: X came from a cache" in row
    assert not any("%" in cell for cell in row)


def test_the_table_says_what_a_reader_needs() -> None:
    fast = entry([1e-3] * 5, bytes_moved=5e6, cache="memory", suboptimality=3e-10, peak_bytes=2_000_000)
    slow = entry([2e-3] * 5, engine="numpy", solver="newton")
    found = document(
        [record(each, CEILINGS) for each in (slow, fast)],
        ceilings=CEILINGS,
        noise=Noise({"sum": [1.0, 1.5] * 6}).to_dict(),
        skipped={"bench/suites/bench_pass.py::a": "no device", "bench/suites/bench_pass.py::b": "no device"},
    )
    lines = table.text(found).splitlines()
    warning = "The machine was busy: conclude nothing from small differences. Fixed work varied by 40%"
    assert lines[0].startswith(warning)
    assert lines[2] == "gradient (in turns) [busy machine]"
    assert lines[4].split()[:3] == ["numba", "1.00", "ms"]  # fastest first
    for words in ("2.00", "numpy", "5.00", "50 %", "3.0e-10", "2.00 MB"):
        assert words in lines[4]
    assert "newton" in lines[5]
    assert any(line == "  bench_pass.py::a and 1 more: no device" for line in lines)
    assert any(line.startswith(f"noise: {warning}") for line in lines)
    assert "  read bandwidth: 10.0 GB/s" in lines
