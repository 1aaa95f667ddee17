"""Newton's method by preconditioned conjugate gradients, for p too large for a matrix of p².

Each step solves H x = −∇J only as far as the step is worth it (Dembo, Eisenstat and Steihaug 1982). What a
solve learns about H is kept: its directions and their products become L-BFGS pairs, and the inverse Hessian
they make preconditions the next solve (Morales and Nocedal 2000), which then starts where the last one left
off. The solve also measures the gap: its partial sums grow towards the Newton decrement ½ gᵀH⁻¹g, and what is
left is at most what the residual is worth along the axis of least curvature that the solve has met, its
smallest Ritz value. Axes that it has not met are why an estimate is not believed where a proof can be had
(parts/proof.py): by the exact Hessian, or, under a penalty, by solving until strong convexity alone bounds
the gap.

Sparse rows get no factor: the Hessian's diagonal conditions them, made anew where a step has changed J, since
the rows that saturate on the way change it by orders of magnitude (kernels/numba_jit/small_csr.py does the
same for small problems in one call).

Where the engine has a model of J that is cheap to ask (problem/quantised.py), it is minimised first, and
every Hessian product is the model's: what is exact is J and its gradient, of which three do. A model that
is no good shows in the contraction from one exact gradient to the next, and is then dropped.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.costs import Costs
from accel_logreg.solvers.parts.factor import factorise, low_precision_factor
from accel_logreg.solvers.parts.line_search import search
from accel_logreg.solvers.parts.memory import Memory
from accel_logreg.solvers.parts.newton_decrement import Lanczos
from accel_logreg.solvers.parts.proof import MARGIN, POLISHED, Apart, apart_along, downhill, prove
from accel_logreg.solvers.problem import (
    Budget,
    Certificate,
    GapKind,
    History,
    Inverse,
    NewtonProblem,
    Report,
    Smooth,
    Solution,
    answered,
    relative_gap,
    require_finite,
    shortfall,
)

_SETTLED = 0.1  # what the residual may still add to the decrement, relative, for it to be believed
_UNSETTLED = 4.0
_PROVEN = (
    0.2  # of the target: what a residual may be worth by strong convexity after a solve that is to prove
)
_CERTIFICATES = 60
PRODUCTS = 250  # in one solve
_ROWS_AN_UNKNOWN = 8  # in the Hessian that preconditions
_PASSES_A_FACTOR = 10  # at most, that a factor may cost
STALE = 1e-5  # of J: what a fall may change the curvature of rows by
_FLAT = 1e-15  # curvature along an axis is about J at most; this share of it is rounding
_PAIRS = 60  # at most, and so many as cost a pass over X: each is four vectors to go through
_LEAST_PAIRS = 20  # of dense rows
_PAIR, _PAIR_CALLS = 1.2e-9, 3e-6  # seconds an unknown, and of the interpreter
_MODEL_TOL = 3e-3  # relative suboptimality of the model: its optimum is not J's
_MODEL_STEPS = 30
_USELESS = 0.5  # contraction of the gradient from which a model is no good


@dataclass(frozen=True)
class Solve:
    """x with H x ≈ −g; ``decrement`` ½ gᵀH⁻¹g as far as summed, ``left`` what the residual would add, and
    ``least`` the least curvature that was met, by the preconditioner's measure; inf where nothing was.
    """

    x: Float64
    decrement: float
    left: float
    products: int
    least: float


@dataclass(frozen=True)
class Approach:
    """How far a cheaper model of J has led: where to, the model if it is to give the Hessian's products, what
    conditions them, and what was learnt on the way.
    """

    U: Float64
    model: Smooth | None
    preconditioner: Inverse
    memory: Memory


def newton_cg(
    problem: NewtonProblem,
    start: Float64 | None,
    budget: Budget,
    *,
    approach: Callable[[Float64], Approach] | None = None,
) -> Solution:
    """Minimise until the relative suboptimality is at most ``budget.tol``.

    From ``start`` where given, else from the trivial point, by way of ``approach``, or of the copy in 8 bits
    where the engine has one.
    """
    tol, max_iter, report = budget.tol, budget.max_iter, budget.report
    trivial, ceiling = problem.trivial()
    last_read = problem.reads + budget.max_reads
    U = trivial
    if start is not None and problem.value_grad(start)[0] <= ceiling:
        U = start
    history = History()
    began = approach(U) if approach is not None else _by_few_bits(problem, U, budget)
    U, preconditioner, memory = began.U, began.preconditioner, began.memory
    products: Smooth = problem if began.model is None else began.model
    value, gradient = problem.value_grad(U)
    if not value <= ceiling and U is not trivial:
        report(f"newton-cg: J = {value:.6g} where it was to start, above {ceiling:.6g} at the trivial point")
        U, products = trivial, problem
        memory.clear()
        value, gradient = problem.value_grad(U)
    require_finite(value, gradient)
    history.append(value, problem.gradient_norm(gradient), problem.reads)
    n_iter, gap, kind, separation = 0, math.inf, GapKind.ESTIMATED, None
    apart: Apart | None = None
    before, until, attempts = math.inf, math.inf, 0  # until: reads that a proof by strong convexity may take
    certificate: Certificate | None = None
    # The share by which J has fallen since the preconditioner was made: of the trivial point, at first.
    moved = 0.0 if U is trivial else math.inf
    while True:
        if not gradient.any():
            gap, kind = 0.0, GapKind.CERTIFIED
            break
        if problem.separates(value):
            separation = problem.separating(U)
            break
        target = tol * value
        if problem.sparse and certificate is None and moved > STALE:
            preconditioner, moved = problem.jacobi(U), 0.0
            memory.clear()
        worth = problem.residual_gap if math.isfinite(until) and products is problem else None
        most = PRODUCTS if worth is None else budget.proof_products
        solve = conjugate_gradients(
            products, U, gradient, memory, preconditioner, 0.5 * target, value, worth, most
        )
        decrement = solve.decrement + solve.left
        contraction, before = math.sqrt(decrement / before), decrement
        if products is not problem and contraction > _USELESS:
            report(f"newton-cg: the model shrinks the gradient by {contraction:.2g} only, and is dropped")
            products, before = problem, math.inf
            memory.clear()
            continue
        gap = relative_gap(decrement * MARGIN * _margin(contraction, products is problem), value)
        report(
            f"newton-cg: iteration {n_iter}, cost {value:.9g}, gap {gap:.2g}, {solve.products} products, "
            f"{problem.reads:.1f} reads"
        )
        if apart is not None and (gap <= POLISHED or n_iter >= max_iter):
            break
        ended = n_iter >= max_iter or problem.reads > last_read
        if ended or (gap <= tol and (n_iter > 0 or start is not None)):
            proof = prove(problem, U, value, gradient, tol, budget.costs, certificate)
            certificate = proof.certificate
            if proof.gap(value) <= tol:
                gap, kind = proof.gap(value), GapKind.CERTIFIED
                break
            attempts += 1
            if ended or attempts > _CERTIFICATES:
                break
            products, before = problem, math.inf
            if certificate is not None:
                # Conjugate gradients come to directions of little curvature last, and these may hold most of
                # what is left: the exact Hessian has the last word, and conditions what follows.
                preconditioner = certificate
                memory.clear()
            if not problem.penalised:
                ways = [solve.x] if certificate is None else downhill(certificate, gradient)
                found_apart = apart_along(problem, ways, apart)
                if found_apart is not None:
                    apart, separation = found_apart, found_apart.found
                    U = apart.beyond(U)
                    value, gradient = problem.value_grad(U)
                    memory.clear()
                    n_iter += 1
                    history.append(value, problem.gradient_norm(gradient), problem.reads)
                    continue
                if certificate is None:
                    break
            elif certificate is None:
                if math.isinf(until):
                    until = problem.reads * (1.0 + budget.proving[0]) + budget.proving[1]
                if problem.reads >= until:
                    break
            if certificate is not None:
                solve = conjugate_gradients(
                    products, U, gradient, memory, preconditioner, 0.5 * target, value, None
                )
        found = search(problem, U, value, gradient, solve.x)
        if found is None:
            if products is problem:
                proof = prove(problem, U, value, gradient, tol, budget.costs, certificate)
                if proof.gap(value) <= tol:
                    gap, kind = proof.gap(value), GapKind.CERTIFIED
                break
            products, before = problem, math.inf
            memory.clear()
            continue
        memory.append(found.U - U, found.gradient - gradient)
        moved += abs(value - found.value) / value
        U, value, gradient = found.U, found.value, found.gradient
        n_iter += 1
        history.append(value, problem.gradient_norm(gradient), problem.reads)
    history.reads[-1] = problem.reads
    trouble = ""
    if separation is not None:
        gap, kind = math.inf, GapKind.CERTIFIED
    elif gap > tol:
        trouble = shortfall("newton-cg", n_iter, gap, kind, tol, max_iter)
    if certificate is not None and certificate.flat is not None and separation is None:
        U = problem.least_norm(U, certificate.flat, value)
    return Solution(U, n_iter, gap, kind, history, trouble, separation)


def _pairs(costs: Costs, n: int) -> int:
    """How many directions to remember."""
    product, least = (costs.gradient(n), 0) if costs.pairs else (costs.quantised_pass(n), _LEAST_PAIRS)
    return max(least, min(_PAIRS, int(product / (_PAIR * costs.p + _PAIR_CALLS))))


class ScaledIdentity:
    """The inverse Hessian that standardised coordinates aim at: a curvature of 1/4 along every axis."""

    def solve(self, g: Float64) -> Float64:
        return 4.0 * g


def _preconditioner(problem: NewtonProblem, U: Float64, budget: Budget) -> Inverse:
    """A factor of a Hessian of some rows where that costs a few passes, else the diagonal alone."""
    n, costs = problem.n_rows, budget.costs
    rows = min(n, _ROWS_AN_UNKNOWN * costs.p)
    if costs.hessian(rows) + costs.factor() > _PASSES_A_FACTOR * costs.gradient(n) or problem.sparse:
        return ScaledIdentity()
    picked = None if rows == n else problem.pick(rows, budget.random)
    return low_precision_factor(problem.low_precision_hessian(U, sample=picked)) or factorise(
        lambda precision: problem.hessian(U, sample=picked, precision=precision)
    )


def _by_few_bits(problem: NewtonProblem, U: Float64, budget: Budget) -> Approach:
    """Through the copy in 8 bits, where there is one."""
    preconditioner = _preconditioner(problem, U, budget)
    memory = Memory(_pairs(budget.costs, problem.n_rows))
    model = problem.quantised()
    if model is not None:
        U = _minimise_model(model, U, memory, preconditioner, max(budget.tol, _MODEL_TOL), budget.report)
    return Approach(U, model, preconditioner, memory)


def _minimise_model(
    model: Smooth, U: Float64, memory: Memory, preconditioner: Inverse, tol: float, report: Report
) -> Float64:
    """The model's optimum, to about ``tol``; what is learnt about its Hessian stays in the memory."""
    value, gradient = model.value_grad(U)
    for steps in range(_MODEL_STEPS):
        solve = conjugate_gradients(model, U, gradient, memory, preconditioner, 0.5 * tol * value, value)
        gap = relative_gap(solve.decrement + solve.left, value)
        report(
            f"newton-cg: model, iteration {steps}, cost {value:.6g}, gap {gap:.2g}, {solve.products} products"
        )
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


