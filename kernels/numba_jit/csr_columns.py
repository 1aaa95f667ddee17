"""K columns of compressed sparse rows: one read of the nonzeros for all columns of a panel.

A panel is 8, 16 or 32 columns, few enough for their weights and sums to stay in the L2 cache. In blocks of
rows, whose nonzeros are still in the L1 cache when the gradient reads them again, logits are made, linked all
together and added (blocks/csr_panels.py). On 20,000 x 2,000 with 44 nonzeros a row a column's gradient takes
about a quarter of the time that one alone takes (numba_jit/csr.py).

n rows, d features, K columns in panels, the last of them filled up with columns of weight 0. W is
(panels, d + 1, width), Y (panels, n, width) int8; a row's weights in a panel are s[i] T[panel, of_row[i]],
T (panels, parts, width), so that folds take a line of T a part instead of n K weights. H (panels, n, width)
keeps s h, of which Hessian products at the same W are made without exponentials. A task is a panel of a part
of the rows: ``bounds`` has where these parts begin, and n. Panel after panel, a part's sums are
partials[task] (d + 1, width), zeros at first. They are added in their order: the same data on the same
threads gives the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.blocks.csr_panels import (
    add_row_1,
    add_row_2,
    add_row_4,
    row_dots_1,
    row_dots_2,
    row_dots_4,
)
from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.link import exp_negative, link
from accel_logreg.kernels.numba_jit.llvm import arrays_lie_apart, use_wide_vectors
from accel_logreg.kernels.numba_jit.tuning import CSR_PANEL_ROWS


@jit(inline="always")
def _dots(x: Any, first: int, m: int, W: Any, z: Any) -> None:
    """z[i] ← W[d] + Σ x W[j] for m rows from ``first``, one after the other."""
    data, indices, indptr = x
    width = W.shape[1]
    for i in range(m):
        lo, hi, at = indptr[np.uintp(first + i)], indptr[np.uintp(first + i + 1)], i * width
        if width == 32:
            row_dots_4(data, indices, lo, hi, W, z, at)
        elif width == 16:
            row_dots_2(data, indices, lo, hi, W, z, at)
        else:
            row_dots_1(data, indices, lo, hi, W, z, at)


@jit(inline="always")
def _add(x: Any, first: int, m: int, z: Any, G: Any) -> None:
    """G[j] += x z[i] for m rows from ``first``, and G[d] += z[i]."""
    data, indices, indptr = x
    width = G.shape[1]
    for i in range(m):
        lo, hi, at = indptr[np.uintp(first + i)], indptr[np.uintp(first + i + 1)], i * width
        if width == 32:
            add_row_4(data, indices, lo, hi, G, z, at)
        elif width == 16:
            add_row_2(data, indices, lo, hi, G, z, at)
        else:
            add_row_1(data, indices, lo, hi, G, z, at)


@jit()
def _link_block(z: Any, y: Any, weights: Any, losses: Any, h: Any, count: int) -> None:
    """z ← s (a − y), losses += s ℓ and h ← s a (1 − a), entry by entry."""
    use_wide_vectors()
    arrays_lie_apart()
    for i in range(count):
        e = exp_negative(-abs(z[i]))
        loss, residual, larger = link(z[i], e, y[i])
        losses[i] += weights[i] * loss
        z[i] = weights[i] * residual
        h[i] = weights[i] * (e * larger * larger)


@jit()
def _weights(T: Any, of_row: Any, s: Any, first: int, m: int, weights: Any) -> None:
    """A panel's weights in m rows from ``first``, one after the other."""
    width = T.shape[1]
    for i in range(m):
        part = of_row[first + i] if of_row.size > 0 else 0
        weight = s[first + i] if s.size > 0 else 1.0
        for k in range(width):
            weights[i * width + k] = weight * T[part, k]


