"""The lesson's formulas without a loop: the same functions as python_loop/dense.py, on whole arrays.

m rows, d features: X is (m, d), y, s, z, a and dz are (m,), w is (d,), b a float; all float64.
``weight_sum`` is S = Σ sᵢ over ALL rows, so that a function can be given a block of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sigmoid(z: Array) -> Array:
    """a = 1 / (1 + e⁻ᶻ), written with e^−|z| so that z = ±800 does not overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)


def loss(z: Array, y: Array) -> Array:
    """ℓ = −(y log a + (1 − y) log(1 − a)) = max(z, 0) − y z + log1p(e^−|z|), in nats."""
    assert z.shape == y.shape
    return np.maximum(z, 0.0) - y * z + np.log1p(np.exp(-np.abs(z)))


def cost(losses: Array, s: Array, weight_sum: float) -> float:
    """J = Σ sᵢ ℓᵢ / S: the negative mean log-likelihood of y ~ Bernoulli(a)."""
    assert losses.shape == s.shape
    return float(s @ losses) / weight_sum


def backward_da(a: Array, y: Array) -> Array:
    """∂ℓ/∂a = −y/a + (1 − y)/(1 − a), for 0 < a < 1."""
    assert a.shape == y.shape
    return -y / a + (1.0 - y) / (1.0 - a)


def backward_dz(a: Array, y: Array) -> Array:
    """∂ℓ/∂z = ∂ℓ/∂a · a(1 − a) = a − y."""
    assert a.shape == y.shape
    return a - y


def residual(z: Array, y: Array) -> Array:
    """``backward_dz`` from z, for y of 0 and 1: −sigmoid(−z) where y = 1, which keeps its digits as a → 1."""
    assert z.shape == y.shape
    sign = 1.0 - 2.0 * y
    return sign * sigmoid(sign * z)


def backward_dw(X: Array, dz: Array, s: Array, weight_sum: float) -> Array:
    """∂J/∂w = Xᵀ(s dz) / S, shape (d,)."""
    assert X.shape[0] == dz.shape[0] == s.shape[0]
    return ((s * dz) @ X) / weight_sum


def backward_db(dz: Array, s: Array, weight_sum: float) -> float:
    """∂J/∂b = Σ sᵢ dzᵢ / S."""
    assert dz.shape == s.shape
    return float(s @ dz) / weight_sum


def gradient_descent_step(w: Array, b: float, dw: Array, db: float, alpha: float) -> tuple[Array, float]:
    """w ← w − α dw, b ← b − α db."""
    assert w.shape == dw.shape
    return w - alpha * dw, b - alpha * db


def curvature(z: Array) -> Array:
    """h = ∂²ℓ/∂z² = a(1 − a) = e/(1 + e)² with e = e^−|z|."""
    e = np.exp(-np.abs(z))
    return e / (1.0 + e) ** 2


def linear(X: Array, w: Array, b: float) -> Array:
    """z = X w + b, shape (m,)."""
    assert X.shape[1:] == w.shape
    return X @ w + b


def loss_grad(
    X: Array, y: Array, s: Array, weight_sum: float, w: Array, b: float
) -> tuple[float, Array, float]:
    """J, ∂J/∂w and ∂J/∂b of these rows: forwards and backwards through the graph, two reads of X."""
    z = linear(X, w, b)
    dz = residual(z, y)
    return (
        cost(loss(z, y), s, weight_sum),
        backward_dw(X, dz, s, weight_sum),
        backward_db(dz, s, weight_sum),
    )


def hessian_product(
    X: Array, s: Array, weight_sum: float, w: Array, b: float, v: Array, c: float
) -> tuple[Array, float]:
    """The Hessian of the mean loss at (w, b) times (v, c)."""
    scale = curvature(linear(X, w, b)) * linear(X, v, c)
    return backward_dw(X, scale, s, weight_sum), backward_db(scale, s, weight_sum)


def hessian(X: Array, sh: Array, centre: Array, scale: Array, *, precise: bool) -> Array:
    """Σ sᵢ hᵢ x̂ᵢ x̂ᵢᵀ with x̂ = ((x − centre)/scale, 1) and sh = s h: (d + 1, d + 1), symmetric.

    The product of a matrix T = √(s h) x̂ with itself, for which BLAS does half the work. Unless
    ``precise``, T is rounded to float32, its rows divided by the largest √(s h) to stay in range.
    """
    assert X.shape == sh.shape + centre.shape
    root = np.sqrt(sh)
    largest = float(root.max(initial=0.0))
    if largest == 0.0:
        return np.zeros((X.shape[1] + 1, X.shape[1] + 1))
    T = np.empty((X.shape[0], X.shape[1] + 1))
    np.subtract(X, centre, out=T[:, :-1])  # before squaring, where a large mean would drown the rest
    T[:, :-1] /= scale
    T[:, -1] = 1.0
    T *= (root / largest)[:, np.newaxis]
    return (T.T @ T if precise else _single_precision_square(T)) * largest**2


def _single_precision_square(T: Array) -> Array:
    """TᵀT by float32 products, which are 1.5 times as fast; in float64 if they overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = T.astype(np.float32)
        H = (single.T @ single).astype(np.float64)
    return H if np.isfinite(H).all() else T.T @ T


def hessian_diagonal(X: Array, sh: Array) -> Array:
    """Σ sᵢ hᵢ xᵢⱼ² with sh = s h, (d,)."""
    return sh @ np.square(X)


def gram(D: Array | NDArray[np.float32]) -> Array | NDArray[np.float32]:
    """D Dᵀ, (m, m), for rows D less their centre."""
    return D @ D.T


def combination(X: Array, a: Array) -> Array:
    """Xᵀ a = Σ aᵢ xᵢ, (d,)."""
    assert X.shape[:1] == a.shape
    return a @ X


def dot(a: Array, b: Array) -> float:
    """Σ aᵢ bᵢ in one call: BLAS ddot."""
    assert a.shape == b.shape
    return float(np.dot(a, b))
