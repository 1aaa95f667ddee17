"""Benchmark documents survive a file whole; medians and ratios come with honest intervals."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.bench_documents import document, record

from accel_logreg.measure.intervals import median_interval, ratio_interval
from bench.report import document as bench_document
from bench.report.document import BenchDocumentError

RECORD = record("bench_pass.py::bench_gradient[numba-20x3]", suboptimality=0.0, extra={"sorted": True})
DOCUMENT = document(
    [RECORD, replace(RECORD, name="other", version="one thread", interval=(1e-3, 2e-3))],
    ceilings={"read bandwidth": 3e10},
    skipped={"bench_dot.py::bench_dot[cupy]": "no device"},
)


def test_a_document_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    DOCUMENT.write(tmp_path / "folder" / "results.json")
    read = bench_document.read(tmp_path / "folder" / "results.json")
    first = read.records[0]
    assert all(math.isnan(bound) for bound in first.interval)
    assert replace(read, records=()) == replace(DOCUMENT, records=())
    assert replace(first, interval=RECORD.interval) == RECORD  # the same NaN object compares equal
    assert read.records[1:] == DOCUMENT.records[1:]
    assert [record.label for record in read.groups()[RECORD.group]] == ["numba", "numba, one thread"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "not of 'make bench'"),
        (json.dumps({"format": "accel_logreg benchmarks", "version": 1}), "of version 1; this one reads"),
        (json.dumps({"format": "accel_logreg benchmarks", "version": 2}), "not a whole benchmark document"),
    ],
)
def test_what_is_not_a_document_is_refused_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(BenchDocumentError, match=message):
        bench_document.read(path)


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
