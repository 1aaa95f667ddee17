"""K columns in Numba: one read of X for all of them, fused and threaded.

Rows come in blocks that stay in the cache. A block is widened to float64 once, while it comes from memory;
then, eight columns at a time, z, the link and the gradient's sums are made from that copy, and the lines of
the block after it are asked for meanwhile. The link is that of numba_jit/dense.py, its loss added up place by
place, so that columns stay apart without a sum across them in every block.

n rows, d features, K columns in ⌈K/8⌉ panels, the last of which may be narrower. W is (panels, d + 1, 8),
zero where there is no column. Y, and weights that are each column's own, lie panel after panel: those of
panel q are (n, width) from entry 8 q n on. Everything is float64 but X (float32 or float64) and Y (int8).
Chunks are fixed by (n, threads) and added in their order: the same data on the same threads gives the same
bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from accel_logreg.kernels.numba_jit.blocks.panels import GROUP, PANEL, add_panel, panel_dots
from accel_logreg.kernels.numba_jit.compile import jit, use_wide_vectors
from accel_logreg.kernels.numba_jit.dense import _exp_negative, _log1p_over_2v

_LINE = 8  # float64 in a cache line
_BLOCK_BYTES = 1 << 15  # of a block's copy
_MOST_ROWS = 64


def block_rows(n: int, d: int) -> int:
    """Rows in a block: whole groups."""
    rows = min(_MOST_ROWS, _BLOCK_BYTES // (8 * d), n)
    return max(1, rows // GROUP) * GROUP


@jit()
def _aligned(size: int) -> Any:
    """Uninitialised float64 (size,) from the beginning of a cache line on: vectors do not straddle two."""
    memory = np.empty(size + _LINE)
    skipped = (-(memory.ctypes.data // 8)) % _LINE
    return memory[skipped : skipped + size]


@jit()
def _widen(X: Any, first: int, m: int, padded: int, x: Any) -> None:
    """x ← m rows of X from ``first`` on, and rows of zeros up to ``padded``."""
    d = X.shape[1]
    rows = X[first : first + m].reshape(-1)
    for k in range(m * d):
        x[k] = rows[k]
    x[m * d : padded * d] = 0.0


@jit()
def _gather(z: Any, m: int, width: int, c: Any) -> None:
    """c ← z (m, 8) without its empty columns: (m, width), flat."""
    for i in range(m):
        for k in range(width):
            c[i * width + k] = z[i, k]


@jit()
def _scatter(c: Any, m: int, width: int, z: Any) -> None:
    for i in range(m):
        for k in range(width):
            z[i, k] = c[i * width + k]


@jit()
def _repeat(s: Any, first: int, m: int, width: int, out: Any) -> None:
    """out ← a weight for every row and column, from a weight a row."""
    for i in range(m):
        for k in range(width):
            out[i * width + k] = s[first + i]


@jit(inline="always")
def _link(z: Any, y: Any, s: Any, losses: Any, count: int) -> None:
    """z ← s (a − y) and losses += s ℓ, entry by entry; s is empty for weights of one.

    max(z, 0) − y z is max(z, 0) or max(−z, 0), whichever y is: written so, no rearrangement of the sum
    can let it drown log(1 + e).
    """
    weighted = s.size > 0
    for i in range(count):
        zi = z[i]
        label = np.float64(y[i])
        e = _exp_negative(-abs(zi))
        inverse = 1.0 / ((1.0 + e) * (2.0 + e))  # one division serves both quotients
        v = e * (1.0 + e) * inverse
        against = (1.0 - 2.0 * label) * zi
        loss = (against if against > 0.0 else 0.0) + 2.0 * v * _log1p_over_2v(v * v)
        residual = (1.0 if zi >= 0 else e) * (2.0 + e) * inverse - label
        if weighted:
            loss *= s[i]
            residual *= s[i]
        losses[i] += loss
        z[i] = residual


@jit(inline="always")
def _curvature_link(z: Any, u: Any, s: Any, count: int) -> None:
    """z ← s h u, entry by entry, h = e/(1 + e)²."""
    weighted = s.size > 0
    for i in range(count):
        e = _exp_negative(-abs(z[i]))
        scale = e / ((1.0 + e) * (1.0 + e)) * u[i]
        if weighted:
            scale *= s[i]
        z[i] = scale


@jit()
def _weights(s: Any, n: int, shared: bool, panel: int, first: int, m: int, width: int, buffer: Any) -> Any:
    """The weights of a panel's entries in a block: empty where there are none."""
    if s.size == 0:
        return s
    if shared:
        _repeat(s, first, m, width, buffer)
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
                _link(z.reshape(-1), y, sk, losses[panel], m * PANEL)
            else:
                _gather(z, m, width, c)
                _link(c, y, sk, losses[panel], m * width)
                _scatter(c, m, width, z)
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
                _curvature_link(z.reshape(-1), u.reshape(-1), sk, m * PANEL)
            else:
                _gather(z, m, width, c)
                _gather(u, m, width, e)
                _curvature_link(c, e, sk, m * width)
                _scatter(c, m, width, z)
            z[m:padded] = 0.0
            for i in range(0, padded, GROUP):
                if panel == 0:
                    add_panel(x, i, d, z, g, X, (first + rows + i) * line + half)
                else:
                    add_panel(x, i, d, z, g, None, None)


@jit(parallel=True)
def loss_grad(X: Any, Y: Any, s: Any, shared: bool, W: Any, K: int, rows: int, partials: Any) -> None:
    """partials[chunk] (panels, d + 2, 8) ← every panel's gradient sums, and its losses last.

    X (n, d) C-contiguous and finite; Y (n K,) and s, laid out as above: (n K,), (n,) where ``shared``, or
    (0,) for weights of one.
    """
    n = X.shape[0]
    chunks = partials.shape[0]
    for chunk in prange(chunks):
        start, stop = chunk * n // chunks, (chunk + 1) * n // chunks
        _gradient_chunk(X, Y, s, shared, W, K, rows, start, stop, partials[chunk])


@jit(parallel=True)
def hessian_product(X: Any, s: Any, shared: bool, W: Any, V: Any, K: int, rows: int, partials: Any) -> None:
    """partials[chunk] (panels, d + 1, 8) ← every panel's Hessian product sums, in one read of X."""
    n = X.shape[0]
    chunks = partials.shape[0]
    for chunk in prange(chunks):
        start, stop = chunk * n // chunks, (chunk + 1) * n // chunks
        _product_chunk(X, s, shared, W, V, K, rows, start, stop, partials[chunk])
