"""Problems that solvers give up on: raw scales, rare classes, redundant columns, odd weights, odd order.

Small ones, and ones so large that the solver starts on samples, which miss what a few rows decide.
"""

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
LARGE = 60_000
Change = Callable[[Any, Any], tuple[Any, ...]]


def data(n: int = 400, d: int = 5, strength: float = 1.0, bias: float = 0.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, d))
    z = strength * X @ rng.standard_normal(d) + bias
    return X, (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)


def anew(n: int, d: int, **settings: float) -> Change:
    """Other data than those given."""
    return lambda _X, _y: data(n, d, **settings)


def alternating(n: int, d: int) -> Change:
    return lambda _X, _y: (data(n, d)[0], np.arange(n) % 2)


def as_drawn(X: Any, y: Any) -> tuple[Any, Any]:
    return X, y


def medical(_X: Any, _y: Any) -> tuple[Any, Any]:
    return tuple(load_breast_cancer(return_X_y=True))


def ordered(by: Callable[[Any, Any], Any]) -> Change:
    def change(X: Any, y: Any) -> tuple[Any, Any]:
        order = np.argsort(by(X, y), kind="stable")
        return X[order], y[order]

    return change


sorted_rows = ordered(lambda X, _y: X[:, 0])
sorted_labels = ordered(lambda _X, y: y)


def rare(X: Any, y: Any) -> tuple[Any, Any]:
    return X, (np.argsort(np.argsort(-X[:, 0] + y)) < 4).astype(int) | (np.arange(len(y)) == 7)


def two_positives(X: Any, y: Any) -> tuple[Any, Any]:
    return X, np.isin(np.arange(len(y)), [5, 6]).astype(int)


def six_positives(X: Any, y: Any) -> tuple[Any, Any]:
    """One in ten thousand, and they differ from the rest."""
    y = np.isin(np.arange(len(y)), [5, 9_000, 23_456, 23_457, 40_000, 59_999]).astype(int)
    X[y == 1, 0] += 2.0
    return X, y


def rare_category(X: Any, y: Any) -> tuple[Any, Any]:
    """A column that is not zero in twenty rows, which decide its coefficient."""
    X[:, 3] = 0.0
    X[1000:1020, 3] = 1.0
    y[1000:1020] = np.arange(20) % 5 == 0
    return X, y


def redundant(X: Any, y: Any) -> tuple[Any, Any]:
    return np.c_[X, X[:, :2], np.full(len(X), 7.0), np.zeros(len(X))], y


def rescaled(X: Any, y: Any) -> tuple[Any, Any]:
    return X * np.logspace(-6, 6, X.shape[1]), y


def offset(X: Any, y: Any) -> tuple[Any, Any]:
    return X + 1e4, y


def offset_and_rescaled(X: Any, y: Any) -> tuple[Any, Any]:
    return rescaled(*offset(X, y))


def collinear(noise: float) -> Change:
    def change(X: Any, y: Any) -> tuple[Any, Any]:
        X[:, 4] = X[:, 0] + X[:, 1] + noise * X[:, 4]
        return X, y

    return change


def collinear_among_thirty(*_five_columns: Any) -> tuple[Any, Any]:
    """The direction of least curvature hides behind 29 others, and matters to the labels."""
    X, _ = data(400, 30)
    X[:, 29] = X[:, 0] + X[:, 1] + 1e-6 * X[:, 29]
    hidden = (X[:, 29] - X[:, 0] - X[:, 1]) * 1e6
    return X, (hidden + X[:, 2] + np.random.default_rng(6).logistic(size=400) > 0).astype(int)


def separable(X: Any, _y: Any) -> tuple[Any, Any]:
    return X, (X @ np.arange(1.0, X.shape[1] + 1) > 0.3).astype(int)


