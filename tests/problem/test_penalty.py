"""The elastic net alone: its value, its shortest subgradient, and Fenchel's and Young's inequality."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accel_logreg.problem.penalty import ElasticNet

BOUNDED = [False, True]


def drawn(seed: int, p: int = 12, *, bounded: bool) -> tuple[ElasticNet, Any, Any]:
    """A penalty with entries of every kind, a point with zeros, and a gradient that some l1 just hold."""
    random = np.random.default_rng(seed)
    l1 = np.where(random.random(p) < 0.25, 0.0, random.uniform(0.0, 2.0, p))
    l2 = np.where(random.random(p) < 0.4, 0.0, random.uniform(0.0, 2.0, p))
    at_least_zero = random.random(p) < 0.5 if bounded else None
    u = np.where(random.random(p) < 0.4, 0.0, random.standard_normal(p))
    if at_least_zero is not None:
        u[at_least_zero] = np.abs(u[at_least_zero])
    gradient = 2.0 * random.standard_normal(p)
    held = random.random(p) < 0.2
    gradient[held] = (np.sign(gradient) * l1)[held]
    return ElasticNet(l1, l2, at_least_zero), u, gradient


def alone(penalty: ElasticNet, j: int) -> ElasticNet:
    return penalty.only(np.array([j]))


@pytest.mark.parametrize("bounded", BOUNDED)
def test_value(bounded: bool) -> None:
    for seed in range(20):
        penalty, u, _ = drawn(seed, bounded=bounded)
        by_hand = sum(a * abs(x) + 0.5 * b * x * x for a, b, x in zip(penalty.l1, penalty.l2, u, strict=True))
        assert penalty.value(u) == pytest.approx(by_hand, rel=1e-14)
        assert penalty.linear().value(u) == pytest.approx(float(penalty.l1 @ abs(u)), rel=1e-14)
        assert sum(alone(penalty, j).value(u[j : j + 1]) for j in range(len(u))) == pytest.approx(by_hand)


@pytest.mark.parametrize("bounded", BOUNDED)
def test_slope_is_the_shortest_subgradient(bounded: bool) -> None:
    """Among a grid of them all. At 0 they go from gradient − l1 to gradient + l1; at a bound from −∞."""
    for seed in range(30):
        penalty, u, gradient = drawn(seed, bounded=bounded)
        slope = penalty.slope(u, gradient)
        for j in range(len(u)):
            smooth = gradient[j] + penalty.l2[j] * u[j]
            if u[j] == 0.0:
                grid = penalty.l1[j] * np.linspace(-1.0, 1.0, 2001)
                if penalty.at_least_zero is not None and penalty.at_least_zero[j]:
                    grid = np.r_[-np.linspace(penalty.l1[j], 20.0, 4001), grid]
            else:
                grid = np.array([np.sign(u[j]) * penalty.l1[j]])
            shortest = np.abs(smooth + grid).min()
            coarse = 20.0 / 4000 if u[j] == 0.0 else 1e-14
            assert abs(slope[j]) <= shortest + 1e-14
            assert shortest <= abs(slope[j]) + coarse


@pytest.mark.parametrize("bounded", BOUNDED)
def test_slope_says_how_the_cost_changes(bounded: bool) -> None:
    """Along its negative the sum falls, at the pace of its square; and where it is 0, along no axis."""
    for seed in range(30):
        penalty, u, gradient = drawn(seed, bounded=bounded)
        slope, t = penalty.slope(u, gradient), 1e-7
        moved = u - t * slope
        change = float(gradient @ (moved - u)) + penalty.value(moved) - penalty.value(u)
        assert change == pytest.approx(-t * float(slope @ slope), rel=1e-5, abs=1e-14)
        if penalty.at_least_zero is not None:
            assert (moved[penalty.at_least_zero] >= 0.0).all()
        for j in np.flatnonzero(slope == 0.0):
            for step in (t, -t):
                if penalty.at_least_zero is not None and penalty.at_least_zero[j] and u[j] + step < 0.0:
                    continue
                one, x = alone(penalty, j), u[j : j + 1]
                assert gradient[j] * step + one.value(x + step) - one.value(x) >= -1e-13


@pytest.mark.parametrize("bounded", BOUNDED)
def test_fenchel_and_young(bounded: bool) -> None:
    """No entry's part of a dual gap is below 0, for any shrinkage that makes the gradient feasible."""
    for seed in range(60):
        penalty, u, gradient = drawn(seed, bounded=bounded)
        for error in (0.0, 1e-3):
            shrinkages = penalty.shrinkages(gradient, error)
            assert all(0.0 <= c <= 1.0 for c in shrinkages)
            for c in {*shrinkages, 0.5 * min(shrinkages), 0.0}:
                for j in range(len(u)):
                    part = alone(penalty, j).dual_gap(u[j : j + 1], gradient[j : j + 1], error, c)
                    assert part >= -1e-15
                whole = penalty.dual_gap(u, gradient, error, c)
                assert whole == pytest.approx(
                    sum(alone(penalty, j).dual_gap(u[j : j + 1], gradient[j : j + 1], error, c)
                        for j in range(len(u))), abs=1e-13,
                )  # fmt: skip


