"""Our own judge of every answer: J(w, b) in float64 on the X that was given, by NumPy and SciPy alone.

J(w, b) = mean(log(1 + e^z) − y z) + λ/2 ‖w‖², z = X w + b, λ = 1/(C n), C = 1; b is not penalised.
Nothing of the trainer under test is used here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import expit

from bench.judge.data import Data, Float64, Matrix

C = 1.0
_BLOCK_NUMBERS = 1 << 20  # 8 MB in float64: a block of X is converted once and stays in the cache


def l2(data: Data) -> float:
    """λ = 1/(C n)."""
    return 1.0 / (C * data.n)


def blocks(data: Data, at_least: int = 1) -> Iterator[slice]:
    """Slices of rows, some MB of X each."""
    rows = max(at_least, _BLOCK_NUMBERS // data.d)
    for start in range(0, data.n, rows):
        yield slice(start, start + rows)


def logits(data: Data, w: Float64, b: float) -> Float64:
    """z = X w + b, (n,) float64."""
    if data.is_sparse:
        return np.asarray(_float64(data.X) @ w + b)
    z = np.empty(data.n)
    for rows in blocks(data):
        z[rows] = _float64(data.X[rows]) @ w
    return z + b


def transposed_product(data: Data, r: Float64) -> Float64:
    """Xᵀ r, (d,) float64."""
    if data.is_sparse:
        return np.asarray(_float64(data.X).T @ r)
    product = np.zeros(data.d)
    for rows in blocks(data):
        product += r[rows] @ _float64(data.X[rows])
    return product


def mean_loss(z: Float64, y: Float64) -> float:
    """logaddexp(0, z) is log(1 + e^z) without overflow."""
    return float(np.mean(np.logaddexp(0.0, z) - y * z))


def objective(data: Data, w: Float64, b: float) -> float:
    """J(w, b) in nats; NaN for weights that are not finite."""
    if not (np.isfinite(w).all() and np.isfinite(b)):
        return float("nan")
    return mean_loss(logits(data, w, b), data.y) + 0.5 * l2(data) * float(w @ w)


def gradient(data: Data, w: Float64, b: float) -> tuple[Float64, float]:
    """∇J: (d,) with respect to w, and with respect to b."""
    residual = (expit(logits(data, w, b)) - data.y) / data.n
    return transposed_product(data, residual) + l2(data) * w, float(residual.sum())


def best_intercept(z: Float64, y: Float64) -> float:
    """The b that minimises mean loss(z + b), by Newton's method in one dimension."""
    b = 0.0
    for _ in range(100):
        a = expit(z + b)
        slope, curvature = float(np.mean(a - y)), float(np.mean(a * (1.0 - a)))
        step = float(np.clip(slope / max(curvature, 1e-300), -2.0, 2.0))
        b -= step
        if abs(step) <= 1e-15 * max(1.0, abs(b)):
            break
    return b


def _float64(X: Matrix) -> Matrix:
    return X.astype(np.float64, copy=False)
