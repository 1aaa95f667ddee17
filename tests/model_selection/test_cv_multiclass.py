"""LogisticRegressionCV and logistic_path with three classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegressionCV as ScikitLearn
from sklearn.model_selection import StratifiedKFold

from accel_logreg import LogisticRegression, LogisticRegressionCV, logistic_path

CS = [0.01, 1.0]


def problem(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.standard_normal((150, 4))
    codes = np.argmax(X @ rng.standard_normal((4, 3)) + rng.gumbel(size=(150, 3)), axis=1)
    return X, np.array(["a", "b", "c"])[codes]


@pytest.mark.parametrize("given", [
    {}, {"scoring": "neg_log_loss"}, {"class_weight": "balanced"}, {"refit": False}, {"fit_intercept": False},
    {"scoring": "roc_auc_ovr"},
])  # fmt: skip
@pytest.mark.parametrize("weights", [False, True])
def test_is_scikit_learns(rng: np.random.Generator, given: dict[str, Any], weights: bool) -> None:
    X, y = problem(rng)
    s = rng.random(len(y)) + 0.1 if weights else None
    found = LogisticRegressionCV(Cs=CS, tol=1e-12, backend="numba", cv=3, **given).fit(X, y, s)
    expected = ScikitLearn(
        Cs=CS, tol=1e-10, max_iter=1000, cv=3, l1_ratios=(0.0,), use_legacy_attributes=False,
        **{"scoring": None, **given},
    ).fit(X, y, s)  # fmt: skip
    np.testing.assert_allclose(found.scores_, expected.scores_, rtol=1e-4)
    np.testing.assert_allclose(found.coefs_paths_, expected.coefs_paths_, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, rtol=1e-3, atol=1e-4)
    assert found.C_ == expected.C_
    assert found.n_features_in_ == 4


def test_legacy_attributes(rng: np.random.Generator) -> None:
    X, y = problem(rng)
    found = LogisticRegressionCV(Cs=CS, backend="numba", cv=3, use_legacy_attributes=True).fit(X, y)
    expected = ScikitLearn(
        Cs=CS, cv=3, l1_ratios=(0.0,), use_legacy_attributes=True, scoring=None
    ).fit(X, y)  # fmt: skip
    assert found.scores_.keys() == expected.scores_.keys()
    assert found.scores_["b"].shape == expected.scores_["b"].shape
    assert found.coefs_paths_["b"].shape == expected.coefs_paths_["b"].shape
    assert found.C_.shape == expected.C_.shape
    assert found.n_iter_.shape == expected.n_iter_.shape


def test_a_class_missing_in_a_fold_is_named(rng: np.random.Generator) -> None:
    X, y = problem(rng)
    cv = [(np.flatnonzero(y != "b"), np.flatnonzero(y == "b"))]
    with pytest.raises(ValueError, match="without class 'b'"):
        LogisticRegressionCV(Cs=CS, cv=cv, backend="numba").fit(X, y)


def test_a_path_of_classes_is_a_fit_for_each_c() -> None:
    X, y = load_iris(return_X_y=True)
    path = logistic_path(X, y, Cs=[10.0, 0.1, 1.0], tol=1e-12)
    assert path.coefs.shape == (3, 3, 4)
    assert path.intercepts.shape == (3, 3)
    for k, C in enumerate(path.Cs):
        one = LogisticRegression(C=C, tol=1e-12).fit(X, y)
        np.testing.assert_allclose(path.coefs[k], one.coef_, atol=1e-4)
        assert path.gaps[k] <= 1e-12
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    assert len(path.plot().lines) == 13


def test_l1_ratios() -> None:
    """The best of both grids; each fold's coefficients are a single fit's, zeros included."""
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    grid, ratios = [0.05, 0.5], (0.0, 1.0)
    model = LogisticRegressionCV(Cs=grid, l1_ratios=ratios, cv=3, scoring="neg_log_loss").fit(X, y)
    assert model.scores_.shape == model.gaps_.shape == (3, 2, 2)
    assert model.coefs_paths_.shape == (3, 2, 2, 3, 5)
    best = np.unravel_index(model.scores_.mean(axis=0).argmax(), (2, 2))
    assert (model.l1_ratio_, model.C_) == (ratios[best[0]], grid[best[1]])
    train, _ = next(StratifiedKFold(3).split(X, y))
    alone = LogisticRegression(C=0.05, l1_ratio=1.0).fit(X[train], y[train])
    np.testing.assert_allclose(model.coefs_paths_[0, 1, 0, :, :-1], alone.coef_, atol=1e-4)
    np.testing.assert_array_equal(model.coefs_paths_[0, 1, 0, :, :-1] == 0.0, alone.coef_ == 0.0)
    assert (alone.coef_ == 0.0).any()
