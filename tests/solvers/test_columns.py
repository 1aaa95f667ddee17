"""K problems in the same reads: every column's answer is that of the binary trainer, and scikit-learn's."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as ScikitLearn
from support.csr_problems import sparse

from accel_logreg import LogisticRegression
from accel_logreg.backends import load_backend
from accel_logreg.fitting.columns import ColumnFits, ColumnFitter, OneVsRestFit
from accel_logreg.inputs.training import TrainingData
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parts import Parts


@pytest.fixture(autouse=True)
def _no_fit_inside_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """These problems are so small that an engine would fit them one by one."""
    monkeypatch.setattr("accel_logreg.fitting.columns._COMPILED", 0)


def problem(
    rng: np.random.Generator, n: int, d: int, dtype: type[np.floating] = np.float64
) -> tuple[Any, np.ndarray]:
    X = rng.standard_normal((n, d))
    X[:, 1:] += 0.5 * X[:, :-1]
    X[:, 0] = 3.0 * X[:, 0] + 5.0
    w = rng.standard_normal(d) / np.sqrt(d)
    y = (rng.random(n) < 1.0 / (1.0 + np.exp(-(X - X.mean(axis=0)) @ w))).astype(np.int8)
    return X.astype(dtype), y


def fitter(
    engine: Engine, X: Any, y: np.ndarray, s: Float64 | None = None, lines: list[str] | None = None, **of: Any
) -> ColumnFitter:
    parameters = {**LogisticRegression().get_params(), "tol": 1e-12, **of}
    data = TrainingData(X, y, s, np.array([0, 1]))
    return ColumnFitter(engine, data, parameters, (lambda _: None) if lines is None else lines.append)


def optimum(
    X: Any, y: np.ndarray, C: float, s: Float64 | None = None, *, fit_intercept: bool = True
) -> Float64:
    """scikit-learn's, to rounding."""
    model = ScikitLearn(C=C, solver="newton-cholesky", tol=1e-12, fit_intercept=fit_intercept, max_iter=200)
    model.fit(np.asarray(X, dtype=np.float64), y, s)
    return np.append(model.coef_[0], model.intercept_)


