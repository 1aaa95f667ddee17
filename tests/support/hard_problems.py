"""Small problems that solvers give up on: raw scales, rare classes, redundant columns, odd weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer
from support.reference import Problem

SINGLE = "float32"
INF = float("inf")


def data(n: int = 400, d: int = 5, seed: int = 3, strength: float = 1.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    z = strength * X @ rng.standard_normal(d)
    return X, (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)


def simple(change: Callable[[Any, Any], tuple[Any, ...]], **settings: Any) -> Problem:
    return Problem(*change(*data()), **settings)


def sorted_rows(X: Any, y: Any) -> tuple[Any, Any]:
    order = np.argsort(X[:, 0])
    return X[order], y[order]


def sorted_labels(X: Any, y: Any) -> tuple[Any, Any]:
    order = np.argsort(y)
    return X[order], y[order]


def rare(X: Any, y: Any) -> tuple[Any, Any]:
    return X, (np.argsort(np.argsort(-X[:, 0] + y)) < 4).astype(int) | (np.arange(len(y)) == 7)


def redundant(X: Any, y: Any) -> tuple[Any, Any]:
    return np.c_[X, X[:, :2], np.full(len(X), 7.0), np.zeros(len(X))], y


def rescaled(X: Any, y: Any) -> tuple[Any, Any]:
    return X * np.logspace(-6, 6, X.shape[1]), y


def offset(X: Any, y: Any) -> tuple[Any, Any]:
    return X + 1e4, y


def collinear(noise: float) -> Callable[[Any, Any], tuple[Any, Any]]:
    def change(X: Any, y: Any) -> tuple[Any, Any]:
        X[:, 4] = X[:, 0] + X[:, 1] + noise * X[:, 4]
        return X, y

    return change


def separable(X: Any, _y: Any) -> tuple[Any, Any]:
    return X, (X @ [1.0, -2.0, 3.0, 0.5, -0.5] > 0.3).astype(int)


def nearly_separable(X: Any, y: Any) -> tuple[Any, Any]:
    X, y = separable(X, y)
    y[[11, 200]] ^= 1
    return X, y


def wide_weights(X: Any, y: Any) -> tuple[Any, Any, Any]:
    return X, y, 10.0 ** np.random.default_rng(5).uniform(-6, 6, len(y))


def zero_weights(X: Any, y: Any) -> tuple[Any, Any, Any]:
    return X, y, np.random.default_rng(5).integers(0, 3, len(y)).astype(float) * (np.arange(len(y)) > 150)


def equal_rows(X: Any, y: Any) -> tuple[Any, Any]:
    return np.tile(X[:1], (len(X), 1)), y


def dummies(X: Any, y: Any) -> tuple[Any, Any]:
    """Two one-hot groups, neither with a column dropped: the rank is one or two short."""
    rng = np.random.default_rng(8)
    return np.c_[np.eye(4)[rng.integers(0, 4, len(X))], np.eye(3)[rng.integers(0, 3, len(X))], X[:, 0]], y


def quasi_separable(X: Any, y: Any) -> tuple[Any, Any]:
    """A dummy that only positives have: its coefficient runs to infinity, the cost to its lower bound."""
    return np.c_[X, y * (np.arange(len(y)) % 7 == 0)], y


def collinear_among_thirty(*_five_columns: Any) -> tuple[Any, Any]:
    """The direction of least curvature hides behind 29 others, and matters to the labels."""
    X, _ = data(400, 30)
    X[:, 29] = X[:, 0] + X[:, 1] + 1e-6 * X[:, 29]
    hidden = (X[:, 29] - X[:, 0] - X[:, 1]) * 1e6
    return X, (hidden + X[:, 2] + np.random.default_rng(6).logistic(size=400) > 0).astype(int)


def heavy_tailed(X: Any, _y: Any) -> tuple[Any, Any]:
    tails = np.clip(np.random.default_rng(9).standard_cauchy(X.shape), -1e4, 1e4)
    return tails, (np.arctan(tails).sum(axis=1) + X[:, 0] > 0).astype(int)


def tiny(n: int, d: int, **settings: Any) -> Problem:
    return Problem(data(n, d)[0], np.arange(n) % 2, **settings)


CASES: dict[str, Callable[[], Problem]] = {
    "plain": lambda: simple(lambda X, y: (X, y)),
    "plain, no intercept": lambda: simple(lambda X, y: (X, y), fit_intercept=False),
    "raw medical columns": lambda: Problem(*load_breast_cancer(return_X_y=True)),
    "raw medical columns, C=1e4": lambda: Problem(*load_breast_cancer(return_X_y=True), C=1e4),
    "sorted rows": lambda: simple(sorted_rows),
    "sorted labels": lambda: simple(sorted_labels, C=100.0),
    "1 % positives": lambda: simple(rare),
    "1 % positives, C=1e6": lambda: simple(rare, C=1e6),
    "redundant columns": lambda: simple(redundant),
    "redundant columns, C=inf": lambda: simple(redundant, C=INF),
    "redundant columns, no intercept, C=inf": lambda: simple(redundant, C=INF, fit_intercept=False),
    "scales 1e-6 to 1e6": lambda: simple(rescaled),
    "scales 1e-6 to 1e6, C=1e6": lambda: simple(rescaled, C=1e6),
    "scales 1e-6 to 1e6, C=inf": lambda: simple(rescaled, C=INF),
    "scales 1e-6 to 1e6, no intercept": lambda: simple(rescaled, fit_intercept=False),
    "means of 1e4": lambda: simple(offset),
    "means of 1e4, C=inf": lambda: simple(offset, C=INF),
    "means of 1e4, no intercept": lambda: simple(offset, fit_intercept=False),
    "means of 1e4, no intercept, C=inf": lambda: simple(offset, C=INF, fit_intercept=False),
    "collinear to 1e-3, C=1e6": lambda: simple(collinear(1e-3), C=1e6),
    "collinear to 1e-6, C=1e6": lambda: simple(collinear(1e-6), C=1e6),
    "collinear to 1e-6, C=inf": lambda: simple(collinear(1e-6), C=INF),
    "collinear to 1e-6 among thirty, C=1e6": lambda: simple(collinear_among_thirty, C=1e6),
    "collinear to 1e-6 among thirty, C=inf": lambda: simple(collinear_among_thirty, C=INF),
    "quasi-separable, C=1e6": lambda: simple(quasi_separable, C=1e6),
    "quasi-separable, C=inf": lambda: simple(quasi_separable, C=INF),
    "separable": lambda: simple(separable),
    "separable, C=1e6": lambda: simple(separable, C=1e6),
    "separable, no intercept, C=1e6": lambda: simple(separable, C=1e6, fit_intercept=False),
    "nearly separable": lambda: simple(nearly_separable),
    "nearly separable, C=1e6": lambda: simple(nearly_separable, C=1e6),
    "nearly separable, C=inf": lambda: simple(nearly_separable, C=INF),
    "two positives, C=1e6": lambda: Problem(data()[0], np.isin(np.arange(400), [5, 6]).astype(int), C=1e6),
    "n < d": lambda: tiny(30, 60),
    "n < d, C=1e6": lambda: tiny(30, 60, C=1e6),
    "n < d, no intercept": lambda: tiny(30, 60, fit_intercept=False),
    "n = 2": lambda: tiny(2, 3),
    "n = 2, C=1e6": lambda: tiny(2, 3, C=1e6),
    "n = 3": lambda: tiny(3, 2),
    "n = 3, d = 1, no intercept": lambda: tiny(3, 1, fit_intercept=False),
    "d = 1": lambda: Problem(*data(400, 1)),
    "d = 1, C=inf": lambda: Problem(*data(400, 1), C=INF),
    "weights 1e-6 to 1e6": lambda: simple(wide_weights),
    "weights 1e-6 to 1e6, C=1e6": lambda: simple(wide_weights, C=1e6),
    "weights with zeros": lambda: simple(zero_weights),
    "equal rows": lambda: simple(equal_rows),
    "equal rows, C=inf": lambda: simple(equal_rows, C=INF),
    "equal rows, no intercept": lambda: simple(equal_rows, fit_intercept=False),
    "only zeros": lambda: simple(lambda X, y: (0 * X, y)),
    "only zeros, no intercept": lambda: simple(lambda X, y: (0 * X, y), fit_intercept=False),
    "all dummies": lambda: simple(dummies),
    "all dummies, C=inf": lambda: simple(dummies, C=INF),
    "all dummies, no intercept, C=inf": lambda: simple(dummies, C=INF, fit_intercept=False),
    "heavy tails": lambda: simple(heavy_tailed),
    "heavy tails, C=1e6": lambda: simple(heavy_tailed, C=1e6),
}
ONLY_FLOAT64 = tuple(
    case for case in CASES if "1e-6 among" in case or "to 1e-6," in case
)  # float32 has 7 digits


@cache
def problem(case: str) -> Problem:
    """The case, in numbers that both float types hold: both then have the same optimum."""
    found = CASES[case]()
    return found if case in ONLY_FLOAT64 else replace(found, X=found.X.astype(SINGLE).astype(np.float64))
