"""Benchmark documents survive a file whole, and pytest-benchmark reads it; intervals are honest."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from support.bench_documents import document, record

from accel_logreg.measure.intervals import median_interval, ratio_interval
from bench.report import results_file
from bench.report.results_file import BenchDocumentError, finite

RECORD = record(
    "bench_pass.py::bench_gradient[numba-20x3]",
    suboptimality=0.0,
    reads=1.0,
    bytes_moved=480.0,
    rate=4.8e5,
    ceiling=3e10,
    ceiling_of="read bandwidth",
    percent_of_ceiling=1.6e-3,
    params={"engine": "numba", "shape": "20x3"},
    extra={"sorted": True, "calls_a_sample": 50},
)
SLOWER = replace(
    RECORD,
    name="bench_pass.py::bench_gradient[numpy-20x3]",
    engine="numpy",
    version="one thread",
    seconds=(2e-3, 4e-3, 3e-3),
    median_seconds=3e-3,
    interval=(2e-3, 4e-3),
)
DOCUMENT = document(
    [RECORD, SLOWER],
    ceilings={"read bandwidth": 3e10},
    skipped={"bench_dot.py::bench_dot[cupy]": "no device"},
)
# Every field that pytest-benchmark 5 writes.
OF_THE_RUN = {"machine_info", "commit_info", "datetime", "version", "benchmarks"}
OF_A_BENCHMARK = {"group", "name", "fullname", "params", "param", "extra_info", "options", "stats"}
STATISTICS = {
    "min", "max", "mean", "stddev", "rounds", "median", "iqr", "q1", "q3", "iqr_outliers", "stddev_outliers",
    "outliers", "ld15iqr", "hd15iqr", "ops", "total", "data", "iterations",
}  # fmt: skip


def test_a_document_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    results_file.write(DOCUMENT, tmp_path / "folder" / "results.json")
    read = results_file.read(tmp_path / "folder" / "results.json")
    assert replace(read, records=()) == replace(DOCUMENT, records=())
    first = read.records[0]
    assert all(math.isnan(bound) for bound in first.interval)
    assert replace(first, interval=RECORD.interval) == RECORD
    assert read.records[1] == SLOWER
    assert [record.label for record in read.groups()[RECORD.group]] == ["numba", "numpy, one thread"]


def test_a_file_is_whole_json_of_pytest_benchmark() -> None:
    body = json.loads(results_file.to_json(DOCUMENT))
    assert body.keys() == OF_THE_RUN | {"accel_logreg"}
    assert (body["commit_info"]["id"], body["commit_info"]["dirty"]) == ("abc1234", False)
    entry = body["benchmarks"][1]
    assert entry.keys() == OF_A_BENCHMARK
    assert entry["stats"].keys() == STATISTICS
    assert (entry["name"], entry["param"]) == ("bench_gradient[numpy-20x3]", "numpy-20x3")
    assert entry["fullname"] == "bench/suites/bench_pass.py::bench_gradient[numpy-20x3]"
    assert entry["params"] == {"engine": "numba", "shape": "20x3"}
    found = {name: entry["stats"][name] for name in ("min", "max", "median", "rounds", "iterations")}
    assert found == {"min": 2e-3, "max": 4e-3, "median": 3e-3, "rounds": 3, "iterations": 50}
    assert entry["stats"]["ops"] == pytest.approx(1 / 3e-3)
    beside = entry["extra_info"]
    assert (beside["interval"], beside["reads"], beside["bytes_moved"]) == ([2e-3, 4e-3], 1.0, 480.0)


def test_pytest_benchmark_compares_two_of_them(tmp_path: Path) -> None:
    """By its own command, from a folder where it finds nothing of ours."""
    faster = replace(RECORD, seconds=(1e-4, 2e-4, 3e-4), median_seconds=2e-4)
    results_file.write(DOCUMENT, tmp_path / "before.json")
    results_file.write(replace(DOCUMENT, records=(faster, SLOWER)), tmp_path / "after.json")
    command = Path(sys.executable).with_name("pytest-benchmark")
    arguments = [command, "compare", "before.json", "after.json", "--group-by=param:engine", "--csv=out"]
    shown = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "benchmark 'engine=numba': 4 tests" in shown.stdout
    table = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 5
    assert "0.0002" in "".join(table)


def test_a_file_of_version_2_is_read_as_before(tmp_path: Path) -> None:
    lines = [
        {name: value for name, value in asdict(one).items() if name != "params"} for one in DOCUMENT.records
    ]
    body = {"format": results_file.FORMAT, "version": 2, **asdict(DOCUMENT), "records": lines}
    del body["exceeded"]
    (tmp_path / "old.json").write_text(json.dumps(finite(body)))
    read = results_file.read(tmp_path / "old.json")
    assert replace(read.records[1], params=SLOWER.params) == SLOWER
    assert replace(read, records=()) == replace(DOCUMENT, records=())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "not of 'make bench'"),
        ({"machine_info": {}, "benchmarks": []}, "not of 'make bench' nor of 'pytest bench'"),
        ({"format": "accel_logreg benchmarks", "version": 1}, "of version 1; this one reads version 3"),
        ({"format": "accel_logreg benchmarks", "version": 2}, "not a whole benchmark document"),
        (
            {
                "accel_logreg": {"format": "accel_logreg benchmarks", "version": 3},
                "benchmarks": [{"stats": {"median": 1.0}}],
            },
            "no samples, .* --benchmark-save-data",
        ),
    ],
)
def test_what_is_not_a_document_is_refused_with_the_reason(
    tmp_path: Path, body: object, message: str
) -> None:
    path = tmp_path / "results.json"
    path.write_text(body if isinstance(body, str) else json.dumps(body))
    with pytest.raises(BenchDocumentError, match=message):
        results_file.read(path)


def test_the_interval_of_a_median_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    truth = 1.0 + math.log(2.0)  # the median of 1 + Exp(1): a floor and a tail, like times
    intervals = [median_interval(1.0 + rng.exponential(size=25), seed=k) for k in range(200)]
    covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    assert 0.88 <= covered <= 1.0


def test_the_interval_of_a_ratio_covers_it_and_pairing_takes_out_what_rounds_share() -> None:
    rng = np.random.default_rng(4)
    shared = rng.exponential(size=40)
    base = 1.0 + shared + 0.01 * rng.random(40)
    slower = 1.2 * base
    apart = ratio_interval(slower, base)
    paired = ratio_interval(slower, base, paired=True)
    assert apart.value == pytest.approx(1.2)
    assert apart.low < 1.2 < apart.high
    assert paired.high - paired.low < 0.1 * (apart.high - apart.low)


def test_few_samples_give_no_interval_and_none_is_an_error() -> None:
    assert not median_interval([1.0, 2.0, 3.0, 4.0]).known
    assert not ratio_interval([1.0] * 4, [1.0] * 9).known
    same = median_interval([2.0] * 5)
    assert same.low == same.high == 2.0
    with pytest.raises(ValueError, match="no samples"):
        median_interval([])
    with pytest.raises(ValueError, match="equally many, got 2 and 3"):
        ratio_interval([1.0] * 2, [1.0] * 3, paired=True)
