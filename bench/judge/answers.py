"""What an engine's answer is checked with: numbers within a tolerance, and fits by an independent optimum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from bench.judge import optimum, score
from bench.judge.optimum import Optimum
from bench.problems.problem import Float64, Problem

T = TypeVar("T")
# An independent optimum is itself rounded; a fit below it by more would mean that it is no optimum.
BELOW = 1e-11


def close(expected: Any, relative: float = 1e-8, of_largest: float = 1e-11) -> Callable[[Any], None]:
    """A check: every number of an answer is right, but for ``relative`` and a share of the largest."""
    within = of_largest * np.abs(expected).max()
    return lambda answer: np.testing.assert_allclose(answer, expected, rtol=relative, atol=within)


def close_gradient(
    expected: tuple[Any, Float64], relative: float = 1e-8, of_largest: float = 1e-11, of_loss: float = 1e-11
) -> Callable[[tuple[Any, Any]], None]:
    """A check of a (loss, gradient) pair."""
    near = close(expected[1], relative, of_largest)

    def check(answer: tuple[Any, Any]) -> None:
        np.testing.assert_allclose(answer[0], expected[0], rtol=of_loss)
        near(answer[1])

    return check


def remembered(find: Callable[[Problem], T]) -> Callable[[Problem], T]:
    """``find(problem)``, found once for as long as the problem lives, and not keeping it alive."""
    known: WeakKeyDictionary[Problem, T] = WeakKeyDictionary()

    def found(problem: Problem) -> T:
        if problem not in known:
            known[problem] = find(problem)
        return known[problem]

    return found


@remembered
def best(problem: Problem) -> Optimum:
    """J* of a Newton's method in float64 at C = 1, certified within BELOW.

    Raises
    ------
    ArithmeticError
        It is not.
    """
    found = optimum.solve(problem)
    if not found.bound <= BELOW:
        raise ArithmeticError(
            f"J* of {problem.name} is only known within {found.bound:.1e}: nothing can be judged by it"
        )
    return found


def suboptimality(problem: Problem, W: Float64) -> float:
    """(J(W) − J*)/J*; W (d + 1,) with the intercept last, or a class after the other."""
    least = best(problem).value
    return (score.objective(problem, W) - least) / least


@remembered
def loss_grad(problem: Problem) -> tuple[float, Float64]:
    """Mean loss and gradient at ``problem.weights``."""
    return score.loss_grad(problem, problem.weights)


@remembered
def hessian_product(problem: Problem) -> Float64:
    """The Hessian at ``problem.weights`` times those weights, rolled by one."""
    return score.hessian_product(problem, problem.weights, np.roll(problem.weights, 1))


def coordinates(problem: Problem) -> tuple[Float64, Float64]:
    """Centre and scale of every column, as a solver standardises."""
    return problem.X.mean(axis=0, dtype=np.float64), problem.X.std(axis=0, dtype=np.float64)


@remembered
def hessian(problem: Problem) -> Float64:
    """At ``problem.weights``, in standardised coordinates."""
    return score.hessian(problem, problem.weights, *coordinates(problem))
