"""Compiled fits of small sparse models, and coordinate descent over columns, beside what they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from support.l1_reference import SparseProblem

from accel_logreg.backends import load_backend
from accel_logreg.interface.arrays import Csr
from accel_logreg.interface.rows import ColumnDescent
from accel_logreg.kernels.numba_jit import csr_descent

TOL = 1e-8


def problem(seed: int, n: int, d: int, filled: float = 1.0) -> tuple[Any, Any, Any]:
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, d)) * 10.0 ** random.uniform(-1, 1, d) + random.standard_normal(d)
    X *= random.random((n, d)) < filled
    z = X[:, : max(1, d // 3)] @ random.standard_normal(max(1, d // 3))
    y = (random.random(n) < 1.0 / (1.0 + np.exp(-z / max(1.0, float(z.std()))))).astype(np.float64)
    y[:2] = 0.0, 1.0
    return X, y, random.choice([0.5, 1.0, 3.0], n)


def csr(X: Any) -> Csr:
    found = sparse.csr_matrix(X)
    return Csr(found.data, found.indices, found.indptr, X.shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_by_columns(dtype: Any) -> None:
    X = problem(0, 30, 11, 0.3)[0].astype(dtype)
    X[:, 4] = 0.0
    rows, columns = sparse.csr_matrix(X), sparse.csc_matrix(X)
    values, numbers, starts = csr_descent.by_columns(rows.data, rows.indices, rows.indptr, 11)
    np.testing.assert_array_equal(values, columns.data)
    np.testing.assert_array_equal(numbers, columns.indices)
    np.testing.assert_array_equal(starts, columns.indptr)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_descent_ends_where_the_model_is_least(seed: int, bounded: bool, fit_intercept: bool) -> None:
    """Where a step along any column, or the intercept, only raises it."""
    X, y, s = problem(seed, 60, 12, 0.5)
    d = X.shape[1]
    rows = load_backend("numba").place(csr(X), y, s)
    descent = rows.column_descent()
    assert isinstance(descent, ColumnDescent)
    W = np.random.default_rng(seed).standard_normal(d + 1) * 0.1
    if bounded:
        W[:-1] = np.abs(W[:-1])
    W[-1] *= fit_intercept
    gradient = rows.loss_grad(W)[1]
    l1, l2 = np.full(d, 0.02), np.full(d, 0.01 * (seed % 2))
    H = rows.hessian(W, np.zeros(d), np.ones(d), precision="float64")
    found = descent.minimise_model(
        W, gradient, l1, l2, at_least_zero=bounded, fit_intercept=fit_intercept, tol=1e-12, sweeps=10_000
    )
    assert not bounded or (found[:-1] >= 0.0).all()
    assert fit_intercept or found[-1] == 0.0

    def model(x: Any) -> float:
        step = x - W
        return float(
            gradient @ step + 0.5 * step @ H @ step + l1 @ np.abs(x[:-1]) + 0.5 * l2 @ np.square(x[:-1])
        )

    least = model(found)
    for j in range(d + fit_intercept):
        for by in (1e-4, -1e-4):
            x = found.copy()
            x[j] += by
            if not (bounded and j < d and x[j] < 0.0):
                assert model(x) >= least - 1e-13
    assert (found[:-1] == 0.0).any()


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("l1_ratio", "positive"), [(1.0, False), (0.5, False), (1.0, True)])
def test_a_whole_fit(layout: str, fit_intercept: bool, l1_ratio: float, positive: bool) -> None:
    """Its bound holds, by a judge in extended precision; from its own answer it takes no step."""
    engine = load_backend("numba")
    for seed, (n, d) in enumerate([(40, 3), (200, 20), (30, 40), (500, 7)]):
        X, y, s = problem(seed, n, d, 0.4 if layout == "sparse" else 1.0)
        C = 1.0 / (0.02 * s.sum() * np.abs(X).max())
        given: Any = csr(X) if layout == "sparse" else X
        rows = engine.place(given, y, s)
        strength = 1.0 / (C * s.sum())
        l1, l2 = np.full(d, strength * l1_ratio), np.full(d, strength * (1.0 - l1_ratio))
        start = np.zeros(d + 1)
        of = l1, l2, fit_intercept, TOL, 100
        run = engine.small_sparse_fit(rows, start, *of, at_least_zero=positive)
        assert run is not None
        assert not start.any()
        reference = SparseProblem(
            X, y.astype(int), s=s, C=C, l1_ratio=l1_ratio, fit_intercept=fit_intercept, positive=positive
        )
        excess = reference.excess(run.W[np.newaxis, :-1], run.W[-1:])
        assert excess <= run.bound / (run.costs[-1] - run.bound) + 1e-12 <= 2.0 * TOL
        again = engine.small_sparse_fit(rows, run.W, *of, at_least_zero=positive)
        assert again is not None
        assert len(again.costs) == 1


def test_larger_problems_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from accel_logreg.backends.numba_jit import tuning

    X, y, _ = problem(0, 40, 3)
    for name, given in (("SMALL_ENTRIES", X), ("SMALL_NONZEROS", csr(X))):
        monkeypatch.setattr(tuning, name, 10)
        engine = load_backend("numba")
        rows = engine.place(given, y, None)
        assert engine.small_sparse_fit(rows, np.zeros(4), np.ones(3), np.zeros(3), True, TOL, 50) is None


def test_too_few_steps_are_none() -> None:
    X, y, _ = problem(0, 200, 20)
    engine = load_backend("numba")
    for given in (X, csr(X)):
        rows = engine.place(given, y, None)
        l1 = np.full(20, 1e-4)
        assert engine.small_sparse_fit(rows, np.zeros(21), l1, np.zeros(20), True, TOL, 1) is None
