"""The bound by the exact Hessian: never below the true gap, near it, and none where there is no optimum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.special import logsumexp
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression as ScikitLearn
from sklearn.preprocessing import scale

from accel_logreg import LogisticRegression, SeparationWarning, certified_gap
from accel_logreg.interface.arrays import Csr
from accel_logreg.interface.engine import Engine
from accel_logreg.problem.certificate import Certificate, least_curvature, self_concordant_bound
from accel_logreg.problem.coordinates import standardised
from accel_logreg.problem.objective import Objective
from accel_logreg.problem.separation import separating_direction
from bench.gap_study.evaluator import Problem

EVALUATED = 1e-17  # nats: what the evaluator itself cannot tell


def placed(problem: Problem, engine: Engine) -> Objective:
    X = problem.X
    if sparse.issparse(X):
        X = Csr(X.data, X.indices, X.indptr, X.shape)
    rows = engine.place(X, problem.y.astype(float), problem.s)
    return Objective(rows, l2=float(problem.l2), fit_intercept=problem.fit_intercept)


def ratios(
    problem: Problem, engine: Engine, distance: float, seed: int, faulty: Any = lambda found: found
) -> list[float]:
    """True gap over bound: by a Hessian made there, and by one made a little way off."""
    seen = standardised(placed(problem, engine))
    w, b, _ = problem.optimum
    best = seen.coordinates(np.append(w, b).astype(float))
    move = np.random.default_rng(seed).standard_normal(best.size)
    if not problem.fit_intercept:
        move[-1] = 0.0
    U = best + distance * move
    W = seen.original(U)
    true = float(problem.cost(W[:-1], W[-1]) - problem.best)
    value, gradient = seen.value_grad(U)
    found = []
    for at in (U, U + 0.3 * distance * move[::-1] * (np.arange(best.size) < best.size - 1)):
        bound = faulty(seen.certificate(at)).bound(U, gradient, seen.rounding(U, value))
        found.append((true - EVALUATED) / bound if bound > 0.0 else math.inf)
    return found


def drawn(seed: int, n: int, d: int, C: float, kind: str, *, fit_intercept: bool = True) -> Problem:
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, d)) * 10.0 ** random.uniform(-2, 2, d) + random.uniform(-3, 3, d)
    y = (random.random(n) < 1 / (1 + np.exp(-(X[:, 0] - X[:, 0].mean()) / X[:, 0].std()))).astype(int)
    y[: 2 * d + 4] = np.arange(2 * d + 4) % 2  # both labels among the first rows: not separated
    X[1 : 2 * d + 4 : 2] = X[0 : 2 * d + 4 : 2]
    s = 10.0 ** random.uniform(-1, 1, n) if kind == "weights" else None
    return Problem(sparse.csr_matrix(X) if kind == "CSR" else X, y, s, C, fit_intercept)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(40, 120),
    d=st.integers(1, 8),
    C=st.sampled_from([1e-2, 1.0, 1e4, math.inf]),
    kind=st.sampled_from(["dense", "weights", "CSR"]),
    distance=st.sampled_from([1e-5, 1e-4, 1e-2]),
    fit_intercept=st.booleans(),
)
def test_never_below_the_true_gap(
    backend: Engine, seed: int, n: int, d: int, C: float, kind: str, distance: float, fit_intercept: bool
) -> None:
    problem = drawn(seed, n, d, C, kind, fit_intercept=fit_intercept)
    for ratio in ratios(problem, backend, distance, seed):
        assert ratio <= 1.0 + 1e-6


def test_near_the_true_gap(backend: Engine) -> None:
    for seed in range(5):
        for ratio in ratios(drawn(seed, 100, 4, math.inf, "dense"), backend, 1e-4, seed):
            assert ratio > 0.5


class _Faulty(Certificate):
    """As another, but for what is changed."""

    def __init__(self, found: Certificate, **changed: Any) -> None:
        self.__dict__.update(vars(found), **changed)


@pytest.mark.parametrize("fault", ["no growth", "curvature too large", "a gradient without its intercept"])
def test_planted_faults_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The property test above is able to fail: each of these makes the bound too low somewhere."""
    from accel_logreg.backends import load_backend

    def faulty(found: Certificate) -> Certificate:
        if fault == "curvature too large":
            return _Faulty(found, _L=found._L * 1.1)
        if fault == "a gradient without its intercept":
            changed = _Faulty(found)
            monkeypatch.setattr(
                _Faulty,
                "decrement",
                lambda self, g: Certificate.decrement(self, g * np.r_[g[:-1] * 0 + 1, 0]),
            )
            return changed
        monkeypatch.setattr(_Faulty, "_distance", lambda _self, _U: 0.0)
        return _Faulty(found, _radius=1e-9)

    worst = 0.0
    for seed in range(40):
        problem = drawn(seed, 60, 3, math.inf, "dense")
        worst = max(worst, *ratios(problem, load_backend("numpy"), 0.05, seed, faulty))
    assert worst > 1.0 + 1e-6


