"""Coordinate descent over the columns of sparse X, on the quadratic model of a sparse fit.

The loss's second-order model at a point with the penalty exactly, a column after the other (Friedman, Hastie
and Tibshirani 2010; Yuan, Ho and Lin 2012): no Hessian, and a sweep costs two passes over the columns at
hand. It finds signs and zeros; where columns are correlated its last digits take long, and are others' work.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.llvm import arrays_lie_apart

_ELIMINATED = 1e-12  # of a column's curvature: what rounding leaves of one that is the intercept's
_ALL = 5  # every so many sweeps all columns are looked at, between them those that are not 0


@jit()
def by_columns(data: Any, indices: Any, indptr: Any, d: int) -> tuple[Any, Any, Any]:
    """X in compressed sparse columns: values, row numbers, and where each column begins."""
    n = indptr.size - 1
    starts = np.zeros(d + 1, dtype=np.int64)
    for k in range(indices.size):
        starts[np.intp(indices[k]) + 1] += 1
    for j in range(d):
        starts[j + 1] += starts[j]
    at = starts[:d].copy()
    values = np.empty(data.size, dtype=data.dtype)
    rows = np.empty(data.size, dtype=np.int32)
    for i in range(n):
        for k in range(indptr[i], indptr[i + 1]):
            column = np.intp(indices[k])
            values[at[column]] = data[k]
            rows[at[column]] = i
            at[column] += 1
    return values, rows, starts


@jit()
def descend(
    values: Any, rows: Any, starts: Any, h: Any, g: Any, l1: Any, l2: Any, bounded: bool, fit_intercept: bool,
    x: Any, tol: float, sweeps: int,
) -> int:  # fmt: skip
    """Lower gᵀ(x − x₀) + ½ Σ hᵢ (x̃ᵢᵀ(x − x₀))² + Σ l1ⱼ|xⱼ| + l2ⱼ/2 xⱼ² from x = x₀ (d + 1,), in place.

    Until a sweep over all columns moves nothing by more than ``tol`` of what the first one did, by the
    model's own measure. h (n,): rows' curvatures over the sum of weights; g (d + 1,): the loss's gradient at
    x₀. Returns the sweeps made.
    """
    arrays_lie_apart()
    d = l1.size
    total = 0.0
    if fit_intercept:
        for i in range(h.size):
            total += h[i]
    a = np.zeros(d)
    mean = np.zeros(d)  # by h: from there columns have nothing to do with the intercept
    for j in range(d):
        curvature = 0.0
        sum_of = 0.0
        for k in range(starts[j], starts[j + 1]):
            v = np.float64(values[k])
            curvature += h[rows[k]] * v * v
            sum_of += h[rows[k]] * v
        if total > 0.0:
            mean[j] = sum_of / total
        a[j] = max(curvature - mean[j] * sum_of, _ELIMINATED * curvature) + l2[j]
    last = g[d] if total > 0.0 else 0.0
    q = np.zeros(h.size)  # h (X (x − x₀))
    shift = 0.0  # meanᵀ(x − x₀)
    first = 0.0
    made = sweeps
    for sweep in range(sweeps):
        largest = 0.0
        whole = sweep % _ALL == 0
        for j in range(d):
            if not a[j] > 0.0 or (not whole and x[j] == 0.0):
                continue
            slope = g[j] + l2[j] * x[j] - mean[j] * (last + total * shift)
            for k in range(starts[j], starts[j + 1]):
                slope += np.float64(values[k]) * q[rows[k]]
            aim = x[j] - slope / a[j]
            least = l1[j] / a[j]
            new = 0.0
            if aim > least:
                new = aim - least
            elif aim < -least and not bounded:
                new = aim + least
            change = new - x[j]
            if change != 0.0:
                x[j] = new
                shift += mean[j] * change
                largest = max(largest, abs(change) * np.sqrt(a[j]))
                for k in range(starts[j], starts[j + 1]):
                    q[rows[k]] += h[rows[k]] * np.float64(values[k]) * change
        if sweep == 0:
            first = largest
        if whole and sweep > 0 and largest <= tol * first:
            made = sweep + 1
            break
    if total > 0.0:
        x[d] -= last / total + shift
    return made