def nearly_separable(X: Any, y: Any) -> tuple[Any, Any]:
    X, y = separable(X, y)
    y[[11, len(y) // 2, len(y) * 3 // 4]] ^= 1
    return X, y


def quasi_separable(X: Any, y: Any) -> tuple[Any, Any]:
    """A dummy that only positives have: its coefficient runs to infinity, the cost to its lower bound."""
    return np.c_[X, y * (np.arange(len(y)) % 7 == 0)], y


def separable_by_a_column(X: Any, y: Any) -> tuple[Any, Any]:
    return np.c_[X, 2 * y - 1], y


def wide_weights(X: Any, y: Any) -> tuple[Any, Any, Any]:
    return X, y, 10.0 ** np.random.default_rng(5).uniform(-6, 6, len(y))


def zero_weights(X: Any, y: Any) -> tuple[Any, Any, Any]:
    return X, y, np.random.default_rng(5).integers(0, 3, len(y)).astype(float) * (np.arange(len(y)) > 150)


def weights_on_a_corner(X: Any, y: Any) -> tuple[Any, Any, Any]:
    """All weight on a hundred rows in one place of the file, but for zeros and next to nothing."""
    s = np.where(np.arange(len(y)) % 2, 0.0, 1e-9)
    s[30_000:30_100] = 1.0
    return X, y, s


def equal_rows(share: float) -> Change:
    def change(X: Any, y: Any) -> tuple[Any, Any]:
        X[: round(share * len(X))] = X[0]
        return X, y

    return change


def two_worlds(*_given: Any) -> tuple[Any, Any]:
    """The labels follow one rule in the first 99 % of the file and the opposite one after, far out."""
    X, y = data(LARGE, 6, strength=2.0)
    last = LARGE - LARGE // 100
    X[last:] *= 100.0
    y[last:] = 1 - y[last:]
    return X, y


def far_rows(X: Any, y: Any) -> tuple[Any, Any]:
    """Six rows so far out that they alone decide a direction, and a sample sees none of them."""
    X[::10_000, 0] = 1e6 * (1 - 2 * (np.arange(6) % 2))
    y[::10_000] = [1, 0, 1, 0, 0, 1]
    return X, y


def dummies(X: Any, y: Any) -> tuple[Any, Any]:
    """Two one-hot groups, neither with a column dropped: the rank is one or two short."""
    rng = np.random.default_rng(8)
    return np.c_[np.eye(4)[rng.integers(0, 4, len(X))], np.eye(3)[rng.integers(0, 3, len(X))], X[:, 0]], y


def rare_dummies(X: Any, y: Any) -> tuple[Any, Any]:
    shares = [0.4, 0.3, 0.2, 0.09, 0.005, 0.004, 0.0008, 0.0002]
    return np.c_[np.eye(8)[np.random.default_rng(8).choice(8, len(X), p=shares)], X[:, :3]], y


def heavy_tailed(X: Any, _y: Any) -> tuple[Any, Any]:
    tails = np.clip(np.random.default_rng(9).standard_cauchy(X.shape), -1e4, 1e4)
    return tails, (np.arctan(tails).sum(axis=1) + X[:, 0] > 0).astype(int)


def varied(families: dict[str, tuple[Change, tuple[str, ...]]]) -> dict[str, tuple[Change, str]]:
    """A case a variant, by the name of both."""
    return {
        ", ".join(filter(None, (name, variant))): (change, variant)
        for name, (change, variants) in families.items()
        for variant in variants
    }


# Each change of the data, and the parameters with which it is hard.
SMALL = varied({
    "plain": (as_drawn, ("", "no intercept")),
    "raw medical columns": (medical, ("", "C=1e4")),
    "sorted rows": (sorted_rows, ("",)),
    "sorted labels": (sorted_labels, ("C=100",)),
    "1 % positives": (rare, ("", "C=1e6")),
    "redundant columns": (redundant, ("", "C=inf", "no intercept, C=inf")),
    "scales 1e-6 to 1e6": (rescaled, ("", "C=1e6", "C=inf", "no intercept")),
    "means of 1e4": (offset, ("", "C=inf", "no intercept", "no intercept, C=inf")),
    "collinear to 1e-3": (collinear(1e-3), ("C=1e6",)),
    "collinear to 1e-6": (collinear(1e-6), ("C=1e6", "C=inf")),
    "collinear to 1e-6 among thirty": (collinear_among_thirty, ("C=1e6", "C=inf")),
    "quasi-separable": (quasi_separable, ("C=1e6",)),
    "separable": (separable, ("", "C=1e6", "no intercept, C=1e6")),
    "nearly separable": (nearly_separable, ("", "C=1e6", "C=inf")),
    "two positives": (two_positives, ("C=1e6",)),
    "n < d": (alternating(30, 60), ("", "C=1e6", "no intercept")),
    "n = 2": (alternating(2, 3), ("", "C=1e6")),
    "n = 3": (alternating(3, 2), ("",)),
    "n = 3, d = 1": (alternating(3, 1), ("no intercept",)),
    "d = 1": (anew(400, 1), ("", "C=inf")),
    "weights 1e-6 to 1e6": (wide_weights, ("", "C=1e6")),
    "weights with zeros": (zero_weights, ("",)),
    "equal rows": (equal_rows(1.0), ("", "C=inf", "no intercept")),
    "only zeros": (lambda X, y: (0 * X, y), ("", "no intercept")),
    "all dummies": (dummies, ("", "C=inf", "no intercept, C=inf")),
    "heavy tails": (heavy_tailed, ("", "C=1e6")),
})  # fmt: skip
SAMPLED = varied({
    "plain": (as_drawn, ("", "no intercept", "C=inf", "C=1e-6")),
    "sorted rows": (sorted_rows, ("",)),
    "sorted labels": (sorted_labels, ("", "no intercept, C=inf")),
    "six positives": (six_positives, ("",)),
    "1 % positives": (anew(LARGE, 6, bias=-6.0), ("", "C=inf")),
    "rare category": (rare_category, ("C=1e6",)),
    "weights 1e-6 to 1e6": (wide_weights, ("",)),
    "weights on a corner": (weights_on_a_corner, ("",)),
    "nine tenths equal": (equal_rows(0.9), ("",)),
    "two worlds": (two_worlds, ("",)),
    "far rows": (far_rows, ("",)),
    "nearly separable": (nearly_separable, ("", "C=1e6", "C=inf")),
    "separable": (separable, ("", "C=1e6")),
    "means and scales": (offset_and_rescaled, ("", "no intercept")),
    "heavy tails": (heavy_tailed, ("",)),
    "all dummies": (rare_dummies, ("", "C=inf")),
})  # fmt: skip
ONLY_FLOAT64 = tuple(case for case in SMALL if "collinear to 1e-6" in case)  # float32 has 7 digits


def changed(change: Change, variant: str = "", *, large: bool = False) -> Problem:
    """The data with a change, and the parameters that a variant names."""
    parameters = dict(part.split("=") for part in variant.split(", ") if "=" in part)
    return Problem(
        *change(*(data(LARGE, 6) if large else data())),
        C=float(parameters.get("C", 1.0)),
        fit_intercept="no intercept" not in variant,
    )


@cache
def problem(case: str, *, large: bool = False) -> Problem:
    """The case, in numbers that both float types hold: both then have the same optimum."""
    found = changed(*(SAMPLED if large else SMALL)[case], large=large)
    exact = not large and case in ONLY_FLOAT64
    return found if exact else replace(found, X=found.X.astype(SINGLE).astype(np.float64))
