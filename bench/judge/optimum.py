"""J*, from solvers of our own in plain float64 NumPy and SciPy, with a bound on how far it may be off.

Tall data: Newton's method on w. More columns than rows: Newton's method on α, w = Xᵀα. Sparse data:
Newton's method with conjugate gradients. None of it is fast or shared with the trainer under test.

The bound: φ(w) = min over b of J(w, b) is λ-strongly convex, so J(w, b) − J* ≤ ‖∇φ(w)‖²/(2λ) once b is
the best for w. It needs no trust in the method that found w.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import expit

from bench.judge.data import Data, Float64
from bench.judge.score import (
    best_intercept,
    blocks,
    gradient,
    l2,
    logits,
    mean_loss,
    objective,
    transposed_product,
)

MANY_COLUMNS = 5_000  # above it a d×d matrix is too large
_EXACT = 1e-15  # of J: below what float64 resolves


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
        Where to begin, the intercept last; ``since`` says whence it comes. None is zero.
    """
    W = np.zeros(data.d + 1) if start is None else start
    if data.is_sparse:
        return judge(data, *newton_cg(data, W), f"our Newton-CG, float64{since}")
    if data.d > data.n:
        return judge(data, *newton_rows(data), "our Newton on XXᵀ, float64")
    return judge(data, *newton(data, W), f"our Newton, float64{since}")


def newton_seconds(data: Data) -> float:
    """About how long ``solve`` takes, at 30 GFLOP/s for Hessians and 1 GB/s for the rest."""
    if data.is_sparse:
        return 150 * data.n_bytes / 1e9
    if data.d > data.n:
        return 15 * data.n**3 / 30e9 + 20 * data.n_bytes / 1e9
    return 4 * data.n * data.d**2 / 30e9 + 20 * data.n_bytes / 1e9


def judge(data: Data, w: Float64, b: float, how: str) -> Optimum:
    """J at w and the best intercept for it, with the bound."""
    z = logits(data, w, b)
    b += best_intercept(z, data.y)
    slope, intercept_slope = gradient(data, w, b)
    value = objective(data, w, b)
    excess = float(slope @ slope) / (2.0 * l2(data))
    bound = excess / (value - excess) if excess < value else math.inf
    return Optimum(value, math.hypot(float(np.linalg.norm(slope)), intercept_slope), bound, how)


def newton(data: Data, W: Float64) -> tuple[Float64, float]:
    """Newton's method; near the minimum the last factor is kept, and only the gradient is renewed."""
    d = data.d
    penalty = np.append(np.full(d, l2(data)), 0.0)
    factor = None
    smallest = math.inf
    for _ in range(60):
        z = logits(data, W[:-1], W[-1])
        a = expit(z)
        value = mean_loss(z, data.y) + 0.5 * l2(data) * float(W[:-1] @ W[:-1])
        residual = (a - data.y) / data.n
        g = np.append(transposed_product(data, residual), residual.sum()) + penalty * W
        size = float(np.linalg.norm(g))
        if factor is not None and size > 0.5 * smallest:
            break  # rounding: it gets no smaller
        smallest = min(size, smallest)
        if factor is None:
            factor = cho_factor(_hessian(data, a * (1.0 - a) / data.n) + np.diag(penalty), overwrite_a=True)
        step = cho_solve(factor, g)
        decrement = 0.5 * float(g @ step)
        if decrement > 1e-6 * value:
            factor, smallest = None, math.inf
            step *= _step_length(data, W, step, value, decrement)
        W = W - step
    return W[:-1], float(W[-1])


def newton_rows(data: Data) -> tuple[Float64, float]:
    """Newton's method in n + 1 dimensions: J(α, b) = mean loss(Kα + b) + λ/2 αᵀKα, K = XXᵀ."""
    n, lam = data.n, l2(data)
    X = data.X.astype(np.float64)
    K = X @ X.T
    alpha, b = np.zeros(n), 0.0
    for _ in range(60):
        a = expit(K @ alpha + b)
        h = a * (1.0 - a) / n
        system = np.empty((n + 1, n + 1))
        system[:n, :n] = h[:, None] * K + lam * np.eye(n)
        system[:n, n] = h
        system[n, :n] = h @ K
        system[n, n] = h.sum()
        residual = (a - data.y) / n
        right = np.append(residual + lam * alpha, residual.sum())
        step = np.linalg.solve(system, right)

        def value(t: float, alpha: Float64 = alpha, b: float = b, step: Float64 = step) -> float:
            at = alpha - t * step[:n]
            z = K @ at
            return mean_loss(z + b - t * step[n], data.y) + 0.5 * lam * float(at @ z)

        t = 1.0
        while value(t) > value(0.0) * (1.0 + _EXACT) and t > 1e-6:
            t *= 0.5
        alpha, b = alpha - t * step[:n], b - t * float(step[n])
        if np.linalg.norm(step[:n]) <= 1e-15 * np.linalg.norm(alpha):
            break
    return X.T @ alpha, b


def newton_cg(data: Data, W: Float64) -> tuple[Float64, float]:
    """Newton's method, each system solved by conjugate gradients with the diagonal as preconditioner."""
    d, lam = data.d, l2(data)
    squares = data.X.multiply(data.X).tocsr()
    penalty = np.append(np.full(d, lam), 0.0)
    for _ in range(60):
        z = logits(data, W[:-1], W[-1])
        a = expit(z)
        value = mean_loss(z, data.y) + 0.5 * lam * float(W[:-1] @ W[:-1])
        residual = (a - data.y) / data.n
        g = np.append(transposed_product(data, residual), residual.sum()) + penalty * W
        size = float(np.linalg.norm(g))
        if size**2 <= 2.0 * lam * _EXACT * value:
            break
        h = a * (1.0 - a) / data.n
        diagonal = np.append(squares.T @ h, h.sum()) + penalty

        def product(V: Float64, h: Float64 = h) -> Float64:
            V = V.ravel()
            scaled = h * logits(data, V[:-1], float(V[-1]))
            return np.append(transposed_product(data, scaled), scaled.sum()) + penalty * V

        def divide(V: Float64, diagonal: Float64 = diagonal) -> Float64:
            return V.ravel() / diagonal

        shape = (d + 1, d + 1)
        step, _ = cg(
            LinearOperator(shape, matvec=product, dtype=np.float64),
            g,
            rtol=min(0.1, math.sqrt(size)),
            maxiter=500,
            M=LinearOperator(shape, matvec=divide, dtype=np.float64),
        )
        decrement = 0.5 * float(g @ step)
        step *= _step_length(data, W, step, value, decrement) if decrement > 1e-6 * value else 1.0
        W = W - step
    return W[:-1], float(W[-1])


def _hessian(data: Data, h: Float64) -> Float64:
    """Σ hᵢ xᵢxᵢᵀ with a constant column last, (d + 1, d + 1), in float64."""
    d = data.d
    H = np.zeros((d + 1, d + 1))
    root = np.sqrt(h)
    for rows in blocks(data, at_least=2 * d):  # fewer, larger: H is written once a block
        block = np.empty((len(root[rows]), d + 1))
        np.multiply(data.X[rows], root[rows, None], out=block[:, :d])
        block[:, d] = root[rows]
        H += block.T @ block
    return H


def _step_length(data: Data, W: Float64, step: Float64, value: float, decrement: float) -> float:
    """1, or the first half of a half… that lowers J by a tenth of what the model promises."""
    t = 1.0
    while t > 1e-6:
        at = W - t * step
        if objective(data, at[:-1], float(at[-1])) <= value - 0.2 * t * decrement:
            break
        t *= 0.5
    return t
