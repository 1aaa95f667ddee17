"""What scikit-learn's own tests ask of an L1 part, asked of this class; and its tools around it."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression as Peer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.svm import l1_min_c
from support.l1_reference import SparseProblem

from accel_logreg import LogisticRegression, certified_gap
from accel_logreg.interface.engine import Engine

SEEDS = (0, 1, 2)
LAYOUTS = (sparse.csr_matrix, sparse.csr_array)


def scores_and_noise(seed: int) -> tuple[Any, Any]:
    """20 columns of a classification, 3 of noise and 2 constant ones."""
    random = np.random.default_rng(seed)
    X, y = make_classification(n_samples=100, n_features=20, random_state=seed)
    return np.c_[X, random.standard_normal((100, 3)), np.ones((100, 2))], y


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_l1_with_noise_and_constant_columns(backend: Engine, seed: int, layout: Any) -> None:
    """liblinear's optimum to 1e-5, on dense rows and sparse ones; the noise has weights of 0 or near it.

    Constant columns are copies of each other: their weights' sum is what two optima have in common.
    """
    X, y = scores_and_noise(seed)
    settings: dict[str, Any] = {"C": 1.0, "l1_ratio": 1, "fit_intercept": False}
    peer = Peer(solver="liblinear", tol=1e-12, max_iter=100_000, random_state=0, **settings).fit(X, y)
    ours = LogisticRegression(backend=backend.name, tol=1e-13, **settings).fit(X, y)
    thin = LogisticRegression(backend=backend.name, tol=1e-13, **settings).fit(layout(X), y)
    np.testing.assert_allclose(ours.coef_[0, :23], peer.coef_[0, :23], atol=1e-5)
    np.testing.assert_allclose(ours.coef_[0, 23:].sum(), peer.coef_[0, 23:].sum(), atol=1e-5)
    np.testing.assert_allclose(thin.coef_[0, :23], ours.coef_[0, :23], atol=1e-6)
    np.testing.assert_allclose(thin.coef_[0, 23:].sum(), ours.coef_[0, 23:].sum(), atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_l1_of_sparse_rows_far_from_balanced(backend: Engine, seed: int) -> None:
    """Few entries, most of them in noise columns: their weights are exactly 0."""
    random = np.random.default_rng(seed)
    X, y = make_classification(n_samples=100, n_features=20, random_state=seed)
    X[np.abs(X) < 1.0] = 0.0
    noise = 0.1 * random.standard_normal((100, 3))
    noise[np.abs(noise) < 0.15] = 0.0
    X = np.c_[X, noise, np.zeros((100, 2))]
    settings: dict[str, Any] = {"C": 1.0, "l1_ratio": 1, "fit_intercept": False, "backend": backend.name}
    dense = LogisticRegression(tol=1e-13, **settings).fit(X, y)
    np.testing.assert_array_equal(dense.coef_[0, 20:], 0.0)
    for layout in LAYOUTS:
        thin = LogisticRegression(tol=1e-13, **settings).fit(layout(X), y)
        np.testing.assert_allclose(thin.coef_, dense.coef_, atol=1e-6)
        np.testing.assert_array_equal(thin.coef_ == 0.0, dense.coef_ == 0.0)


@pytest.mark.parametrize("C", [0.001, 0.1, 1.0, 10.0, 1000.0, 1e6])
def test_the_ends_of_the_elastic_net_are_l1_and_l2(backend: Engine, C: float) -> None:
    """As l1_ratio goes to 1 and to 0 the optimum does: no jump where another solver takes over."""
    X, y = make_classification(random_state=1)
    settings: dict[str, Any] = {"C": C, "backend": backend.name, "tol": 1e-10}
    for end, near in ((1.0, 1.0 - 1e-9), (0.0, 1e-9)):
        at_end = LogisticRegression(l1_ratio=end, **settings).fit(X, y)
        beside = LogisticRegression(l1_ratio=near, **settings).fit(X, y)
        scale_of = max(1.0, float(np.abs(at_end.coef_).max()))
        np.testing.assert_allclose(beside.coef_, at_end.coef_, atol=2e-3 * scale_of)
        np.testing.assert_allclose(beside.history_["cost"][-1], at_end.history_["cost"][-1], rtol=1e-6)


def test_l1_l2_and_the_elastic_net_differ(backend: Engine) -> None:
    X, y = make_classification(random_state=0)
    coefs = [
        LogisticRegression(C=2.0, l1_ratio=l1_ratio, backend=backend.name).fit(X, y).coef_
        for l1_ratio in (0.5, 1.0, 0.0)
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(coefs[one] - coefs[other]).max() > 0.1
    elastic, l1, l2 = (np.count_nonzero(coef) for coef in coefs)
    assert l1 <= elastic < l2 == 20


@pytest.mark.parametrize("C", [0.05, 1.0, 100.0])
@pytest.mark.parametrize("l1_ratio", [0.1, 0.5, 0.9])
def test_each_penalty_has_the_lowest_cost_of_its_own(backend: Engine, C: float, l1_ratio: float) -> None:
    """That of the elastic net is lower at its fit than at those of L1 and L2."""
    X, y = make_classification(200, n_features=20, n_informative=10, n_redundant=0, random_state=0)
    X = scale(X)
    problem = SparseProblem(X, y, C=C, l1_ratio=l1_ratio, fit_intercept=False)

    def cost(fitted: float) -> float:
        settings = {**problem.settings, "l1_ratio": fitted}
        model = LogisticRegression(backend=backend.name, **settings).fit(X, y)
        return float(problem.cost(model.coef_, model.intercept_))

    assert cost(l1_ratio) < min(cost(0.0), cost(1.0))
    model = LogisticRegression(backend=backend.name, **problem.settings).fit(X, y)
    w = model.coef_[0]
    by_hand = C * log_loss(y, model.predict_proba(X), normalize=False)
    by_hand += l1_ratio * np.abs(w).sum() + 0.5 * (1.0 - l1_ratio) * (w @ w)
    np.testing.assert_allclose(by_hand / (C * len(y)), cost(l1_ratio), rtol=1e-7)


@pytest.mark.parametrize("l1_ratio", [0.1, 0.5, 0.9])
def test_stochastic_gradient_descent_is_near(backend: Engine, l1_ratio: float) -> None:
    X, y = make_classification(500, n_features=5, n_informative=5, n_redundant=0, random_state=1)
    X = scale(X)
    sgd = SGDClassifier(
        loss="log_loss", penalty="elasticnet", l1_ratio=l1_ratio, alpha=1.0 / 500, fit_intercept=False,
        tol=None, max_iter=500, random_state=1,
    )  # fmt: skip
    ours = LogisticRegression(l1_ratio=l1_ratio, fit_intercept=False, backend=backend.name).fit(X, y)
    np.testing.assert_allclose(sgd.fit(X, y).coef_, ours.coef_, atol=0.1)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
def test_iris_three_times(backend: Engine, alpha: float) -> None:
    """Rows that are there three times, and penalties per row: liblinear's optimum."""
    X, y = load_iris(return_X_y=True)
    X, y = np.tile(X[y <= 1], (3, 1)), np.tile(y[y <= 1], 3)
    settings: dict[str, Any] = {"C": 1.0 / (len(y) * alpha), "l1_ratio": 1, "fit_intercept": False}
    peer = Peer(solver="liblinear", tol=1e-10, max_iter=50_000, random_state=0, **settings).fit(X, y)
    ours = LogisticRegression(backend=backend.name, tol=1e-13, **settings).fit(X, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-5)


