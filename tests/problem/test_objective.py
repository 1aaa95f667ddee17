"""J, its derivatives, and what the solvers' bounds promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression as ScikitLearn

from accel_logreg.backends import load_backend
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.engine import Engine
from accel_logreg.problem.coordinates import Coordinates, column_scales, standardised
from accel_logreg.problem.objective import Objective
from accel_logreg.solvers.parts.newton_decrement import estimated_gap


def build(
    seed: int,
    n: int,
    d: int,
    *,
    l2: float,
    offset: float = 0.0,
    fit_intercept: bool = True,
    name: str = "numpy",
) -> Objective:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + offset
    y = (rng.random(n) < 0.4).astype(float)
    y[:2] = 0.0, 1.0
    s = rng.random(n) + 0.1
    return Objective(load_backend(name).place(X, y, s), l2=l2, fit_intercept=fit_intercept)


def optimum(objective: Objective) -> tuple[np.ndarray, float]:
    """Newton's method with the Hessian built column by column, to rounding."""
    W = np.zeros(objective.size)
    active = slice(None) if objective.fit_intercept else slice(None, -1)
    value, gradient = objective.value_grad(W)
    for _ in range(100):
        H = np.column_stack([objective.hessian_product(W, e) for e in np.eye(W.size)])[active, active]
        step = np.zeros_like(W)
        step[active] = np.linalg.solve(H, gradient[active])
        t = 1.0
        while True:
            new_value, new_gradient = objective.value_grad(W - t * step)
            if new_value <= value or t < 1e-10:
                break
            t /= 2
        if not new_value < value:
            return W, value
        W, value, gradient = W - t * step, new_value, new_gradient
    raise AssertionError("Newton did not settle")


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_derivatives_by_differences(backend: Engine, fit_intercept: bool, rng: np.random.Generator) -> None:
    objective = build(3, 30, 4, l2=0.2, fit_intercept=fit_intercept, name=backend.name)
    W = rng.standard_normal(5)
    V = rng.standard_normal(5)
    if not fit_intercept:
        W[-1] = V[-1] = 0.0
    h = 1e-4

    def along(t: float) -> tuple[float, np.ndarray]:
        return objective.value_grad(W + t * V)

    slope = (8 * (along(h)[0] - along(-h)[0]) - (along(2 * h)[0] - along(-2 * h)[0])) / (12 * h)
    assert slope == pytest.approx(objective.value_grad(W)[1] @ V, rel=1e-9)
    curve = (8 * (along(h)[1] - along(-h)[1]) - (along(2 * h)[1] - along(-2 * h)[1])) / (12 * h)
    np.testing.assert_allclose(curve, objective.hessian_product(W, V), rtol=1e-8, atol=1e-10)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(3, 30),
    d=st.integers(1, 6),
    l2=st.sampled_from([1e-4, 1e-2, 1.0]),
    offset=st.sampled_from([0.0, 5.0]),
    distance=st.sampled_from([1e-6, 1e-3, 0.1, 1.0]),
    fit_intercept=st.booleans(),
)
def test_certificate_is_never_below_the_true_gap(
    seed: int, n: int, d: int, l2: float, offset: float, distance: float, fit_intercept: bool
) -> None:
    objective = build(seed, n, d, l2=l2, offset=offset, fit_intercept=fit_intercept)
    best, lowest = optimum(objective)
    move = np.random.default_rng(seed + 1).standard_normal(d + 1)
    if not fit_intercept:
        move[-1] = 0.0
    W = best + distance * move
    value, _ = objective.value_grad(W)
    assert by_convexity(objective, W) >= (value - lowest) * (1 - 1e-9) - 1e-15


def by_convexity(objective: Objective, W: Float64) -> float:
    seen = standardised(objective)
    U = seen.coordinates(W)
    return seen.convex_gap(U, *seen.value_grad(U))


def test_certificate_is_useful_near_the_optimum() -> None:
    objective = build(1, 50, 3, l2=0.1)
    best, lowest = optimum(objective)
    W = best + 1e-4
    value, _ = objective.value_grad(W)
    assert by_convexity(objective, W) <= 100 * (value - lowest)


def test_no_certificate_without_penalty() -> None:
    objective = build(1, 50, 3, l2=0.0)
    assert by_convexity(objective, np.zeros(4)) == math.inf


@pytest.mark.parametrize("l2", [0.0, 1e-3])
@pytest.mark.parametrize("distance", [1e-4, 1e-2])
def test_newton_decrement_near_the_optimum(l2: float, distance: float) -> None:
    objective = build(5, 200, 6, l2=l2)
    best, lowest = optimum(objective)
    W = best + distance
    value, gradient = objective.value_grad(W)
    assert estimated_gap(objective, W, gradient, 50) == pytest.approx(value - lowest, rel=0.05)
    assert estimated_gap(objective, W, np.zeros(7), 50) == 0.0


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("offset", [0.0, 10.0])
def test_lipschitz_constant(backend: Engine, fit_intercept: bool, offset: float) -> None:
    objective = build(7, 60, 5, l2=0.3, offset=offset, fit_intercept=fit_intercept, name=backend.name)
    H = np.column_stack([objective.hessian_product(np.zeros(6), e) for e in np.eye(6)])
    assert objective.lipschitz(0) == pytest.approx(np.linalg.eigvalsh(H).max(), rel=0.05)
    assert objective.lipschitz(0) == objective.lipschitz(0)


