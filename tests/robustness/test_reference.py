"""The yardstick of the robustness tests, measured itself: against mpmath and against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as ScikitLearn
from support.reference import Problem, excess

mpmath = pytest.importorskip("mpmath", reason="mpmath is not installed")


def data(n: int, d: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(31)
    X = rng.standard_normal((n, d))
    return X, (rng.random(n) < 1 / (1 + np.exp(-X @ rng.standard_normal(d)))).astype(int)


def by_fifty_digits(problem: Problem) -> Any:
    """J* by Newton in mpmath, from next to the optimum that is being checked."""
    mp = mpmath.mp.clone()
    mp.dps = 50
    X = mp.matrix(np.c_[problem.X, np.ones(len(problem.X))].tolist())
    y = [*map(int, problem.y)]
    s = [*map(mp.mpf, (np.ones(len(y)) if problem.s is None else problem.s).tolist())]
    S = mp.fsum(s)
    penalty = mp.diag([1 / (mp.mpf(problem.C) * S)] * (X.cols - 1) + [0])
    u = mp.matrix([mp.mpf(float(value)) for value in [*problem.optimum[0], problem.optimum[1]]])
    for _ in range(6):
        a = [1 / (1 + mp.exp(-z)) for z in X * u]
        residual = mp.matrix([s_i * (a_i - y_i) for s_i, a_i, y_i in zip(s, a, y, strict=True)])
        curvature = mp.diag([s_i * a_i * (1 - a_i) for s_i, a_i in zip(s, a, strict=True)])
        u -= mp.lu_solve(X.T * curvature * X / S + penalty, X.T * residual / S + penalty * u)
    losses = (s_i * (mp.log1p(mp.exp(z)) - y_i * z) for s_i, y_i, z in zip(s, y, X * u, strict=True))
    return mp.fsum(losses) / S + (u.T * penalty * u)[0] / 2


TINY = {
    "separable, C=1e6": Problem(data(6, 2)[0], np.array([0, 0, 0, 1, 1, 1]), C=1e6),
    "scales and means": Problem((data(20, 3)[0] + 10) * [1e-6, 1.0, 1e6], data(20, 3)[1], C=1e4),
    "weights": Problem(*data(20, 2), 10.0 ** np.linspace(-6, 6, 20)),
    "collinear": Problem(data(20, 2)[0] @ [[1, 1], [0, 1e-7]], data(20, 2)[1], C=1e6),
}


@pytest.mark.parametrize("case", TINY)
def test_against_fifty_digits(case: str) -> None:
    best = by_fifty_digits(TINY[case])
    assert abs(float(mpmath.mpf(str(TINY[case].best)) / best - 1)) <= 1e-15


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize("n", [300, 60_000])
def test_against_scikit_learn(n: int, C: float, weighted: bool, fit_intercept: bool) -> None:
    X, y = data(n, 4)
    problem = Problem(X, y, np.random.default_rng(1).random(n) if weighted else None, C, fit_intercept)
    theirs = ScikitLearn(C=C, fit_intercept=fit_intercept, solver="newton-cholesky", tol=1e-12)
    theirs.fit(X, y, sample_weight=problem.s)
    assert abs(excess(problem, theirs)) <= 1e-12


def test_a_fit_that_is_off_is_seen_to_be() -> None:
    problem = Problem(*data(300, 4))
    model = problem.fit(backend="numpy")
    model.coef_ = model.coef_ * 1.001
    assert 1e-8 < excess(problem, model) < 1e-5
