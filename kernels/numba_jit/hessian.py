"""Numba kernels for second derivatives and inner products of rows.

The Hessian: a block of rows is centred, scaled and multiplied by √(s h) into a tile that stays in the
L2 cache, then BLAS adds the tile's outer products to a small (p, p) matrix: half the arithmetic of a
product, and no n × d temporary. float32 tiles double the rate; their sums are handed on to float64
every few thousand rows, so that the rounding does not grow with n.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.blas import add_inner_products, add_outer_products
from accel_logreg.kernels.numba_jit.blocks.inner_products import add_inner_products_small
from accel_logreg.kernels.numba_jit.blocks.rank_update import add_outer_products_small
from accel_logreg.kernels.numba_jit.blocks.row_groups import GROUP, add_group
from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.copies import copy
from accel_logreg.kernels.numba_jit.dense import plan
from accel_logreg.kernels.numba_jit.link import curvature, link_rows, root_curvature
from accel_logreg.kernels.numba_jit.llvm import LANES, arrays_lie_apart, prefetch, use_wide_vectors
from accel_logreg.kernels.numba_jit.threads import share
from accel_logreg.kernels.numba_jit.tuning import PICKED_AHEAD, PICKED_SHORT, ROWS_PER_SUM


@jit()
def _fill_tile(
    X: Any, s: Any, picked: Any, W: Any, standard: Any, first: int, m: int, tile: Any, logits: Any
) -> tuple[float, float]:
    """tile[i] = √(s h) ((x − centre) ∘ inverse, 1) for m rows from ``first``; returns their Σ s and max ‖x̂‖².

    picked is (rows, factors) and standard (centre, inverse); logits[i] ← z, unless it is empty.
    """
    use_wide_vectors()
    arrays_lie_apart()
    (rows, factors), (centre, inverse) = picked, standard
    d = X.shape[1]
    line = d * X.itemsize
    total = 0.0
    longest = 0.0
    for i in range(m):
        if rows.size > 0 and line <= PICKED_SHORT and first + i + PICKED_AHEAD < rows.size:
            # Short rows all over X: no hardware foresees them.
            for byte in range(0, line + 63, 64):
                prefetch(X, rows[first + i + PICKED_AHEAD] * line + byte)
        row = np.uintp(rows[first + i]) if rows.size > 0 else np.uintp(first + i)
        z = W[d]
        for j in range(d):
            z += X[row, j] * W[j]
        if logits.size > 0:
            logits[i] = z
        weight = 1.0
        if factors.size > 0:
            weight = factors[first + i]
        if s.size > 0:
            weight *= s[row]
        total += weight
        root = np.sqrt(weight) * root_curvature(z)
        length = 1.0
        for j in range(d):
            entry = (X[row, j] - centre[j]) * inverse[j]
            length += entry * entry
            tile[i, j] = entry * root
        tile[i, d] = root
        if weight > 0.0 and not length <= longest:
            longest = length
    return total, longest


@jit()
def _mirrored(partials: Any, divisor: float) -> Any:
    """Σ over chunks, in their order, of the upper triangles, divided; and copied to the lower."""
    arrays_lie_apart()
    chunks, p, _ = partials.shape
    H = partials[0]
    for i in range(p):
        for j in range(i, p):
            for chunk in range(1, chunks):
                H[i, j] += partials[chunk, i, j]
            H[i, j] /= divisor
            H[j, i] = H[i, j]
    return H


@jit()
def _hessian_part(
    chunk: int,
    chunks: int,
    X: Any,
    s: Any,
    rows: Any,
    factors: Any,
    W: Any,
    centre: Any,
    inverse: Any,
    syrk: int,
    tiles: Any,
    y: Any,
    partials: Any,
    totals: Any,
    gradients: Any,
) -> None:
    """partials[chunk] (p, p), totals[chunk] = Σ s and the largest ‖x̂‖² of the chunk's rows.

    A tile's products are added to a sum of the tile's dtype, which is handed on every ROWS_PER_SUM rows.
    Unless y is empty, gradients[chunk] (p + 1,) gets Σ s (a − y) x̃ and Σ s ℓ as well.
    """
    _, step, width = tiles.shape
    H, tile = partials[chunk], tiles[chunk]
    logits = np.empty(step if y.size > 0 else 0)
    g = np.zeros(W.size + 1)
    p = W.size
    sums = np.zeros((width, width), dtype=tiles.dtype)
    H[:] = 0.0
    total = longest = 0.0
    n = rows.size if rows.size > 0 else X.shape[0]
    first, end = chunk * n // chunks, (chunk + 1) * n // chunks
    summed = 0
    while first < end:
        m = min(step, end - first)
        weight, length = _fill_tile(X, s, (rows, factors), W, (centre, inverse), first, m, tile, logits)
        if y.size > 0:
            _add_gradient(X, y, s, first, m, logits, g)
        total += weight
        longest = max(longest, length)
        if syrk == 0:
            add_outer_products_small(tile, m, p, sums)
        else:
            add_outer_products(syrk, tile, m, sums)
        first += m
        summed += m
        if summed >= ROWS_PER_SUM or first >= end:
            for i in range(p):
                for j in range(i, p):
                    H[i, j] += sums[i, j]
            sums[:] = 0
            summed = 0
    totals[chunk, 0] = total
    totals[chunk, 1] = longest
    if y.size > 0:
        copy(g, gradients[chunk])


@jit()
def _add_gradient(X: Any, y: Any, s: Any, first: int, m: int, logits: Any, g: Any) -> None:
    """g += Σ s (a − y) x̃, and Σ s ℓ last, of m rows from ``first`` with these logits, which are lost."""
    use_wide_vectors()
    arrays_lie_apart()
    d = X.shape[1]
    loss, residual = link_rows(logits, y, s, first, m)
    g[d] += residual
    g[d + 1] += loss
    for i in range(m):
        x, r = X[np.uintp(first + i)], logits[i]
        for j in range(d):
            g[j] += r * x[j]


def hessian(
    X: Any, s: Any, rows: Any, factors: Any, W: Any, centre: Any, scale: Any, syrk: int, tiles: Any, y: Any
) -> tuple[Any, float, Any]:
    """(1/S) Σ s h x̂ x̂ᵀ, x̂ = ((x − centre)/scale, 1), (p, p) float64; max ‖x̂‖ of rows with weight; and, for
    all rows with labels y (n,) int8, the gradient of the mean loss and the loss, (p + 1,), in the same read.

    X (n, d) float32 or float64; s (n,) or (0,) for weights of one; rows (m,) intp and factors (m,), or
    (0,) both for all rows; W (p,); centre and scale (d,); tiles (chunks, rows a tile, p or more) of
    zeros, of the dtype that the rank-k update at ``syrk`` takes, or for the one in registers, 0,
    float32 of a width that it takes; y may be (0,), for no gradient.
    """
    chunks, p = len(tiles), W.size
    partials, totals, gradients = np.empty((chunks, p, p)), np.empty((chunks, 2)), np.zeros((chunks, p + 1))
    of = X, s, rows, factors, W, centre, 1.0 / scale, syrk, tiles, y
    share(chunks, _hessian_part, *of, partials, totals, gradients)
    weight = totals[:, 0].sum()
    return _mirrored(partials, weight), float(np.sqrt(totals[:, 1].max())), gradients.sum(axis=0) / weight


def hessian_diagonal(X: Any, s: Any, weight_sum: float, W: Any, n_chunks: int) -> Any:
    """(1/S) Σ s h x̃ⱼ², (p,) float64."""
    partials = np.zeros((n_chunks, W.size))
    share(n_chunks, _diagonal_part, X, s, W, partials)
    return partials.sum(axis=0) / weight_sum


@jit()
def _diagonal_part(chunk: int, chunks: int, X: Any, s: Any, W: Any, partials: Any) -> None:
    arrays_lie_apart()
    n, d = X.shape
    sums = partials[chunk]
    for row in range(chunk * n // chunks, (chunk + 1) * n // chunks):
        x = X[np.uintp(row)]
        z = W[d]
        for j in range(d):
            z += x[j] * W[j]
        h = curvature(z)
        if s.size > 0:
            h *= s[row]
        for j in range(d):
            sums[j] += h * x[j] * x[j]
        sums[d] += h


@jit()
def _fill_columns(X: Any, centre: Any, first: int, stop: int, tile: Any) -> None:
    """tile[i] = (x − centre) for all rows, of the columns from ``first`` on; zeros from ``stop`` on."""
    use_wide_vectors()
    m = min(tile.shape[1], stop - first)
    c = centre[first : first + m]
    line, ahead = X.shape[1] * X.itemsize, m * X.itemsize
    for row in range(X.shape[0]):
        i = np.uintp(row)
        # The row's next piece, while this one is copied: by the time it is its turn it is there.
        for byte in range(0, ahead, 64):
            prefetch(X, row * line + first * X.itemsize + ahead + byte)
        x, t = X[i, first : first + m], tile[i, :m]
        for j in range(m):
            t[j] = x[j] - c[j]
        tile[i, m:] = 0.0


@jit()
def _gram_part(chunk: int, chunks: int, X: Any, centre: Any, syrk: int, tiles: Any, partials: Any) -> None:
    d, step = X.shape[1], tiles.shape[2]
    sums = partials[chunk]
    sums[:] = 0.0
    stop = (chunk + 1) * d // chunks
    for first in range(chunk * d // chunks, stop, step):
        _fill_columns(X, centre, first, stop, tiles[chunk])
        if syrk == 0:
            add_inner_products_small(tiles[chunk], sums)
        else:
            add_inner_products(syrk, tiles[chunk], sums)


def gram(X: Any, centre: Any, syrk: int, tiles: Any) -> Any:
    """(X − centre)(X − centre)ᵀ, (n, n) float64, by BLAS's rank-k update at ``syrk`` or, for 0, in registers.

    tiles (chunks, n, columns a tile) float64; or, where differences and products are rounded to float32 and
    only tiles are summed in float64, (chunks, n rounded up to PAD, a multiple of LANES) float32 of zeros.
    """
    n, (chunks, rows, _) = len(X), tiles.shape
    partials = np.empty((chunks, rows, rows))
    share(chunks, _gram_part, X, centre, syrk, tiles, partials)
    return np.ascontiguousarray(_mirrored(partials[:, :n, :n], 1.0))


@jit()
def _combination_chunk(X: Any, a: Any, start: int, stop: int, total: Any) -> None:
    """Rows start to stop: total += Σ aᵢ xᵢ; total is padded to whole vectors."""
    arrays_lie_apart()
    use_wide_vectors()
    width, _, ahead, half, safe = plan(X)
    line = X.shape[1] * X.itemsize
    first = start
    while first + GROUP <= min(stop, safe):
        offset = first * line + ahead
        add_group(X, width, a[first:], first, total, offset)
        # A sum asks for half of what eight rows have; the gradient's dot product asks for the rest.
        for byte in range(half, 2 * half, 64):
            prefetch(X, offset + byte)
        first += GROUP
    for row in range(first, stop):
        for j in range(X.shape[1]):
            total[j] += a[row] * X[np.uintp(row), j]


def combination(X: Any, a: Any, n_chunks: int) -> Any:
    """Xᵀ a, (d,) float64; the chunks of rows are added in their order."""
    d = X.shape[1]
    partials = np.zeros((n_chunks, -(-d // LANES) * LANES))
    share(n_chunks, _combination_part, X, a, partials)
    return partials.sum(axis=0)[:d]


@jit()
def _combination_part(chunk: int, chunks: int, X: Any, a: Any, partials: Any) -> None:
    n = X.shape[0]
    _combination_chunk(X, a, chunk * n // chunks, (chunk + 1) * n // chunks, partials[chunk])


@jit()
def gather(chunk: int, chunks: int, X: Any, rows: Any, out: Any) -> None:
    """out[i] = X[rows[i]], for a chunk of the rows."""
    line = X.shape[1] * X.itemsize
    for i in range(chunk * rows.size // chunks, (chunk + 1) * rows.size // chunks):
        if line <= PICKED_SHORT and i + PICKED_AHEAD < rows.size:
            for byte in range(0, line + 63, 64):
                prefetch(X, rows[i + PICKED_AHEAD] * line + byte)
        source = X[np.uintp(rows[i])]
        target = out[np.uintp(i)]
        for j in range(source.size):
            target[j] = source[j]
