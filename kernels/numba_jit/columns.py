"""K columns in Numba: one read of X for all of them, fused and threaded.

Rows come in blocks that stay in the cache. A block is widened to float64 once, while it comes from memory;
then, eight columns at a time, z, the link and the gradient's sums are made from that copy, and the lines of
the block after it are asked for meanwhile. Losses are added up place by place, so that columns stay apart
without a sum across them in every block.

n rows, d features, K columns in ⌈K/8⌉ panels, the last of which may be narrower. W is (panels, d + 1, 8),
zero where there is no column. Y, and weights that are each column's own, lie panel after panel: those of
panel q are (n, width) from entry 8 q n on. Everything is float64 but X (float32 or float64) and Y (int8).
Chunks are fixed by (n, threads) and added in their order: the same data on the same threads gives the same
bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.blocks.panels import PANEL, add_panel, panel_dots
from accel_logreg.kernels.numba_jit.blocks.row_groups import GROUP
from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.copies import pack, unpack
from accel_logreg.kernels.numba_jit.link import curvature_rows, exp_negative, link
from accel_logreg.kernels.numba_jit.llvm import LANES, arrays_lie_apart, use_wide_vectors
from accel_logreg.kernels.numba_jit.tuning import PANEL_BLOCK_BYTES, PANEL_BLOCK_ROWS


def block_rows(n: int, d: int) -> int:
    """Rows in a block: whole groups."""
    rows = min(PANEL_BLOCK_ROWS, PANEL_BLOCK_BYTES // (8 * d), n)
    return max(1, rows // GROUP) * GROUP


@jit()
def _aligned(size: int) -> Any:
    """Uninitialised float64 (size,) from the beginning of a cache line on: vectors do not straddle two."""
    memory = np.empty(size + LANES)
    skipped = (-(memory.ctypes.data // 8)) % LANES
    return memory[skipped : skipped + size]


@jit()
def _widen(X: Any, first: int, m: int, padded: int, x: Any) -> None:
    """x ← m rows of X from ``first`` on, and rows of zeros up to ``padded``."""
    d = X.shape[1]
    rows = X[first : first + m].reshape(-1)
    for k in range(m * d):
        x[k] = rows[k]
    x[m * d : padded * d] = 0.0


@jit(inline="always")
def _link_block(z: Any, y: Any, s: Any, losses: Any, count: int) -> None:
    """z ← s (a − y) and losses += s ℓ, entry by entry; s is empty for weights of one."""
    weighted = s.size > 0
    for i in range(count):
        loss, residual, _ = link(z[i], exp_negative(-abs(z[i])), y[i])
        if weighted:
            loss *= s[i]
            residual *= s[i]
        losses[i] += loss
        z[i] = residual


@jit()
def _weights(s: Any, n: int, shared: bool, panel: int, first: int, m: int, width: int, buffer: Any) -> Any:
    """The weights of a panel's entries in a block: empty where there are none."""
    if s.size == 0:
        return s
    if shared:
        for i in range(m):
            for j in range(width):
                buffer[i * width + j] = s[first + i]
        return buffer
    start = PANEL * panel * n + first * width
    return s[start : start + m * width]


@jit()
def _gradient_chunk(
    X: Any, Y: Any, s: Any, shared: bool, W: Any, K: int, rows: int, start: int, stop: int, G: Any
) -> None:
    """Rows start to stop: G[q] (d + 2, 8) ← panel q's Σ s (a − y) x̃, and Σ s ℓ last."""
    use_wide_vectors()
    n, d = X.shape
    panels = W.shape[0]
    line = d * X.itemsize
    half = GROUP // 2 * line
    x = _aligned(rows * d)
    z = _aligned(rows * PANEL).reshape(rows, PANEL)
    c = _aligned(rows * PANEL)
    weights = _aligned(rows * PANEL)
    losses = _aligned(panels * rows * PANEL).reshape(panels, rows * PANEL)
    losses[:] = 0.0
    G[:] = 0.0
    for first in range(start, stop, rows):
        m = min(rows, stop - first)
        padded = (m + GROUP - 1) // GROUP * GROUP
        _widen(X, first, m, padded, x)
        for panel in range(panels):
            width = min(PANEL, K - PANEL * panel)
            w, g = W[panel], G[panel]
            for i in range(0, padded, GROUP):
                if panel == 0:
                    panel_dots(x, i, d, w, z, X, (first + rows + i) * line)
                else:
                    panel_dots(x, i, d, w, z, None, None)
            at = PANEL * panel * n + first * width
            y = Y[at : at + m * width]
            sk = _weights(s, n, shared, panel, first, m, width, weights)
            if width == PANEL:
                _link_block(z.reshape(-1), y, sk, losses[panel], m * PANEL)
            else:
                pack(z, m, width, c)  # without the empty columns
                _link_block(c, y, sk, losses[panel], m * width)
                unpack(c, m, width, z)
            z[m:padded] = 0.0
            for i in range(0, padded, GROUP):
                if panel == 0:
                    add_panel(x, i, d, z, g, X, (first + rows + i) * line + half)
                else:
                    add_panel(x, i, d, z, g, None, None)
    for panel in range(panels):
        width = min(PANEL, K - PANEL * panel)
        for i in range(rows):
            for k in range(width):
                G[panel, d + 1, k] += losses[panel, i * width + k]


