"""What the benchmark report compares with what: the staircase, speed-ups, crossings, curves, memory."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

for _package in ("jinja2", "matplotlib", "PIL"):
    pytest.importorskip(_package, reason=f"{_package} is not installed")

from support.bench_samples import NO_GPU, document, only  # noqa: E402

from accel_logreg.measure.intervals import Interval, Timed, crossings  # noqa: E402
from bench.report import plots as bench_plots  # noqa: E402
from bench.report.document import BenchDocument  # noqa: E402
from bench.report.page import sections  # noqa: E402
from bench.report.plots import curves, dot_crossings, dot_ways, staircase_steps  # noqa: E402
from bench.report.table import base_of, share_of_X  # noqa: E402


@pytest.fixture(scope="module")
def sample() -> BenchDocument:
    return document()


def test_the_staircase_goes_from_the_loop_to_the_gpu_and_says_why_one_is_absent(
    sample: BenchDocument,
) -> None:
    size, steps = staircase_steps(sample)
    assert size == 1_000_000
    names = ["loop over arrays", "loop over lists", "NumPy", "Numba, 1 thread", "Numba, 4 threads", "CuPy"]
    assert [step.name for step in steps] == names
    assert [step.name for step in steps if step.seconds is None] == ["CuPy"]
    assert steps[-1].reason == NO_GPU
    (section,) = [one for one in sections(sample) if one.title == "From the loop to the GPU"]
    assert section.absent == (f"CuPy: not measured here: {NO_GPU}",)
    words = " ".join(ET.fromstring(section.pictures[0].svg).itertext())
    first, last = steps[0].seconds, steps[4].seconds
    assert first is not None
    assert last is not None
    assert f"{first.value / last.value:.0f}×" in words


def test_a_step_without_a_reason_says_that_none_was_recorded(sample: BenchDocument) -> None:
    _, steps = staircase_steps(replace(sample, skipped={}))
    assert steps[-1].reason == "no reason recorded"
    alone = replace(
        sample,
        machine={**sample.machine, "usable_cores": 1},
        records=tuple(one for one in sample.records if one.version != "numba, all threads"),
    )
    assert staircase_steps(alone)[1][4].reason == "this machine has one core"


def test_a_cold_cache_is_another_question(sample: BenchDocument) -> None:
    warm = next(one for one in sample.records if one.engine == "numpy" and one.shape == (2, 1_000_000))
    cold = replace(warm, name="cold", cache="cold", seconds=(9.0,) * 11, median_seconds=9.0)
    both = replace(sample, records=(*sample.records, cold))
    assert staircase_steps(both) == staircase_steps(sample)
    assert dot_ways(both) == dot_ways(sample)


def test_crossings_are_where_the_sample_puts_them(sample: BenchDocument) -> None:
    """NumPy and Numba's threads cost the same at (1.2e-5 − 6e-7) / (2.4e-10 − 1.2e-10) = 95,000 numbers."""
    found = {(one.name, one.other): one for one in dot_crossings(dot_ways(sample))}
    one = found["numba, all threads", "np.dot"]
    assert one.rising
    assert one.below < 95_000 < one.above
    assert one.in_words("numbers").startswith("numba, all threads overtakes np.dot between ")
    assert not found["numba, one thread", "np.dot"].rising


def test_equals_do_not_cross() -> None:
    base = Timed("base", "numpy", dict.fromkeys((1, 10, 100), (1.0, 1.1, 0.9, 1.0, 1.2)))
    mine = Timed("mine", "numba", {1: (2.0,) * 5, 10: (1.0, 0.9, 1.1, 1.2, 1.0), 100: (0.5,) * 5})
    (one,) = crossings(mine, base)
    assert (one.below, one.above, one.rising) == (1, 100, True)
    assert crossings(base, base) == []


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (Interval(2.0, 1.5, 2.5), True),
        (Interval(0.5, 0.4, 0.9), False),
        (Interval(1.2, 0.9, 1.4), None),
        (Interval(1.05, float("nan"), float("nan")), None),
        (Interval(1.2, float("nan"), float("nan")), True),
    ],
)
def test_who_leads(ratio: Interval, expected: bool | None) -> None:
    assert ratio.leads is expected


def test_one_length_is_no_curve(sample: BenchDocument) -> None:
    one = replace(
        sample, records=tuple(r for r in sample.records if r.suite == "dot" and r.shape == (2, 1_000_000))
    )
    assert "Speed-up against size" in [one.title for one in sections(sample)]
    assert "Speed-up against size" not in [section.title for section in sections(one)]


def test_what_varies_while_all_else_stays_is_a_curve(sample: BenchDocument) -> None:
    found = curves(sample)
    assert [[size for size, _ in curve.points] for curve in found["threads"]] == [[1, 2, 3, 4]]
    assert {curve.engine for curve in found["rows"]} == {"numpy", "numba"}
    assert [size for size, _ in found["columns"][0].points] == [10, 100, 1_000]
    assert curves(only(sample, "dot")) == {}


def test_a_record_is_compared_with_the_simplest_engine_on_the_same_problem(sample: BenchDocument) -> None:
    group = sample.groups()["gradient 2000x28 float64"]
    assert all(base_of(record, list(reversed(group))).engine == "python" for record in group)
    rows = [record for record in sample.records if record.suite == "scaling"]
    assert all(base_of(record, rows).shape == record.shape for record in rows)


def test_memory_is_told_in_percent_of_X(sample: BenchDocument) -> None:
    """By the suite itself, or else from the bytes of one read."""
    record = next(one for one in sample.records if one.suite == "memory" and one.engine == "numba")
    assert share_of_X(record) == pytest.approx(3.9, rel=1e-3)
    assert share_of_X(replace(record, extra={"percent_of_X": 7.0}, bytes_moved=None)) == 7.0
    assert share_of_X(replace(record, bytes_moved=None)) is None
    assert share_of_X(replace(record, peak_bytes=None)) is None
    assert bench_plots.memory(sample) is not None
    assert bench_plots.memory(only(sample, "dot")) is None