def test_the_bound_and_its_series() -> None:
    assert self_concordant_bound(1e-3, 1.0) == pytest.approx(0.5e-6 * (1 + 1e-3 / 3), rel=1e-6)
    at_switch = [self_concordant_bound(q, 1.0) for q in (0.00999999, 0.01000001)]
    assert at_switch[0] == pytest.approx(at_switch[1], rel=1e-5)
    assert self_concordant_bound(0.5, 1.0) == pytest.approx(0.5 + 0.5 * math.log(0.5))
    assert self_concordant_bound(1.0, 1.0) == math.inf


def test_none_where_there_is_no_optimum(backend: Engine) -> None:
    X, y = np.repeat([[0.0], [0.0], [1.0]], [15, 5, 12], axis=0), np.repeat([0, 1, 1], [15, 5, 12])
    seen = standardised(placed(Problem(X, y, C=math.inf), backend))
    for slope in (1.0, 5.0, 15.0, 25.0):
        U = seen.coordinates(np.array([slope, -1.0986122886681098]))
        value, gradient = seen.value_grad(U)
        assert seen.certificate(U).bound(U, gradient, seen.rounding(U, value)) == math.inf


@pytest.mark.parametrize("C", [1.0, 100.0, math.inf])
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
def test_anybodys_answer_is_judged(C: float, layout: Any) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)[:, :8]
    theirs = ScikitLearn(C=C if math.isfinite(C) else 1e12, tol=1e-6, max_iter=1000).fit(X, y)
    judged = certified_gap(layout(X), y, theirs.coef_, theirs.intercept_, C=C)
    true = Problem(X, y, C=C).excess(theirs.coef_[0], theirs.intercept_[0])
    assert true <= judged <= 2 * true + 1e-13
    ours = LogisticRegression(C=C).fit(X, y)
    assert certified_gap(X, y, ours.coef_, ours.intercept_, C=C) <= 1e-8
    far = certified_gap(layout(X), y, 0 * theirs.coef_, 0.0, C=C)  # J* itself says how far that is
    assert far == pytest.approx(Problem(X, y, C=C).excess(0 * theirs.coef_[0], 0.0), rel=1e-5)


def test_judging_takes_weights_names_and_bad_input() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X, s = scale(X), np.random.default_rng(0).random(len(y))
    model = LogisticRegression().fit(X, y, s)
    names = np.array(["benign", "malignant"])[y]
    assert certified_gap(X, names, model.coef_, model.intercept_, C=1.0, sample_weight=s) <= 1e-8
    assert certified_gap(X, y, model.coef_[0], model.intercept_[0], C=1.0) > 1e-6
    without = LogisticRegression(fit_intercept=False).fit(X, y)
    assert certified_gap(X, y, without.coef_, without.intercept_, C=1.0, fit_intercept=False) <= 1e-8
    with pytest.raises(ValueError, match=r"coef has 5 entries and X 30 columns"):
        certified_gap(X, y, np.zeros(5), 0.0, C=1.0)
    with pytest.raises(ValueError, match=r"coef holds NaN or infinity"):
        certified_gap(X, y, np.full(30, np.nan), 0.0, C=1.0)
    with pytest.raises(ValueError, match=r"C=-1"):
        certified_gap(X, y, np.zeros(30), 0.0, C=-1)
    assert certified_gap([[0.0], [1.0]], [0, 1], [3.0], -1.5, C=math.inf) == math.inf


def cost_of_classes(X: Any, y: Any, s: Any, C: float, W: Any, b: Any) -> float:
    z = X @ W.T + b
    penalty = 0.0 if math.isinf(C) else 0.5 / (C * s.sum()) * float(np.square(W).sum())
    return float(s @ (logsumexp(z, axis=1) - z[np.arange(len(y)), y])) / s.sum() + penalty


@pytest.mark.parametrize("C", [0.01, 1.0, math.inf])
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
def test_anybodys_answer_for_many_classes_is_judged(C: float, layout: Any) -> None:
    """And the same probabilities by weights that do not sum to 0: they cost their penalty alone."""
    random = np.random.default_rng(0)
    X, s = random.standard_normal((300, 6)), random.random(300)
    X[:, -1] = 0.0  # stores nothing where sparse
    X[random.random(X.shape) < 0.4] = 0.0
    y = (X @ random.standard_normal((6, 4)) + random.gumbel(size=(300, 4))).argmax(axis=1)
    ours = LogisticRegression(C=C, tol=1e-15, backend="numpy").fit(X, y, s)
    best = cost_of_classes(X, y, s, C, ours.coef_, ours.intercept_)
    theirs = ScikitLearn(C=C if math.isfinite(C) else np.inf, tol=1e-3, max_iter=1000).fit(X, y, s)
    for W, b in (
        (theirs.coef_, theirs.intercept_),
        (theirs.coef_ + np.arange(6.0), theirs.intercept_ + 1e3),
        (0.0 * theirs.coef_, 0.0 * theirs.intercept_),
    ):
        judged = certified_gap(layout(X), y, W, b, C=C, sample_weight=s)
        true = cost_of_classes(X, y, s, C, W, b) / best - 1.0
        assert true * (1.0 - 1e-6) - 1e-12 <= judged <= 1.5 * true + 1e-12
    names = np.array(["d", "b", "a", "c"])[y]
    order = np.argsort(["d", "b", "a", "c"])
    W, b = ours.coef_[order], ours.intercept_[order]
    assert certified_gap(X, names, W, b, C=C, sample_weight=s, backend="python") <= 1e-14
    assert certified_gap(X, names, ours.coef_, ours.intercept_, C=C, sample_weight=s) > 0.1


