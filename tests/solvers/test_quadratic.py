"""min ½ xᵀQx + cᵀx + Σ l1|x|: the conditions of its minimum, and coordinate descent that is slow and sure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.l1_reference import coordinate_descent, quadratic_value

from accel_logreg.problem.penalty import ElasticNet
from accel_logreg.solvers.parts.quadratic import Factored, Products, minimise_quadratic


def quadratic(seed: int, k: int, rank: int, *, positive: bool, free: float = 0.2) -> tuple[Any, Any, Any]:
    """Q of this rank, c in its range (so that there is a minimum), and a penalty, some entries without."""
    random = np.random.default_rng(seed)
    A = random.standard_normal((rank, k)) * 10.0 ** random.uniform(-1, 1, k)
    Q, c = A.T @ A / k, A.T @ random.standard_normal(rank) / k
    l1 = np.where(random.random(k) < free, 0.0, random.uniform(0.0, 0.8, k) * np.abs(c).max())
    bounded = random.random(k) < 0.5 if positive else None
    return Q, c, ElasticNet(l1, np.zeros(k), bounded)


def minimum(Q: Any, c: Any, penalty: ElasticNet, x: Any = None, tol: float = 1e-13) -> Any:
    """From x, or from 0. ``minimise_quadratic`` wants the slope where it starts."""
    x = np.zeros(len(c)) if x is None else x
    return minimise_quadratic(Factored(Q.copy()), c + Q @ x, penalty, x, tol, 1_000)[0]


def assert_minimum(Q: Any, c: Any, penalty: ElasticNet, x: Any, tol: float = 1e-9) -> None:
    """The slope is 0 but for rounding, nothing is on the wrong side."""
    slope = penalty.slope(x, Q @ x + c)
    at_start = np.abs(penalty.slope(np.zeros_like(c), c)).max()
    assert np.abs(slope).max() <= tol * max(at_start, np.abs(c).max())
    if penalty.at_least_zero is not None:
        assert (x[penalty.at_least_zero] >= 0.0).all()


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("k", [1, 2, 5, 20, 60])
def test_positive_definite(k: int, positive: bool) -> None:
    """The minimum is the only one: weight by weight that of coordinate descent, zeros and all."""
    for seed in range(12):
        Q, c, penalty = quadratic(seed, k, 3 * k, positive=positive)
        Q += 1e-3 * np.diag(np.diag(Q))
        x = minimum(Q, c, penalty)
        assert_minimum(Q, c, penalty, x, 1e-11)
        oracle = coordinate_descent(Q, c, penalty.l1, penalty.at_least_zero)
        np.testing.assert_allclose(x, oracle, rtol=1e-6, atol=1e-8 * np.abs(oracle).max())
        r = Q @ x + c
        sure = np.abs(penalty.excess(r) - penalty.l1) > 1e-9 * np.abs(c).max()
        np.testing.assert_array_equal(
            (x == 0.0)[sure & penalty.kinked], (oracle == 0.0)[sure & penalty.kinked]
        )


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize(("k", "rank"), [(4, 2), (12, 5), (40, 10), (40, 39), (60, 1)])
def test_singular(k: int, rank: int, positive: bool) -> None:
    """There is no only minimum, but its value is one, and so is the slope."""
    for seed in range(8):
        Q, c, penalty = quadratic(seed, k, rank, positive=positive, free=0.0)
        x = minimum(Q, c, penalty)
        assert_minimum(Q, c, penalty, x)
        oracle = coordinate_descent(Q, c, penalty.l1, penalty.at_least_zero, sweeps=20_000)
        value, least = (quadratic_value(Q, c, penalty.l1, found) for found in (x, oracle))
        assert value <= least + 1e-12 * abs(least)


def test_columns_that_are_there_twice() -> None:
    """Copies of equal penalty share what one would have, somehow; the dearer of two gets none."""
    for seed in range(8):
        Q, c, penalty = quadratic(seed, 10, 30, positive=False, free=0.0)
        x = minimum(Q, c, penalty)
        twice = np.tile(np.arange(10), 2)
        Q2, c2 = Q[np.ix_(twice, twice)], c[twice]
        equal = ElasticNet(penalty.l1[twice], np.zeros(20))
        found = minimum(Q2, c2, equal)
        assert_minimum(Q2, c2, equal, found)
        np.testing.assert_allclose(found[:10] + found[10:], x, rtol=1e-6, atol=1e-9)
        dearer = ElasticNet(np.r_[penalty.l1, 1.5 * penalty.l1 + 1e-3], np.zeros(20))
        found = minimum(Q2, c2, dearer)
        assert not found[10:].any()
        np.testing.assert_allclose(found[:10], x, rtol=1e-6, atol=1e-9)


def test_an_entry_without_curvature_leaves_the_others_alone() -> None:
    """A constant column beside the intercept, that no penalty holds: its row of Q is 0, or rounding's."""
    Q, c, penalty = quadratic(3, 8, 24, positive=False, free=0.0)
    x = minimum(Q, c, penalty)
    for noise in (0.0, 1e-17, -1e-17):
        flat, slope = np.zeros((9, 9)), np.append(c, 1e-18)
        flat[:8, :8], flat[8, 8] = Q, noise
        for l1 in (0.0, 0.1):
            found = minimum(flat, slope, ElasticNet(np.append(penalty.l1, l1), np.zeros(9)))
            np.testing.assert_allclose(found[:8], x, rtol=1e-9, atol=1e-12)
            assert abs(found[8]) < 1e-15


