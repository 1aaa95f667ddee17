"""LogisticRegression with three and more classes: the optimum, its gap, and what is said of new rows."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Peer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import scale
from support.softmax_reference import SoftmaxProblem

from accel_logreg import LogisticRegression, SeparationWarning
from accel_logreg.interface.engine import Engine

SOLVERS = ("newton", "newton-cg", "lbfgs")


def drawn(n: int, d: int, K: int, seed: int, weights: bool = False) -> tuple[Any, Any, Any]:
    """X, labels of which the last is rare, and weights of which some are 0."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) / np.sqrt(d) + rng.standard_normal(d)
    z = X @ rng.standard_normal((d, K)) + np.append(np.zeros(K - 1), -2.0)
    y = (z + rng.gumbel(size=(n, K))).argmax(axis=1)
    y[:K] = np.arange(K)
    s = rng.integers(0, 3, n) * 0.7 if weights else None
    if s is not None:
        s[:K] = 0.7
    return X, y, s


@cache
def _problem(shape: tuple[int, int, int], C: float) -> SoftmaxProblem:
    """Once for all solvers: its optimum in extended precision takes longer than they do."""
    return SoftmaxProblem(*drawn(*shape, seed=1, weights=True), C=C)


def excess(model: LogisticRegression, problem: SoftmaxProblem) -> float:
    """(J − J*)/J* as it is, by a judge in extended precision, less what rounding J* to float64 may add."""
    return float(problem.cost(model.coef_, model.intercept_) / problem.best - 1) - 1e-15


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gap_is_what_it_says(
    backend: Engine, dtype: str, layout: str, weights: bool, fit_intercept: bool
) -> None:
    X, y, s = drawn(60, 3, 4, seed=5, weights=weights)
    X = X.astype(dtype)
    problem = SoftmaxProblem(X, y, s, C=3.0, fit_intercept=fit_intercept)
    model = LogisticRegression(backend=backend.name, C=3.0, fit_intercept=fit_intercept)
    model.fit(X if layout == "dense" else csr_array(X), y, s)
    assert model.coef_.shape == (4, 3)
    assert model.intercept_.shape == (4,)
    assert excess(model, problem) <= model.gap_ <= 1e-8
    assert model.gap_kind_ == "certified"


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("C", [0.01, 1.0, 1e4])
@pytest.mark.parametrize("shape", [(300, 12, 3), (300, 20, 7), (60, 5, 25)])
def test_every_solver_finds_the_optimum(shape: tuple[int, int, int], C: float, solver: str) -> None:
    problem = _problem(shape, C)
    X, y, s = problem.X, problem.y, problem.s
    model = LogisticRegression(backend="numba", solver=solver, C=C).fit(X, y, s)
    assert model.solver_ == solver
    assert excess(model, problem) <= model.gap_ <= 1e-8


@pytest.mark.parametrize("solver", [*SOLVERS, "newton-gram"])
def test_without_an_intercept_there_is_none(solver: str) -> None:
    X, y, s = drawn(300, 6, 4, seed=16)
    model = LogisticRegression(solver=solver, fit_intercept=False).fit(X, y, s)
    assert (model.intercept_ == 0.0).all()
    assert excess(model, SoftmaxProblem(X, y, s, fit_intercept=False)) <= model.gap_ <= 1e-8


