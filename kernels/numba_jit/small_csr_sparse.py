"""Proximal Newton for small sparse X, the whole fit in one compiled call on one thread.

What small_sparse.py does for dense X, with the model minimised over X's columns (csr_descent.py), in the
coordinates of X: coordinate descent does not depend on columns' scales.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.csr_descent import by_columns, descend
from accel_logreg.kernels.numba_jit.link import exp_negative, link
from accel_logreg.kernels.numba_jit.llvm import arrays_lie_apart, use_wide_vectors
from accel_logreg.kernels.numba_jit.small import FAILED, REACHED, UNFINISHED
from accel_logreg.kernels.numba_jit.small_sparse import duality_gap, penalty, shortest_slope

_SWEEPS = 200  # of coordinate descent, for one model
_MODEL = 1e-2  # of the slope: what is left of a model's; each Newton step goes on from there
_ARMIJO, _HALVINGS = 1e-4, 30
_SAME, _SHRINKS = 1e-13, 0.5  # of the cost: no change but for rounding, where the slope has to shrink so much


@jit()
def _rows_times(data: Any, indices: Any, indptr: Any, w: Any, d: int, z: Any) -> None:
    """z = X w[:d] + w[d]."""
    arrays_lie_apart()
    for i in range(z.size):
        total = w[d]
        for k in range(indptr[i], indptr[i + 1]):
            total += np.float64(data[k]) * w[indices[k]]
        z[i] = total


@jit()
def _link_at(z: Any, y: Any, s: Any, weight_sum: float, residuals: Any, h: Any) -> float:
    """residuals = s (a − y)/S and h = s a(1 − a)/S; returns the mean loss."""
    use_wide_vectors()
    arrays_lie_apart()
    weighted = s.size > 0
    total = 0.0
    for i in range(z.size):
        e = exp_negative(-abs(z[i]))
        loss, residual, larger = link(z[i], e, y[i])
        weight = (s[i] if weighted else 1.0) / weight_sum
        total += weight * loss
        residuals[i] = weight * residual
        h[i] = weight * e * larger * larger
    return total


@jit()
def prox_newton(
    data: Any, indices: Any, indptr: Any, y: Any, s: Any, weight_sum: float, l1: Any, l2: Any, bounded: bool,
    fit_intercept: bool, W: Any, tol: float, steps: int,
) -> tuple[int, int, int, float, Any, Any]:  # fmt: skip
    """As small_sparse.prox_newton; also returns the sweeps over X's columns that it made."""
    arrays_lie_apart()
    n, d = indptr.size - 1, l1.size
    columns = by_columns(data, indices, indptr, d)
    values, rows, starts = columns
    scale = np.ones(d)
    own_l1 = np.zeros(d + 1)
    own_l2 = np.zeros(d)
    for j in range(d):
        squares = 0.0
        for k in range(starts[j], starts[j + 1]):
            v = np.float64(values[k])
            squares += (s[rows[k]] if s.size > 0 else 1.0) * v * v
        if squares > 0.0:
            scale[j] = np.sqrt(squares / weight_sum)
        own_l1[j] = l1[j] / scale[j]
        own_l2[j] = l2[j] / (scale[j] * scale[j])
    mean = np.zeros(d)
    z = np.empty(n)
    moved = np.empty(n)
    along = np.empty(n)
    residuals = np.empty(n)
    h = np.empty(n)
    g = np.zeros(d + 1)
    u = np.zeros(d + 1)
    scaled = np.zeros(d + 1)
    step = np.zeros(d + 1)
    costs = np.empty(steps + 1)
    norms = np.empty(steps + 1)
    _rows_times(data, indices, indptr, W, d, z)
    loss = _link_at(z, y, s, weight_sum, residuals, h)
    value = loss + penalty(W, l1, l2, d)
    bound = np.inf
    before = np.inf
    stuck = False
    status = UNFINISHED
    taken = 0
    sweeps = 0
    while True:
        g[d] = 0.0
        if fit_intercept:
            for i in range(n):
                g[d] += residuals[i]
        squares = g[d] * g[d]
        for j in range(d):
            total = 0.0
            for k in range(starts[j], starts[j + 1]):
                total += np.float64(values[k]) * residuals[rows[k]]
            g[j] = total
            u[j] = W[j] * scale[j]
            scaled[j] = total / scale[j]
            slope = shortest_slope(u[j], scaled[j] + own_l2[j] * u[j], own_l1[j], bounded)
            squares += slope * slope
        u[d] = W[d]
        scaled[d] = g[d]
        size = np.sqrt(squares)
        costs[taken] = value
        norms[taken] = size
        if not np.isfinite(value + size):
            status = FAILED
            break
        bound, holds = duality_gap(u, scaled, own_l1, own_l2, bounded, mean, scale, loss, d)
        if holds and bound <= tol * (value - bound):
            status = REACHED
            break
        if taken == steps or (stuck and not size < _SHRINKS * before):
            break
        before = size
        x = W.copy()
        sweeps += descend(values, rows, starts, h, g, l1, l2, bounded, fit_intercept, x, _MODEL, _SWEEPS)
        model = penalty(x, l1, l2, d) - (value - loss)
        for j in range(d + 1):
            step[j] = x[j] - W[j]
            model += step[j] * g[j]
        _rows_times(data, indices, indptr, step, d, along)
        t = 1.0
        found = False
        for _ in range(_HALVINGS):
            for i in range(n):
                moved[i] = z[i] + t * along[i]
            if t < 1.0:
                for j in range(d + 1):
                    x[j] = W[j] + t * step[j]
            loss = _link_at(moved, y, s, weight_sum, residuals, h)
            new = loss + penalty(x, l1, l2, d)
            change = new - value
            if change <= _ARMIJO * t * model or abs(change) <= _SAME * value:
                found = True
                break
            t *= 0.5
        if not found:
            break
        stuck = abs(change) <= _SAME * value
        taken += 1
        value = new
        for i in range(n):
            z[i] = moved[i]
        for j in range(d + 1):
            W[j] = x[j]
    return status, taken, sweeps, bound, costs[: taken + 1], norms[: taken + 1]