@jit()
def gradient_part(
    chunk: int,
    chunks: int,
    x: Any,
    Y: Any,
    T: Any,
    of_row: Any,
    s: Any,
    W: Any,
    bounds: Any,
    H: Any,
    partials: Any,
    losses: Any,
) -> None:
    """partials[task] (d + 1, width) += Σ s (a − y) x̃, losses[task] (width,) ← Σ s ℓ, and H.

    of_row is (n,), or (0,) where there is one part; s (n,), or (0,) for weights of one.
    """
    use_wide_vectors()
    for task in range(chunk, len(partials), chunks):
        panel, part = task // (bounds.size - 1), task % (bounds.size - 1)
        G, width = partials[task], W.shape[2]
        size = CSR_PANEL_ROWS * width
        z, weights, sums = np.empty(size), np.empty(size), np.zeros(size)
        if of_row.size == 0 and s.size == 0:
            _weights(T[panel], of_row, s, 0, CSR_PANEL_ROWS, weights)
        y, h = Y[panel].reshape(-1), H[panel].reshape(-1)
        for first in range(bounds[part], bounds[part + 1], CSR_PANEL_ROWS):
            m = min(CSR_PANEL_ROWS, bounds[part + 1] - first)
            _dots(x, first, m, W[panel], z)
            if of_row.size > 0 or s.size > 0:
                _weights(T[panel], of_row, s, first, m, weights)
            here = slice(first * width, (first + m) * width)
            _link_block(z, y[here], weights, sums, h[here], m * width)
            _add(x, first, m, z, G)
        for k in range(width):
            losses[task, k] = 0.0
        for i in range(CSR_PANEL_ROWS):
            for k in range(width):
                losses[task, k] += sums[i * width + k]


@jit()
def product_part(
    chunk: int,
    chunks: int,
    x: Any,
    H: Any,
    V: Any,
    bounds: Any,
    partials: Any,
) -> None:
    """partials[task] (d + 1, width) += Σ s h x̃ (x̃ᵀV)."""
    use_wide_vectors()
    for task in range(chunk, len(partials), chunks):
        panel, part = task // (bounds.size - 1), task % (bounds.size - 1)
        G, width = partials[task], V.shape[2]
        z = np.empty(CSR_PANEL_ROWS * width)
        h = H[panel].reshape(-1)
        for first in range(bounds[part], bounds[part + 1], CSR_PANEL_ROWS):
            m = min(CSR_PANEL_ROWS, bounds[part + 1] - first)
            _dots(x, first, m, V[panel], z)
            for i in range(m * width):
                z[i] *= h[first * width + i]
            _add(x, first, m, z, G)


@jit()
def curvature_part(
    chunk: int,
    chunks: int,
    x: Any,
    H: Any,
    bounds: Any,
    squared: bool,
    partials: Any,
) -> None:
    """partials[task] (d + 1, width) += Σ s h x̃, or of x̃²."""
    use_wide_vectors()
    data, indices, indptr = x
    for task in range(chunk, len(partials), chunks):
        panel, part = task // (bounds.size - 1), task % (bounds.size - 1)
        G, h = partials[task], H[panel]
        last, width = G.shape[0] - 1, G.shape[1]
        for i in range(bounds[part], bounds[part + 1]):
            for q in range(indptr[i], indptr[i + 1]):
                value, j = np.float64(data[q]), np.int64(indices[q])
                value *= value if squared else 1.0
                for k in range(width):
                    G[j, k] += value * h[i, k]
            for k in range(width):
                G[last, k] += h[i, k]


@jit()
def logits_part(
    chunk: int,
    chunks: int,
    x: Any,
    W: Any,
    bounds: Any,
    Z: Any,
) -> None:
    """Z (n, K) ← z = X w + b of a panel's columns."""
    use_wide_vectors()
    for task in range(chunk, W.shape[0] * (bounds.size - 1), chunks):
        panel, part = task // (bounds.size - 1), task % (bounds.size - 1)
        width = W.shape[2]
        first_column = panel * width
        z = np.empty(CSR_PANEL_ROWS * width)
        for first in range(bounds[part], bounds[part + 1], CSR_PANEL_ROWS):
            m = min(CSR_PANEL_ROWS, bounds[part + 1] - first)
            _dots(x, first, m, W[panel], z)
            for i in range(m):
                for k in range(min(width, Z.shape[1] - first_column)):
                    Z[first + i, first_column + k] = z[i * width + k]


@jit()
def pack_part(chunk: int, chunks: int, W: Any, order: Any, panels: Any) -> None:
    """panels (panels, p, width) ← W (K, p), row j of a panel being entry order[j] of each column."""
    K, p = W.shape
    width = panels.shape[2]
    for j in range(chunk * p // chunks, (chunk + 1) * p // chunks):
        for k in range(K):
            panels[k // width, j, k % width] = W[k, order[j]]


@jit()
def unpack_part(
    chunk: int, chunks: int, partials: Any, order: Any, weight_sum: Any, parts: int, W: Any
) -> None:
    """W (K, p) ← the sums over each panel's ``parts`` chunks in their order, divided by the weights."""
    arrays_lie_apart()
    K, p = W.shape
    width = partials.shape[2]
    for j in range(chunk * p // chunks, (chunk + 1) * p // chunks):
        for k in range(K):
            first = k // width * parts
            total = 0.0
            for q in range(first, first + parts):
                total += partials[q, j, k % width]
            W[k, order[j]] = total / weight_sum[k]
