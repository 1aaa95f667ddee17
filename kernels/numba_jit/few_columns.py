"""One to three columns in Numba: the passes of dense.py, every column's while its rows are in the cache.

A panel of numba_jit/columns.py does the work of eight columns whatever it holds. For fewer it is quicker
to go over 8 or 16 rows column by column, along the features, as a pass for one column does. Memory is
asked for beside the first column, as it is there.

n rows, d features, K columns. w is (K, width), each padded with zeros to whole vectors, and b (K,); Y is
(K, n) int8; S is (K, n) or, shared by all columns, (1, n) float64, or (1, 0) for weights of one. A chunk's
sums are (K, width + 2): each column's over x, over a column of ones, and its loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from accel_logreg.kernels.numba_jit.blocks.row_groups import GROUP, add_group, group_dots
from accel_logreg.kernels.numba_jit.compile import jit, use_wide_vectors
from accel_logreg.kernels.numba_jit.dense import (
    _curvature_link,
    _exp_negative,
    _log1p_over_2v,
    _plan,
    _scalar_add,
    _scalar_dot,
)


@jit(inline="always")
def _link(z: Any, y: Any, s: Any, first: int, m: int) -> tuple[float, float]:
    """For m rows from ``first``: z ← s (a − y) in place; returns Σ s ℓ and Σ s (a − y).

    max(z, 0) − y z is max(z, 0) or max(−z, 0), whichever y is: written so, no rearrangement of the sum
    can let it drown log(1 + e).
    """
    weighted = s.size > 0
    total = 0.0
    residual_sum = 0.0
    for i in range(m):
        zi = z[i]
        label = np.float64(y[first + i])
        e = _exp_negative(-abs(zi))
        inverse = 1.0 / ((1.0 + e) * (2.0 + e))  # one division serves both quotients
        v = e * (1.0 + e) * inverse
        against = (1.0 - 2.0 * label) * zi
        loss = (against if against > 0.0 else 0.0) + 2.0 * v * _log1p_over_2v(v * v)
        residual = (1.0 if zi >= 0 else e) * (2.0 + e) * inverse - label
        if weighted:
            loss *= s[first + i]
            residual *= s[first + i]
        total += loss
        residual_sum += residual
        z[i] = residual
    return total, residual_sum


@jit()
def _gradient_chunk(X: Any, Y: Any, S: Any, w: Any, b: Any, start: int, stop: int, G: Any) -> None:
    """Rows start to stop: G ← every column's Σ s (a − y) x̃, and Σ s ℓ last."""
    use_wide_vectors()
    width, rows, ahead, half, safe = _plan(X)
    line = X.shape[1] * X.itemsize
    K = Y.shape[0]
    z = np.empty(2 * GROUP)
    G[:] = 0.0
    first = start
    while first + rows <= min(stop, safe):
        for k in range(K):
            wk, g = w[k], G[k]
            for i in range(0, rows, GROUP):
                if k == 0:
                    group_dots(X, width, wk, b[k], first + i, z[i:], (first + i) * line + ahead)
                else:
                    group_dots(X, width, wk, b[k], first + i, z[i:], None)
            loss, residual = _link(z, Y[k], S[min(k, S.shape[0] - 1)], first, rows)
            for i in range(0, rows, GROUP):
                if k == 0:
                    add_group(X, width, z[i:], first + i, g, (first + i) * line + ahead + half)
                else:
                    add_group(X, width, z[i:], first + i, g, None)
            g[width] += residual
            g[width + 1] += loss
        first += rows
    for row in range(first, stop):
        for k in range(K):
            z[0] = _scalar_dot(X, w[k], b[k], row)
            loss, residual = _link(z, Y[k], S[min(k, S.shape[0] - 1)], row, 1)
            _scalar_add(X, z[0], row, G[k])
            G[k, width] += residual
            G[k, width + 1] += loss


@jit()
def _product_chunk(X: Any, S: Any, w: Any, b: Any, v: Any, c: Any, start: int, stop: int, G: Any) -> None:
    """Rows start to stop: G ← every column's Σ s h x̃ (x̃ᵀ(v, c)), and 0 last."""
    use_wide_vectors()
    width, rows, ahead, half, safe = _plan(X)
    line = X.shape[1] * X.itemsize
    K = w.shape[0]
    z = np.empty(2 * GROUP)
    u = np.empty(2 * GROUP)
    G[:] = 0.0
    first = start
    while first + rows <= min(stop, safe):
        for k in range(K):
            wk, vk, g = w[k], v[k], G[k]
            for i in range(0, rows, GROUP):
                if k == 0:
                    group_dots(X, width, wk, b[k], first + i, z[i:], (first + i) * line + ahead)
                else:
                    group_dots(X, width, wk, b[k], first + i, z[i:], None)
                group_dots(X, width, vk, c[k], first + i, u[i:], None)
            g[width] += _curvature_link(z, u, S[min(k, S.shape[0] - 1)], first, rows)
            for i in range(0, rows, GROUP):
                if k == 0:
                    add_group(X, width, z[i:], first + i, g, (first + i) * line + ahead + half)
                else:
                    add_group(X, width, z[i:], first + i, g, None)
        first += rows
    for row in range(first, stop):
        for k in range(K):
            z[0] = _scalar_dot(X, w[k], b[k], row)
            u[0] = _scalar_dot(X, v[k], c[k], row)
            G[k, width] += _curvature_link(z, u, S[min(k, S.shape[0] - 1)], row, 1)
            _scalar_add(X, z[0], row, G[k])


@jit(parallel=True)
def loss_grad(X: Any, Y: Any, S: Any, w: Any, b: Any, partials: Any) -> None:
    """partials[chunk] (K, width + 2) ← the chunk's sums of a gradient, in one read of X.

    X (n, d) float32 or float64, C-contiguous and finite.
    """
    n = X.shape[0]
    chunks = partials.shape[0]
    for chunk in prange(chunks):
        start, stop = chunk * n // chunks, (chunk + 1) * n // chunks
        _gradient_chunk(X, Y, S, w, b, start, stop, partials[chunk])


@jit(parallel=True)
def hessian_product(X: Any, S: Any, w: Any, b: Any, v: Any, c: Any, partials: Any) -> None:
    """partials[chunk] (K, width + 2) ← the chunk's sums of a Hessian product, in one read of X."""
    n = X.shape[0]
    chunks = partials.shape[0]
    for chunk in prange(chunks):
        start, stop = chunk * n // chunks, (chunk + 1) * n // chunks
        _product_chunk(X, S, w, b, v, c, start, stop, partials[chunk])