def test_lipschitz_of_nothing_is_one() -> None:
    rows = load_backend("numpy").place(np.zeros((3, 2)), np.array([0.0, 1.0, 1.0]), None)
    assert Objective(rows, fit_intercept=False).lipschitz(0) == 1.0


def test_objective_is_scikit_learns_over_C_S() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 4))
    y = (rng.random(80) < 0.5).astype(float)
    s = rng.random(80)
    C = 0.7
    reference = ScikitLearn(C=C, solver="newton-cholesky", tol=1e-12).fit(X, y, s)
    objective = Objective(load_backend("numpy").place(X, y, s), l2=1 / (C * s.sum()))
    _, gradient = objective.value_grad(np.append(reference.coef_[0], reference.intercept_))
    assert np.abs(gradient).max() < 1e-9


def test_separation_is_proved_only_by_a_small_loss() -> None:
    rows = load_backend("numpy").place(np.array([[-1.0], [1.0]]), np.array([0.0, 1.0]), None)
    objective = Objective(rows)
    assert not objective.separates(objective.value_grad(np.zeros(2))[0])
    assert objective.separates(objective.value_grad(np.array([5.0, 0.0]))[0])
    assert not Objective(rows, l2=1.0).separates(0.0)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_standardised_is_the_same_function(fit_intercept: bool, l2: float, rng: np.random.Generator) -> None:
    objective = build(11, 40, 5, l2=l2, offset=3.0, fit_intercept=fit_intercept)
    scales = np.logspace(-3, 3, 5)
    for seen in (standardised(objective), Coordinates(objective, 7.0 * fit_intercept + scales, scales)):
        check_coordinates(objective, seen, fit_intercept, rng)


def check_coordinates(
    objective: Objective, seen: Coordinates, fit_intercept: bool, rng: np.random.Generator
) -> None:
    W = rng.standard_normal(6)
    V = rng.standard_normal(6)
    if not fit_intercept:
        W[-1] = V[-1] = 0.0
    U = seen.coordinates(W)
    np.testing.assert_allclose(seen.original(U), W, rtol=1e-12, atol=1e-12)
    value, gradient = objective.value_grad(W)
    seen_value, seen_gradient = seen.value_grad(U)
    assert seen_value == pytest.approx(value, rel=1e-12)
    # Slopes and curvatures along a direction do not depend on the coordinates.
    along = seen.coordinates(V)
    assert seen_gradient @ along == pytest.approx(gradient @ V, rel=1e-9, abs=1e-9)
    curvature = along @ seen.hessian_product(U, along)
    assert curvature == pytest.approx(V @ objective.hessian_product(W, V), rel=1e-8)
    assert seen.gradient_norm(seen_gradient) == pytest.approx(objective.gradient_norm(gradient), rel=1e-9)


def scales_of(X: np.ndarray, s: np.ndarray | None, *, l2: float, centred: bool) -> tuple[Float64, Float64]:
    rows = load_backend("numpy").place(X, np.arange(len(X)) % 2.0, s)
    return column_scales(Objective(rows, l2=l2, fit_intercept=centred))


def test_column_scales_piece_by_piece(rng: np.random.Generator) -> None:
    """As by the definition, over more columns than a piece has; also where float64 has not their squares."""
    X = rng.standard_normal((300, 700)) * np.logspace(-3, 3, 700) + 5.0
    weights = rng.random(300)
    mean, scale = scales_of(X, weights, l2=0.01, centred=True)
    expected = np.average(X, axis=0, weights=weights)
    variance = np.average(np.square(X - expected), axis=0, weights=weights)
    np.testing.assert_allclose(mean, expected, rtol=1e-12)
    np.testing.assert_allclose(scale, np.sqrt(variance + 0.04), rtol=1e-12)
    far = np.array([1.0, 1e200, 1e-200, 0.0])
    _, one = scales_of(X[:, :4] * far, None, l2=0.0, centred=True)
    _, plain = scales_of(X[:, :4], None, l2=0.0, centred=True)
    np.testing.assert_allclose(one[:3], plain[:3] * far[:3], rtol=1e-12)
    assert one[3] == 1.0


def test_column_scales() -> None:
    X = np.array([[1.0, 5.0, 0.0], [3.0, 5.0, 0.0]])
    mean, scale = scales_of(X, None, l2=0.0, centred=True)
    np.testing.assert_array_equal(mean, [2.0, 5.0, 0.0])
    np.testing.assert_array_equal(scale, [1.0, 1.0, 1.0])
    _, scale = scales_of(X, None, l2=0.75, centred=True)
    np.testing.assert_allclose(scale, [2.0, np.sqrt(3.0), np.sqrt(3.0)])
    mean, scale = scales_of(X, None, l2=0.0, centred=False)
    np.testing.assert_array_equal(mean, 0.0)
    np.testing.assert_allclose(scale, [np.sqrt(5.0), 5.0, 1.0])
    weighted = scales_of(X, np.array([3.0, 1.0]), l2=0.0, centred=True)
    repeated = scales_of(X[[0, 0, 0, 1]], None, l2=0.0, centred=True)
    np.testing.assert_allclose(weighted, repeated)
    unseen = np.zeros(10_000)
    unseen[1] = 1.0  # all weight on a row that the sample leaves out
    assert np.isfinite(scales_of(np.ones((10_000, 1)), unseen, l2=0.0, centred=True)).all()