@pytest.mark.parametrize("bounded", BOUNDED)
def test_the_conjugate_is_the_largest_of_all(bounded: bool) -> None:
    """pen(u) + c u g + pen*(−c g) of curved entries, with pen* from a grid of points."""
    for seed in range(20):
        penalty, u, gradient = drawn(seed, bounded=bounded)
        for j in np.flatnonzero(penalty.l2 > 0.1):
            one, x, g = alone(penalty, j), u[j : j + 1], gradient[j : j + 1]
            least = 0.0 if one.at_least_zero is not None and one.at_least_zero[0] else -60.0
            grid = np.linspace(least, 60.0, 400_001)
            conjugate = (-0.7 * g[0] * grid - one.l1[0] * abs(grid) - 0.5 * one.l2[0] * grid**2).max()
            by_grid = one.value(x) + 0.7 * x[0] * g[0] + conjugate
            assert one.dual_gap(x, g, 0.0, 0.7) == pytest.approx(by_grid, abs=1e-6)


def test_error_only_raises_a_gap_and_only_shrinks_further() -> None:
    for seed in range(30):
        penalty, u, gradient = drawn(seed, bounded=seed % 2 == 0)
        for c in (0.3, min(penalty.shrinkages(gradient, 0.0))):
            assert penalty.dual_gap(u, gradient, 1e-2, c) >= penalty.dual_gap(u, gradient, 0.0, c)
        assert min(penalty.shrinkages(gradient, 1e-2)) <= min(penalty.shrinkages(gradient, 0.0))


def test_what_is_free_and_what_is_kinked() -> None:
    l1, l2 = np.array([0.0, 0.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0, 0.0])
    plain = ElasticNet(l1, l2)
    np.testing.assert_array_equal(plain.free, [True, False, False, True])
    np.testing.assert_array_equal(plain.kinked, [False, False, True, False])
    bounded = ElasticNet(l1, l2, np.array([True, True, False, False]))
    np.testing.assert_array_equal(bounded.free, [False, False, False, True])
    np.testing.assert_array_equal(bounded.kinked, [True, True, True, False])
    np.testing.assert_array_equal(bounded.only(np.array([0, 3])).kinked, [True, False])
    assert not bounded.linear().l2.any()


def test_excess_pulls_away_from_zero() -> None:
    gradient = np.array([-2.0, 2.0, -2.0, 2.0])
    penalty = ElasticNet(np.ones(4), np.zeros(4), np.array([True, True, False, False]))
    np.testing.assert_array_equal(penalty.excess(gradient), [2.0, 0.0, 2.0, 2.0])