def test_a_class_without_weight_is_judged_where_its_optimum_is() -> None:
    random = np.random.default_rng(1)
    X, y = random.standard_normal((90, 3)), np.arange(90) % 4
    model = LogisticRegression().fit(X, y, y != 2)
    assert certified_gap(X, y, model.coef_, model.intercept_, C=1.0, sample_weight=y != 2) <= 1e-8
    b = np.where(np.isfinite(model.intercept_), model.intercept_, -5.0)
    with pytest.raises(ValueError, match=r"at a coef of 0 and an intercept of -inf"):
        certified_gap(X, y, model.coef_, b, C=1.0, sample_weight=y != 2)
    with pytest.raises(ValueError, match=r"coef holds NaN or infinity"):
        certified_gap(X, y, model.coef_, model.intercept_, C=1.0)
    with pytest.raises(ValueError, match=r"coef has shape \(3,\) and must have \(4, 3\), a row a class"):
        certified_gap(X, y, model.coef_[0], b, C=1.0)
    with pytest.raises(
        ValueError, match=r"intercept has 1 numbers, up to 0; it must have 4 numbers, one a class"
    ):
        certified_gap(X, y, model.coef_, 0.0, C=1.0)
    with pytest.raises(ValueError, match=r"and 0 where fit_intercept=False"):
        certified_gap(X, y, model.coef_, b, C=1.0, fit_intercept=False)
    apart = np.repeat(np.eye(3), 2, axis=0)
    classes = np.repeat(np.arange(3), 2)
    assert certified_gap(apart, classes, 3.0 * np.eye(3), np.zeros(3), C=math.inf) == math.inf


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_linear_program_finds_what_separates(layout: Any, fit_intercept: bool) -> None:
    X = np.c_[[0.0, 0, 1, 1, 0], [1.0, -1, 1, -1, 1], np.zeros(5)]
    y = np.array([0, 1, 1, 1, 1])
    matrix = layout(X)
    given = Csr(matrix.data, matrix.indices, matrix.indptr, X.shape) if sparse.issparse(matrix) else matrix
    V = separating_direction(given, y, None, fit_intercept)
    assert V is not None
    margins = (2 * y - 1) * (X @ V[:-1] + V[-1])
    assert margins.min() >= -1e-9
    assert margins.max() > 0.1
    assert V[2] == 0.0
    both = np.r_[X, X]
    assert separating_direction(both, np.r_[y, 1 - y], None, fit_intercept) is None
    weights = np.r_[np.ones(5), np.zeros(5)]
    assert separating_direction(both, np.r_[y, 1 - y], weights, fit_intercept) is not None


def test_digits_are_separated_by_pixels_that_newton_cannot_tell() -> None:
    X, y = load_digits(return_X_y=True)
    with pytest.warns(SeparationWarning, match=r"in part .* columns"):
        LogisticRegression(C=math.inf).fit(X, y == 8)


@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_least_curvature_is_below_every_eigenvalue(K: int, seed: int) -> None:
    """Of Hessians with a penalty on all but the intercepts, whose own curvature may be next to nothing."""
    rng = np.random.default_rng(seed)
    p, penalty = 5, 10.0 ** rng.uniform(-6, 0)
    X = np.kron(np.eye(K), np.column_stack([rng.standard_normal((30, p - 1)) + 3.0, np.ones(30)]))
    h = 10.0 ** rng.uniform(-8, 0, size=len(X))
    H = (X.T * h) @ X
    H.flat[:: len(H) + 1] += np.where(np.arange(len(H)) % p == p - 1, 0.0, penalty)
    found = least_curvature(H, penalty, p)
    least = float(np.linalg.eigvalsh(H)[0])
    assert 0.0 < found <= least * (1.0 + 1e-6)
    assert least_curvature(H, 0.0, p) == 0.0
    tight = np.diag(np.tile(np.append(np.full(p - 1, 2.0), 5.0), K))  # nothing beside the intercepts
    assert least_curvature(tight, 2.0, p) == pytest.approx(1.0 / (1.0 / 2.0 + 1.0 / 5.0))
