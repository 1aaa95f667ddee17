"""Data so large that the solver starts on samples: what a sample may miss must not cost the promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from support.reference import Problem, assert_promise_kept, excess

N, D = 60_000, 6
INF = float("inf")


def data(n: int = N, d: int = D, strength: float = 1.0, bias: float = 0.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(11)
    X = rng.standard_normal((n, d))
    z = strength * X @ rng.standard_normal(d) + bias
    return X, (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)


def plain(**settings: Any) -> Problem:
    return Problem(*data(), **settings)


def ordered(by: Callable[[Any, Any], Any], **settings: Any) -> Problem:
    X, y = data()
    order = np.argsort(by(X, y), kind="stable")
    return Problem(X[order], y[order], **settings)


def six_positives() -> Problem:
    """One in ten thousand, and they differ from the rest."""
    X, _ = data()
    y = np.zeros(N, int)
    y[[5, 9_000, 23_456, 23_457, 40_000, 59_999]] = 1
    X[y == 1, 0] += 2.0
    return Problem(X, y)


def rare_category() -> Problem:
    """A column that is not zero in twenty rows, which decide its coefficient."""
    X, y = data()
    X[:, 3] = 0.0
    X[1000:1020, 3] = 1.0
    y[1000:1020] = np.arange(20) % 5 == 0
    return Problem(X, y, C=1e6)


def weighted() -> Problem:
    X, y = data()
    return Problem(X, y, 10.0 ** np.random.default_rng(5).uniform(-6, 6, N))


def weights_on_a_corner() -> Problem:
    """All weight on a hundred rows in one place of the file, but for zeros and next to nothing."""
    X, y = data()
    s = np.where(np.arange(N) % 2, 0.0, 1e-9)
    s[30_000:30_100] = 1.0
    return Problem(X, y, s)


def nine_tenths_equal() -> Problem:
    X, y = data()
    X[: N * 9 // 10] = X[0]
    return Problem(X, y)


def two_worlds() -> Problem:
    """The labels follow one rule in the first 99 % of the file and the opposite one after, far out."""
    X, y = data(strength=2.0)
    last = N - N // 100
    X[last:] *= 100.0
    y[last:] = 1 - y[last:]
    return Problem(X, y)


def far_rows() -> Problem:
    """Six rows so far out that they alone decide a direction, and a sample sees none of them."""
    X, y = data()
    X[::10_000, 0] = 1e6 * (1 - 2 * (np.arange(6) % 2))
    y[::10_000] = [1, 0, 1, 0, 0, 1]
    return Problem(X, y)


def nearly_separable(C: float) -> Problem:
    X, _ = data()
    y = (X @ np.arange(1.0, D + 1) > 0.2).astype(int)
    y[[77, 30_000, 44_444]] ^= 1
    return Problem(X, y, C=C)


def offset_and_scaled(fit_intercept: bool = True) -> Problem:
    X, y = data()
    return Problem((X + 1e4) * np.logspace(-6, 6, D), y, fit_intercept=fit_intercept)


def heavy_tails() -> Problem:
    rng = np.random.default_rng(4)
    X = np.clip(rng.standard_cauchy((N, D)), -1e5, 1e5)
    y = rng.random(N) < 1 / (1 + np.exp(-np.arctan(X) @ np.arange(1.0, D + 1)))
    return Problem(X, y.astype(int))


def dummies(C: float) -> Problem:
    rng = np.random.default_rng(8)
    X, y = data(d=3)
    levels = rng.choice(8, N, p=[0.4, 0.3, 0.2, 0.09, 0.005, 0.004, 0.0008, 0.0002])
    return Problem(np.c_[np.eye(8)[levels], X], y, C=C)


CASES: dict[str, Callable[[], Problem]] = {
    "plain": plain,
    "no intercept": lambda: plain(fit_intercept=False),
    "C=inf": lambda: plain(C=INF),
    "C=1e-6": lambda: plain(C=1e-6),
    "sorted rows": lambda: ordered(lambda X, _y: X[:, 0]),
    "sorted labels": lambda: ordered(lambda _X, y: y),
    "sorted labels, no intercept, C=inf": lambda: ordered(lambda _X, y: y, C=INF, fit_intercept=False),
    "six positives": six_positives,
    "1 % positives": lambda: Problem(*data(bias=-6.0)),
    "1 % positives, C=inf": lambda: Problem(*data(bias=-6.0), C=INF),
    "rare category, C=1e6": rare_category,
    "weights 1e-6 to 1e6": weighted,
    "weights on a corner": weights_on_a_corner,
    "nine tenths equal": nine_tenths_equal,
    "two worlds": two_worlds,
    "far rows": far_rows,
    "nearly separable": lambda: nearly_separable(1.0),
    "nearly separable, C=1e6": lambda: nearly_separable(1e6),
    "nearly separable, C=inf": lambda: nearly_separable(INF),
    "separable, C=1": lambda: Problem(*steep(), C=1.0),
    "separable, C=1e6": lambda: Problem(*steep(), C=1e6),
    "means and scales": offset_and_scaled,
    "means and scales, no intercept": lambda: offset_and_scaled(fit_intercept=False),
    "heavy tails": heavy_tails,
    "all dummies": lambda: dummies(1.0),
    "all dummies, C=inf": lambda: dummies(INF),
}


def steep() -> tuple[Any, Any]:
    X, _ = data()
    return X, (X @ np.arange(1.0, D + 1) > 0.2).astype(int)


@cache
def problem(case: str) -> Problem:
    """The case, in numbers that both float types hold: both then have the same optimum."""
    found = CASES[case]()
    return replace(found, X=found.X.astype(np.float32).astype(np.float64))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("case", CASES)
def test_newton(case: str, engine: str, dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    this = problem(case)
    model = this.fit(dtype, backend=engine, solver="newton", verbose=1)
    assert_promise_kept(this, model)
    assert "sample of" in capsys.readouterr().out


@pytest.mark.parametrize("solver", ["auto", "newton-cg", "lbfgs"])
@pytest.mark.parametrize("case", CASES)
def test_other_solvers(case: str, solver: str) -> None:
    this = problem(case)
    assert_promise_kept(this, this.fit(backend="numba", solver=solver))


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("case", ["plain", "sorted labels", "1 % positives", "weights 1e-6 to 1e6"])
def test_any_seed_finds_the_same_optimum(case: str, engine: str) -> None:
    for seed in range(3):
        model = problem(case).fit(backend=engine, solver="newton", random_state=seed)
        assert_promise_kept(problem(case), model)


@pytest.mark.parametrize("solver", ["newton", "newton-cg", "lbfgs"])
@pytest.mark.parametrize("case", ["plain", "C=inf", "1 % positives"])
def test_a_tolerance_near_rounding(case: str, solver: str) -> None:
    model = problem(case).fit(backend="numba", solver=solver, tol=1e-12)
    assert model.gap_ <= 1e-12
    assert excess(problem(case), model) <= 2e-12


@pytest.mark.parametrize("solver", ["newton", "newton-cg", "lbfgs"])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_separable_without_penalty_names_the_remedy(engine: str, solver: str) -> None:
    with pytest.warns(ConvergenceWarning, match=r"perfectly separated and C=inf.*Use a finite C"):
        model = Problem(*steep(), C=INF).fit(backend=engine, solver=solver)
    assert model.gap_ == INF