def conjugate_gradients(smooth: Smooth, U: Float64, *of: Any) -> Solve:
    """``solving`` with the products of ``smooth``'s Hessian at U."""
    return answered(solving(*of), lambda V: smooth.hessian_product(U, V))


def solving(
    gradient: Float64,
    memory: Memory,
    preconditioner: Inverse,
    enough: float,
    value: float,
    worth: Callable[[Float64], float] | None = None,
    most: int = PRODUCTS,
    far: float = math.inf,
) -> Generator[Float64, Float64, Solve]:
    """Conjugate gradients on H x = −g, asking for H times what it yields, until the rest is worth less than
    what Newton's step leaves.

    The error of a full Newton step is about δ²/J for a decrement δ: solving further than that, or than
    ``enough`` nats, is not worth a read. With ``worth``, what a residual may be worth at most, the solve goes
    on until that is well below ``enough``. It ends where the decrement is above ``far``.
    """
    x = np.zeros_like(gradient)
    residual = -gradient
    pairs: deque[tuple[Float64, Float64]] = deque(maxlen=memory.most)
    lanczos = Lanczos()
    z = memory.solve(preconditioner, residual)
    direction = z.copy()
    rho = float(residual @ z)
    decrement, left, settled = 0.0, 0.5 * rho, False
    for products in range(1, most + 1):  # noqa: B007
        product = yield direction
        curvature = float(direction @ product)
        if curvature <= _FLAT * value * float(direction @ direction):
            break
        alpha = rho / curvature
        lanczos.step(alpha)
        x += alpha * direction
        residual -= alpha * product
        decrement += 0.5 * alpha * rho
        if decrement > min(value, far):  # no gap exceeds J: far from the optimum a step suffices
            break
        pairs.append((direction, product))
        z = memory.solve(preconditioner, residual)
        before, rho = rho, float(residual @ z)
        left = 0.5 * alpha * rho  # the last step length stands for the curvature that is left
        newton_error = decrement * min(0.1, decrement / value)
        little = min(_SETTLED * decrement, max(enough * 0.2, newton_error))
        if left <= little:
            left = lanczos.left(rho, little)
            settled = left <= little and (worth is None or worth(residual) <= _PROVEN * enough)
            if settled:
                break
        lanczos.turn(alpha, rho / before)
        direction = z + (rho / before) * direction
    if not settled and lanczos.steps:  # cut short: there may be less curvature than has been met
        left = max(left, _UNSETTLED * 0.5 * rho / lanczos.smallest())
    for direction, product in pairs:
        memory.append(direction, product)
    return Solve(x, decrement, left, products, lanczos.known)
