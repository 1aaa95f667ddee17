"""K columns without a loop: the formulas of numpy_vectorised/dense.py, a column a problem.

m rows, d features, K columns: X is (m, d), Y, s, z and dz are (m, K), w is (d, K), b (K,); all float64.
The two products with X become matrix products, and X is read once for all K. Sums are not divided here:
a block's are added to those of the blocks before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.numpy_vectorised.dense import curvature, loss, residual

Array = NDArray[np.float64]


def linear(X: Any, w: Array, b: Array) -> Array:
    """z = X w + b, shape (m, K). X may be sparse."""
    assert X.shape[1] == w.shape[0]
    z: Array = X @ w + b
    return z


def combinations(X: Any, dz: Array) -> Array:
    """Xᵀ dz over Σ dz: (d + 1, K). X may be sparse."""
    assert X.shape[0] == dz.shape[0]
    sums = np.empty((X.shape[1] + 1, dz.shape[1]))
    sums[:-1] = (dz.T @ X).T
    sums[-1] = dz.sum(axis=0)
    return sums


def loss_grad(X: Any, Y: Array, s: Array, w: Array, b: Array) -> tuple[Array, Array]:
    """Σ s ℓ (K,) and Σ s (a − y) x̃ (d + 1, K), x̃ = (x, 1)."""
    z = linear(X, w, b)
    return np.einsum("ik,ik->k", s, loss(z, Y)), combinations(X, s * residual(z, Y))


def hessian_product(X: Any, s: Array, w: Array, b: Array, v: Array, c: Array) -> Array:
    """Σ s h x̃ (x̃ᵀ(v, c)), (d + 1, K)."""
    return combinations(X, s * curvature(linear(X, w, b)) * linear(X, v, c))


def hessian_diagonal(X: Any, s: Array, w: Array, b: Array) -> Array:
    """Σ s h x̃ⱼ², (d + 1, K)."""
    squares = X * X if isinstance(X, np.ndarray) else X.power(2)
    return combinations(squares, s * curvature(linear(X, w, b)))
