"""A loss with an elastic net: the gap is never below the truth, near the optimum it goes to 0 with it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support.composite_problems import composite, drawn
from support.l1_reference import SparseProblem

from accel_logreg.backends import load_backend
from accel_logreg.interface.engine import Engine
from accel_logreg.problem.composite import Composite

_EVALUATED = 1e-15  # nats: what the reference and its bound may be apart


def weights(problem: SparseProblem, seen: Composite, U: Any) -> Any:
    """(rows, d + 1) of a point in the solver's coordinates."""
    return seen.smooth.original(U).reshape(problem.rows, -1).astype(np.longdouble)


def point(seen: Composite, W: Any) -> Any:
    """And back. W has the zeros of the optimum, so that U has them."""
    return seen.smooth.coordinates(np.asarray(W, dtype=float).ravel())


def optimum(problem: SparseProblem) -> tuple[Any, Any]:
    """W and a lower bound on J*."""
    d = problem.X.shape[1]
    W = problem.descended(problem.joined(np.zeros((problem.rows, d)), 0.0))
    return W, problem.lower(W)


def moved(problem: SparseProblem, seen: Composite, U: Any, distance: float, seed: int) -> Any:
    """Off by ``distance`` about everywhere, intercepts too, where that is allowed; half of the zeros stay."""
    random = np.random.default_rng(seed)
    shape, intercept = (problem.rows, -1), slice(-1, None)
    step = distance * random.standard_normal(len(U))
    step[(U == 0.0) & (random.random(len(U)) < 0.5)] = 0.0
    if not problem.fit_intercept:
        step.reshape(shape)[:, intercept] = 0.0
    U = U + step
    if seen.penalty.at_least_zero is not None:
        U[seen.penalty.at_least_zero & (U < 0.0)] = 0.0
    return U


@pytest.mark.parametrize("first", range(0, 60, 15))
def test_gap_is_never_below_the_truth(backend: Engine, first: int) -> None:
    """Near and far, with intercepts that are not at their best; the bound by the Hessian too."""
    by_hessian = 0
    for seed in range(first, first + 15):
        problem = drawn(seed)
        seen = composite(problem, backend)
        W, low = optimum(problem)
        for distance in (0.0, 1e-7, 1e-4, 1e-2, 1.0, 30.0):
            U = moved(problem, seen, point(seen, W), distance, seed)
            loss, gradient = seen.loss_grad(U)
            value = problem.value(weights(problem, seen, U))
            assert loss + seen.penalty.value(U) == pytest.approx(float(value), rel=1e-11)
            true = float(value - low)
            gap = seen.gap(U, loss, gradient)
            assert true <= gap * (1.0 + 1e-9) + _EVALUATED * float(value), (seed, distance)
            second = seen.second_gap(U, loss, gradient, gap)
            assert true <= second * (1.0 + 1e-9) + _EVALUATED * float(value), (seed, distance)
            by_hessian += math.isfinite(second)
    assert by_hessian > 10


def test_gaps_go_to_zero_with_the_distance(backend: Engine) -> None:
    """The duality gap as the distance, the bound by the Hessian as its square, as the true gap does."""
    random = np.random.default_rng(0)
    X = random.standard_normal((300, 6))
    y = (X[:, 0] - 0.5 * X[:, 1] + random.logistic(size=300) > 0).astype(int)
    problem = SparseProblem(X, y, C=0.1, l1_ratio=0.9)
    seen = composite(problem, backend)
    W, low = optimum(problem)
    assert 0 < np.count_nonzero(W[0, :-1]) < 6
    U = point(seen, W)
    direction = random.standard_normal(7) * (U != 0.0)
    gaps, seconds = [], []
    for distance in (1e-3, 1e-4, 1e-5, 1e-6):
        at = U + distance * direction
        loss, gradient = seen.loss_grad(at)
        true = float(problem.value(weights(problem, seen, at)) - low)
        gaps.append(seen.gap(at, loss, gradient))
        seconds.append(seen.second_gap(at, loss, gradient, gaps[-1]))
        assert 0.9 * true - 1e-17 < seconds[-1] < 3.0 * true + 1e-17
    assert max(gaps[k + 1] / gaps[k] for k in range(3)) < 0.2
    assert gaps[-1] < 1e-4
    loss, gradient = seen.loss_grad(U)
    assert seen.gap(U, loss, gradient) < 1e-10


