"""The reference engine on compressed sparse rows: the same functions as python_loop/dense.py, zeros left out.

A row is a pair of lists, its columns and their values; X is a list of m rows, d features. Everything
else is as there. There is no centre to take off: it would fill the zeros.
"""

from __future__ import annotations

from math import fabs, sqrt

from accel_logreg.kernels.python_loop import dense as python_loop
from accel_logreg.kernels.python_loop.dense import (
    Vector,
    backward_db,
    cost,
    curvature,
    loss,
    residual,
)

Row = tuple[list[int], Vector]
Rows = list[Row]


def linear(row: Row, w: Vector, b: float) -> float:
    """z = Σⱼ xⱼ wⱼ + b over the nonzeros."""
    columns, values = row
    z = b
    for k in range(len(columns)):
        z += values[k] * w[columns[k]]
    return z


def add_scaled_row(total: Vector, scale: float, row: Row) -> None:
    """totalⱼ ← totalⱼ + scale xⱼ for the nonzeros, in place."""
    columns, values = row
    for k in range(len(columns)):
        total[columns[k]] += scale * values[k]


def loss_grad(X: Rows, y: Vector, s: Vector, w: Vector, b: float) -> tuple[float, Vector, float]:
    """J, ∂J/∂w and ∂J/∂b: forwards and backwards through the graph, row by row."""
    assert len(X) == len(y) == len(s)
    m = len(X)
    losses = [0.0] * m
    dz = [0.0] * m
    for i in range(m):
        z = linear(X[i], w, b)
        losses[i] = loss(z, y[i])
        dz[i] = residual(z, y[i])
    weighted = [s[i] * dz[i] for i in range(m)]
    weight_sum = sum(s)
    dw = [value / weight_sum for value in combination(X, weighted, len(w))]
    return cost(losses, s), dw, backward_db(dz, s)


def hessian_product(X: Rows, s: Vector, w: Vector, b: float, v: Vector, c: float) -> tuple[Vector, float]:
    """The Hessian of the mean loss at (w, b) times (v, c)."""
    assert len(X) == len(s)
    scaled = [s[i] * curvature(linear(X[i], w, b)) * linear(X[i], v, c) for i in range(len(X))]
    weight_sum = sum(s)
    return [value / weight_sum for value in combination(X, scaled, len(w))], sum(scaled) / weight_sum


def descend(
    X: Rows,
    y: Vector,
    s: Vector,
    w: Vector,
    b: float,
    alpha: float,
    l2: float,
    steps: int,
    fit_intercept: bool,
) -> tuple[Vector, float, Vector, Vector]:
    """``steps`` steps of gradient descent on J + l2/2 ‖w‖²: new w and b, cost and ‖gradient‖₂ before each."""
    return python_loop.descend(X, y, s, w, b, alpha, l2, steps, fit_intercept, loss_grad)


def longest_row(X: Rows, s: Vector, centre: Vector, scale: Vector) -> float:
    """max ‖((xᵢ − centre)/scale, 1)‖ of the rows whose weight is above 0: of each the zeros, then what
    differs.
    """
    zeros = 1.0
    for j in range(len(centre)):
        zeros += (centre[j] / scale[j]) * (centre[j] / scale[j])
    longest = 0.0
    for i in range(len(X)):
        columns, values = X[i]
        square = zeros
        for k in range(len(columns)):
            j = columns[k]
            square += (values[k] / scale[j]) * ((values[k] - 2.0 * centre[j]) / scale[j])
        if s[i] > 0.0 and square > longest:
            longest = square
    return sqrt(longest)


def largest_entry(X: Rows) -> float:
    """max |xᵢⱼ|."""
    return max((fabs(value) for _, values in X for value in values), default=0.0)


def restricted(X: Rows, columns: list[int]) -> Rows:
    """These columns of X, numbered anew in this order."""
    place = {columns[k]: k for k in range(len(columns))}
    rows = []
    for row in X:
        kept = sorted((place[j], value) for j, value in zip(*row, strict=True) if j in place)
        rows.append(([j for j, _ in kept], [value for _, value in kept]))
    return rows


def refuse_centre(centre: Vector) -> None:
    """Raise where a centre other than zero is asked for."""
    nonzero = sum(value != 0.0 for value in centre)
    if nonzero:
        raise ValueError(
            f"centre must be zero for sparse X, whose zeros it would fill; {nonzero} of its "
            f"{len(centre)} entries are not. Scale the columns without centring them"
        )


def hessian(X: Rows, s: Vector, w: Vector, b: float, centre: Vector, scale: Vector) -> list[Vector]:
    """The Hessian of the mean loss at (w, b) in the coordinates x̂ = (x/scale, 1): d + 1 lists."""
    assert len(X) == len(s)
    refuse_centre(centre)
    size = len(w) + 1
    H = [[0.0] * size for _ in range(size)]
    for i in range(len(X)):
        h = s[i] * curvature(linear(X[i], w, b))
        columns, values = X[i]
        places = [*columns, size - 1]
        row = [values[k] / scale[columns[k]] for k in range(len(columns))] + [1.0]
        for j in range(len(places)):
            for k in range(j + 1):
                H[places[j]][places[k]] += h * row[j] * row[k]
    weight_sum = sum(s)
    for j in range(size):
        for k in range(j + 1):
            H[j][k] = H[k][j] = H[j][k] / weight_sum
    return H


def hessian_diagonal(X: Rows, s: Vector, w: Vector, b: float) -> tuple[Vector, float]:
    """The diagonal of the Hessian of the mean loss at (w, b)."""
    assert len(X) == len(s)
    h = [s[i] * curvature(linear(X[i], w, b)) for i in range(len(X))]
    squares = [(columns, [value * value for value in values]) for columns, values in X]
    weight_sum = sum(s)
    return [value / weight_sum for value in combination(squares, h, len(w))], sum(h) / weight_sum


def gram(X: Rows, centre: Vector) -> list[Vector]:
    """Every two rows' inner product: m lists of m floats, symmetric."""
    refuse_centre(centre)
    m = len(X)
    G = [[0.0] * m for _ in range(m)]
    for i in range(m):
        dense = [0.0] * len(centre)
        add_scaled_row(dense, 1.0, X[i])
        for k in range(i + 1):
            G[i][k] = G[k][i] = linear(X[k], dense, 0.0)
    return G


def combination(X: Rows, a: Vector, d: int) -> Vector:
    """Xᵀ a: Σᵢ aᵢ xᵢⱼ for each of d columns j."""
    assert len(X) == len(a)
    total = [0.0] * d
    for i in range(len(X)):
        add_scaled_row(total, a[i], X[i])
    return total
