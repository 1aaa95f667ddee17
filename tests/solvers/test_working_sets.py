"""Proximal Newton with working sets: the optimum in few reads, by whichever way its parts are made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.composite_problems import composite, largest_C
from support.l1_reference import SparseProblem

from accel_logreg.backends import load_backend
from accel_logreg.fitting.binary import costs_of
from accel_logreg.interface.engine import Engine
from accel_logreg.problem.composite import Composite
from accel_logreg.solvers import proximal, working_sets
from accel_logreg.solvers.problem import Budget, GapKind, History, Solution, answered
from accel_logreg.solvers.proximal import Reached
from accel_logreg.solvers.working_sets import WorkingSet, from_sample, prox_newton, solving


def few_of_many(n: int, d: int, seed: int = 0, times: float = 5.0, **settings: Any) -> SparseProblem:
    """Five columns that matter, at a penalty of 1/``times`` of the one under which none does."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, d))
    z = X[:, :5] @ np.array([2.0, -1.5, 1.0, -1.0, 0.5])[: min(5, d)]
    y = (z + random.logistic(size=n) > 0).astype(int)
    problem = SparseProblem(X, y, **settings)
    return replace(problem, C=times * largest_C(problem))


def budget(seen: Composite, tol: float = 1e-10, max_iter: int = 200, **more: Any) -> Budget:
    return Budget(tol=tol, max_iter=max_iter, costs=costs_of(seen.smooth._objective.rows), **more)


def solved(problem: SparseProblem, engine: Engine, **settings: Any) -> tuple[Composite, Solution]:
    seen = composite(problem, engine)
    return seen, prox_newton(seen, seen.smooth.trivial()[0], budget(seen, **settings))


def excess(problem: SparseProblem, seen: Composite, U: Any) -> float:
    W = seen.smooth.original(U).reshape(problem.rows, -1)
    return problem.excess(W[:, :-1], W[:, -1])


@pytest.mark.parametrize("settings", [{}, {"l1_ratio": 0.5}, {"positive": True}, {"fit_intercept": False}])
def test_the_optimum(backend: Engine, settings: dict[str, Any]) -> None:
    problem = few_of_many(120, 8, **settings)
    seen, found = solved(problem, backend)
    assert found.gap_kind is GapKind.CERTIFIED
    assert not found.trouble
    assert excess(problem, seen, found.W) <= found.gap + 1e-15 <= 1.1e-10
    oracle = problem.accelerated()
    W = seen.smooth.original(found.W)
    np.testing.assert_allclose(W, oracle[0].astype(float), atol=1e-5)
    assert (np.diff(found.history.cost) <= 1e-13).all()
    assert (np.diff(found.history.reads) > 0.0).all()


@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-6, 1e-12])
def test_every_tol_is_reached_and_no_further_reads_are_made(tol: float) -> None:
    problem = few_of_many(200, 30)
    engine = load_backend("numpy")
    seen, found = solved(problem, engine, tol=tol)
    assert excess(problem, seen, found.W) <= found.gap + 1e-15 <= tol + 1e-15
    again = prox_newton(seen, found.W, budget(seen, tol=tol))
    assert again.n_iter == 0
    np.testing.assert_array_equal(again.W, found.W)


def test_working_sets_hold_few_columns(backend: Engine) -> None:
    """Of 600 columns some dozens are copied, and all of X is read a few times."""
    problem = few_of_many(60, 600, times=2.0)
    seen = composite(problem, backend)
    held, start = WorkingSet.none(), seen.smooth.trivial()[0]
    at = Reached(start, *seen.loss_grad(start))
    reached = answered(solving(seen, at, budget(seen), History(), held), seen.loss_grad)
    assert 0 < len(held.columns) < 300
    assert held.part is not None
    assert held.part.n_features == len(held.columns)
    chosen = np.flatnonzero(reached.U[:-1])
    assert set(chosen.tolist()) <= set(held.columns.tolist())
    assert excess(problem, seen, reached.U) <= 1.1e-10
    _, found = solved(problem, backend)
    assert found.history.reads[-1] <= 20.0


