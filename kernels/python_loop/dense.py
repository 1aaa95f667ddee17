"""The reference engine: the lesson's formulas, one number at a time. Slow, obvious, trusted.

Lists and floats only; NumPy never appears inside a loop. Each step of the lesson is a function
with its own name: sigmoid, loss, cost, the computation graph backwards (da, dz, dw, db) and one
gradient-descent step. Every other engine is compared with this file.

m rows, d features: X is a list of m lists of d floats, y a list of m labels 0.0 or 1.0,
s a list of m sample weights, w a list of d floats, b a float.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, fabs, log1p, sqrt
from typing import Any

Vector = list[float]
Rows = list[list[float]]


def sigmoid(z: float) -> float:
    """a = 1 / (1 + e⁻ᶻ), written with e^−|z| so that z = ±800 does not overflow."""
    e = exp(-fabs(z))
    return (1.0 if z >= 0 else e) / (1.0 + e)


def loss(z: float, y: float) -> float:
    """ℓ = −(y log a + (1 − y) log(1 − a)) in nats, from z instead of a.

    With a = sigmoid(z) this is max(z, 0) − y z + log1p(e^−|z|): the same number, but log 0 never
    happens when a rounds to 0 or 1.
    """
    return max(z, 0.0) - y * z + log1p(exp(-fabs(z)))


def cost(losses: Vector, s: Vector) -> float:
    """J = Σ sᵢ ℓᵢ / Σ sᵢ: the weighted mean loss, the negative mean log-likelihood of the labels."""
    assert len(losses) == len(s)
    total = 0.0
    for i in range(len(losses)):
        total += s[i] * losses[i]
    return total / sum(s)


def backward_da(a: float, y: float) -> float:
    """∂ℓ/∂a = −y/a + (1 − y)/(1 − a), for 0 < a < 1."""
    return -y / a + (1.0 - y) / (1.0 - a)


def backward_dz(a: float, y: float) -> float:
    """∂ℓ/∂z = ∂ℓ/∂a · a(1 − a), which simplifies to a − y."""
    return a - y


def residual(z: float, y: float) -> float:
    """``backward_dz`` from z instead of a, for y of 0 or 1: for y = 1 it is −sigmoid(−z).

    The same number, but where a rounds to 1, a − 1 would be 0: then 1 − a is what counts.
    """
    return -sigmoid(-z) if y == 1.0 else sigmoid(z)


def backward_dw(X: Rows, dz: Vector, s: Vector) -> Vector:
    """∂J/∂wⱼ = Σᵢ sᵢ xᵢⱼ dzᵢ / Σ sᵢ."""
    assert len(X) == len(dz) == len(s)
    dw = [0.0] * len(X[0])
    for i in range(len(X)):
        add_scaled_row(dw, s[i] * dz[i], X[i])
    weight_sum = sum(s)
    return [value / weight_sum for value in dw]


def backward_db(dz: Vector, s: Vector) -> float:
    """∂J/∂b = Σᵢ sᵢ dzᵢ / Σ sᵢ."""
    assert len(dz) == len(s)
    total = 0.0
    for i in range(len(dz)):
        total += s[i] * dz[i]
    return total / sum(s)


def gradient_descent_step(w: Vector, b: float, dw: Vector, db: float, alpha: float) -> tuple[Vector, float]:
    """w ← w − α dw, b ← b − α db."""
    assert len(w) == len(dw)
    new_w = [0.0] * len(w)
    for j in range(len(w)):
        new_w[j] = w[j] - alpha * dw[j]
    return new_w, b - alpha * db


def curvature(z: float) -> float:
    """h = ∂²ℓ/∂z² = a(1 − a) = e/(1 + e)² with e = e^−|z|, which keeps its digits when a rounds to 0 or 1."""
    e = exp(-fabs(z))
    return e / (1.0 + e) ** 2


def linear(row: Vector, w: Vector, b: float) -> float:
    """z = Σⱼ xⱼ wⱼ + b."""
    z = b
    for j in range(len(row)):
        z += row[j] * w[j]
    return z


def add_scaled_row(total: Vector, scale: float, row: Vector) -> None:
    """totalⱼ ← totalⱼ + scale xⱼ, in place."""
    for j in range(len(row)):
        total[j] += scale * row[j]


def loss_grad(X: Rows, y: Vector, s: Vector, w: Vector, b: float) -> tuple[float, Vector, float]:
    """J, ∂J/∂w and ∂J/∂b: forwards and backwards through the graph, row by row."""
    assert len(X) == len(y) == len(s)
    assert len(X[0]) == len(w)
    m = len(X)
    losses = [0.0] * m
    dz = [0.0] * m
    for i in range(m):
        z = linear(X[i], w, b)
        losses[i] = loss(z, y[i])
        dz[i] = residual(z, y[i])
    return cost(losses, s), backward_dw(X, dz, s), backward_db(dz, s)


def hessian_product(X: Rows, s: Vector, w: Vector, b: float, v: Vector, c: float) -> tuple[Vector, float]:
    """The Hessian of the mean loss at (w, b) times (v, c): Σ sᵢ hᵢ x̃ᵢ (x̃ᵢᵀ(v, c)) / Σ sᵢ, x̃ = (x, 1)."""
    assert len(X) == len(s)
    assert len(w) == len(v) == len(X[0])
    product = [0.0] * len(w)
    last = 0.0
    for i in range(len(X)):
        scale = s[i] * curvature(linear(X[i], w, b)) * linear(X[i], v, c)
        add_scaled_row(product, scale, X[i])
        last += scale
    weight_sum = sum(s)
    return [value / weight_sum for value in product], last / weight_sum


def descend(
    X: list[Any],
    y: Vector,
    s: Vector,
    w: Vector,
    b: float,
    alpha: float,
    l2: float,
    steps: int,
    fit_intercept: bool,
    gradient: Callable[..., tuple[float, Vector, float]] = loss_grad,
) -> tuple[Vector, float, Vector, Vector]:
    """``steps`` steps of gradient descent on J + l2/2 ‖w‖²: new w and b, cost and ‖gradient‖₂ before each."""
    costs = [0.0] * steps
    norms = [0.0] * steps
    for k in range(steps):
        costs[k], dw, db = gradient(X, y, s, w, b)
        if not fit_intercept:
            db = 0.0
        squared_w = 0.0
        squared_gradient = db * db
        for j in range(len(w)):
            dw[j] += l2 * w[j]
            squared_w += w[j] * w[j]
            squared_gradient += dw[j] * dw[j]
        costs[k] += 0.5 * l2 * squared_w
        norms[k] = sqrt(squared_gradient)
        w, b = gradient_descent_step(w, b, dw, db, alpha)
    return w, b, costs, norms


def hessian(X: Rows, s: Vector, w: Vector, b: float, centre: Vector, scale: Vector) -> Rows:
    """The Hessian of the mean loss at (w, b) in the coordinates x̂ = ((x − centre)/scale, 1).

    Σ sᵢ hᵢ x̂ᵢ x̂ᵢᵀ / Σ sᵢ: d + 1 lists of d + 1 floats, symmetric. zᵢ is of xᵢ as it is.
    """
    assert len(X) == len(s)
    assert len(w) == len(centre) == len(scale) == len(X[0])
    size = len(w) + 1
    H = [[0.0] * size for _ in range(size)]
    for i in range(len(X)):
        h = s[i] * curvature(linear(X[i], w, b))
        row = [(X[i][j] - centre[j]) / scale[j] for j in range(len(w))] + [1.0]
        for j in range(size):
            for k in range(j + 1):
                H[j][k] += h * row[j] * row[k]
    weight_sum = sum(s)
    for j in range(size):
        for k in range(j + 1):
            H[j][k] = H[k][j] = H[j][k] / weight_sum
    return H


def hessian_diagonal(X: Rows, s: Vector, w: Vector, b: float) -> tuple[Vector, float]:
    """The diagonal of the Hessian of the mean loss at (w, b): Σ sᵢ hᵢ xᵢⱼ² / Σ sᵢ, and Σ sᵢ hᵢ / Σ sᵢ."""
    assert len(X) == len(s)
    diagonal = [0.0] * len(w)
    last = 0.0
    for i in range(len(X)):
        h = s[i] * curvature(linear(X[i], w, b))
        for j in range(len(w)):
            diagonal[j] += h * X[i][j] * X[i][j]
        last += h
    weight_sum = sum(s)
    return [value / weight_sum for value in diagonal], last / weight_sum


def gram(X: Rows, centre: Vector) -> Rows:
    """Every two rows' inner product, Σⱼ (xᵢⱼ − cⱼ)(xₖⱼ − cⱼ): m lists of m floats, symmetric."""
    m = len(X)
    G = [[0.0] * m for _ in range(m)]
    for i in range(m):
        for k in range(i + 1):
            total = 0.0
            for j in range(len(centre)):
                total += (X[i][j] - centre[j]) * (X[k][j] - centre[j])
            G[i][k] = G[k][i] = total
    return G


