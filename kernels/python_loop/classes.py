"""From the sigmoid to the softmax: K classes instead of two, row after row. Read ``dense.py`` first.

Every class has weights and an intercept of its own, so that a row has K logits z = (z₁, …, z_K) where it had
one. The softmax makes probabilities of them, a_k = e^z_k / Σ_m e^z_m. With two classes that is the sigmoid:
a₁ = 1 / (1 + e^−(z₁ − z₀)).

m rows, d features, K classes: X is a list of m rows, y a list of m classes from 0 to K − 1, s a list of m
weights; w is a list of K lists of d floats, b a list of K floats. z, u, e, a and dz are one row's K floats.
``linear`` and ``add_scaled_row`` know what a row looks like, as in ``columns.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log1p
from typing import Any

from accel_logreg.kernels.python_loop import dense as python_loop
from accel_logreg.kernels.python_loop.dense import Vector

Linear = Callable[[Any, Vector, float], float]
AddScaledRow = Callable[[Vector, float, Any], None]


def exponentials(z: Vector) -> Vector:
    """e^(z_k − max z): all as large as e^z_k against each other, but none above 1, so that z = ±800 is no
    overflow.
    """
    largest = max(z)
    return [exp(z_k - largest) for z_k in z]


def softmax(z: Vector) -> Vector:
    """a_k = e^z_k / Σ_m e^z_m: positive, of sum 1, and the same if a number is added to all logits."""
    e = exponentials(z)
    total = sum(e)
    return [e_k / total for e_k in e]


def rest(e: Vector, y: int) -> float:
    """Σ e_k over all classes but y."""
    total = 0.0
    for k in range(len(e)):
        if k != y:
            total += e[k]
    return total


def loss(z: Vector, y: int) -> float:
    """ℓ = −log a_y = log Σ_k e^z_k − z_y, in nats, for a row of class y.

    With e_k = e^(z_k − max z) this is max z − z_y + log(e_y + Σ others' e). Where y is the likeliest class
    the difference is 0 and e_y is 1, and log1p of the others' sum is left: a loss of 1e-18 keeps its digits.
    """
    e = exponentials(z)
    return max(z) - z[y] + log1p(rest(e, y) + (e[y] - 1.0))


def backward_da(a: Vector, y: int) -> Vector:
    """∂ℓ/∂a_k: −1/a_y for the row's own class y, 0 for the others, of which −log a_y knows nothing."""
    return [-1.0 / a[k] if k == y else 0.0 for k in range(len(a))]


def backward_softmax(a: Vector, da: Vector) -> Vector:
    """∂ℓ/∂z_k = Σ_m ∂ℓ/∂a_m ∂a_m/∂z_k with ∂a_m/∂z_k = a_m (1 if m = k, else 0) − a_m a_k:
    a_k (da_k − Σ_m a_m da_m). Every logit moves every probability.
    """
    assert len(a) == len(da)
    mean = 0.0
    for k in range(len(a)):
        mean += a[k] * da[k]
    return [a[k] * (da[k] - mean) for k in range(len(a))]


def backward_dz(a: Vector, y: int) -> Vector:
    """∂ℓ/∂z_k, as the two simplify: dz = a − e_y, so a_y − 1 for the row's own class, a_k for others."""
    return [a[k] - (1.0 if k == y else 0.0) for k in range(len(a))]


def residual(z: Vector, y: int) -> Vector:
    """``backward_dz`` from z instead of a.

    a_y − 1 is written −Σ others' a: the same number, but where a_y rounds to 1 the difference would be 0.
    """
    dz = softmax(z)
    dz[y] = -rest(dz, y)
    return dz


def curvature_product(z: Vector, u: Vector) -> Vector:
    """The second derivative of ℓ by z, diag(a) − a aᵀ (Böhning 1992), times u: a_k (u_k − Σ_m a_m u_m).

    Only differences of u count, so that of the likeliest class is taken off first, as its logit is in
    ``exponentials``: then Σ_m a_m u_m is a sum of small terms where that class's a rounds to 1.
    """
    assert len(z) == len(u)
    a = softmax(z)
    likeliest = u[z.index(max(z))]
    u = [u_k - likeliest for u_k in u]
    mean = 0.0
    for k in range(len(a)):
        mean += a[k] * u[k]
    return [a[k] * (u[k] - mean) for k in range(len(a))]


def logits(row: Any, w: list[Vector], b: Vector, linear: Linear = python_loop.linear) -> Vector:
    """z_k = Σⱼ xⱼ wₖⱼ + b_k for every class k."""
    assert len(w) == len(b)
    return [linear(row, w[k], b[k]) for k in range(len(b))]


def add_row(dw: list[Vector], db: Vector, dz: Vector, row: Any, add_scaled_row: AddScaledRow) -> None:
    """dwₖⱼ ← dwₖⱼ + dz_k xⱼ and db_k ← db_k + dz_k for every class k, in place: a row's share of the sums."""
    for k in range(len(dz)):
        add_scaled_row(dw[k], dz[k], row)
        db[k] += dz[k]


def loss_grad(
    X: list[Any],
    y: list[int],
    s: Vector,
    w: list[Vector],
    b: Vector,
    linear: Linear = python_loop.linear,
    add_scaled_row: AddScaledRow = python_loop.add_scaled_row,
) -> tuple[float, list[Vector], Vector]:
    """J = Σ sᵢ ℓᵢ / Σ sᵢ, ∂J/∂w (K lists of d floats) and ∂J/∂b (K floats)."""
    assert len(X) == len(y) == len(s)
    J, dw, db = 0.0, [[0.0] * len(w_k) for w_k in w], [0.0] * len(b)
    for i in range(len(X)):
        z = logits(X[i], w, b, linear)
        J += s[i] * loss(z, y[i])
        add_row(dw, db, [s[i] * dz_k for dz_k in residual(z, y[i])], X[i], add_scaled_row)
    weight_sum = sum(s)
    return J / weight_sum, *divided(dw, db, weight_sum)


def hessian_product(
    X: list[Any],
    s: Vector,
    w: list[Vector],
    b: Vector,
    v: list[Vector],
    c: Vector,
    linear: Linear = python_loop.linear,
    add_scaled_row: AddScaledRow = python_loop.add_scaled_row,
) -> tuple[list[Vector], Vector]:
    """The Hessian of J at (w, b) times (v, c): Σ sᵢ (diag(aᵢ) − aᵢaᵢᵀ) uᵢ x̃ᵢᵀ / Σ sᵢ, where u are the logits
    that (v, c) gives row i. K lists of d floats, and K floats.
    """
    assert len(X) == len(s)
    product, last = [[0.0] * len(w_k) for w_k in w], [0.0] * len(b)
    for i in range(len(X)):
        du = curvature_product(logits(X[i], w, b, linear), logits(X[i], v, c, linear))
        add_row(product, last, [s[i] * du_k for du_k in du], X[i], add_scaled_row)
    return divided(product, last, sum(s))


def divided(dw: list[Vector], db: Vector, by: float) -> tuple[list[Vector], Vector]:
    """Every entry divided by a number."""
    return [[value / by for value in dw_k] for dw_k in dw], [value / by for value in db]
