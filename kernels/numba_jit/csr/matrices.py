"""Numba kernels for compressed sparse rows whose answers are whole matrices: Hessian and Gram.

The Hessian adds each row's outer product entry by entry, which costs a square of the row's nonzeros;
where rows are so full that BLAS is faster even with the zeros, they are written into a dense tile.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from accel_logreg.kernels.numba_jit.blas import add_outer_products
from accel_logreg.kernels.numba_jit.compile import jit, use_wide_vectors
from accel_logreg.kernels.numba_jit.csr.passes import _last_row_dot
from accel_logreg.kernels.numba_jit.dense import _exp_negative


@jit()
def _row_and_weight(s: Any, rows: Any, factors: Any, i: int) -> tuple[Any, float]:
    """Which row is the i-th, and its weight: s × factor for picked rows."""
    row = np.uintp(rows[i]) if rows.size > 0 else np.uintp(i)
    weight = s[row] if s.size > 0 else 1.0
    if factors.size > 0:
        weight *= factors[i]
    return row, weight


@jit()
def _root(data: Any, indices: Any, lo: int, hi: int, W: Any, d: int) -> float:
    """√h at the row's z."""
    e: float = _exp_negative(-0.5 * abs(W[d] + _last_row_dot(data, indices, lo, hi, W)))
    return e / (1.0 + e * e)  # h = e²/(1 + e²)²


@jit()
def _add_outer_product(data: Any, indices: Any, lo: int, hi: int, h: float, H: Any) -> None:
    """H += h x̃ x̃ᵀ, each pair of entries once: at (i, j) or (j, i), whichever comes."""
    last = H[H.shape[0] - 1]
    for a in range(lo, hi):
        q = np.uintp(a)
        r = h * data[q]
        target = H[np.uintp(indices[q])]
        for b in range(lo, a + 1):
            k = np.uintp(b)
            target[np.uintp(indices[k])] += r * data[k]
        last[np.uintp(indices[q])] += r
    last[last.size - 1] += h


@jit(parallel=True)
def _sparse_partials(
    data: Any,
    indices: Any,
    indptr: Any,
    s: Any,
    rows: Any,
    factors: Any,
    W: Any,
    partials: Any,
    totals: Any,
) -> None:
    """partials[c] = Σ s h x̃ x̃ᵀ of chunk c, totals[c] = Σ s."""
    d = W.size - 1
    n = rows.size if rows.size > 0 else indptr.size - 1
    chunks = partials.shape[0]
    for chunk in prange(chunks):
        partials[chunk] = 0.0
        total = 0.0
        for i in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            row, weight = _row_and_weight(s, rows, factors, i)
            lo, hi = indptr[row], indptr[row + np.uintp(1)]
            total += weight
            root = _root(data, indices, lo, hi, W, d)
            _add_outer_product(data, indices, lo, hi, weight * root * root, partials[chunk])
        totals[chunk] = total


