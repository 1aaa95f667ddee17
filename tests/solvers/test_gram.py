"""Newton's method in sample space: the optimum, and a bound that is never below the distance to it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression as ScikitLearn
from support.gram_problems import Problem, data

from accel_logreg.interface.engine import Engine
from accel_logreg.interface.targets import Targets
from accel_logreg.problem.coordinates import standardised
from accel_logreg.solvers.gram import space as gram_space
from accel_logreg.solvers.gram.space import SampleSpace


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("C", [1e-3, 1.0, 1e6])
def test_optimum(
    backend: Engine,
    dtype: type[np.floating],
    fit_intercept: bool,
    weighted: bool,
    C: float,
    rng: np.random.Generator,
) -> None:
    X, y = data(1, dtype=dtype, offset=0.5)
    s = None
    if weighted:
        s = rng.integers(0, 3, len(y)) + rng.random(len(y))
        s[2:4] = 0.0
    problem = Problem(X, y, C, s, fit_intercept, backend.name)
    solution = problem.newton()
    problem.assert_solved(solution, 1e-10)
    history = solution.history.arrays()
    value, gradient = problem.objective.value_grad(solution.W)
    assert history["cost"][-1] == value
    assert history["gradient_norm"][-1] == problem.objective.gradient_norm(gradient)
    assert len(history["cost"]) == solution.n_iter + 1
    assert (np.diff(history["cost"]) < 1e-12 * value).all()
    assert (np.diff(history["seconds"]) > 0).all()


def test_three_reads() -> None:
    for engine in ("numpy", "numba"):
        problem = Problem(*data(2, 20, 300), engine=engine)
        solution = problem.newton()
        assert problem.objective.reads == 3.0
        assert solution.history.reads == [1.0] * solution.n_iter + [3.0]


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_scikit_learn_agrees(fit_intercept: bool, C: float, rng: np.random.Generator) -> None:
    X, y = data(3, 30, 100)
    s = rng.random(30)
    ours = Problem(X, y, C, s, fit_intercept).newton(tol=1e-13).W
    theirs = ScikitLearn(C=C, solver="lbfgs", tol=1e-10, max_iter=10_000, fit_intercept=fit_intercept)
    theirs.fit(X, y, s)
    np.testing.assert_allclose(ours[:-1], theirs.coef_[0], atol=2e-6 * math.sqrt(C))
    assert ours[-1] == pytest.approx(theirs.intercept_[0] if fit_intercept else 0.0, abs=1e-5)


def test_two_rows_and_no_features() -> None:
    for X in (np.array([[1.0, 2.0, 3.0], [3.0, -1.0, 0.5]]), np.zeros((2, 5)), np.ones((2, 5))):
        problem = Problem(X, np.array([0.0, 1.0]))
        problem.assert_solved(problem.newton(), 1e-10)


def test_weights_mean_what_they_say() -> None:
    """Weight 2 is the row twice, weight 0 the row left out, and labels may be small integers."""
    X, y = data(4, 10, 30)
    weighted = Problem(X, y, s=np.array([2.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])).newton(tol=1e-14)
    rows = [0, 0, 1, 3, 4, 5, 6, 7, 8, 9]
    repeated = Problem(X[rows], y[rows].astype(np.int8)).newton(tol=1e-14)
    np.testing.assert_allclose(weighted.W, repeated.W, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_inner_products_are_float64_where_float32_will_not_do(engine: str) -> None:
    X, y = data(2, 20, 300)
    again = "again in float64"
    for scale, C, expected in [(1.0, 1.0, False), (1.0, 1e5, True), (1e-18, 1.0, True), (1e18, 1.0, True)]:
        problem = Problem(X * scale, y, C / scale**2, engine=engine)
        problem.assert_solved(problem.newton(tol=1e-9), 1e-9)
        assert any(again in line for line in problem.lines) == expected, (scale, C)
    tight = Problem(X, y, engine=engine)
    tight.assert_solved(tight.newton(tol=1e-12), 1e-12)
    assert tight.objective.reads == 3.0


HARD = {
    "centre far away": {"far": 3e4},
    "offset 1e4": {"offset": 1e4},
    "offset 1e4, centre far away": {"offset": 1e4, "far": 3e4},
    "offset 1e4, no intercept": {"offset": 1e4, "fit_intercept": False},
    "duplicated rows": {"duplicated": True},
    "duplicated rows, centre far away": {"duplicated": True, "far": 3e4},
    "all of it": {"duplicated": True, "offset": 1e4, "far": 3e4},
}


@pytest.mark.parametrize("C", [1.0, 1e6])
@pytest.mark.parametrize("case", HARD)
def test_rounding_in_the_inner_products_is_refined_away(backend: Engine, case: str, C: float) -> None:
    settings = dict(HARD[case])
    X, y = data(5, offset=settings.pop("offset", 0.0))
    if settings.pop("duplicated", False):
        X[6:] = X[:6]  # some with the other label
    far = settings.pop("far", 0.0)
    problem = Problem(X, y, C, engine=backend.name, **settings)
    beyond = case == "offset 1e4, no intercept" and C == 1e6  # rounding of X w is more than convexity proves
    problem.assert_solved(problem.newton(tol=1e-8, far=far), 1e-8, kind=None if beyond else "certified")
    problem.assert_solved(problem.newton(tol=1e-12, far=far), 1e-12, kind=None)


def test_a_condition_of_1e16(backend: Engine) -> None:
    """No factor of K knows more than the first digit here. The logits do."""
    X, y = data(5, offset=1e4)
    X[6:] = X[:6]  # some with the other label: then a is large where K is singular
    problem = Problem(X, y, C=1e6, fit_intercept=False, engine=backend.name)
    problem.assert_solved(problem.newton(tol=1e-8), 1e-8, kind="estimated")


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_refinement_reads_the_logits_and_says_so(engine: str) -> None:
    problem = Problem(*data(5, offset=1e4), fit_intercept=False, engine=engine)
    solution = problem.newton(tol=1e-8)
    verified = [line for line in problem.lines if line.startswith("newton-gram: verified")]
    assert len(verified) == 2
    # Inner products that float32 has not the digits for, three, logits, another combination, its gradient.
    assert solution.history.reads[-1] == 7.0
    assert solution.gap_kind == "certified"


def test_a_bound_that_cannot_be_had_becomes_an_estimate() -> None:
    X, y = data(7, offset=1e4)
    X[6:] = X[:6]
    problem = Problem(X, y, C=1e4, fit_intercept=False)
    problem.assert_solved(problem.newton(tol=1e-8), 1e-8, kind="estimated")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 10),
    extra=st.integers(0, 8),
    C=st.sampled_from([1e-3, 0.1, 10.0, 1e4]),
    offset=st.sampled_from([0.0, 3.0, 1e3]),
    scale=st.sampled_from([0.01, 1.0, 100.0]),
    tol=st.sampled_from([1e-2, 1e-6, 1e-12]),
    weighted=st.booleans(),
    fit_intercept=st.booleans(),
)
def test_never_further_from_the_optimum_than_it_says(
    seed: int,
    n: int,
    extra: int,
    C: float,
    offset: float,
    scale: float,
    tol: float,
    weighted: bool,
    fit_intercept: bool,
) -> None:
    X, y = data(seed, n, n + extra, offset=offset)
    s = np.random.default_rng(seed).random(n) + 0.01 if weighted else None
    problem = Problem(X * scale, y, C, s, fit_intercept)
    solution = problem.newton(tol=tol)
    assert problem.excess(solution) <= problem.promised(solution)
    assert solution.gap <= tol
    assert fit_intercept or solution.W[-1] == 0.0


def test_the_bound_is_the_objectives() -> None:
    """In sample space R bounds what Coordinates.convex_gap reads X for: never below, and not far above."""
    X, y = data(6)
    problem = Problem(X, y, C=10.0)
    solution = problem.newton(tol=1e-3)
    seen = standardised(problem.objective)
    U = seen.coordinates(solution.W)
    value, gradient = seen.value_grad(U)
    tight = seen.convex_gap(U, value, gradient) / value
    assert tight * (1 - 1e-6) <= solution.gap <= 10 * tight


def test_warm_start() -> None:
    X, y = data(7, 20, 100)
    cold = Problem(X, y, C=2.0).newton()
    near = Problem(X, y, C=1.9).newton()
    problem = Problem(X, y, C=2.0)
    warm = problem.newton(W=near.W)
    problem.assert_solved(warm, 1e-10)
    assert warm.n_iter < cold.n_iter
    assert problem.objective.reads == warm.history.reads[-1] == 4.0  # the logits of the start, and three
    assert problem.newton(W=warm.W).n_iter == 0
    rubbish = problem.newton(W=1e3 * near.W)
    problem.assert_solved(rubbish, 1e-10)
    assert rubbish.history.cost[0] <= cold.history.cost[0]
    only_intercept = np.zeros(101)
    only_intercept[-1] = 3.0
    np.testing.assert_array_equal(problem.newton(W=only_intercept).W, cold.W)


@pytest.mark.parametrize(("C", "rough"), [(1.0, True), (1e9, False)])
def test_float32_factors_where_they_do(C: float, rough: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their steps lead where those of float64 lead; where they are too coarse they are given up."""
    X, y = data(8, 300, 400)
    X[:, 0] *= 30.0
    spaces = []
    made = SampleSpace.__init__

    def watched(self: SampleSpace, *arguments: Any) -> None:
        made(self, *arguments)
        spaces.append(self)

    monkeypatch.setattr(SampleSpace, "__init__", watched)
    one = Problem(X, y, C).newton()
    assert (spaces[-1]._work.dtype == np.float32) == rough
    monkeypatch.setattr(gram_space, "_WORTH_FLOAT32", 1000)
    other = Problem(X, y, C).newton()
    assert spaces[-1]._work.dtype == np.float64
    assert one.gap_kind == other.gap_kind == "certified"
    assert max(one.gap, other.gap) <= 1e-10
    assert one.history.cost[-1] == pytest.approx(other.history.cost[-1], rel=1e-10)


