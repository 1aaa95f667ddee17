"""J*, by a Newton's method in plain float64 array expressions, with a bound on how far it may be off.

Tall dense data: systems are solved by Cholesky's method. Sparse data, and more columns than rows: by
conjugate gradients. None of it is fast or shared with the trainer under test.

With an L1 part, the value is a lower bound of J* from both sides' judge (l1.py).

The bound: φ(w) = min over b of J(w, b) is λ-strongly convex, so J(w, b) − J* ≤ ‖∇φ(w)‖²/(2λ) once b is
the best for w. It needs no trust in the method that found w.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, cg

from bench.judge import l1, softmax
from bench.judge.score import (
    best_intercept,
    cost,
    curvatures,
    gradient,
    hessian,
    logits,
    objective,
    transposed_product,
)
from bench.problems.problem import Float64, Problem

_EXACT = 1e-16  # of J: below what float64 resolves
_CURVATURE_ROWS = 200_000  # of X on a device: the leading ones, as random as any, condition the steps


@dataclass(frozen=True)
class Optimum:
    """The best point known, or with an L1 part the best bounds.

    value : J there, in nats; the largest lower bound of J*; or 1 on a path, where J is divided by ``lower``.
    gradient_norm : ‖∇J‖₂ there; 0 where the value is a lower bound.
    bound : how far above J* it can be at most, relative to J*. Where the value is a lower bound, how far
        the least J known is above it: J* lies between.
    how : the method, in words.
    lower : of a path, a lower bound of J* for each penalty.
    """

    value: float
    gradient_norm: float
    bound: float
    how: str
    lower: list[float] = field(default_factory=list)

    def narrowed(self, other: Optimum) -> Optimum:
        """Of two pairs of bounds on one J*, the larger lower and the smaller upper one."""
        upper = min(found.value * (1.0 + found.bound) for found in (self, other))
        better = self if self.value >= other.value else other
        return replace(better, bound=max(0.0, upper / better.value - 1.0))


def solve(problem: Problem, start: Float64 | None = None, since: str = "") -> Optimum:
    """The minimum of J by the method that suits the shape.

    start : (d + 1,) or None
        Where to begin; ``since`` says whence it comes. None is zero.
    """
    if problem.Cs:
        return _along(problem)
    W = np.zeros(problem.size) if start is None else start
    if problem.l1 > 0.0:
        return judge(problem, l1.solve(problem, W), f"an active-set Newton{since}")
    if problem.n_classes > 2:
        few = start is None and problem.size <= softmax.MOST_UNKNOWNS
        W = softmax.newton(problem) if few else W
        return judge(problem, W, "Newton, float64" if few else f"a fit that the judge bounds{since}")
    W = newton(problem, W)
    return judge(problem, W, f"our Newton{'' if _factors(problem) else '-CG'}, float64{since}")


def newton_seconds(problem: Problem) -> float:
    """About how long ``solve`` takes, at 30 GFLOP/s for Hessians and 1 GB/s for the rest.

    With an L1 part it ends by itself.
    """
    if problem.l1 > 0.0:
        return 0.0
    if problem.n_classes > 2:
        few = problem.size <= softmax.MOST_UNKNOWNS
        return 10 * (2 * problem.n * problem.size**2 + problem.size**3) / 20e9 if few else math.inf
    if _factors(problem):
        return 4 * problem.n * problem.d**2 / 30e9 + 20 * problem.n_bytes / 1e9
    return 150 * problem.n_bytes / 1e9


def judge(problem: Problem, W: Float64, how: str) -> Optimum:
    """J at w and the best intercept for it, with the bound; with an L1 part what w says of J* from below."""
    if problem.l1 > 0.0:
        lower, upper = l1.bounds(problem, W)
        lower = max(lower, 1e-300)  # J is above zero whatever W says
        return Optimum(lower, 0.0, upper / lower - 1.0, how)
    if problem.n_classes > 2:
        W, by_class = softmax.with_best_intercepts(problem, W)
        g, of_weights = by_class.ravel(), by_class[:, :-1].ravel()
    else:
        W = np.append(W[:-1], W[-1] + best_intercept(problem, logits(problem, W)))
        g = gradient(problem, W)
        of_weights = g[:-1]
    value = objective(problem, W)
    excess = float(of_weights @ of_weights) / (2.0 * problem.l2)
    bound = excess / (value - excess) if excess < value else math.inf
    return Optimum(value, float(np.linalg.norm(g)), bound, how)


def _along(problem: Problem) -> Optimum:
    """A lower bound for each penalty of a path; each problem begins where the last one ended."""
    W, found = np.zeros(problem.size), []
    for step in problem.along():
        W = l1.solve(step, W)
        found.append(judge(step, W, ""))
    words = (
        f"an active-set Newton at each of {len(found)} penalties, J being divided by its lower bound there"
    )
    lower, widest = [each.value for each in found], max(each.bound for each in found)
    return Optimum(1.0, 0.0, widest, words, lower)


def newton(problem: Problem, W: Float64) -> Float64:
    """Newton's method; near the minimum the last system is kept, and only the gradient is renewed."""
    solver: Callable[[Float64], Float64] | None = None
    for _ in range(60):
        z = logits(problem, W)
        g, value = gradient(problem, W, z), cost(problem, W, z)
        if float(g @ g) <= 2.0 * problem.l2 * _EXACT * value:
            break
        if solver is None:
            solver = (_by_cholesky if _factors(problem) else _by_conjugate_gradients)(problem, W)
        step = solver(g)
        decrement = 0.5 * float(g @ step)
        if decrement > 1e-6 * value:
            solver = None
            step = step * _step_length(problem, W, step, value, decrement)
        W = W - step
    return W


