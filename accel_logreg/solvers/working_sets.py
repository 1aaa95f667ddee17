"""Working sets: exact zeros, by a duality gap over all columns, in a few reads of X.

Most weights are 0 at the optimum, and one gradient over all of X says which cannot be, by how far |gⱼ| is
from l1. The others are few: a copy of their columns is minimised over by itself (proximal.py), and a gradient
over all of X then proves it, or names columns that were missing (Boisbunon, Flamary and Rakotomamonjy 2014;
Massias, Gramfort and Salmon 2018).

Where there are many rows, a sample of them comes first: it finds most of the columns and a start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Float64
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
from accel_logreg.solvers.proximal import Asking, Reached, minimising, most_unknowns

_SHARE = 0.5  # of the columns, from which a copy of them is not worth making
_FEWEST, _FEW = 64, 16  # columns that may join a working set at a time, and where it gets large
_GROWTH = 4  # times as many columns as are not 0 may join at a time
_PROGRESS = 0.5  # of the lowest gap so far
_BALANCE = 7.0  # times √d of them: their Hessian then costs about a read of all d
_NEAR = 0.85  # of l1: columns that a gradient pulls as strongly come along
_FEWER = 0.7  # of the columns at hand: where the last steps need so few, they get a copy of their own
_OF_TOL = 0.1  # of the gap: what the columns of a copy may leave of it
_ROUGH, _OF_ROUGH = 1e-1, 1e-2  # of the gap while columns may be missing: at most, and of its square
_ROWS_AN_UNKNOWN, _LEAST_ROWS, _SAMPLE = 16, 2_000, 16  # of a sample; and at least a 16th of all rows
_TIMES = 8  # as many rows as a sample: from there on one is worth drawing
_SAMPLED = 1e-4  # relative gap of a sample's fit


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
    lowest, most = math.inf, most_unknowns(problem)
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
    room, left = max(room, _GROWTH * used), most_unknowns(problem) // len(there_by_class) - 1 - used
    if left >= min(_FEW, len(out)) and not problem.by_columns:  # so that their Hessian can be a matrix
        room = min(room, left)
    if len(out) > room:
        out = out[np.argpartition(-held[out], room - 1)[:room]]
    return np.union1d(np.flatnonzero(there), out), out[held[out] > 1.0]
