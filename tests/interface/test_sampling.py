"""Samples: every part of the file, both classes, weights that keep sums unbiased."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.sampling import Sampler as _Sampler


class Sampler:
    """One that keeps its generator."""

    def __init__(self, y: np.ndarray, s: np.ndarray | None, row_bytes: int, random_state: int = 0) -> None:
        self._sampler = _Sampler([(y, s)], row_bytes)
        self._random = np.random.RandomState(random_state)

    def pick(self, size: int) -> RowSample:
        return self._sampler.pick(size, self._random)


def test_uniform_rows_come_in_runs_from_every_part_of_the_file() -> None:
    y = np.tile([0, 1], 5000)
    picked = Sampler(y, None, row_bytes=200).pick(400)
    assert len(picked.rows) == 400
    assert (picked.factors == 1.0).all()
    assert (np.diff(picked.rows) >= 0).all()
    runs = picked.rows.reshape(-1, 5)  # 1024 // 200 rows a run
    assert (np.diff(runs, axis=1) == 1).all()
    np.testing.assert_array_equal(runs[:, 0] // 125, np.arange(80))  # one run a cell of 10,000 / 80


@pytest.mark.parametrize("row_bytes", [1, 8, 100_000])
@pytest.mark.parametrize("size", [1, 7, 50])
def test_rows_exist_whatever_the_size(row_bytes: int, size: int) -> None:
    y = np.tile([0, 1], 25)
    picked = Sampler(y, None, row_bytes).pick(size)
    assert picked.rows.min() >= 0
    assert picked.rows.max() < 50


def test_rare_class_is_half_of_the_sample() -> None:
    y = np.zeros(100_000)
    y[:300] = 1  # and sorted
    picked = Sampler(y, None, row_bytes=80).pick(400)
    positive = y[picked.rows] == 1
    assert 100 <= positive.sum() <= 200  # 200 draws among 300 rows
    assert picked.factors[positive].sum() == pytest.approx(300, rel=1e-9)
    assert picked.factors[~positive].sum() == pytest.approx(99_700, rel=0.01)


def test_weighted_sums_are_unbiased() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(20_000) < 0.3).astype(float)
    s = 10.0 ** rng.uniform(-6, 6, 20_000)
    values = rng.standard_normal(20_000) + 1.0
    exact = s @ values / s.sum()
    sampler = Sampler(y, s, 80, random_state=1)
    estimates = []
    for _ in range(50):
        picked = sampler.pick(500)
        weights = picked.factors * s[picked.rows]
        assert weights.sum() == pytest.approx(s.sum(), rel=0.2)
        estimates.append(weights @ values[picked.rows] / s.sum())
    assert np.mean(estimates) == pytest.approx(exact, abs=4 * np.std(estimates) / np.sqrt(50))


def test_rows_of_weight_zero_are_never_drawn() -> None:
    s = np.tile([0.0, 1.0], 5000)
    y = np.tile([0, 0, 1, 1], 2500)
    assert (Sampler(y, s, 80).pick(900).rows % 2 == 1).all()


def test_same_seed_same_rows() -> None:
    y = np.tile([0, 1], 5000)
    first, second = (Sampler(y, None, 80, random_state=3).pick(100).rows for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = Sampler(y, None, 80, random_state=4).pick(100).rows
    assert not np.array_equal(first, other)


def test_problems_that_share_rows_are_heard_alike() -> None:
    """A row is as important as it is to all of them together; a balanced one alone needs no importance."""
    n = 20_000
    rare, even = np.zeros(n), np.tile([0.0, 1.0], n // 2)
    rare[:100] = 1
    sampler = _Sampler([(rare, None), (even, None)], 80)
    picked = sampler.pick(2000, np.random.RandomState(0))
    assert picked.factors.sum() == pytest.approx(n, rel=0.05)
    assert 60 <= (rare[picked.rows] == 1).sum() <= 100  # a quarter of the draws, among 100 rows
    both_even = _Sampler([(even, None), (1 - even, None)], 80).pick(400, np.random.RandomState(0))
    assert (both_even.factors == 1.0).all()
    one_class = _Sampler([(np.ones(n), None), (rare, None)], 80).pick(400, np.random.RandomState(0))
    assert np.isfinite(one_class.factors).all()


def test_blas_threads_change_no_bit() -> None:
    """A worker of a cluster has one, where the process that asks it has them all."""
    random = np.random.default_rng(3)
    y, s = random.integers(0, 2, 40_000), random.random(40_000)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(Sampler(y, s, row_bytes=100).pick(4000).factors.tobytes())
    assert found[0] == found[1]