def test_intercept_that_is_off_costs_something(backend: Engine) -> None:
    """Roughly the bound does not count it; and from there on it is finite, and above the truth."""
    random = np.random.default_rng(0)
    X = random.standard_normal((100, 4))
    problem = SparseProblem(X, (X[:, 0] + random.logistic(size=100) > 0).astype(int), C=0.2)
    seen = composite(problem, backend)
    W, low = optimum(problem)
    U = point(seen, W)
    U[-1] += 1e-3
    loss, gradient = seen.loss_grad(U)
    assert not seen.balanced(U, loss, gradient)
    roughly, gap = (seen.gap(U, loss, gradient, roughly=rough) for rough in (True, False))
    assert roughly < gap
    assert float(problem.value(weights(problem, seen, U)) - low) <= gap < math.inf


def test_free_columns_have_no_gap_until_their_slopes_are_zero(backend: Engine) -> None:
    """Features without a penalty: the dual point has to be feasible along them, and far off there is none."""
    random = np.random.default_rng(0)
    X = random.standard_normal((100, 4))
    y = (X[:, 0] + random.logistic(size=100) > 0).astype(int)
    problem = SparseProblem(X, y, C=0.2, factor=[0.0, 1.0, 1.0, 1.0])
    seen = composite(problem, backend)
    U = np.zeros(seen.size)
    assert seen.gap(U, *seen.loss_grad(U)) == math.inf
    W, low = optimum(problem)
    U = point(seen, W)
    loss, gradient = seen.loss_grad(U)
    assert seen.balanced(U, loss, gradient)
    true = float(problem.value(weights(problem, seen, U)) - low)
    assert true - _EVALUATED <= seen.gap(U, loss, gradient) <= 1e-10


@pytest.mark.parametrize("K", [2, 3])
def test_a_restricted_problem_is_the_whole_where_the_rest_is_zero(backend: Engine, K: int) -> None:
    random = np.random.default_rng(5)
    X, y = random.standard_normal((50, 7)) + 2.0, random.integers(0, K, 50)
    problem = SparseProblem(X, y, C=0.5, l1_ratio=0.7, factor=random.uniform(0.5, 2.0, 7))
    seen = composite(problem, backend)
    columns = np.array([1, 4, 5])
    entries = seen.entries(columns)
    U = np.zeros(seen.size)
    U[entries] = random.standard_normal(len(entries))
    part = seen.restricted(columns)
    assert (part.size, part.n_features) == (4 * problem.rows, 3)
    loss, gradient = seen.loss_grad(U)
    there, along = part.loss_grad(U[entries])
    assert there == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(along, gradient[entries], rtol=1e-11, atol=1e-14)
    assert part.penalty.value(U[entries]) == pytest.approx(seen.penalty.value(U), rel=1e-14)
    H = seen.hessian(U, sample=None, precision="float64")
    np.testing.assert_allclose(
        part.hessian(U[entries], sample=None, precision="float64"), H[np.ix_(entries, entries)], atol=1e-12
    )


@pytest.mark.parametrize("K", [2, 3])
def test_derivatives(backend: Engine, K: int) -> None:
    """By differences: the gradient, and the Hessian's products, matrix and diagonal."""
    random = np.random.default_rng(6)
    X, y = random.standard_normal((40, 3)) - 1.0, random.integers(0, K, 40)
    seen = composite(SparseProblem(X, y), backend)
    U, step = random.standard_normal(seen.size), random.standard_normal(seen.size)
    h = 1e-6
    (above, up), (below, down) = (seen.loss_grad(U + t * h * step) for t in (1, -1))
    _, gradient = seen.loss_grad(U)
    assert (above - below) / (2 * h) == pytest.approx(float(gradient @ step), rel=1e-7)
    product = seen.hessian_product(U, step)
    tie = 2e-6 * np.abs(product).max() if K > 2 else 0.0  # what K classes have in common is given curvature
    np.testing.assert_allclose((up - down) / (2 * h), product, rtol=1e-6, atol=1e-8 + 10 * tie)
    H = seen.hessian(U, sample=None, precision="float64")
    np.testing.assert_allclose(H @ step, product, rtol=1e-9, atol=1e-12 + 10 * tie)
    last = [(k + 1) * 4 - 1 for k in range(seen.n_classes)]
    diagonal = np.diag(H).copy()
    for k in range(seen.n_classes):
        own = slice(4 * k, 4 * k + 3)
        diagonal[own] -= H[own, last[k]] ** 2 / H[last[k], last[k]]
    np.testing.assert_allclose(seen.diagonal(U), diagonal, rtol=1e-4)


def test_a_planted_fault_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of truth above is able to fail: a dual point that is not shrunk makes the bound too low."""
    from accel_logreg.problem.penalty import ElasticNet

    monkeypatch.setattr(ElasticNet, "shrinkages", lambda _self, _gradient, _error: {1.0})
    with pytest.raises(AssertionError):
        test_gap_is_never_below_the_truth(load_backend("numpy"), 0)
