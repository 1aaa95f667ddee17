"""K classes without a loop: the same functions as python_loop/classes.py, on the logits of all rows.

m rows, d features, K classes: X is (m, d), z, u, e and dz are (m, K), Y (m, K) of booleans says which class a
row is of, s is (m,), w (d, K), b (K,); numbers are float64. Sums are not divided here, as in ``columns.py``.

Every step is an operator, a method or a function that an array answers for itself, so CuPy's arrays run
through the same lines (https://docs.cupy.dev/en/stable/user_guide/interoperability.html). (m, K) arrays lie a
class after the other: K is small, and sums across it are then sums of long vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any  # NumPy's or CuPy's


def one_hot(y: Array, classes: Array) -> Array:
    """Whether row i is of class k, (m, K), for y (m,) and classes 0, …, K − 1."""
    return (classes[:, np.newaxis] == y).T


def exponentials(z: Array) -> Array:
    """e^(z − max z), the largest of each row: none above 1, so that z = ±800 does not overflow."""
    return np.exp(z - z.max(axis=1, keepdims=True))


def softmax(z: Array) -> Array:
    """a = e^z / Σ e^z, row by row."""
    e = exponentials(z)
    return e / e.sum(axis=1, keepdims=True)


def rest(e: Array, Y: Array) -> Array:
    """Σ e over all classes but the row's own, (m,)."""
    return np.where(Y, 0.0, e).sum(axis=1)


def own(z: Array, Y: Array) -> Array:
    """z of the row's own class, (m,)."""
    return np.where(Y, z, 0.0).sum(axis=1)


def loss(z: Array, e: Array, Y: Array) -> Array:
    """ℓ = log Σ e^z − z_y = max z − z_y + log1p(Σ others' e + (e_y − 1)), (m,), for e = exponentials(z)."""
    assert z.shape == e.shape == Y.shape
    return z.max(axis=1) - own(z, Y) + np.log1p(rest(e, Y) + (own(e, Y) - 1.0))


def backward_da(a: Array, Y: Array) -> Array:
    """∂ℓ/∂a: −1/a_y for the row's own class, 0 for the others."""
    assert a.shape == Y.shape
    return np.where(Y, -1.0 / a, 0.0)


def backward_softmax(a: Array, da: Array) -> Array:
    """∂ℓ/∂z = a (da − Σ a da), row by row."""
    assert a.shape == da.shape
    return a * (da - (a * da).sum(axis=1, keepdims=True))


def backward_dz(a: Array, Y: Array) -> Array:
    """Both at once: dz = a − e_y."""
    assert a.shape == Y.shape
    return a - Y


def residual(e: Array, Y: Array) -> Array:
    """``backward_dz`` for e = exponentials(z), its own class's a − 1 as −Σ others' a, which keeps digits."""
    assert e.shape == Y.shape
    a = e / e.sum(axis=1, keepdims=True)
    return np.where(Y, -rest(a, Y)[:, np.newaxis], a)


def curvature_product(z: Array, u: Array) -> Array:
    """(diag(a) − a aᵀ) u = a (u − Σ a u), u of the likeliest class taken off first (python_loop)."""
    assert z.shape == u.shape
    a = softmax(z)
    u = u - np.take_along_axis(u, z.argmax(axis=1)[:, np.newaxis], axis=1)
    return a * (u - (a * u).sum(axis=1, keepdims=True))


def linear(X: Any, w: Array, b: Array) -> Array:
    """z = X w + b, shape (m, K). X may be sparse."""
    assert X.shape[1] == w.shape[0]
    return (X @ w).astype(np.float64, order="F", copy=False) + b


def combinations(X: Any, dz: Array) -> Array:
    """Xᵀ dz over Σ dz: (d + 1, K). X may be sparse."""
    assert X.shape[0] == dz.shape[0]
    return np.concatenate([X.T @ dz, dz.sum(axis=0, keepdims=True)])


def loss_grad(X: Any, Y: Array, s: Array, w: Array, b: Array) -> tuple[Array, Array]:
    """Σ s ℓ, of no dimension, and Σ s x̃ (a − e_y)ᵀ, (d + 1, K), x̃ = (x, 1)."""
    z = linear(X, w, b)
    e = exponentials(z)
    return s @ loss(z, e, Y), combinations(X, s[:, np.newaxis] * residual(e, Y))


def hessian_product(X: Any, s: Array, w: Array, b: Array, v: Array, c: Array) -> Array:
    """Σ s x̃ ((diag(a) − a aᵀ) u)ᵀ with u = X v + c: (d + 1, K). Both logits are one product with X."""
    K = len(b)
    zu = linear(X, np.concatenate([w, v], axis=1), np.concatenate([b, c]))
    return combinations(X, s[:, np.newaxis] * curvature_product(zu[:, :K], zu[:, K:]))