@jit()
def _product_chunk(
    X: Any, s: Any, shared: bool, W: Any, V: Any, K: int, rows: int, start: int, stop: int, G: Any
) -> None:
    """Rows start to stop: G[q] (d + 1, 8) ← panel q's Σ s h x̃ (x̃ᵀV)."""
    use_wide_vectors()
    arrays_lie_apart()
    n, d = X.shape
    panels = W.shape[0]
    line = d * X.itemsize
    half = GROUP // 2 * line
    x = _aligned(rows * d)
    z = _aligned(rows * PANEL).reshape(rows, PANEL)
    u = _aligned(rows * PANEL).reshape(rows, PANEL)
    c = _aligned(rows * PANEL)
    e = _aligned(rows * PANEL)
    weights = _aligned(rows * PANEL)
    G[:] = 0.0
    for first in range(start, stop, rows):
        m = min(rows, stop - first)
        padded = (m + GROUP - 1) // GROUP * GROUP
        _widen(X, first, m, padded, x)
        for panel in range(panels):
            width = min(PANEL, K - PANEL * panel)
            w, v, g = W[panel], V[panel], G[panel]
            for i in range(0, padded, GROUP):
                if panel == 0:
                    panel_dots(x, i, d, w, z, X, (first + rows + i) * line)
                else:
                    panel_dots(x, i, d, w, z, None, None)
                panel_dots(x, i, d, v, u, None, None)
            sk = _weights(s, n, shared, panel, first, m, width, weights)
            if width == PANEL:
                curvature_rows(z.reshape(-1), u.reshape(-1), sk, 0, m * PANEL)
            else:
                pack(z, m, width, c)
                pack(u, m, width, e)
                curvature_rows(c, e, sk, 0, m * width)
                unpack(c, m, width, z)
            z[m:padded] = 0.0
            for i in range(0, padded, GROUP):
                if panel == 0:
                    add_panel(x, i, d, z, g, X, (first + rows + i) * line + half)
                else:
                    add_panel(x, i, d, z, g, None, None)


@jit()
def gradient_part(
    chunk: int,
    chunks: int,
    X: Any,
    Y: Any,
    s: Any,
    shared: bool,
    W: Any,
    K: int,
    rows: int,
    partials: Any,
) -> None:
    """partials[chunk] (panels, d + 2, 8) ← every panel's gradient sums, and its losses last.

    X (n, d) C-contiguous and finite; Y (n K,) and s, laid out as above: (n K,), (n,) where ``shared``, or
    (0,) for weights of one.
    """
    n = X.shape[0]
    start, stop = chunk * n // chunks, (chunk + 1) * n // chunks
    _gradient_chunk(X, Y, s, shared, W, K, rows, start, stop, partials[chunk])


@jit()
def product_part(
    chunk: int,
    chunks: int,
    X: Any,
    s: Any,
    shared: bool,
    W: Any,
    V: Any,
    K: int,
    rows: int,
    partials: Any,
) -> None:
    """partials[chunk] (panels, d + 1, 8) ← every panel's Hessian product sums, in one read of X."""
    n = X.shape[0]
    start, stop = chunk * n // chunks, (chunk + 1) * n // chunks
    _product_chunk(X, s, shared, W, V, K, rows, start, stop, partials[chunk])


@jit()
def logits_part(chunk: int, chunks: int, X: Any, W: Any, K: int, rows: int, Z: Any) -> None:
    """Z (n, K) ← z = X w + b of every column, over this chunk's rows, in one read of X."""
    use_wide_vectors()
    n, d = X.shape
    line = d * X.itemsize
    start, stop = chunk * n // chunks, (chunk + 1) * n // chunks
    x = _aligned(rows * d)
    z = _aligned(rows * PANEL).reshape(rows, PANEL)
    for first in range(start, stop, rows):
        m = min(rows, stop - first)
        padded = (m + GROUP - 1) // GROUP * GROUP
        _widen(X, first, m, padded, x)
        for panel in range(W.shape[0]):
            width = min(PANEL, K - PANEL * panel)
            for i in range(0, padded, GROUP):
                if panel == 0:
                    panel_dots(x, i, d, W[panel], z, X, (first + rows + i) * line)
                else:
                    panel_dots(x, i, d, W[panel], z, None, None)
            for i in range(m):
                for k in range(width):
                    Z[first + i, PANEL * panel + k] = z[i, k]
