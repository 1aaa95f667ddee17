"""Numba kernels for compressed sparse rows: one read of the nonzeros per question, whole matrices, copies.

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

The Hessian adds each row's outer product entry by entry, which costs a square of the row's nonzeros; where
rows are so full that BLAS is faster even with the zeros, they are written into a dense tile.

x stands for (data, indices, indptr). Sums are float64 for either dtype of X. Chunks are fixed by the rows'
lengths and the threads, and their partial sums are added in chunk order, so the same data on the same threads
gives the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.blas import add_outer_products
from accel_logreg.kernels.numba_jit.blocks.csr_rows import SLACK, add_row, row_dot
from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.dense import step_down, sum_chunks
from accel_logreg.kernels.numba_jit.link import exp_negative, link, root_curvature
from accel_logreg.kernels.numba_jit.llvm import arrays_lie_apart, use_wide_vectors
from accel_logreg.kernels.numba_jit.threads import share
from accel_logreg.kernels.numba_jit.tuning import CSR_BLOCK_ENTRIES, CSR_BLOCK_ROWS


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
def _dots(x: Any, w: Any, b: float, first: int, m: int, z: Any) -> None:
    """zᵢ = b + x w for m rows from ``first``."""
    data, indices, indptr = x
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
def _add_rows(x: Any, r: Any, first: int, m: int, g: Any) -> None:
    """g += Σ rᵢ xᵢ for m rows from ``first``."""
    data, indices, indptr = x
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
def _link_block(z: Any, losses: Any, y: Any, s: Any, first: int, m: int, sh: Any) -> tuple[float, float]:
    """For m rows from ``first``: z ← s (a − y) in place, sh[first + i] = s h; Σ s ℓ and Σ s (a − y).

    The sums have loops of their own, which write nothing. Where one loop reads and writes several
    arrays, LLVM compiles it twice and chooses by where they lie in memory: with a sum in it, equal
    data would give other bits in another place.
    """
    weighted = s.size > 0
    for i in range(m):
        e = exp_negative(-abs(z[i]))
        loss, residual, larger = link(z[i], e, y[first + i])
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
def _block_rows(x: Any, start: int, stop: int) -> int:
    """Rows in a block, whose entries wait in the cache between the two halves of a pass."""
    entries = int(x[2][stop] - x[2][start])
    return max(1, min(CSR_BLOCK_ROWS, CSR_BLOCK_ENTRIES * (stop - start) // max(entries, 1)))


@jit()
def gradient_chunk(
    x: Any, y: Any, s: Any, w: Any, b: float, start: int, stop: int, g: Any, sh: Any
) -> tuple[float, float]:
    """Rows start to stop: g += Σ s (a − y) x and sh; returns Σ s ℓ and Σ s (a − y)."""
    use_wide_vectors()
    rows = _block_rows(x, start, stop)
    z = np.empty(CSR_BLOCK_ROWS)
    losses = np.empty(CSR_BLOCK_ROWS)
    loss = 0.0
    residual = 0.0
    for first in range(start, stop, rows):
        m = min(rows, stop - first)
        _dots(x, w, b, first, m, z)
        block_loss, block_residual = _link_block(z, losses, y, s, first, m, sh)
        _add_rows(x, z, first, m, g)
        loss += block_loss
        residual += block_residual
    return loss, residual


@jit()
def product_chunk(x: Any, sh: Any, v: Any, c: float, start: int, stop: int, g: Any) -> float:
    """Rows start to stop: g += Σ s h (x̃ᵀ(v, c)) x; returns the intercept's entry."""
    use_wide_vectors()
    rows = _block_rows(x, start, stop)
    z = np.empty(CSR_BLOCK_ROWS)
    last = 0.0
    for first in range(start, stop, rows):
        m = min(rows, stop - first)
        _dots(x, v, c, first, m, z)
        for i in range(m):
            z[i] *= sh[first + i]
        for i in range(m):  # as in _link_block
            last += z[i]
        _add_rows(x, z, first, m, g)
    return last


@jit()
def _logits_chunk(x: Any, w: Any, b: float, start: int, stop: int, z: Any) -> None:
    """z = x w + b for rows start to stop."""
    use_wide_vectors()
    for first in range(start, stop, CSR_BLOCK_ROWS):
        _dots(x, w, b, first, min(CSR_BLOCK_ROWS, stop - first), z[first:])


@jit()
def _gradient_part(
    chunk: int,
    _chunks: int,
    data: Any,
    indices: Any,
    indptr: Any,
    y: Any,
    s: Any,
    W: Any,
    bounds: Any,
    sh: Any,
    partials: Any,
) -> None:
    g, d = partials[chunk], W.size - 1
    g[:] = 0.0
    x = (data, indices, indptr)
    g[d + 1], g[d] = gradient_chunk(x, y, s, W, W[d], bounds[chunk], bounds[chunk + 1], g, sh)