@pytest.mark.parametrize("C", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fewer_rows_than_columns(dtype: str, C: float) -> None:
    X, y, s = drawn(50, 90, 4, seed=2, weights=True)
    X = X.astype(dtype) + np.float32(3.0)
    model = LogisticRegression(C=C).fit(X, y, s)
    assert model.solver_ == "newton-gram"
    assert excess(model, SoftmaxProblem(X, y, s, C=C)) <= model.gap_ <= 1e-8


@pytest.mark.parametrize("load", [load_iris, load_wine, load_digits])
def test_scikit_learns_optimum(load: Any) -> None:
    X, y = load(return_X_y=True)
    X = scale(X)
    ours = LogisticRegression(tol=1e-15).fit(X, y)
    peer = Peer(tol=1e-10, solver="newton-cg", max_iter=1000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=3e-6)
    np.testing.assert_allclose(ours.intercept_, peer.intercept_ - peer.intercept_.mean(), atol=3e-6)
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(ours.predict(X), peer.predict(X))


def test_what_is_free_is_centred() -> None:
    X, y, _ = drawn(200, 4, 3, seed=3)
    for C in (1.0, float("inf")):
        model = LogisticRegression(C=C).fit(X, y)
        np.testing.assert_allclose(model.coef_.sum(axis=0), 0.0, atol=1e-14)
        assert abs(model.intercept_.sum()) < 1e-13
    assert excess(model, SoftmaxProblem(X, y, C=float("inf"))) <= model.gap_ <= 1e-8


def test_columns_of_any_scale_and_copies_of_columns() -> None:
    X, y, _ = drawn(300, 4, 3, seed=4)
    plain = LogisticRegression(C=float("inf"), tol=1e-13).fit(X, y)
    factors = np.array([1e-6, 1.0, 1e5, 1e9])
    scaled = LogisticRegression(C=float("inf"), tol=1e-13).fit(X * factors, y)
    np.testing.assert_allclose(scaled.coef_ * factors, plain.coef_, rtol=1e-5)
    twice = LogisticRegression(C=float("inf"), tol=1e-13).fit(np.c_[X, X[:, 0], np.ones(300)], y)
    np.testing.assert_allclose(twice.coef_[:, 0], plain.coef_[:, 0] / 2, rtol=1e-5)
    np.testing.assert_allclose(twice.coef_[:, 4], plain.coef_[:, 0] / 2, rtol=1e-5)
    np.testing.assert_allclose(twice.coef_[:, 5], 0.0, atol=1e-9)


def test_weights_are_rows_and_class_weights_are_weights() -> None:
    X, y, _ = drawn(80, 3, 3, seed=6)
    s = np.random.default_rng(0).integers(0, 4, 80)
    s[:3] = 1
    weighted = LogisticRegression(tol=1e-14).fit(X, y, s)
    repeated = LogisticRegression(tol=1e-14).fit(np.repeat(X, s, axis=0), np.repeat(y, s))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-7)
    by_class = LogisticRegression(tol=1e-14, class_weight={0: 2.0, 2: 0.5}).fit(X, y)
    by_row = LogisticRegression(tol=1e-14).fit(X, y, np.array([2.0, 1.0, 0.5])[y])
    np.testing.assert_allclose(by_class.coef_, by_row.coef_, atol=1e-9)
    balanced = LogisticRegression(tol=1e-14, class_weight="balanced").fit(X, y)
    by_row = LogisticRegression(tol=1e-14).fit(X, y, (80 / 3 / np.bincount(y))[y])
    np.testing.assert_allclose(balanced.coef_, by_row.coef_, atol=1e-7)


def test_a_class_without_weight_has_no_probability() -> None:
    """As in bagging with a rare class: the others are fitted as if it were not there."""
    X, y, _ = drawn(90, 3, 4, seed=7)
    s = (y != 2).astype(float)
    model = LogisticRegression(tol=1e-13).fit(X, y, s)
    without = LogisticRegression(tol=1e-13).fit(X[y != 2], y[y != 2])
    np.testing.assert_allclose(np.delete(model.coef_, 2, axis=0), without.coef_, atol=1e-7)
    assert (model.predict_proba(X)[:, 2] == 0.0).all()
    np.testing.assert_allclose(
        np.delete(model.predict_proba(X), 2, axis=1), without.predict_proba(X), atol=1e-8
    )
    two = LogisticRegression(tol=1e-13).fit(X, y, (y < 2).astype(float))
    np.testing.assert_allclose(two.predict_proba(X).sum(axis=1), 1.0)
    again = LogisticRegression(tol=1e-13, warm_start=True).fit(X, y, s).fit(X, y)
    np.testing.assert_allclose(again.coef_, LogisticRegression(tol=1e-13).fit(X, y).coef_, atol=1e-6)


