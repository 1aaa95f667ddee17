"""What a fit with zeros says of itself is true: of hundreds of small problems of all kinds, none excused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from support.composite_problems import drawn
from support.l1_reference import SparseProblem

from accel_logreg import LogisticRegression, SeparationWarning, certified_gap

_JUDGED = 1e-12  # of J: what two evaluations of a cost may differ by


@pytest.mark.parametrize("engine", ["python", "numpy", "numba"])
@pytest.mark.parametrize("first", range(0, 75, 25))
def test_the_gap_is_what_it_says(engine: str, first: int) -> None:
    """No warning, gap_ certified and at most tol, and the true gap at most gap_."""
    of_engine = {"python": 0, "numpy": 1000, "numba": 2000}[engine]
    for seed in range(of_engine + first, of_engine + first + 25):
        problem = drawn(seed)
        model = LogisticRegression(backend=engine, **problem.settings)
        model.fit(problem.X, problem.y, problem.s)
        said = f"seed {seed}: gap_ {model.gap_}, {model.n_iter_} steps"
        assert model.gap_kind_ == "certified", said
        assert 0.0 <= model.gap_ <= 1e-8, said
        assert problem.excess(model.coef_, model.intercept_) <= model.gap_ + _JUDGED, said
        if problem.positive:
            assert (model.coef_ >= 0.0).all(), said
        if not problem.fit_intercept:
            assert not model.intercept_.any(), said
        assert model.history_["cost"][-1] == pytest.approx(
            float(problem.cost(model.coef_, model.intercept_)), rel=1e-12
        ), said


@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_a_loose_tol_is_kept_and_true(tol: float) -> None:
    separated = 0
    for seed in range(3000, 3040):
        problem = drawn(seed)
        model = LogisticRegression(backend="numpy", tol=tol, **problem.settings)
        try:
            model.fit(problem.X, problem.y, problem.s)
        except SeparationWarning:  # features that are free of the penalty leave no finite optimum
            separated += 1
            continue
        assert model.gap_ <= tol, seed
        assert problem.excess(model.coef_, model.intercept_) <= model.gap_ + _JUDGED, seed
    assert separated <= 2


def test_the_judge_sees_what_is_wrong() -> None:
    """A weight that is off by a thousandth, or missing, is seen; and both ways to the optimum meet."""
    random = np.random.default_rng(1)
    X = random.standard_normal((60, 5))
    y = (X[:, 0] + random.standard_normal(60) > 0).astype(int)
    problem = SparseProblem(X, y, C=0.3, l1_ratio=0.8)
    W = problem.accelerated()
    assert problem.excess(W[:, :-1], W[:, -1]) <= 1e-12
    wrong = W.copy()
    wrong[0, 0] *= 1.001
    assert problem.excess(wrong[:, :-1], wrong[:, -1]) > 1e-8
    assert problem.excess(0.0 * W[:, :-1], W[:, -1]) > 1e-2


@pytest.mark.parametrize("first", range(4000, 4030, 10))
def test_certified_gap_of_anybodys_coefficients(first: int) -> None:
    """Never below the true gap, and near it: the optimum that is compared with is known to 1e-12."""
    for seed in range(first, first + 10):
        problem = drawn(seed)
        random = np.random.default_rng(seed)
        model = LogisticRegression(backend="numpy", tol=1e-4, **problem.settings)
        model.fit(problem.X, problem.y, problem.s)
        coef = model.coef_ * (1.0 + 1e-2 * random.standard_normal(model.coef_.shape))
        true = problem.excess(coef, model.intercept_)
        said = certified_gap(
            problem.X, problem.y, coef, model.intercept_, sample_weight=problem.s, backend="numpy",
            **problem.settings,
        )  # fmt: skip
        assert true <= said * (1.0 + 1e-6) + _JUDGED, seed
        assert said <= true * (1.0 + 1e-6) + 1e-8, seed


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize(("size", "intercept"), [(0.0, 0.0), (1e-3, 3.0), (100.0, -50.0), (1e5, 0.0)])
def test_certified_gap_far_away(engine: str, size: float, intercept: float) -> None:
    """However wrong a model is: by how much."""
    random = np.random.default_rng(0)
    X = random.standard_normal((60, 5))
    problem = SparseProblem(X, (X[:, 0] + random.standard_normal(60) > 0).astype(int), l1_ratio=0.7)
    coef = np.full((1, 5), size)
    said = certified_gap(X, problem.y, coef, intercept, C=1.0, l1_ratio=0.7, backend=engine)
    assert said == pytest.approx(problem.excess(coef, intercept), rel=1e-9)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_weights_of_columns_that_store_nothing_are_judged_too(K: int, l1_ratio: float) -> None:
    """A fit leaves such columns out; anybody's model may have weights there, and they cost their penalty."""
    random = np.random.default_rng(0)
    numbers = random.standard_normal((60, 8))
    X = sparse.csr_matrix(sparse.hstack([sparse.csr_matrix(numbers), sparse.csr_matrix((60, 150))]))
    factor = random.uniform(0.5, 2.0, 158)
    problem = SparseProblem(X, random.integers(0, K, 60), l1_ratio=l1_ratio, factor=factor)
    model = LogisticRegression(backend="numpy", **problem.settings).fit(X, problem.y)
    assert not model.coef_[:, 8:].any()
    coef = model.coef_.copy()
    coef[0, -1] = 0.5
    said = certified_gap(X, problem.y, coef, model.intercept_, backend="numpy", **problem.settings)
    assert said == pytest.approx(problem.excess(coef, model.intercept_), rel=1e-6)


def test_negative_weights_are_no_model_where_none_may_be() -> None:
    """However low their cost would be."""
    random = np.random.default_rng(0)
    X = random.standard_normal((60, 4))
    y = (X[:, 0] - X[:, 1] + random.standard_normal(60) > 0).astype(int)
    settings: dict[str, Any] = {"l1_ratio": 1.0, "backend": "numpy"}
    anything = LogisticRegression(**settings).fit(X, y)
    coef, intercept = anything.coef_, anything.intercept_
    assert (coef < 0.0).any()
    assert certified_gap(X, y, coef, intercept, C=1.0, **settings) < 1e-8
    assert certified_gap(X, y, coef, intercept, C=1.0, positive=True, **settings) == np.inf
    clipped = np.maximum(coef, 0.0)
    said = certified_gap(X, y, clipped, intercept, C=1.0, positive=True, **settings)
    assert said == pytest.approx(SparseProblem(X, y, positive=True).excess(clipped, intercept), rel=1e-6)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
def test_hostile_columns(engine: str, layout: Any) -> None:
    """Scales of 1e±6, means far from 0, copies and constants, all in one X."""
    random = np.random.default_rng(7)
    Z = random.standard_normal((200, 6))
    y = (Z[:, 0] - Z[:, 1] + random.standard_normal(200) > 0).astype(int)
    X = layout(np.c_[Z * [1e6, 1e-6, 1.0, 1.0, 1.0, 1.0], Z[:, 2], np.full(200, 3.7), Z[:, 3] + 1e4])
    for l1_ratio in (1.0, 0.5):
        settings: dict[str, Any] = {"C": 0.5, "l1_ratio": l1_ratio}
        model = LogisticRegression(backend=engine, **settings).fit(X, y)
        assert model.coef_[0, 7] == 0.0  # a constant has no slope of its own
        assert SparseProblem(X, y, **settings).excess(model.coef_, model.intercept_) <= model.gap_ + _JUDGED