def loss_grad(
    data: Any, indices: Any, indptr: Any, y: Any, s: Any, weight_sum: float, W: Any, bounds: Any, sh: Any
) -> Any:
    """Mean loss and its gradient in one read of the nonzeros; and sh[i] = sᵢ hᵢ for Hessian products at W.

    data (nnz,) float32 or float64, finite; indices (nnz,) uint16, int32 or int64; indptr (n + 1,) int64;
    y (n,) int8; s (n,) float64, or (0,) for weights of one; W (p,) float64; bounds (chunks + 1,) int64,
    rising from 0 to n; sh (n,) float64. Returns (p + 1,) float64: the gradient, then the loss.
    """
    partials = np.empty((bounds.size - 1, W.size + 1))
    share(len(partials), _gradient_part, data, indices, indptr, y, s, W, bounds, sh, partials)
    return sum_chunks(partials, weight_sum)


@jit()
def _product_part(
    chunk: int,
    _chunks: int,
    data: Any,
    indices: Any,
    indptr: Any,
    sh: Any,
    V: Any,
    bounds: Any,
    partials: Any,
) -> None:
    g, d = partials[chunk], V.size - 1
    g[:] = 0.0
    g[d] = product_chunk((data, indices, indptr), sh, V, V[d], bounds[chunk], bounds[chunk + 1], g)


def hessian_product(
    data: Any, indices: Any, indptr: Any, sh: Any, weight_sum: float, V: Any, bounds: Any
) -> Any:
    """The Hessian of the mean loss times V, (p,) float64, in one read, with the sh that loss_grad left."""
    partials = np.empty((bounds.size - 1, V.size))
    share(len(partials), _product_part, data, indices, indptr, sh, V, bounds, partials)
    return sum_chunks(partials, weight_sum)


@jit()
def _sums_part(
    chunk: int,
    _chunks: int,
    data: Any,
    indices: Any,
    indptr: Any,
    a: Any,
    squared: bool,
    bounds: Any,
    partials: Any,
) -> None:
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
    g[g.size - 1] = last


def weighted_sums(data: Any, indices: Any, indptr: Any, a: Any, d: int, squared: bool, bounds: Any) -> Any:
    """Σ aᵢ xᵢⱼ, or Σ aᵢ xᵢⱼ² if ``squared``, (d + 1,) float64; the last entry Σ aᵢ."""
    partials = np.zeros((bounds.size - 1, d + 1))
    share(len(partials), _sums_part, data, indices, indptr, a, squared, bounds, partials)
    return partials.sum(axis=0)


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
    costs, norms = np.empty(steps), np.empty(steps)
    for k in range(steps):
        gradient = loss_grad(data, indices, indptr, y, s, weight_sum, W, bounds, sh)
        costs[k], norms[k] = step_down(W, gradient, alpha, l2, fit_intercept)
    return costs, norms


@jit()
def _logits_part(
    chunk: int, _chunks: int, data: Any, indices: Any, indptr: Any, W: Any, bounds: Any, z: Any
) -> None:
    _logits_chunk((data, indices, indptr), W, W[W.size - 1], bounds[chunk], bounds[chunk + 1], z)


def logits(data: Any, indices: Any, indptr: Any, W: Any, bounds: Any) -> Any:
    """z = X w + b, (m,) float64."""
    z = np.empty(indptr.size - 1)
    share(bounds.size - 1, _logits_part, data, indices, indptr, W, bounds, z)
    return z


@jit()
def longest_row(
    chunk: int,
    _chunks: int,
    data: Any,
    indices: Any,
    indptr: Any,
    s: Any,
    bounds: Any,
    twice: Any,
    inverse: Any,
    squares: Any,
) -> None:
    """squares[c] = max Σⱼ xⱼ (xⱼ − twiceⱼ) inverseⱼ over the chunk's rows of weight above 0, and 0."""
    longest = 0.0
    for row in range(bounds[chunk], bounds[chunk + 1]):
        if s.size == 0 or s[np.uintp(row)] > 0.0:
            square = 0.0
            for k in range(indptr[np.uintp(row)], indptr[np.uintp(row + 1)]):
                column = np.uintp(indices[np.uintp(k)])
                x = np.float64(data[np.uintp(k)])
                square += x * (x - twice[column]) * inverse[column]
            longest = max(longest, square)
    squares[chunk] = longest