def assert_optimal(fits: ColumnFits, k: int, expected: Float64) -> None:
    np.testing.assert_allclose(fits.W[:, k], expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("weights", ["none", "own"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_folds_and_penalties_are_those_of_fits_to_the_folds_rows(
    backend: Engine, rng: np.random.Generator, dtype: type[np.floating], weights: str, fit_intercept: bool
) -> None:
    n, d = 150, 4
    X, y = problem(rng, n, d, dtype)
    s = None if weights == "none" else rng.random(n) + 0.1
    of_row = rng.integers(0, 3, n)
    Cs = np.array([1e-3, 1.0, 1e3])
    parts = Parts(of_row, np.repeat(1.0 - np.eye(3), 3, axis=1))
    fits = fitter(backend, X, y, s, fit_intercept=fit_intercept).solve(np.tile(Cs, 3), parts=parts)
    assert (fits.gap <= 1e-12).all()
    assert fits.W.shape == (d + 1, 9)
    for k in range(9):
        train = of_row != k // 3
        own = None if s is None else s[train]
        assert_optimal(fits, k, optimum(X[train], y[train], Cs[k % 3], own, fit_intercept=fit_intercept))


@pytest.fixture
def _no_sparse_fit_inside_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    from accel_logreg.backends.numba_jit.engine import NumbaEngine

    monkeypatch.setattr(NumbaEngine, "rates", replace(NumbaEngine.rates, compiled_entries=0.0))


def sparse_problem(rng: np.random.Generator, n: int, d: int) -> tuple[Any, np.ndarray]:
    """Rows of few nonzeros, of columns of different scale, the last of which stores nothing."""
    X, y = problem(rng, n, d)
    X *= 10.0 ** rng.integers(-2, 3, d)
    X[rng.random(X.shape) < 0.6] = 0.0
    X[:, -1] = 0.0
    return X, y


@pytest.mark.usefixtures("_no_sparse_fit_inside_the_engine")
@pytest.mark.parametrize("weights", ["none", "own"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("started", [True, False])
def test_folds_and_penalties_of_sparse_rows(
    backend: Engine, rng: np.random.Generator, weights: str, fit_intercept: bool, started: bool
) -> None:
    """In shared reads: nothing is left to fits one by one, and no column is further off than it says."""
    n, d = 90, 5
    X, y = sparse_problem(rng, n, d)
    s = None if weights == "none" else rng.random(n) + 0.1
    of_row, Cs = rng.integers(0, 3, n), np.array([1e-3, 1.0, 1e2, 1e5])
    parts = Parts(of_row, np.repeat(1.0 - np.eye(3), 4, axis=1))
    rows = fitter(backend, sparse(X), y, s, fit_intercept=fit_intercept, tol=1e-10)
    start = rng.standard_normal((d + 1, 12)) if started else None
    if start is not None and not fit_intercept:
        start[-1] = 0.0
    fits = rows.solve(np.tile(Cs, 3), parts=parts, start=start, exact=False)
    assert (fits.gap <= 1e-10).all()
    for k in range(12):
        train = of_row != k // 4
        own = np.ones(n)[train] if s is None else s[train]
        W = fits.W[:, k], optimum(X[train], y[train], Cs[k % 4], own, fit_intercept=fit_intercept)
        found, best = (cost(X[train], y[train], own, w, Cs[k % 4]) for w in W)
        assert found == pytest.approx(fits.cost[k], rel=1e-9)
        assert (found - best) / best <= fits.gap[k] + 1e-13


def cost(X: np.ndarray, y: np.ndarray, s: Float64, W: Float64, C: float) -> float:
    z = X @ W[:-1] + W[-1]
    return float(np.average(np.logaddexp(0.0, z) - y * z, weights=s) + W[:-1] @ W[:-1] / (2.0 * C * s.sum()))


@pytest.mark.usefixtures("_no_sparse_fit_inside_the_engine")
def test_classes_of_sparse_rows_are_certified_by_strong_convexity(rng: np.random.Generator) -> None:
    X, _ = problem(rng, 200, 5)
    X[rng.random(X.shape) < 0.6] = 0.0
    Y = (rng.integers(0, 4, 200)[:, np.newaxis] == np.arange(4)).astype(np.int8)
    fits = fitter(load_backend("numba"), sparse(X), Y[:, 0], tol=1e-6).solve(
        np.full(4, 1e-2), Y=Y, exact=False, prove=True
    )
    assert (fits.kind == "certified").all()
    for k in range(4):
        W = fits.W[:, k], optimum(X, Y[:, k], 1e-2)
        found, best = (cost(X, Y[:, k], np.ones(200), w, 1e-2) for w in W)
        assert (found - best) / best <= fits.gap[k] + 1e-14


@pytest.mark.usefixtures("_no_sparse_fit_inside_the_engine")
def test_a_weak_penalty_starts_where_the_stronger_one_ended(rng: np.random.Generator) -> None:
    """On nearly separable rows, from the trivial point: fewer reads than without the column in between."""
    X, _ = sparse_problem(rng, 400, 12)
    y = (X[:, 0] > X[:, 1]).astype(np.int8)
    parts = Parts(np.zeros(400, dtype=np.intp), np.ones((1, 9)))
    Cs = np.logspace(-2, 6, 9)
    rows = fitter(load_backend("numba"), sparse(X), y, tol=1e-9)
    alone = [rows.solve(Cs[[k]], parts=parts.only(slice(0, 1)), exact=False) for k in range(9)]
    together = rows.solve(Cs, parts=parts, exact=False)
    assert (together.gap <= 1e-9).all()
    assert together.n_iter[-1] < alone[-1].n_iter[0]
    assert together.cost == pytest.approx([one.cost[0] for one in alone], rel=1e-7)


def test_what_sparse_columns_leave_short_is_fitted_again(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr("accel_logreg.fitting.columns._MOST_ITERATIONS", 1)
    X, y = sparse_problem(rng, 90, 4)
    parts = Parts(np.arange(90) % 2, np.eye(2))
    rows = fitter(load_backend("numpy"), sparse(X), y, tol=1e-10)
    assert (rows.solve(np.full(2, 10.0), parts=parts, exact=False).gap > 1e-10).all()
    assert (rows.solve(np.full(2, 10.0), parts=parts).gap <= 1e-10).all()


def test_sparse_rows_and_no_penalty_are_fitted_one_by_one(backend: Engine, rng: np.random.Generator) -> None:
    X, y = problem(rng, 120, 3)
    X[rng.random(X.shape) < 0.5] = 0.0
    Cs = np.array([np.inf, 0.5])
    for given in (X, sparse(X)):
        fits = fitter(backend, given, y).solve(Cs)
        assert (fits.gap <= 1e-12).all()
        for k, C in enumerate(Cs):
            assert_optimal(fits, k, optimum(X, y, C))


def test_rows_drawn_twice_count_twice(backend: Engine, rng: np.random.Generator) -> None:
    X, y = problem(rng, 80, 3)
    times = rng.integers(0, 3, 80)
    fits = fitter(backend, X, y).solve(np.ones(1), parts=Parts(times, np.array([[0.0], [1.0], [2.0]])))
    assert_optimal(fits, 0, optimum(np.repeat(X, times, axis=0), np.repeat(y, times), 1.0))


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_samples_lead_to_the_optimum_of_all_rows(name: str, rng: np.random.Generator) -> None:
    n, d = 6_000, 5
    X, y = problem(rng, n, d)
    lines: list[str] = []
    Cs = np.logspace(-4, 4, 5)
    fits = fitter(load_backend(name), X, y, lines=lines).solve(Cs)
    assert any("sample of" in line for line in lines)
    for k, C in enumerate(Cs):
        assert_optimal(fits, k, optimum(X, y, C))
    assert fits.reads < 12.0  # all five columns together


def test_a_category_that_one_fold_holds_alone_is_no_business_of_its_column(rng: np.random.Generator) -> None:
    """The other folds' columns have curvature along it, and this one has its penalty's alone."""
    n = 4_000
    X, y = problem(rng, n, 4)
    of_row = np.arange(n) % 4
    X[:, 3] = (of_row == 2) & (rng.random(n) < 0.1)
    y[(X[:, 3] == 1) & (rng.random(n) < 0.7)] = 1
    Cs = np.full(4, 100.0)
    rows = fitter(load_backend("numba"), X, y, tol=1e-9)
    start = rows.solve(Cs[:1]).W
    assert abs(start[3, 0]) > 0.5
    fits = rows.solve(Cs, parts=Parts(of_row, 1.0 - np.eye(4)), start=np.tile(start, 4))
    assert fits.W[3, 2] == pytest.approx(0.0, abs=1e-3)
    for k in range(4):
        train = of_row != k
        J = fits.cost[k]
        W = optimum(X[train], y[train], 100.0)
        z = X[train] @ W[:-1] + W[-1]
        m = train.sum()
        best = np.mean(np.logaddexp(0.0, z) - y[train] * z) + W[:-1] @ W[:-1] / (200.0 * m)
        assert J - best <= 1e-9 * best + 1e-14


def one_vs_rest(engine: Engine, X: Any, codes: Any, s: Any = None, tol: float = 1e-12) -> ColumnFits:
    parameters = {**LogisticRegression(C=2.0, tol=tol).get_params()}
    data = TrainingData(X, codes.astype(np.int32), s, np.unique(codes))
    return OneVsRestFit(engine, data, parameters, None, print)._fits()


@pytest.mark.parametrize("weights", ["none", "own"])
def test_one_against_the_rest_is_a_binary_fit_a_class(
    backend: Engine, rng: np.random.Generator, weights: str
) -> None:
    n, d, K = 150, 3, 4
    X = rng.standard_normal((n, d))
    codes = np.r_[
        np.arange(K), np.argmax(X @ rng.standard_normal((d, K)) + rng.gumbel(size=(n, K)), axis=1)[K:]
    ]
    s = None if weights == "none" else rng.random(n) + 0.1
    fits = one_vs_rest(backend, X, codes, s)
    assert fits.W.shape == (d + 1, K)
    for k in range(K):
        assert_optimal(fits, k, optimum(X, (codes == k).astype(int), 2.0, s))


def test_a_rare_class_is_in_the_samples(rng: np.random.Generator) -> None:
    n, d, K = 8_000, 4, 3
    X = rng.standard_normal((n, d))
    codes = rng.integers(0, 2, n)
    codes[:30] = 2
    X[:30] += 1.0
    fits = one_vs_rest(load_backend("numba"), X, codes)
    assert fits.reads < 20.0
    for k in range(K):
        assert_optimal(fits, k, optimum(X, (codes == k).astype(int), 2.0))


def test_many_columns_go_in_blocks(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    n, d, K = 200, 3, 7
    X, codes = rng.standard_normal((n, d)), np.arange(n) % K
    whole = one_vs_rest(load_backend("numba"), X, codes, tol=1e-8)
    monkeypatch.setattr("accel_logreg.fitting.columns._MOST_BYTES", 3_000)
    blocks = one_vs_rest(load_backend("numba"), X, codes, tol=1e-8)
    np.testing.assert_allclose(blocks.W, whole.W, rtol=1e-3, atol=1e-4)
    assert len(blocks.trouble) == K


def test_bounds_hold_and_are_near(rng: np.random.Generator) -> None:
    """A column's certified gap is at least what it is above the optimum, at any tol."""
    n, d = 3_000, 6
    X, y = problem(rng, n, d)
    Cs = np.logspace(-3, 3, 7)
    best = fitter(load_backend("numba"), X, y, tol=1e-15).solve(Cs, exact=False)
    for tol in (1e-2, 1e-6, 1e-9):
        fits = fitter(load_backend("numba"), X, y, tol=tol).solve(Cs, exact=False, prove=True)
        true = (fits.cost - best.cost) / best.cost
        assert (true <= fits.gap + 1e-15).all()
        assert (fits.gap <= tol).all()
        assert (fits.kind == "certified").all() or tol == 1e-2  # too far for the exact Hessian to say


def test_a_column_left_short_is_fitted_by_itself(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    X, y = problem(rng, 300, 4)
    monkeypatch.setattr("accel_logreg.fitting.columns._MOST_ITERATIONS", 1)
    rows = fitter(load_backend("numba"), X, y)
    Cs = np.array([1e-2, 1e2])
    assert (rows.solve(Cs, exact=False).gap > 1e-12).any()
    fits = rows.solve(Cs)
    assert (fits.gap <= 1e-12).all()
    for k, C in enumerate(Cs):
        assert_optimal(fits, k, optimum(X, y, C))


def test_columns_of_far_scales_are_solved(rng: np.random.Generator) -> None:
    X, y = problem(rng, 2_000, 5)
    scale = np.array([1e-5, 1.0, 1e5, 1.0, 1e-2])
    Cs = np.array([1e-2, 1.0, 1e4])
    fits = fitter(load_backend("numba"), X * scale, y, tol=1e-9).solve(Cs)
    assert (fits.gap <= 1e-9).all()
    for k, C in enumerate(Cs):
        single = LogisticRegression(C=C, tol=1e-9, backend="numba").fit(X * scale, y)
        z = single.decision_function(X * scale)
        np.testing.assert_allclose(
            (X * scale) @ fits.W[:-1, k] + fits.W[-1, k], z, atol=2e-4 * np.abs(z).max()
        )


def test_small_problems_are_fitted_inside_the_engine(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    X, y = problem(rng, 90, 3)
    of_row, Cs = np.arange(90) % 3, np.array([0.1, 10.0, 10.0])
    parts = Parts(of_row, 1.0 - np.eye(3))
    columns = fitter(load_backend("numba"), X, y).solve(Cs, parts=parts)
    monkeypatch.setattr("accel_logreg.fitting.columns._COMPILED", 1_000)
    monkeypatch.setattr("accel_logreg.fitting.columns.solve_columns", None)
    inside = fitter(load_backend("numba"), X, y).solve(Cs, parts=parts)
    np.testing.assert_allclose(inside.W, columns.W, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(inside.cost, columns.cost, rtol=1e-10)
    assert (inside.kind == "certified").all()
    assert inside.reads > 0.0


def test_a_matrix_that_says_nothing_has_the_labels_share(backend: Engine) -> None:
    y = (np.arange(200) % 4 == 0).astype(np.int8)
    fits = fitter(backend, np.ones((200, 2)), y).solve(np.array([0.1, 1.0]))
    np.testing.assert_allclose(fits.W[:2].sum(axis=0) + fits.W[2], np.log(1.0 / 3.0), atol=1e-5)
    assert (fits.gap <= 1e-12).all()


def test_steps_lower_every_columns_cost(rng: np.random.Generator) -> None:
    """With few iterations allowed, more of them never end higher."""
    from accel_logreg.fitting import columns as fitting_columns

    X, y = problem(rng, 500, 4)
    rows, Cs = fitter(load_backend("numpy"), X, y), np.logspace(-3, 3, 4)
    costs = []
    for most in range(5):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fitting_columns, "_MOST_ITERATIONS", most)
            costs.append(rows.solve(Cs, exact=False).cost)
    for before, after in pairwise(costs):
        assert (after <= before * (1.0 + 1e-14)).all()
    assert (costs[-1] < costs[0]).all()


def test_rare_categories_of_folds_are_not_taken_for_optimal(rng: np.random.Generator) -> None:
    """Columns that share a Hessian differ most where few rows are: what is said of them holds there too."""
    n, d = 800, 14
    X = (rng.standard_normal((n, d)) > 1.5).astype(float)
    z = (X - X.mean(axis=0)) @ rng.standard_normal(d) * 5.0
    y = (rng.random(n) < 1.0 / (1.0 + np.exp(-z))).astype(np.int8)
    of_row, Cs = rng.integers(0, 5, n), np.array([1.0, 100.0, 1e4])
    engine, parts = load_backend("numba"), Parts(of_row, np.repeat(1.0 - np.eye(5), 3, axis=1))
    best = fitter(engine, X, y, tol=1e-13).solve(np.tile(Cs, 5), parts=parts).cost
    start = np.tile(fitter(engine, X, y, tol=1e-3).solve(Cs).W, 5)
    fits = fitter(engine, X, y, tol=1e-8).solve(np.tile(Cs, 5), parts=parts, start=start, exact=False)
    true = (fits.cost - best) / best
    assert (true <= fits.gap + 1e-12).all()
    assert (fits.gap <= 1e-8).mean() > 0.9


def test_more_features_than_rows_are_solved_among_the_rows(
    backend: Engine, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr("accel_logreg.fitting.columns.solve_columns", None)
    X, y = rng.standard_normal((30, 40)), rng.integers(0, 2, 30).astype(np.int8)
    Cs, of_row = np.array([0.1, 1.0]), np.arange(30) % 2
    rows = fitter(backend, X, y)
    fits = rows.solve(Cs, parts=Parts(of_row, np.eye(2)))
    for k in range(2):
        assert_optimal(fits, k, optimum(X[of_row == k], y[of_row == k], Cs[k]))
    z = rows.logits(fits.W, np.array([3, 5]))
    np.testing.assert_allclose(z, X[[3, 5]] @ fits.W[:-1] + fits.W[-1], rtol=1e-10, atol=1e-12)
