"""J*, by a Newton's method in plain float64 NumPy and SciPy, with a bound on how far it may be off.

Tall dense data: systems are solved by Cholesky's method. Sparse data, and more columns than rows: by
conjugate gradients. None of it is fast or shared with the trainer under test.

The bound: φ(w) = min over b of J(w, b) is λ-strongly convex, so J(w, b) − J* ≤ ‖∇φ(w)‖²/(2λ) once b is
the best for w. It needs no trust in the method that found w.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import expit

from bench.judge.score import (
    Data,
    Float64,
    best_intercept,
    blocks,
    cost,
    gradient,
    logits,
    objective,
    transposed_product,
)

_EXACT = 1e-16  # of J: below what float64 resolves


@dataclass(frozen=True)
class Optimum:
    """The best point known.

    value : J there, in nats.
    gradient_norm : ‖∇J‖₂ there.
    bound : how far above J* it can be at most, relative to J*.
    how : the method, in words.
    """

    value: float
    gradient_norm: float
    bound: float
    how: str


def solve(data: Data, start: Float64 | None = None, since: str = "") -> Optimum:
    """The minimum of J by the method that suits the shape.

    start : (d + 1,) or None
        Where to begin; ``since`` says whence it comes. None is zero.
    """
    W = newton(data, np.zeros(data.d + 1) if start is None else start)
    return judge(data, W, f"our Newton{'' if _factors(data) else '-CG'}, float64{since}")


def newton_seconds(data: Data) -> float:
    """About how long ``solve`` takes, at 30 GFLOP/s for Hessians and 1 GB/s for the rest."""
    if _factors(data):
        return 4 * data.n * data.d**2 / 30e9 + 20 * data.n_bytes / 1e9
    return 150 * data.n_bytes / 1e9


def judge(data: Data, W: Float64, how: str) -> Optimum:
    """J at w and the best intercept for it, with the bound."""
    W = np.append(W[:-1], W[-1] + best_intercept(logits(data, W), data.y))
    g, value = gradient(data, W), objective(data, W)
    excess = float(g[:-1] @ g[:-1]) / (2.0 * data.l2)
    bound = excess / (value - excess) if excess < value else math.inf
    return Optimum(value, float(np.linalg.norm(g)), bound, how)


def newton(data: Data, W: Float64) -> Float64:
    """Newton's method; near the minimum the last system is kept, and only the gradient is renewed."""
    solver: Callable[[Float64], Float64] | None = None
    for _ in range(60):
        z = logits(data, W)
        g, value = gradient(data, W, z), cost(data, W, z)
        if float(g @ g) <= 2.0 * data.l2 * _EXACT * value:
            break
        if solver is None:
            a = expit(z)
            solver = (_by_cholesky if _factors(data) else _by_conjugate_gradients)(
                data, a * (1.0 - a) / data.n
            )
        step = solver(g)
        decrement = 0.5 * float(g @ step)
        if decrement > 1e-6 * value:
            solver = None
            step = step * _step_length(data, W, step, value, decrement)
        W = W - step
    return W


def _factors(data: Data) -> bool:
    """Whether a d×d Hessian is built."""
    return not data.is_sparse and data.d <= data.n


def _penalty(data: Data) -> Float64:
    return np.append(np.full(data.d, data.l2), 0.0)


def _by_cholesky(data: Data, h: Float64) -> Callable[[Float64], Float64]:
    """Solves with Σ hᵢ xᵢxᵢᵀ + λI, a constant column last in X."""
    d = data.d
    H = np.diag(_penalty(data))
    root = np.sqrt(h)
    for rows in blocks(data, at_least=2 * d):  # fewer, larger: H is written once a block
        block = np.empty((len(root[rows]), d + 1))
        np.multiply(data.X[rows], root[rows, None], out=block[:, :d])
        block[:, d] = root[rows]
        H += block.T @ block
    factor = cho_factor(H, overwrite_a=True)
    return lambda g: np.asarray(cho_solve(factor, g))


def _by_conjugate_gradients(data: Data, h: Float64) -> Callable[[Float64], Float64]:
    """Solves with the same matrix, which is never built; its diagonal is the preconditioner."""
    penalty, shape = _penalty(data), (data.d + 1, data.d + 1)
    squares = data.X.multiply(data.X) if data.is_sparse else data.X**2
    diagonal = np.append(squares.T @ h, h.sum()) + penalty
    H = LinearOperator(
        shape,
        matvec=lambda V: transposed_product(data, h * logits(data, V.ravel())) + penalty * V.ravel(),
        dtype=np.float64,
    )
    inverse = LinearOperator(shape, matvec=lambda V: V.ravel() / diagonal, dtype=np.float64)

    def solver(g: Float64) -> Float64:
        rtol = min(0.1, math.sqrt(float(np.linalg.norm(g))))
        return np.asarray(cg(H, g, rtol=rtol, maxiter=500, M=inverse)[0])

    return solver


def _step_length(data: Data, W: Float64, step: Float64, value: float, decrement: float) -> float:
    """1, or the first half of a half… that lowers J by a tenth of what the model promises."""
    t = 1.0
    while t > 1e-6 and objective(data, W - t * step) > value - 0.2 * t * decrement:
        t *= 0.5
    return t
