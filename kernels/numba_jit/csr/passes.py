"""Numba kernels for compressed sparse rows: one read of the nonzeros per question.

The versions of the gradient, on 200,000 x 50,000 with 1e7 float64 nonzeros whose columns follow Zipf's
law: milliseconds of CPU time on one thread, medians of 21 rounds in turns on a busy machine.

1. row by row, a dot product, the link, a sum into the gradient: 32.5.
2. in blocks of rows, whose entries are still in the cache when the gradient reads them again, with
   the link of a whole block in vectors: 18.9.
3. the two loops over a row without mispredicted ends, and prefetching (numba_jit/blocks/csr_rows.py): 15.6.
4. columns numbered in two bytes, 14.3; and in the order of their frequency, so that the weights and
   sums in use most of the time share few cache lines: 12.9. Building that costs about as much as one
   pass takes (accel_logreg/backends/numba_jit/csr.py).

A Hessian product at the W of the last gradient needs no z of W and no exponential, since the gradient
leaves s h behind. In turns with one that works them out anew it took a quarter less time.

Measured and not kept: one loop over a whole block's nonzeros instead of one a row, sums by gather and
scatter instructions, weight and sum side by side in memory, prefetching from Numba's own loops.

Sums are float64 for either dtype of X. Chunks are fixed by the rows' lengths and the threads, and their
partial sums are added in chunk order, so the same data on the same threads gives the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from accel_logreg.kernels.numba_jit.blocks.csr_rows import SLACK, add_row, row_dot
from accel_logreg.kernels.numba_jit.compile import jit, use_wide_vectors
from accel_logreg.kernels.numba_jit.dense import _exp_negative, _log1p_over_2v, _sum_chunks

_BLOCK_ROWS = 128
_BLOCK_ENTRIES = 8192  # about 100 KB, which waits in the L2 cache at worst


@jit(inline="always")
def _last_row_dot(data: Any, indices: Any, lo: int, hi: int, w: Any) -> float:
    """row_dot without reading past hi, for the last rows of X."""
    total = 0.0
    for k in range(lo, hi):
        q = np.uintp(k)
        total += data[q] * w[np.uintp(indices[q])]
    return total


@jit(inline="always")
def _add_last_row(data: Any, indices: Any, lo: int, hi: int, r: float, g: Any) -> None:
    """add_row without reading past hi."""
    for k in range(lo, hi):
        q = np.uintp(k)
        g[np.uintp(indices[q])] += r * data[q]


@jit(inline="always")
def _dots(data: Any, indices: Any, indptr: Any, w: Any, b: float, first: int, m: int, z: Any) -> None:
    """zᵢ = b + x w for m rows from ``first``."""
    lo = indptr[np.uintp(first)]
    inside = indptr[np.uintp(first + m)] + SLACK <= data.size
    for i in range(m):
        hi = indptr[np.uintp(first + i + 1)]
        if inside:
            z[np.uintp(i)] = b + row_dot(data, indices, lo, hi, w)
        else:
            z[np.uintp(i)] = b + _last_row_dot(data, indices, lo, hi, w)
        lo = hi


@jit(inline="always")
def _add_rows(data: Any, indices: Any, indptr: Any, r: Any, first: int, m: int, g: Any) -> None:
    """g += Σ rᵢ xᵢ for m rows from ``first``."""
    lo = indptr[np.uintp(first)]
    inside = indptr[np.uintp(first + m)] + SLACK <= data.size
    for i in range(m):
        hi = indptr[np.uintp(first + i + 1)]
        if inside:
            add_row(data, indices, lo, hi, r[np.uintp(i)], g)
        else:
            _add_last_row(data, indices, lo, hi, r[np.uintp(i)], g)
        lo = hi


@jit(inline="always")
def _link(z: Any, losses: Any, y: Any, s: Any, first: int, m: int, sh: Any) -> tuple[float, float]:
    """For m rows from ``first``: z ← s (a − y) in place, sh[first + i] = s h; Σ s ℓ and Σ s (a − y).

    The sums have loops of their own, which write nothing. Where one loop reads and writes several
    arrays, LLVM compiles it twice and chooses by where they lie in memory: with a sum in it, equal
    data would give other bits in another place.
    """
    weighted = s.size > 0
    for i in range(m):
        zi = z[i]
        label = np.float64(y[first + i])
        e = _exp_negative(-abs(zi))
        inverse = 1.0 / ((1.0 + e) * (2.0 + e))  # one division serves all three quotients
        v = e * (1.0 + e) * inverse
        larger = (2.0 + e) * inverse  # 1/(1 + e), the larger of a and 1 − a
        loss = 0.5 * (zi + abs(zi)) - label * zi + 2.0 * v * _log1p_over_2v(v * v)
        residual = (larger if zi >= 0 else e * larger) - label
        curvature = e * larger * larger
        if weighted:
            loss *= s[first + i]
            residual *= s[first + i]
            curvature *= s[first + i]
        losses[i] = loss
        z[i] = residual
        sh[first + i] = curvature
    total = 0.0
    residual_sum = 0.0
    for i in range(m):
        total += losses[i]
        residual_sum += z[i]
    return total, residual_sum


@jit()
def _block_rows(indptr: Any, start: int, stop: int) -> int:
    """Rows in a block, whose entries wait in the cache between the two halves of a pass."""
    entries = int(indptr[stop] - indptr[start])
    return max(1, min(_BLOCK_ROWS, _BLOCK_ENTRIES * (stop - start) // max(entries, 1)))


@jit()
def _gradient_chunk(
    data: Any,
    indices: Any,
    indptr: Any,
    y: Any,
    s: Any,
    w: Any,
    b: float,
    start: int,
    stop: int,
    g: Any,
    sh: Any,
) -> tuple[float, float]:
    """Rows start to stop: g += Σ s (a − y) x and sh; returns Σ s ℓ and Σ s (a − y)."""
    use_wide_vectors()
    rows = _block_rows(indptr, start, stop)
    z = np.empty(_BLOCK_ROWS)
    losses = np.empty(_BLOCK_ROWS)
    loss = 0.0
    residual = 0.0
    for first in range(start, stop, rows):
        m = min(rows, stop - first)
        _dots(data, indices, indptr, w, b, first, m, z)
        block_loss, block_residual = _link(z, losses, y, s, first, m, sh)
        _add_rows(data, indices, indptr, z, first, m, g)
        loss += block_loss
        residual += block_residual
    return loss, residual


@jit()
def _product_chunk(
    data: Any, indices: Any, indptr: Any, sh: Any, v: Any, c: float, start: int, stop: int, g: Any
) -> float:
    """Rows start to stop: g += Σ s h (x̃ᵀ(v, c)) x; returns the intercept's entry."""
    use_wide_vectors()
    rows = _block_rows(indptr, start, stop)
    z = np.empty(_BLOCK_ROWS)
    last = 0.0
    for first in range(start, stop, rows):
        m = min(rows, stop - first)
        _dots(data, indices, indptr, v, c, first, m, z)
        for i in range(m):
            z[i] *= sh[first + i]
        for i in range(m):  # as in _link
            last += z[i]
        _add_rows(data, indices, indptr, z, first, m, g)
    return last


