"""Newton's method by preconditioned conjugate gradients, for p too large for a matrix of p².

Each step solves H x = −∇J only as far as the step is worth it (Dembo, Eisenstat and Steihaug 1982).
What a solve learns about H is kept: its directions and their products become L-BFGS pairs, and the
inverse Hessian they make preconditions the next solve (Morales and Nocedal 2000), which then starts
where the last one left off. The solve also measures the gap: its partial sums grow towards the
Newton decrement ½ gᵀH⁻¹g, so the last one is the stopping test and no product is spent on that alone.

Where the engine has a model of J that is cheap to ask (problem/quantised.py), it is minimised first, and
every Hessian product is the model's: what is exact is J and its gradient, of which three do. A model that
is no good shows in the contraction from one exact gradient to the next, and is then dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.costs import Costs
from accel_logreg.solvers.parts.factor import factorise, low_precision_factor
from accel_logreg.solvers.parts.line_search import search
from accel_logreg.solvers.parts.memory import Inverse, Memory
from accel_logreg.solvers.problem import (
    Budget,
    GapKind,
    History,
    NewtonProblem,
    Report,
    Smooth,
    Solution,
    relative_gap,
    require_finite,
    shortfall,
)

_SETTLED = 0.1  # what the residual may still add to the decrement, relative, for it to be believed
_PRODUCTS = 250  # in one solve
_ROWS_AN_UNKNOWN = 8  # in the Hessian that preconditions
_PASSES_A_FACTOR = 10  # at most, that a factor may cost
_FLAT = 1e-15  # curvature along an axis is about J at most; this share of it is rounding
_PAIRS = 60
_MODEL_TOL = 3e-3  # relative suboptimality of the model: its optimum is not J's
_MODEL_STEPS = 30
_USELESS = 0.5  # contraction of the gradient from which a model is no good


@dataclass(frozen=True)
class _Solve:
    """x with H x ≈ −g; ``decrement`` ½ gᵀH⁻¹g as far as summed, ``left`` what the residual would add."""

    x: Float64
    decrement: float
    left: float
    products: int


def newton_cg(problem: NewtonProblem, start: Float64 | None, budget: Budget) -> Solution:
    """Minimise until the relative suboptimality is at most ``budget.tol``.

    From ``start`` where given, else from the trivial point.
    """
    tol, max_iter, report = budget.tol, budget.max_iter, budget.report
    U = problem.trivial()[0] if start is None else start
    preconditioner = _preconditioner(problem, U, budget)
    factor = _factor_of_all(problem, budget.costs)
    model = problem.quantised()
    history = History()
    memory = Memory(_PAIRS)
    products: Smooth = problem
    if model is not None:
        U = _minimise_model(model, U, memory, preconditioner, max(tol, _MODEL_TOL), report)
        products = model
    value, gradient = problem.value_grad(U)
    require_finite(value, gradient)
    history.append(value, problem.gradient_norm(gradient), problem.reads)
    n_iter, gap, kind, trouble = 0, math.inf, GapKind.ESTIMATED, ""
    before = math.inf
    while True:
        if not gradient.any():
            gap, kind = 0.0, GapKind.CERTIFIED
            break
        if problem.separates(value):
            gap, kind, trouble = math.inf, GapKind.CERTIFIED, problem.separation
            break
        solve = _solve(products, U, gradient, memory, preconditioner, 0.5 * tol * value, value)
        decrement = solve.decrement + solve.left
        contraction, before = math.sqrt(decrement / before), decrement
        if products is not problem and contraction > _USELESS:
            report(f"newton-cg: the model shrinks the gradient by {contraction:.2g} only, and is dropped")
            products, before = problem, math.inf
            memory.clear()
            continue
        gap = relative_gap(decrement * _margin(contraction, products is problem), value)
        report(
            f"newton-cg: iteration {n_iter}, cost {value:.9g}, gap {gap:.2g}, {solve.products} products, "
            f"{problem.reads:.1f} reads"
        )
        if gap <= tol and factor is not None:
            # Conjugate gradients come to directions of little curvature last, and these may hold most of
            # what is left: a factor at this point, once, has the last word, and conditions what follows.
            preconditioner, factor = factor(U), None
            products, before = problem, math.inf
            memory.clear()
            continue
        if gap <= tol or n_iter >= max_iter:
            break
        found = search(problem, U, value, gradient, solve.x)
        if found is None:
            if products is problem:
                break
            products, before = problem, math.inf
            memory.clear()
            continue
        memory.append(found.U - U, found.gradient - gradient)
        U, value, gradient = found.U, found.value, found.gradient
        n_iter += 1
        history.append(value, problem.gradient_norm(gradient), problem.reads)
    history.reads[-1] = problem.reads
    if gap > tol and not trouble:
        trouble = shortfall("newton-cg", n_iter, gap, kind, tol, max_iter)
    return Solution(U, n_iter, gap, kind, history, trouble, problem.separates(value))


class _ScaledIdentity:
    """The inverse Hessian that standardised coordinates aim at: a curvature of 1/4 along every axis."""

    def solve(self, g: Float64) -> Float64:
        return 4.0 * g


def _preconditioner(problem: NewtonProblem, U: Float64, budget: Budget) -> Inverse:
    """A factor of a Hessian of some rows where that costs a few passes, else the diagonal alone."""
    n, costs = problem.n_rows, budget.costs
    rows = min(n, _ROWS_AN_UNKNOWN * costs.p)
    if costs.hessian(rows) + costs.factor() > _PASSES_A_FACTOR * costs.gradient(n) or problem.sparse:
        return _ScaledIdentity()
    picked = None if rows == n else problem.pick(rows, budget.random)
    return low_precision_factor(problem.low_precision_hessian(U, sample=picked)) or factorise(
        lambda precision: problem.hessian(U, sample=picked, precision=precision)
    )


def _factor_of_all(problem: NewtonProblem, costs: Costs) -> Callable[[Float64], Inverse] | None:
    """What makes the factor of a Hessian of all rows, where that costs a few passes."""
    n = problem.n_rows
    if problem.sparse or costs.hessian(n) + costs.factor() > _PASSES_A_FACTOR * costs.gradient(n):
        return None
    return lambda U: factorise(lambda precision: problem.hessian(U, precision=precision))


def _minimise_model(
    model: Smooth, U: Float64, memory: Memory, preconditioner: Inverse, tol: float, report: Report
) -> Float64:
    """The model's optimum, to about ``tol``; what is learnt about its Hessian stays in the memory."""
    value, gradient = model.value_grad(U)
    for steps in range(_MODEL_STEPS):
        solve = _solve(model, U, gradient, memory, preconditioner, 0.5 * tol * value, value)
        gap = relative_gap(solve.decrement + solve.left, value)
        report(f"newton-cg: model, iteration {steps}, cost {value:.6g}, gap {gap:.2g}")
        found = search(model, U, value, gradient, solve.x) if gap > tol else None
        if found is None:
            break
        memory.append(found.U - U, found.gradient - gradient)
        U, value, gradient = found.U, found.value, found.gradient
    return U


