"""Our own judge of every answer: J(w, b) and its derivatives in float64, by array expressions where X lies.

J(w, b) = mean(log(1 + e^z) − y z) + λ (ρ‖w‖₁ + (1 − ρ)/2 ‖w‖²), z = X w + b, λ = 1/(C n), ρ the problem's
l1_ratio; b is not penalised. Gradients and Hessians are those of J without its L1 part.
W (d + 1,) is w with b last, on the host. Nothing of the trainer under test is used here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.judge import softmax
from bench.problems.problem import Float64, Matrix, Problem, to_host

# Numbers of X that are converted at once: on the host 8 MB, which stay in the cache; on a device 256 MB.
_BLOCK, _BLOCK_ON_A_DEVICE = 1 << 20, 1 << 25


def blocks(problem: Problem, at_least: int = 1) -> Iterator[tuple[slice, Matrix]]:
    """Slices of rows, and X there in float64; sparse X in one."""
    if problem.is_sparse:
        yield slice(0, problem.n), problem.X.astype(np.float64, copy=False)
        return
    numbers = _BLOCK if problem.xp is np else _BLOCK_ON_A_DEVICE
    step = max(at_least, numbers // problem.d)
    for start in range(0, problem.n, step):
        rows = slice(start, start + step)
        yield rows, problem.X[rows].astype(np.float64, copy=False)


def logits(problem: Problem, W: Float64) -> Any:
    """z = X w + b, (n,) float64 where X lies."""
    xp = problem.xp
    w, z = xp.asarray(W[:-1]), xp.empty(problem.n)
    for rows, X in blocks(problem):
        z[rows] = X @ w + W[-1]
    return z


def sigmoid(z: Any, xp: Any = np) -> Any:
    """1/(1 + e^−z), which does not overflow."""
    e = xp.exp(-abs(z))
    return xp.where(z >= 0.0, 1.0, e) / (1.0 + e)


def transposed_product(problem: Problem, r: Any) -> Float64:
    """(X, 1)ᵀ r, (d + 1,) on the host; r (n,) where X lies."""
    product = problem.xp.zeros(problem.d)
    for rows, X in blocks(problem):
        product += X.T @ r[rows]
    return np.append(to_host(product), float(r.sum()))


def _loss(problem: Problem, z: Any) -> float:
    """logaddexp(0, z) is log(1 + e^z) without overflow."""
    xp = problem.xp
    return float(xp.mean(xp.logaddexp(0.0, z) - xp.asarray(problem.y) * z))


def _slopes(problem: Problem, z: Any) -> Float64:
    """The gradient of the mean loss at these logits, (d + 1,)."""
    xp = problem.xp
    return transposed_product(problem, (sigmoid(z, xp) - xp.asarray(problem.y)) / problem.n)


def cost(problem: Problem, W: Float64, z: Any) -> float:
    """J of W and its logits."""
    w = W[:-1]
    return _loss(problem, z) + problem.l1 * float(abs(w).sum()) + 0.5 * problem.l2 * float(w @ w)


def objective(problem: Problem, W: Float64) -> float:
    """J(w, b) in nats; NaN for weights that are not finite."""
    if problem.n_classes > 2:
        return softmax.objective(problem, W) if np.isfinite(W).all() else float("nan")
    return cost(problem, W, logits(problem, W)) if np.isfinite(W).all() else float("nan")


def gradient(problem: Problem, W: Float64, z: Any = None) -> Float64:
    """∇J without its L1 part, (d + 1,); ``z`` are the logits of W, where they are known."""
    slopes = _slopes(problem, logits(problem, W) if z is None else z)
    return slopes + problem.l2 * np.append(W[:-1], 0.0)


def loss_grad(problem: Problem, W: Float64) -> tuple[float, Float64]:
    """Mean loss and its gradient (d + 1,), no penalty."""
    z = logits(problem, W)
    return _loss(problem, z), _slopes(problem, z)


def descend(problem: Problem, learning_rate: float, steps: int) -> tuple[Float64, Float64]:
    """Gradient descent on the mean loss from zero: W (d + 1,), and the cost before each step (steps,)."""
    W, costs = np.zeros(problem.d + 1), np.empty(steps)
    for k in range(steps):
        costs[k], slopes = loss_grad(problem, W)
        W -= learning_rate * slopes
    return W, costs


def curvatures(problem: Problem, W: Float64) -> Any:
    """a(1 − a)/n of every row, (n,) where X lies."""
    a = sigmoid(logits(problem, W), problem.xp)
    return a * (1.0 - a) / problem.n


def hessian_product(problem: Problem, W: Float64, V: Float64) -> Float64:
    """The Hessian of the mean loss at W times V, (d + 1,)."""
    return transposed_product(problem, curvatures(problem, W) * logits(problem, V))


def hessian(problem: Problem, W: Float64, centre: Any = None, scale: Any = 1.0) -> Float64:
    """The Hessian of the mean loss at W in the coordinates ((x − centre)/scale, 1); dense X."""
    xp, d = problem.xp, problem.d
    root, H = xp.sqrt(curvatures(problem, W)), np.zeros((d + 1, d + 1))
    for rows, X in blocks(problem, at_least=2 * d):  # fewer, larger: H is written once a block
        Z = xp.ones((len(X), d + 1))
        Z[:, :d] = X if centre is None else (X - centre) / scale
        Z *= root[rows, None]
        H += to_host(Z.T @ Z)
    return H


def best_intercept(problem: Problem, z: Any) -> float:
    """The b that minimises mean loss(z + b), by Newton's method in one dimension."""
    b, y = 0.0, problem.xp.asarray(problem.y)
    for _ in range(100):
        a = sigmoid(z + b, problem.xp)
        slope, curvature = float((a - y).mean()), float((a * (1.0 - a)).mean())
        step = float(np.clip(slope / max(curvature, 1e-300), -2.0, 2.0))
        b -= step
        if abs(step) <= 1e-15 * max(1.0, abs(b)):
            break
    return b
