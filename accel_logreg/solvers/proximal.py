"""Proximal Newton with working sets: exact zeros, by a duality gap, in a few reads of X.

Most weights are 0 at the optimum, and one gradient over all of X says which cannot be, by how far |gⱼ| is
from l1. The others are few: a copy of their columns is minimised over by itself, and a gradient over all of X
then proves it, or names columns that were missing (Boisbunon, Flamary and Rakotomamonjy 2014; Massias,
Gramfort and Salmon 2018). Over the copy each step minimises the loss's quadratic model with the penalty
exactly (parts/quadratic.py; Lee, Sun and Saunders 2014; Yuan, Ho and Lin 2012), so that signs and zeros are
settled after a few, and the error is squared by the last.

Where there are many rows, a sample of them comes first: it finds most of the columns and a start.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.parts.quadratic import Curvature, Factored, Products, minimise_quadratic
from accel_logreg.solvers.problem import (
    Budget,
    CompositeProblem,
    GapKind,
    History,
    Solution,
    answered,
    relative_gap,
    require_finite,
    shortfall,
)

_SHARE = 0.5  # of the columns, from which a copy of them is not worth making
_FEWEST, _FEW = 64, 16  # columns that may join a working set at a time, and where it gets large
_GROWTH = 4  # times as many columns as are not 0 may join at a time
_PROGRESS = 0.5  # of the lowest gap so far
_BALANCE = 7.0  # times √d of them: their Hessian then costs about a read of all d
_NEAR = 0.85  # of l1: columns that a gradient pulls as strongly come along
_OF_TOL = 0.1  # of the gap: what the columns of a copy may leave of it
_ROUGH, _OF_ROUGH = 1e-1, 1e-2  # of the gap while columns may be missing: at most, and of its square
_ROWS_AN_UNKNOWN, _LEAST_ROWS, _SAMPLE = 16, 2_000, 16  # of a sample; and at least a 16th of all rows
_TIMES = 8  # as many rows as a sample: from there on one is worth drawing
_SAMPLED = 1e-4  # relative gap of a sample's fit
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
_FEWER = 0.7  # of the columns at hand: where the last steps need so few, they get a copy of their own

Asking = Generator[Float64, tuple[float, Float64], "Reached"]


@dataclass(frozen=True)
class Reached:
    """A point, the loss and its gradient there, a bound in nats on what is left, and the steps to it."""

    U: Float64
    loss: float
    gradient: Float64
    gap: float = math.inf
    steps: int = 0


@dataclass
class WorkingSet:
    """Columns, and the problem over a copy of them, kept from one penalty to the next."""

    columns: NDArray[np.intp]
    part: CompositeProblem | None = None

    @classmethod
    def none(cls) -> WorkingSet:
        return cls(np.empty(0, dtype=np.intp))


def prox_newton(problem: CompositeProblem, start: Float64, budget: Budget) -> Solution:
    """Minimise from ``start`` until the duality gap is at most ``budget.tol`` of the cost."""
    history = History()
    if not start[problem.penalty.kinked].any():
        start = from_sample(problem, start, budget)
    loss, gradient = problem.loss_grad(start)
    require_finite(loss, gradient)
    of = problem, Reached(start, loss, gradient), budget, history, WorkingSet.none()
    return solution_of(problem, answered(solving(*of), problem.loss_grad), budget, history)


def solution_of(problem: CompositeProblem, found: Reached, budget: Budget, history: History) -> Solution:
    """With what is to be said where it stopped short."""
    gap = relative_gap(found.gap, found.loss + problem.penalty.value(found.U))
    trouble = ""
    if not gap <= budget.tol:
        trouble = shortfall("prox-newton", found.steps, gap, GapKind.CERTIFIED, budget.tol, budget.max_iter)
    return Solution(found.U, found.steps, gap, GapKind.CERTIFIED, history, trouble)


def from_sample(problem: CompositeProblem, start: Float64, budget: Budget) -> Float64:
    """The optimum over a sample of the rows, where there are many; else ``start``."""
    n = problem.n_rows
    rows = max(_LEAST_ROWS, _ROWS_AN_UNKNOWN * (problem.n_features + 1), n // _SAMPLE)
    if rows * _TIMES > n:
        return start
    sample = problem.sample(problem.pick(rows, budget.random))
    budget = replace(budget, tol=max(budget.tol, _SAMPLED))
    of = sample, Reached(start, *sample.loss_grad(start)), budget, History(), WorkingSet.none()
    return answered(solving(*of), sample.loss_grad).U


def solving(
    problem: CompositeProblem, reached: Reached, budget: Budget, history: History, held: WorkingSet
) -> Asking:
    """``prox_newton``, asking for the loss and its gradient over all columns at what it yields.

    From a point where these are known. ``held`` is used and kept up.
    """
    penalty, d = problem.penalty, problem.n_features
    first, random = max(_FEWEST, int(_BALANCE * math.sqrt(d))), budget.random
    lowest, most = math.inf, _most_unknowns(problem)
    part = None
    if held.part is not None:
        part = held.part.under(penalty.only(problem.entries(held.columns)))
    reached = replace(reached, gap=_bound(problem, reached, budget.tol), steps=0)
    solved = False
    tight = part is not None  # from one penalty to the next, few columns are missing
    while True:
        U, steps, value = reached.U, reached.steps, reached.loss + penalty.value(reached.U)
        gap = relative_gap(reached.gap, value)
        history.append(value, float(np.linalg.norm(penalty.slope(U, reached.gradient))), problem.reads)
        budget.report(
            f"prox-newton: {steps} steps, cost {value:.9g}, gap {gap:.2g}, {np.count_nonzero(U)} nonzero, "
            f"{len(held.columns)} columns at hand, {problem.reads:.1f} reads"
        )
        if gap <= budget.tol:
            return reached
        if steps >= budget.max_iter:
            return _ended(problem, reached)
        near, moved = _wanted(problem, U, reached.gradient, first if part is None else _FEWEST)
        missing = len(np.setdiff1d(moved, held.columns, assume_unique=True)) > 0
        if part is None or missing or (part is problem and 0 < len(near) < _SHARE * d):
            # What is not needed goes, as long as that is progress.
            falls, lowest = gap < _PROGRESS * lowest, min(gap, lowest)
            larger = np.union1d(held.columns, near)
            if len(problem.entries(larger)) > most >= len(problem.entries(near)):
                larger = near
            held.columns = near if falls or part is problem else larger
            few = 0 < len(held.columns) < _SHARE * d
            entries = problem.entries(held.columns)
            if few or len(entries) <= most < problem.size:
                held.part = part = problem.restricted(held.columns)
            else:
                held.columns, held.part, part = np.arange(d), None, problem
            tight = False
        elif solved and tight:
            return _ended(problem, reached)
        elif solved:
            tight = True
            used = np.intersect1d(held.columns, near, assume_unique=True)
            if part is not problem and 0 < len(used) < _FEWER * len(held.columns):
                part = held.part = part.restricted(np.searchsorted(held.columns, used))
                held.columns = used
        aim = _OF_TOL * budget.tol
        if not tight:
            aim = max(aim, min(_ROUGH, _OF_ROUGH * gap * gap))
        limit = budget.max_iter - steps
        if part is problem:
            found = yield from minimising(
                problem, reached, budget.tol if tight else aim, limit, not tight, random
            )
        else:
            entries = problem.entries(held.columns)
            inner = Reached(U[entries], reached.loss, reached.gradient[entries])
            inner = answered(minimising(part, inner, aim, limit, not tight, random), part.loss_grad)
            U = np.zeros_like(U)
            U[entries] = inner.U
            loss, gradient = yield U
            found = Reached(U, loss, gradient, steps=inner.steps)
        reached = replace(found, gap=_bound(problem, found, budget.tol), steps=steps + max(1, found.steps))
        solved = True


def _ended(problem: CompositeProblem, at: Reached) -> Reached:
    """With the best bound that holds, whatever it is."""
    gap = problem.gap(at.U, at.loss, at.gradient)
    return replace(at, gap=min(gap, problem.second_gap(at.U, at.loss, at.gradient, gap)))


def _bound(problem: CompositeProblem, at: Reached, tol: float) -> float:
    """In nats; rough where even so it is above ``tol``."""
    bound = problem.gap(at.U, at.loss, at.gradient, roughly=True)
    if relative_gap(bound, at.loss + problem.penalty.value(at.U)) > tol:
        return bound
    return problem.gap(at.U, at.loss, at.gradient)


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
    many, precise = problem.size > _most_unknowns(problem), problem.n_rows < _ROWS_TO_ROUND * problem.size
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


def _most_unknowns(problem: CompositeProblem) -> int:
    """For which a Hessian is made as a matrix."""
    return _MOST_UNKNOWNS if problem.size == problem.n_features + 1 else _MOST_OF_CLASSES


def _wanted(
    problem: CompositeProblem, U: Float64, gradient: Float64, room: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Columns with a weight that is not 0 or that the gradient nearly moves from there: of these no more than
    ``room`` at a time, or _GROWTH times as many as are not 0, those first that are held least. And those that
    it does move.
    """
    penalty, shape = problem.penalty, (-1, problem.n_features + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = np.where(penalty.l1 > 0.0, penalty.excess(gradient) / penalty.l1, np.inf)
    held = pull.reshape(shape)[:, :-1].max(axis=0)
    there_by_class = U.reshape(shape)[:, :-1] != 0.0
    there = there_by_class.any(axis=0)
    out = np.flatnonzero((held > _NEAR) & ~there)
    used = int(there.sum())
    room, left = max(room, _GROWTH * used), _most_unknowns(problem) // len(there_by_class) - 1 - used
    if left >= min(_FEW, len(out)) and not problem.by_columns:  # so that their Hessian can be a matrix
        room = min(room, left)
    if len(out) > room:
        out = out[np.argpartition(-held[out], room - 1)[:room]]
    return np.union1d(np.flatnonzero(there), out), out[held[out] > 1.0]