def _margin(contraction: float, exact: bool) -> float:
    """By what factor the decrement may be too low because the products are a model's.

    Where the model's curvature along an axis is H̃ and J's is H, a Newton step leaves 1 − H/H̃ of the
    gradient there. The axis that shrinks slowest comes to dominate, so H̃/H = 1/(1 − contraction).
    Before a step has been seen, nothing is known.
    """
    if exact:
        return 1.0
    return 1.0 / (1.0 - contraction) if contraction > 0.0 else math.inf


def _solve(
    smooth: Smooth,
    U: Float64,
    gradient: Float64,
    memory: Memory,
    preconditioner: Inverse,
    enough: float,
    value: float,
) -> _Solve:
    """Conjugate gradients on H x = −g, until the rest is worth less than what Newton's step leaves.

    The error of a full Newton step is about δ²/J for a decrement δ: solving further than that, or
    than ``enough`` nats, is not worth a read.
    """
    x = np.zeros_like(gradient)
    residual = -gradient
    pairs = []
    z = memory.solve(preconditioner, residual)
    direction = z.copy()
    rho = float(residual @ z)
    decrement, left = 0.0, 0.5 * rho
    for products in range(1, _PRODUCTS + 1):  # noqa: B007
        product = smooth.hessian_product(U, direction)
        curvature = float(direction @ product)
        if curvature <= _FLAT * value * float(direction @ direction):
            break
        alpha = rho / curvature
        x += alpha * direction
        residual -= alpha * product
        decrement += 0.5 * alpha * rho
        pairs.append((direction, product))
        z = memory.solve(preconditioner, residual)
        before, rho = rho, float(residual @ z)
        left = 0.5 * alpha * rho  # the last step length stands for the curvature that is left
        newton_error = decrement * min(0.1, decrement / value)
        if left <= _SETTLED * decrement and left <= max(enough * 0.2, newton_error):
            break
        direction = z + (rho / before) * direction
    for direction, product in pairs:
        memory.append(direction, product)
    return _Solve(x, decrement, left, products)