@jit()
def _logits_chunk(
    data: Any, indices: Any, indptr: Any, w: Any, b: float, start: int, stop: int, z: Any
) -> None:
    """z = x w + b for rows start to stop."""
    use_wide_vectors()
    for first in range(start, stop, _BLOCK_ROWS):
        _dots(data, indices, indptr, w, b, first, min(_BLOCK_ROWS, stop - first), z[first:])


@jit(parallel=True)
def _gradient_partials(
    data: Any, indices: Any, indptr: Any, y: Any, s: Any, W: Any, bounds: Any, sh: Any, partials: Any
) -> None:
    """partials[c] = (gradient sums (p,), loss sum) of chunk c, the rows from bounds[c] to bounds[c + 1]."""
    d = W.size - 1
    for chunk in prange(bounds.size - 1):
        g = partials[chunk]
        g[:] = 0.0
        loss, residual = _gradient_chunk(
            data, indices, indptr, y, s, W, W[d], bounds[chunk], bounds[chunk + 1], g, sh
        )
        g[d] = residual
        g[d + 1] = loss


@jit(parallel=True)
def _product_partials(
    data: Any, indices: Any, indptr: Any, sh: Any, V: Any, bounds: Any, partials: Any
) -> None:
    """partials[c] = Hessian product sums (p,) of chunk c."""
    d = V.size - 1
    for chunk in prange(bounds.size - 1):
        g = partials[chunk]
        g[:] = 0.0
        g[d] = _product_chunk(data, indices, indptr, sh, V, V[d], bounds[chunk], bounds[chunk + 1], g)