def test_a_working_set_serves_the_next_penalty(backend: Engine) -> None:
    """Down a path, each from the last: the answers are those of fits that begin anew."""
    problem = few_of_many(60, 400, times=1.5)
    held, reached = WorkingSet.none(), None
    for times in (1.0, 1.5, 2.5):
        weaker = replace(problem, C=times * problem.C)
        seen = composite(weaker, backend)
        if reached is None:
            start = seen.smooth.trivial()[0]
            reached = Reached(start, *seen.loss_grad(start))
        reached = answered(solving(seen, reached, budget(seen), History(), held), seen.loss_grad)
        assert excess(weaker, seen, reached.U) <= 1.1e-10
        _, anew = solved(weaker, backend)
        np.testing.assert_allclose(reached.U, anew.W, atol=1e-5)


@pytest.mark.parametrize("shape", [(150, 40), (60, 300)])
@pytest.mark.parametrize("settings", [{}, {"l1_ratio": 0.6}, {"positive": True}])
def test_products_lead_where_matrices_do(
    backend: Engine, shape: tuple[int, int], settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = few_of_many(*shape, **settings)
    _, by_matrix = solved(problem, backend, tol=1e-12)
    monkeypatch.setattr(proximal, "_MOST_UNKNOWNS", 2)
    seen, by_products = solved(problem, backend)
    assert not by_products.trouble
    assert excess(problem, seen, by_products.W) <= 1.1e-10
    np.testing.assert_allclose(by_products.W, by_matrix.W, atol=3e-5)


def test_a_sample_comes_first_where_rows_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its optimum is near that of all rows, which is proven over all of them; the seed decides the draw."""
    problem = few_of_many(20_000, 10)
    seen = composite(problem, load_backend("numpy"))
    trivial = seen.smooth.trivial()[0]
    start = from_sample(seen, trivial, budget(seen))
    found = prox_newton(seen, trivial, budget(seen))
    assert np.abs(start - found.W).max() < 0.2 * np.abs(trivial - found.W).max()
    assert not found.trouble
    first, again = (from_sample(seen, trivial, budget(seen, random_state=3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, start)
    other = prox_newton(seen, trivial, budget(seen, random_state=3))
    np.testing.assert_allclose(other.W, found.W, atol=1e-5)
    few = composite(few_of_many(2_000, 10), load_backend("numpy"))
    trivial = few.smooth.trivial()[0]
    assert from_sample(few, trivial, budget(few)) is trivial
    # A start that has weights already is better than a sample's.
    monkeypatch.setattr(working_sets, "from_sample", lambda *_: pytest.fail("a sample was drawn"))
    prox_newton(seen, found.W, budget(seen))


def test_stopped_short_it_says_so_and_its_gap_still_holds(backend: Engine) -> None:
    problem = few_of_many(100, 20, times=100.0)
    for max_iter in (1, 2, 3):
        seen, found = solved(problem, backend, max_iter=max_iter, tol=1e-14)
        assert found.n_iter == max_iter
        assert excess(problem, seen, found.W) <= found.gap * (1.0 + 1e-9)
        assert f"prox-newton stopped after {max_iter} iterations" in found.trouble
        assert f"raise max_iter above {max_iter}" in found.trouble


def test_an_exact_optimum_is_left_alone() -> None:
    """No slope at all at the start, and an l1 below what rounding could hide: nothing is divided by 0."""
    X, y = np.full((12, 1), 1.5), np.arange(12) % 2
    problem = SparseProblem(X, y, C=1e19)
    seen, found = solved(problem, load_backend("numpy"))
    assert found.W[0] == 0.0
    assert excess(problem, seen, found.W) == 0.0


def test_what_is_not_finite_is_refused() -> None:
    problem = few_of_many(30, 4)
    seen = composite(problem, load_backend("numpy"))
    start = seen.smooth.trivial()[0]
    start[0] = np.nan
    with pytest.raises(FloatingPointError, match="not finite"):
        prox_newton(seen, start, budget(seen))