def test_the_smallest_C_with_a_weight_is_the_one_scikit_learn_computes(backend: Engine) -> None:
    """``sklearn.svm.l1_min_c``, which is exact without an intercept."""
    X, y = make_classification(n_samples=80, n_features=10, random_state=3)
    least = l1_min_c(X, y, loss="log", fit_intercept=False)
    settings: dict[str, Any] = {"l1_ratio": 1, "fit_intercept": False, "backend": backend.name}
    assert not LogisticRegression(C=0.999 * least, **settings).fit(X, y).coef_.any()
    assert np.count_nonzero(LogisticRegression(C=1.01 * least, **settings).fit(X, y).coef_) == 1


@pytest.mark.parametrize("settings", [{"l1_ratio": 1.0}, {"l1_ratio": 0.5, "positive": True}])
def test_scikit_learns_tools(settings: dict[str, Any]) -> None:
    """Clones, pickles, grids, pipelines, and what selects features by zeros."""
    X, y = load_breast_cancer(return_X_y=True)
    y = 1 - y  # large values speak for class 1
    model = LogisticRegression(backend="numpy", penalty_factor=np.linspace(0.5, 2.0, 30), **settings)
    cloned = clone(model)
    assert cloned.get_params().keys() == model.get_params().keys()
    np.testing.assert_array_equal(cloned.penalty_factor, model.penalty_factor)
    pipe = make_pipeline(StandardScaler(), model.set_params(C=0.05)).fit(X, y)
    again = pickle.loads(pickle.dumps(pipe))
    np.testing.assert_array_equal(again.predict_proba(X), pipe.predict_proba(X))
    assert cross_val_score(pipe, X, y, cv=3).mean() > 0.9
    search = GridSearchCV(
        LogisticRegression(backend="numpy", C=0.05), {"l1_ratio": [0.0, 0.5, 1.0]}, cv=3
    ).fit(scale(X), y)
    assert search.best_score_ > 0.9
    chosen = SelectFromModel(LogisticRegression(backend="numpy", l1_ratio=1.0, C=0.02)).fit(scale(X), y)
    support = chosen.get_support()
    np.testing.assert_array_equal(support, np.abs(chosen.estimator_.coef_[0]) >= 1e-5)
    assert 0 < support.sum() < 15


def test_scikit_learns_answer_is_judged() -> None:
    """``certified_gap`` of saga's coefficients goes down with saga's tolerance, and is the truth."""
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    problem = SparseProblem(X, y, C=0.1, l1_ratio=0.5)
    gaps = []
    for tol in (1e-1, 1e-3, 1e-5):
        peer = Peer(l1_ratio=0.5, solver="saga", C=0.1, tol=tol, max_iter=10_000, random_state=0).fit(X, y)
        gaps.append(certified_gap(X, y, peer.coef_, peer.intercept_, C=0.1, l1_ratio=0.5, backend="numpy"))
        true = problem.excess(peer.coef_, peer.intercept_)
        np.testing.assert_allclose(gaps[-1], true, rtol=1e-3, atol=1e-11)
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-6