@jit()
def loss_grad(
    data: Any, indices: Any, indptr: Any, y: Any, s: Any, weight_sum: float, W: Any, bounds: Any, sh: Any
) -> Any:
    """Mean loss and its gradient in one read of the nonzeros; and sh[i] = sᵢ hᵢ for Hessian products at W.

    data (nnz,) float32 or float64, finite; indices (nnz,) uint16, int32 or int64; indptr (n + 1,) int64;
    y (n,) int8; s (n,) float64, or (0,) for weights of one; W (p,) float64; bounds (chunks + 1,) int64,
    rising from 0 to n; sh (n,) float64. Returns (p + 1,) float64: the gradient, then the loss.
    """
    out = np.empty(W.size + 1)
    partials = np.empty((bounds.size - 1, W.size + 1))
    _gradient_partials(data, indices, indptr, y, s, W, bounds, sh, partials)
    _sum_chunks(partials, weight_sum, out)
    return out


@jit()
def hessian_product(
    data: Any, indices: Any, indptr: Any, sh: Any, weight_sum: float, V: Any, bounds: Any
) -> Any:
    """The Hessian of the mean loss times V, (p,) float64, in one read, with the sh that loss_grad left."""
    out = np.empty(V.size)
    partials = np.empty((bounds.size - 1, V.size))
    _product_partials(data, indices, indptr, sh, V, bounds, partials)
    _sum_chunks(partials, weight_sum, out)
    return out


@jit(parallel=True)
def weighted_sums(data: Any, indices: Any, indptr: Any, a: Any, d: int, squared: bool, bounds: Any) -> Any:
    """Σ aᵢ xᵢⱼ, or Σ aᵢ xᵢⱼ² if ``squared``, (d + 1,) float64; the last entry Σ aᵢ."""
    partials = np.zeros((bounds.size - 1, d + 1))
    for chunk in prange(bounds.size - 1):
        g = partials[chunk]
        last = 0.0
        for row in range(bounds[chunk], bounds[chunk + 1]):
            r = a[np.uintp(row)]
            last += r
            lo, hi = indptr[np.uintp(row)], indptr[np.uintp(row + 1)]
            if squared:
                for k in range(lo, hi):
                    x = np.float64(data[np.uintp(k)])
                    g[np.uintp(indices[np.uintp(k)])] += r * x * x
            else:
                _add_last_row(data, indices, lo, hi, r, g)
        g[d] = last
    return partials.sum(axis=0)


@jit()
def descend(
    data: Any,
    indices: Any,
    indptr: Any,
    y: Any,
    s: Any,
    weight_sum: float,
    W: Any,
    alpha: float,
    l2: float,
    steps: int,
    fit_intercept: bool,
    bounds: Any,
    sh: Any,
) -> tuple[Any, Any]:
    """``steps`` steps of gradient descent on W (p,), in place: cost and ‖gradient‖₂ before each."""
    d = W.size - 1
    costs = np.empty(steps)
    norms = np.empty(steps)
    for k in range(steps):
        gradient = loss_grad(data, indices, indptr, y, s, weight_sum, W, bounds, sh)
        for j in range(d):
            gradient[j] += l2 * W[j]
        squared_w = 0.0
        squared_gradient = gradient[d] * gradient[d] if fit_intercept else 0.0
        for j in range(d):  # as in _link
            squared_w += W[j] * W[j]
            squared_gradient += gradient[j] * gradient[j]
        for j in range(d):
            W[j] -= alpha * gradient[j]
        if fit_intercept:
            W[d] -= alpha * gradient[d]
        costs[k] = gradient[d + 1] + 0.5 * l2 * squared_w
        norms[k] = np.sqrt(squared_gradient)
    return costs, norms


@jit(parallel=True)
def logits(data: Any, indices: Any, indptr: Any, W: Any, bounds: Any) -> Any:
    """z = X w + b, (m,) float64."""
    z = np.empty(indptr.size - 1)
    for chunk in prange(bounds.size - 1):
        _logits_chunk(data, indices, indptr, W, W[W.size - 1], bounds[chunk], bounds[chunk + 1], z)
    return z
