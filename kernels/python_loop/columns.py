"""K columns in the reference engine: the functions of python_loop/dense.py, row by row and column by column.

A row is looked at once: every column's z, link and sums come before the next row. m rows, d features, K
columns. X is a list of m rows; Y and S are m lists of K labels 0.0 or 1.0 and of K weights; w is a list
of K lists of d floats, b a list of K floats. ``linear`` and ``add_scaled_row`` know what a row looks like:
those of python_loop/dense.py for a list of d floats, of python_loop/csr.py for a sparse one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from accel_logreg.kernels.python_loop import dense as python_loop
from accel_logreg.kernels.python_loop.dense import Vector, curvature, loss, residual

Linear = Callable[[Any, Vector, float], float]
AddScaledRow = Callable[[Vector, float, Any], None]


def loss_grad(
    X: list[Any],
    Y: list[Vector],
    S: list[Vector],
    w: list[Vector],
    b: Vector,
    linear: Linear = python_loop.linear,
    add_scaled_row: AddScaledRow = python_loop.add_scaled_row,
) -> tuple[Vector, list[Vector], Vector]:
    """Of every column: J, ∂J/∂w (d floats) and ∂J/∂b."""
    assert len(X) == len(Y) == len(S)
    assert len(Y[0]) == len(S[0]) == len(w) == len(b)
    K = len(b)
    J = [0.0] * K
    dw = [[0.0] * len(w[0]) for _ in range(K)]
    db = [0.0] * K
    for i in range(len(X)):
        for k in range(K):
            z = linear(X[i], w[k], b[k])
            dz = S[i][k] * residual(z, Y[i][k])
            J[k] += S[i][k] * loss(z, Y[i][k])
            add_scaled_row(dw[k], dz, X[i])
            db[k] += dz
    sums = weight_sums(S)
    return divided(J, sums), [divided(dw[k], [sums[k]] * len(dw[k])) for k in range(K)], divided(db, sums)


def hessian_product(
    X: list[Any],
    S: list[Vector],
    w: list[Vector],
    b: Vector,
    v: list[Vector],
    c: Vector,
    linear: Linear = python_loop.linear,
    add_scaled_row: AddScaledRow = python_loop.add_scaled_row,
) -> tuple[list[Vector], Vector]:
    """Of every column: its Hessian at (w, b) times (v, c), as d floats and the intercept's."""
    assert len(X) == len(S)
    assert len(S[0]) == len(w) == len(b) == len(v) == len(c)
    K = len(b)
    product = [[0.0] * len(w[0]) for _ in range(K)]
    last = [0.0] * K
    for i in range(len(X)):
        for k in range(K):
            h = S[i][k] * curvature(linear(X[i], w[k], b[k]))
            scale = h * linear(X[i], v[k], c[k])
            add_scaled_row(product[k], scale, X[i])
            last[k] += scale
    sums = weight_sums(S)
    return [divided(product[k], [sums[k]] * len(product[k])) for k in range(K)], divided(last, sums)


def weight_sums(S: list[Vector]) -> Vector:
    """Σᵢ sᵢₖ of every column k."""
    sums = [0.0] * len(S[0])
    for i in range(len(S)):
        for k in range(len(sums)):
            sums[k] += S[i][k]
    return sums


def divided(a: Vector, by: Vector) -> Vector:
    """aₖ / byₖ."""
    assert len(a) == len(by)
    return [a[k] / by[k] for k in range(len(a))]