def combination(X: Rows, a: Vector, d: int) -> Vector:
    """Xᵀ a: Σᵢ aᵢ xᵢⱼ for each of d columns j."""
    assert len(X) == len(a)
    total = [0.0] * d
    for i in range(len(X)):
        add_scaled_row(total, a[i], X[i])
    return total


def restricted(X: Rows, columns: list[int]) -> Rows:
    """These columns of X, in this order."""
    return [[row[j] for j in columns] for row in X]


def largest_entry(X: Rows) -> float:
    """max |xᵢⱼ|."""
    largest = 0.0
    for row in X:
        for value in row:
            if fabs(value) > largest:
                largest = fabs(value)
    return largest


def longest_row(X: Rows, s: Vector, centre: Vector, scale: Vector) -> float:
    """max ‖((xᵢ − centre)/scale, 1)‖ of the rows whose weight is above 0."""
    longest = 0.0
    for i in range(len(X)):
        square = 1.0
        for j in range(len(centre)):
            entry = (X[i][j] - centre[j]) / scale[j]
            square += entry * entry
        if s[i] > 0.0 and square > longest:
            longest = square
    return sqrt(longest)


def dot_zip(a: Vector, b: Vector) -> float:
    """Σ aᵢ bᵢ over two lists, walking them side by side: the fastest plain loop there is."""
    total = 0.0
    for x, y in zip(a, b, strict=True):
        total += x * y
    return total


def dot_indexed(a: Vector, b: Vector) -> float:
    """Σ aᵢ bᵢ by index: the lesson's own loop. Over NumPy arrays each a[i] makes a Python object."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total
