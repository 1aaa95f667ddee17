"""Data that plain quasi-Newton gives up on: raw scales, offsets, rare classes, redundant columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

from accel_logreg import LogisticRegression


def base() -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((2000, 10))
    return X, (rng.random(2000) < 1 / (1 + np.exp(-X @ rng.standard_normal(10)))).astype(int)


def cost(model: LogisticRegression, X: Any, y: Any, C: float) -> float:
    w, b = model.coef_[0], model.intercept_[0]
    z = X @ w + b
    return float(np.mean(np.logaddexp(0.0, z) - y * z) + w @ w / (2 * C * len(y)))


def newton(X: Any, y: Any, C: float) -> float:
    """J at the optimum, by damped Newton in extended precision on centred and scaled columns."""
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    Z = np.c_[(X - mean) / deviation, np.ones(len(X))].astype(np.longdouble)
    penalty = np.append(1 / (C * len(y) * deviation**2), 0.0)
    u = np.zeros(Z.shape[1], dtype=np.longdouble)

    def J(u: Any) -> Any:
        z = Z @ u
        return np.mean(np.logaddexp(0, z) - y * z) + (penalty * u * u).sum() / 2

    for _ in range(200):
        a = 1 / (1 + np.exp(-(Z @ u)))
        gradient = Z.T @ (a - y) / len(y) + penalty * u
        H = (Z * (a * (1 - a))[:, None]).T @ Z / len(y) + np.diag(penalty)
        step = np.linalg.solve(H.astype(float), gradient.astype(float))
        t = 1.0
        while J(u - t * step) > J(u) and t > 1e-12:
            t /= 2
        if not J(u - t * step) < J(u):
            break
        u = u - t * step
    return float(J(u))


CASES = {
    "raw medical columns": (load_breast_cancer(return_X_y=True), 1.0),
    "raw medical columns, weak penalty": (load_breast_cancer(return_X_y=True), 1e4),
    "standardised": ((scale(load_breast_cancer().data), load_breast_cancer().target), 1.0),
    "means of 1e4": ((base()[0] + 1e4, base()[1]), 1.0),
    "scales from 1e-6 to 1e6": ((base()[0] * np.logspace(-6, 6, 10), base()[1]), 1.0),
    "three positives of 2000": ((base()[0], (np.arange(2000) < 3).astype(int)), 1.0),
    "sorted by label": ((base()[0][np.argsort(base()[1])], np.sort(base()[1])), 100.0),
}


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("case", CASES)
def test_reaches_what_tol_promises(case: str, engine: str) -> None:
    """A warning that it did not converge would fail the test too."""
    (X, y), C = CASES[case]
    best = newton(X, y, C)
    model = LogisticRegression(backend=engine, C=C).fit(X, y)
    assert model.gap_ <= 1e-8
    assert (cost(model, X, y, C) - best) / best <= 2e-8  # an estimated gap may be a little low


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_redundant_columns(engine: str) -> None:
    X, y = base()
    once = LogisticRegression(backend=engine, C=1e6).fit(X, y)
    twice = LogisticRegression(backend=engine, C=1e6).fit(np.c_[X, X, np.full(2000, 7.0)], y)
    assert twice.gap_ <= 1e-8
    np.testing.assert_allclose(
        once.decision_function(X), twice.decision_function(np.c_[X, X, np.full(2000, 7.0)]), atol=2e-2
    )
    np.testing.assert_allclose(twice.coef_[0, :10], twice.coef_[0, 10:20], rtol=1e-6)