def _factors(problem: Problem) -> bool:
    """Whether a d×d Hessian is built."""
    return not problem.is_sparse and problem.d <= problem.n


def _penalty(problem: Problem) -> Float64:
    return np.append(np.full(problem.d, problem.l2), 0.0)


def _by_cholesky(problem: Problem, W: Float64) -> Callable[[Float64], Float64]:
    """Solves with the Hessian of J, or on a device with that of some of the rows."""
    rows = slice(None if problem.xp is np else _CURVATURE_ROWS)
    H = hessian(Problem(problem.name, problem.X[rows], problem.y[rows]), W)
    factor = cho_factor(H + np.diag(_penalty(problem)), overwrite_a=True)
    return lambda g: np.asarray(cho_solve(factor, g))


def _by_conjugate_gradients(problem: Problem, W: Float64) -> Callable[[Float64], Float64]:
    """Solves with the same matrix, which is never built; its diagonal is the preconditioner."""
    X, h, penalty, shape = problem.X, curvatures(problem, W), _penalty(problem), (len(W), len(W))
    squares = X.multiply(X) if problem.is_sparse else X**2
    diagonal = np.append(squares.T @ h, h.sum()) + penalty

    def product(V: Float64) -> Float64:
        return transposed_product(problem, h * logits(problem, V.ravel())) + penalty * V.ravel()

    H = LinearOperator(shape, matvec=product, dtype=np.float64)
    inverse = LinearOperator(shape, matvec=lambda V: V.ravel() / diagonal, dtype=np.float64)

    def solver(g: Float64) -> Float64:
        rtol = min(0.1, math.sqrt(float(np.linalg.norm(g))))
        return np.asarray(cg(H, g, rtol=rtol, maxiter=500, M=inverse)[0])

    return solver


def _step_length(problem: Problem, W: Float64, step: Float64, value: float, decrement: float) -> float:
    """1, or the first half of a half… that lowers J by a tenth of what the model promises."""
    t = 1.0
    while t > 1e-6 and objective(problem, W - t * step) > value - 0.2 * t * decrement:
        t *= 0.5
    return t