def test_an_indefinite_matrix_gets_a_ridge() -> None:
    """Rounding may leave K with eigenvalues below zero, and with a small λ B with them."""
    v = np.array([1.0, -1.0, 1.0, 1.0])
    K = 4.0 * np.outer(v, v) - 1e-3 * np.eye(4)
    y = np.array([0.0, 1.0, 0.0, 0.0])
    space = SampleSpace(K, Targets(y, None), 1e-6, True)
    step = space.newton(space.trivial())
    assert np.isfinite(step.a).all()
    assert step.slope < 0.0
    assert step.Ka @ (1.0 - 2.0 * y) < 0.0  # to the right side of the boundary


def test_errors() -> None:
    X, y = data(9)
    with pytest.raises(ValueError, match=r"needs a penalty, and C=inf is none: use a finite C"):
        Problem(X, y, C=math.inf).newton()
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(FloatingPointError):
        Problem(X * 1e200, y).newton()
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(FloatingPointError):
        SampleSpace(np.full((2, 2), np.nan), Targets(y[:2], None), 1.0, True)


def test_stopping_short_is_said() -> None:
    problem = Problem(*data(10), C=100.0)
    solution = problem.newton(max_iter=1)
    assert solution.n_iter == 1
    assert solution.gap > 1e-10
    assert "stopped after 1 iterations" in solution.trouble
    assert "above tol=1e-10: raise max_iter above 1" in solution.trouble
    assert problem.lines[0].startswith("newton-gram: iteration 0, cost ")
    assert problem.excess(solution) <= 3 * solution.gap  # estimated, far away