@pytest.mark.parametrize("labels", [["u", "v", "w"], [True, False, 3], [-1.0, 0.0, 7.0]])
def test_labels_of_any_kind_in_sorted_order(labels: list[Any]) -> None:
    X, y, _ = drawn(60, 2, 3, seed=8)
    names = np.sort(np.array(labels, dtype=None))
    model = LogisticRegression().fit(X, names[y])
    np.testing.assert_array_equal(model.classes_, names)
    assert model.score(X, names[y]) == LogisticRegression().fit(X, y).score(X, y)


def test_a_class_with_one_row_and_hundreds_of_classes() -> None:
    rng = np.random.default_rng(9)
    y = np.append(np.arange(300) % 120, 120)
    X = rng.standard_normal((301, 3))
    model = LogisticRegression().fit(X, y)
    assert model.coef_.shape == (121, 3)
    assert excess(model, SoftmaxProblem(X, y)) <= model.gap_ <= 1e-8


def test_what_is_said_of_new_rows(backend: Engine) -> None:
    X, y, _ = drawn(60, 3, 3, seed=10)
    model = LogisticRegression(backend=backend.name).fit(X, y)
    rows = X[:7] * 1e3
    z = rows @ model.coef_.T + model.intercept_
    np.testing.assert_allclose(model.decision_function(rows), z, rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(rows), softmax(z, axis=1), atol=1e-14)
    logarithm = model.predict_log_proba(rows)
    assert np.isfinite(logarithm).all()
    np.testing.assert_allclose(logarithm, log_softmax(z, axis=1), rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(model.predict(rows), z.argmax(axis=1))
    np.testing.assert_allclose(model.predict_proba(csr_array(rows)), softmax(z, axis=1), atol=1e-14)
    with pytest.raises(ValueError, match="NaN"):
        model.predict(np.full((1, 3), np.nan))


def test_gradient_descent_is_the_lessons_steps(backend: Engine) -> None:
    X, y, _ = drawn(40, 2, 3, seed=11)
    model = LogisticRegression(
        backend=backend.name, solver="gradient-descent", max_iter=20, learning_rate=0.2, C=float("inf")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    w, b, Y = np.zeros((3, 2)), np.zeros(3), np.eye(3)[y]
    for _ in range(20):
        dz = softmax(X @ w.T + b, axis=1) - Y
        w, b = w - 0.2 * dz.T @ X / 40, b - 0.2 * dz.mean(axis=0)
    np.testing.assert_allclose(model.coef_, w, atol=1e-12)
    np.testing.assert_allclose(model.intercept_, b, atol=1e-12)
    assert excess(model, SoftmaxProblem(X, y, C=float("inf"))) <= model.gap_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        auto = LogisticRegression(solver="gradient-descent", max_iter=50).fit(X, y)
    assert (np.diff(auto.history_["cost"]) < 0).all()


def test_a_warm_start_needs_less_and_ends_where_a_cold_one_does() -> None:
    X, y, _ = drawn(3000, 40, 6, seed=12)
    model = LogisticRegression(warm_start=True, C=0.1, solver="newton-cg").fit(X, y)
    model.C = 0.12
    cold = LogisticRegression(C=0.12, solver="newton-cg").fit(X, y)
    model.fit(X, y)
    assert model.history_["reads"][-1] < cold.history_["reads"][-1]
    np.testing.assert_allclose(model.coef_, cold.coef_, atol=1e-3)
    with pytest.raises(ValueError, match="y has 2 classes and the last fit had 6"):
        model.fit(X, y > 2)


def test_separated_classes_have_no_optimum_without_a_penalty() -> None:
    rng = np.random.default_rng(13)
    y = np.arange(90) % 3
    X = np.eye(3)[y] * 4 + 0.1 * rng.standard_normal((90, 3))
    with pytest.warns(SeparationWarning, match="perfectly separated and C=inf"):
        model = LogisticRegression(C=float("inf")).fit(X, y)
    assert model.gap_ == float("inf")
    # One class apart from two that are mixed: a direction separates in part.
    X[:, 0] = np.where(y == 0, 1.0, 0.0)
    X[:, 1:] = rng.standard_normal((90, 2))
    with pytest.warns(SeparationWarning, match=r"separated in part \(quasi-separation\).*column 0 move"):
        LogisticRegression(C=float("inf")).fit(X, y)
    assert LogisticRegression(C=1e6).fit(X, y).gap_ <= 1e-8
    for solver in ("auto", "newton"):
        with pytest.warns(SeparationWarning, match="column"):
            one_vs_rest = LogisticRegression(C=float("inf"), multi_class="ovr", solver=solver).fit(X, y)
        assert one_vs_rest.gap_ == float("inf")


def test_threads_and_seeds_change_nothing_that_matters() -> None:
    X, y, _ = drawn(4000, 30, 5, seed=14)
    fits = [
        LogisticRegression(solver="newton-cg", n_threads=threads, random_state=seed).fit(X, y)
        for threads, seed in ((1, 0), (2, 0), (2, 0), (2, 1))
    ]
    for one in fits[1:]:
        np.testing.assert_allclose(one.coef_, fits[0].coef_, atol=1e-3)
    np.testing.assert_array_equal(fits[1].coef_, fits[2].coef_)


def test_more_classes_than_memory_names_the_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accel_logreg.fitting.classes._memory", lambda: 20_000.0)
    X, y, _ = drawn(100, 20, 5, seed=19)
    with pytest.raises(MemoryError, match=r"5 classes and 20 features takes about 7.12e-05 GB for 100 rows"):
        LogisticRegression().fit(X, y)
    assert LogisticRegression(multi_class="ovr").fit(X, y).gap_ <= 1e-8


def test_what_cannot_be_had_says_so() -> None:
    X, y, _ = drawn(30, 2, 3, seed=15)
    with pytest.raises(ValueError, match="solver='newton-gram' needs a penalty"):
        LogisticRegression(solver="newton-gram", C=float("inf")).fit(X, y)
    with pytest.raises(ValueError, match="multi_class='softmax' is unknown; allowed: 'auto'"):
        LogisticRegression(multi_class="softmax").fit(X, y)
    with pytest.raises(ValueError, match=r"class_weight names \[7\], which y does not have"):
        LogisticRegression(class_weight={7: 2.0}).fit(X, y)
    with pytest.raises(ValueError, match=r"shape \(30, 3\).*MultiOutputClassifier"):
        LogisticRegression().fit(X, np.eye(3)[y])
    bad = X.copy()
    bad[3, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        LogisticRegression().fit(bad, y)


@pytest.mark.parametrize("solver", ["auto", "newton-cg"])
@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_one_class_against_the_rest(backend: Engine, layout: str, solver: str) -> None:
    X, y, s = drawn(90, 3, 4, seed=17, weights=True)
    fitted = X if layout == "dense" else csr_array(X)
    model = LogisticRegression(backend=backend.name, multi_class="ovr", solver=solver, tol=1e-12)
    model.fit(fitted, y, s)
    ones = [LogisticRegression(tol=1e-13).fit(X, y == k, s) for k in range(4)]
    np.testing.assert_allclose(model.coef_, np.vstack([one.coef_ for one in ones]), atol=1e-5)
    np.testing.assert_allclose(model.intercept_, np.hstack([one.intercept_ for one in ones]), atol=1e-5)
    peer = OneVsRestClassifier(Peer(tol=1e-10, solver="newton-cg")).fit(X[s > 0], y[s > 0])
    ours = LogisticRegression(multi_class="ovr", tol=1e-13).fit(X[s > 0], y[s > 0])
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(np.exp(ours.predict_log_proba(X)), ours.predict_proba(X), atol=1e-12)
    np.testing.assert_array_equal(ours.predict(X), peer.predict(X))
    assert model.gap_ <= 1e-12


def test_one_against_the_rest_of_two_classes_is_the_binary_fit() -> None:
    X, y, _ = drawn(80, 3, 3, seed=18)
    np.testing.assert_array_equal(
        LogisticRegression(multi_class="ovr").fit(X, y > 0).coef_, LogisticRegression().fit(X, y > 0).coef_
    )
    soft = LogisticRegression().fit(X, y)
    warm = LogisticRegression(multi_class="ovr", warm_start=True).fit(X, y).fit(X, y)
    assert not np.allclose(warm.coef_, soft.coef_, atol=1e-2)
    assert warm.one_vs_rest_