def test_nothing_to_penalise_is_a_linear_system() -> None:
    Q, c, _ = quadratic(0, 30, 90, positive=False)
    free = ElasticNet(np.zeros(30), np.zeros(30))
    np.testing.assert_allclose(minimum(Q, c, free), np.linalg.solve(Q, -c), rtol=1e-8)


def test_all_are_held_at_zero() -> None:
    """l1 at the largest slope and above: x stays what it is, and from elsewhere goes there."""
    Q, c, _ = quadratic(1, 30, 90, positive=False)
    held = ElasticNet(np.full(30, np.abs(c).max()), np.zeros(30))
    assert not minimum(Q, c, held).any()
    start = np.random.default_rng(0).standard_normal(30)
    assert not minimum(Q, c, held, start).any()
    down = ElasticNet(np.zeros(30), np.zeros(30), np.ones(30, dtype=bool))
    assert not minimum(Q, np.abs(c), down).any()


@pytest.mark.parametrize("positive", [False, True])
def test_the_start_does_not_matter(positive: bool) -> None:
    for seed in range(8):
        Q, c, penalty = quadratic(seed, 25, 75, positive=positive)
        x = minimum(Q, c, penalty)
        far = 10.0 * np.random.default_rng(seed).standard_normal(25) * (np.arange(25) % 3 > 0)
        if penalty.at_least_zero is not None:
            far[penalty.at_least_zero] = np.abs(far[penalty.at_least_zero])
        np.testing.assert_allclose(minimum(Q, c, penalty, far), x, rtol=1e-6, atol=1e-9 * np.abs(x).max())


@pytest.mark.parametrize("positive", [False, True])
def test_a_loose_tolerance_never_ends_above_its_start(positive: bool) -> None:
    for seed in range(20):
        Q, c, penalty = quadratic(seed, 40, 30, positive=positive)
        start = np.random.default_rng(seed).standard_normal(40)
        if penalty.at_least_zero is not None:
            start[penalty.at_least_zero] = 0.0
        before = quadratic_value(Q, c, penalty.l1, start)
        for tol in (0.5, 1e-2, 1e-6):
            x = minimum(Q, c, penalty, start, tol)
            value = quadratic_value(Q, c, penalty.l1, x)
            assert value <= before + 1e-12 * abs(before)
            before = value


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize(("k", "rank"), [(10, 30), (80, 240), (80, 30)])
def test_products_lead_where_the_matrix_does(k: int, rank: int, positive: bool) -> None:
    """By conjugate gradients, and a ridge where Q is singular, as the solver adds one."""
    for seed in range(5):
        Q, c, penalty = quadratic(seed, k, rank, positive=positive)
        Q += 1e-4 * np.diag(np.diag(Q))
        asked = []

        def product(v: Any, Q: Any = Q, asked: Any = asked) -> Any:
            asked.append(v)
            return Q @ v

        by_products = Products(product, np.diag(Q).copy())
        x, enough = minimise_quadratic(by_products, c.copy(), penalty, np.zeros(k), 1e-8, 1_000)
        assert enough
        assert asked
        assert_minimum(Q, c, penalty, x, 1e-6)
        value, least = (quadratic_value(Q, c, penalty.l1, f) for f in (x, minimum(Q, c, penalty)))
        assert value <= least + 1e-8 * abs(least)


def test_what_is_given_stays_as_it_was() -> None:
    Q, c, penalty = quadratic(0, 20, 60, positive=True)
    x = np.zeros(20)
    kept = Q.copy(), c.copy(), x.copy()
    found, enough = minimise_quadratic(Factored(Q), c, penalty, x, 1e-12, 1)
    assert not enough
    assert found is not x
    for before, after in zip(kept, (Q, c, x), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_solve_of_a_matrix_that_is_not_definite_is_finite() -> None:
    Q = np.array([[1.0, 2.0], [2.0, 1.0]])
    assert np.isfinite(Factored(Q).solve(np.arange(2), np.ones(2))).all()
    assert np.isfinite(Factored(np.zeros((2, 2))).solve(np.arange(2), np.zeros(2))).all()
