"""Proximal Newton: steps that minimise the loss's quadratic model with a penalty that has kinks.

Over all columns that a problem has, each step minimises the model with the penalty exactly
(parts/quadratic.py; Lee, Sun and Saunders 2014; Yuan, Ho and Lin 2012), so that signs and zeros are settled
after a few, and the error is squared by the last. The model's Hessian is a matrix, at first of a sample of
the rows; or its products, where it would be too large; or sparse X is gone over column by column.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.parts.quadratic import Curvature, Factored, Products, minimise_quadratic
from accel_logreg.solvers.problem import CompositeProblem, relative_gap

_ARMIJO, _HALVINGS = 1e-4, 40
_SAME = 1e-13  # of the cost: no change but for rounding,
_SHRINKS = 0.5  # where a step is good if it leaves so much of the slope
_SLOW = 0.1  # contraction of the slope by a step, above which the Hessian is made anew
_MODEL, _ROUGH_MODEL = 1e-10, 1e-2  # of its slope: what is left of a model's, and of one known by products
_STEPS, _FEW_STEPS = 100, 40  # of the model's minimiser, with a factor and by products
_SWEEPS, _OF_SWEEPS = 40, 0.1  # of coordinate descent before; and how far below the model's rest it goes
_RIDGE = 1e-7  # of the diagonal, for products: the loss is flat along what all classes have in common
# Seconds: of coordinate descent a nonzero, of a factor an unknown cubed; and what descent may take where
# products would do as well, until they do not.
_DESCENT, _FACTORS, _CHEAP = 75e-9, 1e-10, 0.03
_MOST_UNKNOWNS, _MOST_OF_CLASSES = 1_500, 4_000  # of a Hessian as a matrix; products take longer there
_ROWS_TO_ROUND = 3  # an unknown, from which a Hessian may be rounded to float32
_NO_GOOD = 0.5  # contraction of the slope above which it may no more
_PART, _SLOW_OF_SAMPLE = 0.4, 0.3  # of the rows: a Hessian of fewer does at first; and when it is made anew
_LOOSE = 1e-3  # relative gap from which a sample's Hessian will do
_ROWS_AN_UNKNOWN, _LEAST_ROWS = 16, 2_000  # of a sample's Hessian

Asking = Generator[Float64, tuple[float, Float64], "Reached"]


@dataclass(frozen=True)
class Reached:
    """A point, the loss and its gradient there, a bound in nats on what is left, and the steps to it."""

    U: Float64
    loss: float
    gradient: Float64
    gap: float = math.inf
    steps: int = 0


def most_unknowns(problem: CompositeProblem) -> int:
    """For which a Hessian is made as a matrix."""
    return _MOST_UNKNOWNS if problem.size == problem.n_features + 1 else _MOST_OF_CLASSES


def minimising(
    problem: CompositeProblem,
    at: Reached,
    tol: float,
    limit: int,
    roughly: bool,
    random: np.random.RandomState,
) -> Asking:
    """Proximal Newton steps over all columns of ``problem``, until its gap is ``tol`` of the cost.

    Unless ``roughly``, until what is not penalised has no slope but for rounding, too.
    """
    penalty = problem.penalty
    linear = penalty.linear()
    curvature: Curvature | None = None
    many, precise = problem.size > most_unknowns(problem), problem.n_rows < _ROWS_TO_ROUND * problem.size
    by_columns = False
    if problem.by_columns:
        descent = _DESCENT * problem.stored
        by_columns = descent < (_CHEAP if many else _FACTORS * float(problem.size) ** 3)
        many = many or by_columns
    rows = max(_LEAST_ROWS, _ROWS_AN_UNKNOWN * problem.size)
    sampled = tol >= _LOOSE and not many and not problem.drawn and rows < _PART * problem.n_rows
    picked = problem.pick(rows, random) if sampled else None
    before, first, steps = math.inf, 0.0, 0
    U, loss, g = at.U, at.loss, at.gradient
    while steps < limit:
        value = loss + penalty.value(U)
        gap = problem.gap(U, loss, g, roughly=True)
        if relative_gap(gap, value) <= tol and (roughly or problem.balanced(U, loss, g)):
            break
        size = float(np.linalg.norm(penalty.slope(U, g)))
        if size == 0.0:  # at the optimum, however little the bound can tell of it
            break
        slow = size / before
        sampled = sampled and slow <= _NO_GOOD
        if curvature is None or slow > (_SLOW_OF_SAMPLE if sampled else _SLOW):
            precise = precise or (slow > _NO_GOOD and not sampled)
            if many:
                curvature = _by_products(problem, U)
            else:
                curvature = _factored(problem, U, picked if sampled else None, precise)
        before, first = size, first or size
        left = max(_MODEL, min(_ROUGH_MODEL, size / first))
        aim, slope = U, g + penalty.l2 * U
        if by_columns:
            aim = problem.descended(U, g, _OF_SWEEPS * left, _SWEEPS)
            slope = slope + curvature.product(np.arange(len(U)), aim - U)
        aim, whole = minimise_quadratic(curvature, slope, linear, aim, left, _FEW_STEPS if many else _STEPS)
        by_columns = by_columns or (many and problem.by_columns and not whole)
        if np.array_equal(aim, U):
            break
        reached = yield from _line_search(problem, Reached(U, loss, g), aim, value, size)
        steps += 1
        if reached is None:
            break
        U, loss, g = reached
    return Reached(U, loss, g, steps=steps)


def _factored(problem: CompositeProblem, U: Float64, sample: RowSample | None, precise: bool) -> Factored:
    H = problem.hessian(U, sample=sample, precision="float64" if precise else "float32")
    H.flat[:: len(H) + 1] += problem.penalty.l2
    return Factored(H)


def _by_products(problem: CompositeProblem, U: Float64) -> Products:
    diagonal = problem.diagonal(U)
    more = problem.penalty.l2 + _RIDGE * diagonal
    return Products(lambda V: problem.hessian_product(U, V) + more * V, diagonal + more)


def _line_search(
    problem: CompositeProblem, at: Reached, aim: Float64, value: float, size: float
) -> Generator[Float64, tuple[float, Float64], tuple[Float64, float, Float64] | None]:
    """A point between ``at`` and ``aim`` that lowers the cost; None where rounding hides it."""
    penalty, step = problem.penalty, aim - at.U
    model = float(step @ at.gradient) + penalty.value(aim) - penalty.value(at.U)
    for _ in range(_HALVINGS):
        loss, g = yield aim
        change = loss + penalty.value(aim) - value
        if abs(change) <= _SAME * value:
            better = np.linalg.norm(penalty.slope(aim, g)) < _SHRINKS * size
            return (aim, loss, g) if better else None
        if change <= _ARMIJO * model:
            return aim, loss, g
        step, model = 0.5 * step, 0.5 * model
        aim = at.U + step
    return None