@jit(parallel=True)
def _tiled_partials(
    data: Any,
    indices: Any,
    indptr: Any,
    s: Any,
    rows: Any,
    factors: Any,
    W: Any,
    syrk: int,
    tiles: Any,
    partials: Any,
    totals: Any,
) -> None:
    """The same through tiles (chunks, rows a tile, p) of √(s h) x̃."""
    d = W.size - 1
    n = rows.size if rows.size > 0 else indptr.size - 1
    chunks, step = tiles.shape[0], tiles.shape[1]
    for chunk in prange(chunks):
        use_wide_vectors()
        partials[chunk] = 0.0
        total = 0.0
        stop = (chunk + 1) * n // chunks
        for first in range(chunk * n // chunks, stop, step):
            m = min(step, stop - first)
            for i in range(m):
                row, weight = _row_and_weight(s, rows, factors, first + i)
                lo, hi = indptr[row], indptr[row + np.uintp(1)]
                total += weight
                root = np.sqrt(weight) * _root(data, indices, lo, hi, W, d)
                tile = tiles[chunk, i]
                tile[:] = 0.0
                for k in range(lo, hi):
                    tile[np.uintp(indices[np.uintp(k)])] = root * data[np.uintp(k)]
                tile[d] = root
            add_outer_products(syrk, tiles[chunk], m, partials[chunk])
        totals[chunk] = total


@jit()
def _symmetric(partials: Any, divisor: float, scale: Any) -> Any:
    """Σ over chunks, in their order; each pair's two halves added, scaled and divided."""
    p = partials.shape[1]
    H = np.empty((p, p))
    for i in range(p):
        for j in range(i + 1):
            total = 0.0
            for chunk in range(partials.shape[0]):
                total += partials[chunk, i, j]
                if i != j:
                    total += partials[chunk, j, i]
            H[i, j] = total / divisor / scale[i] / scale[j]
            H[j, i] = H[i, j]
    return H


@jit()
def hessian(
    data: Any,
    indices: Any,
    indptr: Any,
    s: Any,
    rows: Any,
    factors: Any,
    W: Any,
    scale: Any,
    n_chunks: int,
) -> Any:
    """(1/S) Σ s h x̂ x̂ᵀ, x̂ = (x/scale, 1), (p, p) float64, entry by entry.

    data, indices, indptr, s as in numba_jit/csr/passes.py; rows (m,) intp and factors (m,), or (0,) both for
    all rows; W and scale (p,), the last scale 1.
    """
    partials = np.empty((n_chunks, W.size, W.size))
    totals = np.empty(n_chunks)
    _sparse_partials(data, indices, indptr, s, rows, factors, W, partials, totals)
    return _symmetric(partials, totals.sum(), scale)


@jit()
def hessian_by_tiles(
    data: Any,
    indices: Any,
    indptr: Any,
    s: Any,
    rows: Any,
    factors: Any,
    W: Any,
    scale: Any,
    syrk: int,
    tiles: Any,
) -> Any:
    """The same by BLAS's rank-k update at ``syrk``; tiles (chunks, rows a tile, p) float64."""
    partials = np.empty((tiles.shape[0], W.size, W.size))
    totals = np.empty(tiles.shape[0])
    _tiled_partials(data, indices, indptr, s, rows, factors, W, syrk, tiles, partials, totals)
    return _symmetric(partials, totals.sum(), scale)


@jit()
def _by_columns(data: Any, indices: Any, indptr: Any, d: int) -> tuple[Any, Any, Any]:
    """The same matrix in compressed columns: where each column starts, its rows in order, its values."""
    starts = np.zeros(d + 2, dtype=np.int64)
    for k in range(data.size):
        starts[np.uintp(indices[k]) + np.uintp(2)] += 1
    for j in range(d):
        starts[j + 2] += starts[j + 1]
    rows = np.empty(data.size, dtype=np.int64)
    values = np.empty(data.size)
    for i in range(indptr.size - 1):
        for k in range(indptr[i], indptr[i + 1]):
            at = np.uintp(indices[k]) + np.uintp(1)
            rows[starts[at]] = i
            values[starts[at]] = data[k]
            starts[at] += 1
    return starts, rows, values


@jit()
def _gram_row(
    data: Any, indices: Any, indptr: Any, starts: Any, rows: Any, values: Any, i: int, K: Any
) -> None:
    """K[i, :i + 1] = xᵢ · xₖ: what meets in a column, column by column of row i."""
    inner = K[i]
    inner[: i + 1] = 0.0
    for k in range(indptr[i], indptr[i + 1]):
        column = np.uintp(indices[k])
        for at in range(starts[column], starts[column + np.uintp(1)]):
            if rows[at] > i:
                break
            inner[rows[at]] += data[k] * values[at]


@jit(parallel=True)
def _gram_rows(data: Any, indices: Any, indptr: Any, starts: Any, rows: Any, values: Any, K: Any) -> None:
    n = indptr.size - 1
    for i in prange((n + 1) // 2):  # a short row of K and a long one: each thread gets as much to do
        _gram_row(data, indices, indptr, starts, rows, values, i, K)
        if n - 1 - i > i:
            _gram_row(data, indices, indptr, starts, rows, values, n - 1 - i, K)


@jit()
def gram(data: Any, indices: Any, indptr: Any, d: int) -> Any:
    """X Xᵀ, (n, n) float64. Holds a copy of X by columns meanwhile."""
    n = indptr.size - 1
    starts, rows, values = _by_columns(data, indices, indptr, d)
    K = np.empty((n, n))
    _gram_rows(data, indices, indptr, starts, rows, values, K)
    for i in range(n):
        for j in range(i):
            K[j, i] = K[i, j]
    return K
