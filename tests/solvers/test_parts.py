"""What the Newton solvers are made of, each part alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accel_logreg.interface.answers import LowPrecisionHessian, Rates
from accel_logreg.solvers.choose import choose
from accel_logreg.solvers.costs import Costs, passes, sampling_rate
from accel_logreg.solvers.parts.factor import Factor, factorise, low_precision_factor
from accel_logreg.solvers.parts.line_search import search
from accel_logreg.solvers.parts.memory import Memory


def definite(p: int, seed: int = 0) -> np.ndarray:
    A = np.random.default_rng(seed).standard_normal((3 * p, p))
    return A.T @ A / (3 * p)


def test_factor_solves_and_estimates_the_condition() -> None:
    H = definite(40)
    g = np.arange(40.0)
    factor = Factor(H.copy())
    np.testing.assert_allclose(H @ factor.solve(g), g, atol=1e-11)
    assert factor.ridge == 0.0
    assert factor.rcond() == pytest.approx(1 / np.linalg.cond(H, 1), rel=0.5)


def test_factor_of_a_singular_matrix_gets_a_ridge_that_keeps_the_rest() -> None:
    H = definite(10)
    twice = np.block([[H, H], [H, H]])
    factor = Factor(twice.copy())
    assert 0.0 < factor.ridge <= 1e-10
    assert factor.rcond() == 0.0
    g = twice @ np.linspace(-1, 1, 20)
    np.testing.assert_allclose(twice @ factor.solve(g), g, atol=1e-8)


def test_factor_of_zero_is_a_ridge() -> None:
    factor = Factor(np.zeros((3, 3)))
    assert factor.ridge > 0.0
    assert factor.rcond() == 0.0


def test_factor_refuses_what_is_not_finite() -> None:
    with pytest.raises(FloatingPointError, match="not finite"):
        Factor(np.full((3, 3), np.nan))


@pytest.mark.parametrize(("smallest", "asked"), [(1.0, ["float32"]), (1e-7, ["float32", "float64"])])
def test_ill_conditioned_hessians_are_made_in_float64(smallest: float, asked: list[str]) -> None:
    calls = []

    def hessian(precision: str) -> np.ndarray:
        calls.append(precision)
        return np.diag([1.0, smallest])

    factorise(hessian)
    assert calls == asked


class Scaled:
    """The inverse of s I."""

    def __init__(self, s: float) -> None:
        self.s = s

    def solve(self, g: Any) -> Any:
        return g / self.s


def test_memory_knows_a_quadratic_along_its_pairs() -> None:
    H = definite(6)
    memory = Memory()
    vectors = np.linalg.eigh(H)[1].T
    for step in vectors:
        memory.append(step, H @ step)
    g = np.arange(1.0, 7.0)
    np.testing.assert_allclose(memory.solve(Scaled(3.0), g), np.linalg.solve(H, g), rtol=1e-10)
    memory.clear()
    np.testing.assert_allclose(memory.solve(Scaled(2.0), g), g / 2.0)


def test_memory_refuses_pairs_without_curvature_and_forgets_the_oldest() -> None:
    memory = Memory(2)
    memory.append(np.array([1.0, 0.0]), np.array([-1.0, 0.0]))
    assert len(memory) == 0
    for _ in range(3):
        memory.append(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    assert len(memory) == 2


class Curve:
    """J(u) = cosh u: convex, steep far away."""

    size = 1

    def value_grad(self, U: Any) -> tuple[float, Any]:
        return float(np.cosh(U[0])), np.sinh(U)


def test_line_search_takes_the_full_step_where_it_can_and_a_part_where_it_must() -> None:
    curve: Any = Curve()
    U = np.array([1.0])
    value, gradient = curve.value_grad(U)
    full = search(curve, U, value, gradient, np.array([-np.tanh(1.0)]))
    assert full is not None
    np.testing.assert_allclose(full.U, 1.0 - np.tanh(1.0))
    part = search(curve, U, value, gradient, np.array([-50.0]))
    assert part is not None
    assert part.value < value


def test_line_search_gives_up_where_rounding_hides_the_way() -> None:
    curve: Any = Curve()
    U = np.array([1e-9])
    value, _ = curve.value_grad(U)
    assert search(curve, U, value, np.array([1e-9]), np.array([-1e-6])) is None


def test_a_low_precision_hessian_is_taken_where_its_smallest_eigenvalue_stands_above_the_noise() -> None:
    H = (definite(40) + np.eye(40)).astype(np.float32)
    smallest = np.linalg.eigvalsh(H)[0] / H.diagonal().max()
    factor = low_precision_factor(LowPrecisionHessian(H.copy(), 0.5 * smallest / 50))
    assert factor is not None
    g = np.arange(40.0)
    np.testing.assert_allclose(H @ factor.solve(g), g, atol=1e-3)
    assert factor.solve(g).dtype == np.float64
    assert factor.smallest_eigenvalue() == pytest.approx(smallest * H.diagonal().max(), rel=0.1)
    assert low_precision_factor(LowPrecisionHessian(H.copy(), 2.0 * smallest / 50)) is None


def test_no_factor_of_a_low_precision_hessian_that_is_not_there_or_not_definite_or_beyond_float32() -> None:
    single = definite(6).astype(np.float32)
    assert low_precision_factor(None) is None
    assert (
        low_precision_factor(LowPrecisionHessian(np.block([[single, single], [single, single]]), 1e-9))
        is None
    )
    beyond = single.copy()
    beyond[0, 0] = np.inf
    assert low_precision_factor(LowPrecisionHessian(beyond, 1e-4)) is None


RATES = Rates(1 / 31e9, 0.13e-9, 0.4e-9, 1 / 150e9, 10e-6)
ROUGH = replace(RATES, quantised_entry=0.032e-9)  # with a copy in 8 bits


@pytest.mark.parametrize("rates", [RATES, ROUGH], ids=["exact", "rough"])
@pytest.mark.parametrize(
    ("n", "d", "entries", "sparse", "solver"),
    [
        (569, 30, 30, False, "newton"),
        (1_000_000, 28, 28, False, "newton"),
        (200_000, 300, 300, False, "newton"),
        (100_000, 500, 500, False, "newton"),
        (20_000, 3072, 3072, False, "newton-cg"),
        (209, 12_288, 12_288, False, "newton-gram"),
        (200_000, 50_000, 50, True, "newton-cg"),
    ],
)
def test_choice(n: int, d: int, entries: int, sparse: bool, solver: str, rates: Rates) -> None:
    choice = choose(n, Costs(rates, d + 1, entries, 8), sparse=sparse, penalised=True)
    assert choice.solver == solver
    assert choice.reads > 0
    assert "predicted" in choice.why


def test_no_gram_matrix_without_a_penalty() -> None:
    choice = choose(209, Costs(RATES, 12_289, 12_288, 8), sparse=False, penalised=False)
    assert choice.solver != "newton-gram"


def test_a_hessian_from_products_of_few_bits_costs_less_where_there_are_such() -> None:
    few_bits = replace(RATES, int8_multiplication=1 / 800e9, int8_tile_entry=0.6e-9, int8_from=113.0)
    with_them = [Costs(few_bits, p, p - 1, 8) for p in (112, 113, 301)]
    without = [Costs(RATES, p, p - 1, 8) for p in (112, 113, 301)]
    assert with_them[0].hessian(1e4) == without[0].hessian(1e4)
    for costs, exact in zip(with_them[1:], without[1:], strict=True):
        assert costs.hessian(1e4) < exact.hessian(1e4) == costs.hessian(1e4, low_precision=False)


def test_costs_grow_with_rows_and_passes_with_distance() -> None:
    costs = Costs(RATES, 301, 300, 8)
    assert costs.gradient(1000) < costs.gradient(2000)
    assert costs.hessian(1000) < costs.hessian(2000)
    assert passes(1.0, 0.1) == 0.0
    assert passes(1e3, 0.1) == pytest.approx(3.0)
    assert passes(10.0, 1.0) == np.inf
    assert sampling_rate(300, 10_000, 100_000) < sampling_rate(300, 5_000, 100_000)
    assert sampling_rate(300, 100_000, 100_000) == 0.0


def test_sparse_rows_cost_what_their_engine_says() -> None:
    """The loop's entries are no cheaper for being sparse; pairs of nonzeros cost less than a full tile."""
    loop = Rates(0.0, 63e-9, 100e-9, 50e-9, 20e-6, pair=100e-9)
    dense, thin = Costs(loop, 1001, 8, 12), Costs(loop, 1001, 8, 12, pairs=64.0)
    assert thin.gradient(1000) == dense.gradient(1000) > 1000 * 8 * 60e-9
    assert replace(thin, rates=replace(loop, sparse_entry=1e-9)).gradient(1000) < thin.gradient(1000)
    assert thin.hessian(1000) < 0.1 * dense.hessian(1000)
    full = replace(thin, pairs=1000.0**2)
    assert full.hessian(1000) >= dense.hessian(1000)
