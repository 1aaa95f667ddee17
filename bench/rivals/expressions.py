"""Array expressions, as anybody would write them: CuPy on a GPU, NumPy in the tests.

Nothing is fused: X is read twice a gradient, and every step between makes arrays of n numbers.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from bench.problems.problem import Float64, to_host
from bench.rivals import Fit, Way

MOST_STEPS = 50


def load(_name: str, xp: Any) -> Way:
    """The only way there is, on arrays of ``xp``."""
    return partial(newton, xp)


def loss_grad(xp: Any, X: Any, y: Any, W: Float64) -> tuple[float, Float64]:
    """Mean loss and its gradient (p,), computed in X's dtype."""
    loss, gradient, slope = _pass(xp, X, y, xp.asarray(W[:-1].astype(X.dtype)), float(W[-1]))
    return float(loss), np.append(to_host(gradient).astype(np.float64), float(slope))


def descend(xp: Any, X: Any, y: Any, learning_rate: float, steps: int) -> tuple[Float64, Float64]:
    """Gradient descent on the mean loss from zero: W (p,), and the cost before each step (steps,).

    Everything stays on the device until the end, so nothing waits in between.
    """
    w, b = xp.zeros(X.shape[1], X.dtype), xp.zeros((), X.dtype)
    costs = xp.empty(steps, X.dtype)
    for step in range(steps):
        costs[step], gradient, slope = _pass(xp, X, y, w, b)
        w -= learning_rate * gradient
        b -= learning_rate * slope
    W: Float64 = np.append(to_host(w), float(b)).astype(np.float64)
    return W, to_host(costs).astype(np.float64)


def _pass(xp: Any, X: Any, y: Any, w: Any, b: Any) -> tuple[Any, Any, Any]:
    """Mean loss and its derivatives by w and b, all on the device."""
    z = X @ w + b
    residual = (1.0 / (1.0 + xp.exp(-z)) - y) / X.shape[0]
    return xp.mean(xp.logaddexp(0.0, z) - y * z), X.T @ residual, residual.sum()


def newton(xp: Any, X: Any, y: Any, l2: float) -> Fit:
    """Newton's method from zero; the Hessian by one product, the system solved on the host in float64."""
    n, d = X.shape

    def fit(tol: float) -> Float64:
        W = np.zeros(d + 1)
        for _ in range(MOST_STEPS):
            z = X @ xp.asarray(W[:-1].astype(X.dtype)) + float(W[-1])
            a = 1.0 / (1.0 + xp.exp(-z))
            residual, h = (a - y) / n, a * (1.0 - a) / n
            scaled = X * h[:, None]
            H = np.empty((d + 1, d + 1))
            H[:-1, :-1] = to_host(X.T @ scaled)
            H[:-1, -1] = H[-1, :-1] = to_host(scaled.sum(axis=0))
            H[-1, -1] = float(h.sum())
            gradient = np.append(to_host(X.T @ residual), float(residual.sum())).astype(np.float64)
            gradient[:-1] += l2 * W[:-1]
            H[np.arange(d), np.arange(d)] += l2
            step = np.linalg.solve(H, gradient)
            W -= step
            if np.abs(step).max() <= tol:
                break
        return W

    return fit