@jit()
def _counts_part(chunk: int, chunks: int, indices: Any, partials: Any) -> None:
    counts = partials[chunk]
    for k in range(chunk * indices.size // chunks, (chunk + 1) * indices.size // chunks):
        counts[np.uintp(indices[np.uintp(k)])] += 1


def count_columns(indices: Any, d: int, n_chunks: int) -> Any:
    """How many nonzeros each column has, (d,) int64."""
    partials = np.zeros((n_chunks, d), dtype=np.int64)
    share(n_chunks, _counts_part, indices, partials)
    return partials.sum(axis=0)


@jit()
def rename_columns(chunk: int, chunks: int, indices: Any, names: Any, out: Any) -> None:
    """out[k] = names[indices[k]], for a chunk of them."""
    for k in range(chunk * indices.size // chunks, (chunk + 1) * indices.size // chunks):
        out[np.uintp(k)] = names[np.uintp(indices[np.uintp(k)])]


@jit()
def gather(
    chunk: int,
    chunks: int,
    data: Any,
    indices: Any,
    indptr: Any,
    rows: Any,
    out: Any,
    out_indices: Any,
    out_indptr: Any,
) -> None:
    """Row i of ``out`` is row rows[i], for a chunk of them; out_indptr says where it goes."""
    for i in range(chunk * rows.size // chunks, (chunk + 1) * rows.size // chunks):
        source = indptr[np.uintp(rows[np.uintp(i)])]
        target = out_indptr[np.uintp(i)]
        for k in range(out_indptr[np.uintp(i + 1)] - target):
            out[np.uintp(target + k)] = data[np.uintp(source + k)]
            out_indices[np.uintp(target + k)] = indices[np.uintp(source + k)]


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


@jit()
def _write_row(data: Any, indices: Any, lo: int, hi: int, root: float, tile: Any) -> None:
    """tile ← root x̃, zeros and all."""
    tile[:] = 0.0
    for k in range(lo, hi):
        tile[np.uintp(indices[np.uintp(k)])] = root * data[np.uintp(k)]
    tile[tile.size - 1] = root


@jit()
def _hessian_part(
    chunk: int,
    chunks: int,
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
    """partials[c] = Σ s h x̃ x̃ᵀ of chunk c, totals[c] = Σ s; by tiles of √(s h) x̃ unless syrk is 0."""
    use_wide_vectors()
    n = rows.size if rows.size > 0 else indptr.size - 1
    step = tiles.shape[1]
    partials[chunk] = 0.0
    total = 0.0
    stop = (chunk + 1) * n // chunks
    for first in range(chunk * n // chunks, stop, step):
        m = min(step, stop - first)
        for i in range(first, first + m):
            row = np.uintp(rows[i]) if rows.size > 0 else np.uintp(i)
            weight = s[row] if s.size > 0 else 1.0
            if factors.size > 0:
                weight *= factors[i]
            total += weight
            lo, hi = indptr[row], indptr[row + np.uintp(1)]
            root = root_curvature(W[W.size - 1] + _last_row_dot(data, indices, lo, hi, W))
            if syrk == 0:
                _add_outer_product(data, indices, lo, hi, weight * root * root, partials[chunk])
            else:
                _write_row(data, indices, lo, hi, np.sqrt(weight) * root, tiles[chunk, i - first])
        if syrk != 0:
            add_outer_products(syrk, tiles[chunk], m, partials[chunk])
    totals[chunk] = total


@jit()
def _symmetric(partials: Any, divisor: float, scale: Any) -> Any:
    """Σ over chunks, in their order; each pair's two halves added, scaled and divided."""
    arrays_lie_apart()
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


def hessian(
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
    """(1/S) Σ s h x̂ x̂ᵀ, x̂ = (x/scale, 1), (p, p) float64.

    data, indices, indptr, s as in ``loss_grad``; rows (m,) intp and factors (m,), or (0,) both for
    all rows; W and scale (p,), the last scale 1. By BLAS's rank-k update at ``syrk`` and tiles (chunks, rows
    a tile, p) float64, or, for 0, entry by entry in as many chunks as there are tiles.
    """
    partials = np.empty((tiles.shape[0], W.size, W.size))
    totals = np.empty(tiles.shape[0])
    of = data, indices, indptr, s, rows, factors, W
    share(len(tiles), _hessian_part, *of, syrk, tiles, partials, totals)
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
def _gram_row(x: Any, columns: Any, i: int, K: Any) -> None:
    """K[i, :i + 1] = xᵢ · xₖ: what meets in a column, column by column of row i."""
    (data, indices, indptr), (starts, rows, values) = x, columns
    inner = K[i]
    inner[: i + 1] = 0.0
    for k in range(indptr[i], indptr[i + 1]):
        column = np.uintp(indices[k])
        for at in range(starts[column], starts[column + np.uintp(1)]):
            if rows[at] > i:
                break
            inner[rows[at]] += data[k] * values[at]


@jit()
def _gram_part(
    chunk: int,
    chunks: int,
    data: Any,
    indices: Any,
    indptr: Any,
    starts: Any,
    rows: Any,
    values: Any,
    K: Any,
) -> None:
    n = indptr.size - 1
    x, columns = (data, indices, indptr), (starts, rows, values)
    for i in range(chunk, (n + 1) // 2, chunks):  # a short row of K and a long one: as much for each thread
        _gram_row(x, columns, i, K)
        if n - 1 - i > i:
            _gram_row(x, columns, n - 1 - i, K)


@jit()
def _mirror(K: Any) -> None:
    for i in range(K.shape[0]):
        for j in range(i):
            K[j, i] = K[i, j]


def gram(data: Any, indices: Any, indptr: Any, d: int, chunks: int) -> Any:
    """X Xᵀ, (n, n) float64. Holds a copy of X by columns meanwhile."""
    n = indptr.size - 1
    K = np.empty((n, n))
    share(chunks, _gram_part, data, indices, indptr, *_by_columns(data, indices, indptr, d), K)
    _mirror(K)
    return K
