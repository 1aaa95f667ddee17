"""Numba kernels: one read of X per gradient, fused and threaded.

The versions of the pass, on 1e6 x 28 float64 and two AVX-512 cores whose plain sum of X ran at 28 to 33
GB/s. The first three figures are of prototypes in separate, noisy runs; the last was interleaved.

1. row blocks of 32 KB: z for the block, the link for the block, then the gradient from the block
   while it is in the cache: 17 GB/s. Memory idles while the link and the gradient compute.
2. own exp and log1p as polynomials, in 512-bit vectors (Numba has no vector math library): the
   link falls from about 3.1 to 2.3 ns a row and core. Blocks of 16 rows with a prefetch 2 KB ahead
   keep the memory at work in between: 23 GB/s.
3. every vector loop runs over d rounded up to 8, reading into the next row against a weight of
   zero (X is finite), which leaves no scalar remainder loop: 25 GB/s.
4. block parts inlined by Numba and rows indexed by unsigned integers, which need no check for
   negative indices: 1.18 times faster than the same as separate functions over slices.
5. the two loops over eight rows in LLVM's language (numba_jit/blocks/row_groups.py), which asks for the next
   eight line by line instead of all at once. Seconds over those of a plain sum of X in the same run,
   before and after, medians of 12: 200,000 x 300 float32 1.50 and 1.02, float64 1.28 and 1.06;
   100,000 x 1,000 float32 1.57 and 1.07; 1e6 x 28 float32 1.28 and 1.04.

Sums are float64 for either dtype of X. Chunks are fixed by (n, threads) and their partial sums
are added in chunk order, so the same data on the same threads gives the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from accel_logreg.kernels.numba_jit.blocks.row_groups import GROUP, add_group, group_dots
from accel_logreg.kernels.numba_jit.compile import IN_ORDER, jit, use_wide_vectors

_LANES = 8  # float64 in 512 bits
_SHORT = 1600  # bytes of a row up to which two groups of rows hide the link's latency
_AHEAD = 16384  # bytes, or a whole group: how far in front of the rows being read memory is asked for


@jit(IN_ORDER)
def _exp_negative(u: float) -> float:
    """e^u for u ≤ 0 to 1 ulp or so: e^(k ln 2 + t) = 2ᵏ p(t), |t| ≤ ln 2 / 2.

    Below −708 it stays at e^−708 = 3e-308, so that 2ᵏ is a normal number. NaN stays NaN.
    p interpolates e^t at 12 Chebyshev nodes. ln 2 is split in two parts (Cody and Waite), which
    reassociation would add up again: measured, 2e-14 instead of 4e-16.
    """
    u = -708.0 if u < -708.0 else u
    k = np.floor(u * 1.4426950408889634 + 0.5)
    t = u - k * 6.93147180369123816490e-01 - k * 1.90821492927058770002e-10
    p = 2.511015364692893e-08
    p = p * t + 2.763279054211718e-07
    p = p * t + 2.7557240604663896e-06
    p = p * t + 2.4801485074104115e-05
    p = p * t + 0.00019841269890340666
    p = p * t + 0.0013888888952696516
    p = p * t + 0.00833333333331949
    p = p * t + 0.04166666666648666
    p = p * t + 0.1666666666666668
    p = p * t + 0.5000000000000019
    p = p * t + 1.0
    p = p * t + 1.0
    return p * np.int64((np.int64(np.int32(k)) + 1023) << 52).view(np.float64)


@jit(IN_ORDER)
def _log1p_over_2v(q: float) -> float:
    """atanh(v)/v as a polynomial in q = v² ≤ 1/9, at 11 Chebyshev nodes.

    log(1 + e) = 2 atanh(v) with v = e/(2 + e): no cancellation however small e is.
    """
    p = 0.08522081781390699
    p = p * q + 0.0416225325593041
    p = p * q + 0.06055084364034609
    p = p * q + 0.06650187016337313
    p = p * q + 0.07693307021152004
    p = p * q + 0.09090870416252403
    p = p * q + 0.11111112040373837
    p = p * q + 0.14285714272727057
    p = p * q + 0.20000000000092874
    p = p * q + 0.33333333333333076
    return p * q + 1.0


@jit(inline="always")
def _link(z: Any, y: Any, s: Any, first: int, m: int) -> tuple[float, float]:
    """For m rows from ``first``: z ← s (a − y) in place; returns Σ s ℓ and Σ s (a − y)."""
    weighted = s.size > 0
    total = 0.0
    residual_sum = 0.0
    for i in range(m):
        zi = z[i]
        label = np.float64(y[first + i])
        e = _exp_negative(-abs(zi))
        inverse = 1.0 / ((1.0 + e) * (2.0 + e))  # one division serves both quotients
        v = e * (1.0 + e) * inverse
        loss = 0.5 * (zi + abs(zi)) - label * zi + 2.0 * v * _log1p_over_2v(v * v)
        residual = (1.0 if zi >= 0 else e) * (2.0 + e) * inverse - label
        if weighted:
            loss *= s[first + i]
            residual *= s[first + i]
        total += loss
        residual_sum += residual
        z[i] = residual
    return total, residual_sum


@jit(inline="always")
def _curvature_link(z: Any, u: Any, s: Any, first: int, m: int) -> float:
    """For m rows: z ← s h u in place, h = e/(1 + e)²; returns their sum."""
    weighted = s.size > 0
    total = 0.0
    for i in range(m):
        e = _exp_negative(-abs(z[i]))
        scale = e / ((1.0 + e) * (1.0 + e)) * u[i]
        if weighted:
            scale *= s[first + i]
        z[i] = scale
        total += scale
    return total


@jit()
def _scalar_dot(X: Any, w: Any, b: float, row: int) -> float:
    total = b
    x = X[row]
    for j in range(x.size):
        total += x[j] * w[j]
    return total


@jit()
def _scalar_add(X: Any, r: float, row: int, g: Any) -> None:
    x = X[row]
    for j in range(x.size):
        g[j] += r * x[j]


@jit()
def _plan(X: Any) -> tuple[int, int, int, int, int]:
    """Entries of a row rounded up to whole vectors, rows in a block, bytes to ask ahead, and to the middle
    of a group, rows that may be over-read.

    Rounding up reads into the next row, which all but the last rows of X have.
    """
    n, d = X.shape
    line = d * X.itemsize
    width = (d + _LANES - 1) // _LANES * _LANES
    rows = 2 * GROUP if line <= _SHORT else GROUP
    safe = max(0, (n * d - width) // d + 1)
    return width, rows, max(_AHEAD, GROUP * line), GROUP // 2 * line, safe


@jit()
def _gradient_chunk(
    X: Any, y: Any, s: Any, w: Any, b: float, start: int, stop: int, g: Any
) -> tuple[float, float]:
    """Rows start to stop: g += Σ s (a − y) x; returns Σ s ℓ and Σ s (a − y). w and g are padded."""
    use_wide_vectors()
    width, rows, ahead, half, safe = _plan(X)
    line = X.shape[1] * X.itemsize
    z = np.empty(2 * GROUP)
    loss = 0.0
    residual = 0.0
    first = start
    while first + rows <= min(stop, safe):
        for i in range(0, rows, GROUP):
            group_dots(X, width, w, b, first + i, z[i:], (first + i) * line + ahead)
        block_loss, block_residual = _link(z, y, s, first, rows)
        for i in range(0, rows, GROUP):
            add_group(X, width, z[i:], first + i, g, (first + i) * line + ahead + half)
        loss += block_loss
        residual += block_residual
        first += rows
    for row in range(first, stop):
        z[0] = _scalar_dot(X, w, b, row)
        block_loss, block_residual = _link(z, y, s, row, 1)
        _scalar_add(X, z[0], row, g)
        loss += block_loss
        residual += block_residual
    return loss, residual


@jit()
def _product_chunk(
    X: Any, s: Any, w: Any, b: float, v: Any, c: float, start: int, stop: int, g: Any
) -> float:
    """Rows start to stop: g += Σ s h (x̃ᵀ(v, c)) x; returns the intercept's entry."""
    use_wide_vectors()
    width, rows, ahead, half, safe = _plan(X)
    line = X.shape[1] * X.itemsize
    z = np.empty(2 * GROUP)
    u = np.empty(2 * GROUP)
    last = 0.0
    first = start
    while first + rows <= min(stop, safe):
        for i in range(0, rows, GROUP):
            group_dots(X, width, w, b, first + i, z[i:], (first + i) * line + ahead)
            group_dots(X, width, v, c, first + i, u[i:], (first + i) * line + ahead + half)
        last += _curvature_link(z, u, s, first, rows)
        for i in range(0, rows, GROUP):
            add_group(X, width, z[i:], first + i, g, (first + i) * line + ahead + half)
        first += rows
    for row in range(first, stop):
        z[0] = _scalar_dot(X, w, b, row)
        u[0] = _scalar_dot(X, v, c, row)
        last += _curvature_link(z, u, s, row, 1)
        _scalar_add(X, z[0], row, g)
    return last


@jit()
def _padded(w: Any, d: int) -> Any:
    """The first d entries of w, followed by zeros up to a whole number of vectors."""
    padded = np.zeros((d + _LANES - 1) // _LANES * _LANES)
    padded[:d] = w[:d]
    return padded


@jit(parallel=True)
def _gradient_partials(X: Any, y: Any, s: Any, W: Any, partials: Any) -> None:
    """partials[c] = (gradient sums (p,), loss sum) of chunk c."""
    n, d = X.shape
    chunks = partials.shape[0]
    w = _padded(W, d)
    for chunk in prange(chunks):
        g = np.zeros(w.size)
        loss, residual = _gradient_chunk(X, y, s, w, W[d], chunk * n // chunks, (chunk + 1) * n // chunks, g)
        partials[chunk, :d] = g[:d]
        partials[chunk, d] = residual
        partials[chunk, d + 1] = loss


@jit(parallel=True)
def _product_partials(X: Any, s: Any, W: Any, V: Any, partials: Any) -> None:
    """partials[c] = Hessian product sums (p,) of chunk c."""
    n, d = X.shape
    chunks = partials.shape[0]
    w = _padded(W, d)
    v = _padded(V, d)
    for chunk in prange(chunks):
        g = np.zeros(w.size)
        last = _product_chunk(X, s, w, W[d], v, V[d], chunk * n // chunks, (chunk + 1) * n // chunks, g)
        partials[chunk, :d] = g[:d]
        partials[chunk, d] = last


@jit()
def _sum_chunks(partials: Any, weight_sum: float, out: Any) -> None:
    """Add the chunks in their order and divide by S: always the same bits for the same chunks."""
    for j in range(out.size):
        total = 0.0
        for chunk in range(partials.shape[0]):
            total += partials[chunk, j]
        out[j] = total / weight_sum


@jit()
def loss_grad(X: Any, y: Any, s: Any, weight_sum: float, W: Any, n_chunks: int) -> Any:
    """Mean loss and its gradient in one read of X.

    X (n, d) float32 or float64, C-contiguous and finite; y (n,) int8; s (n,) float64, or (0,) for
    weights of one; W (p,) float64. Returns (p + 1,) float64: the gradient, then the loss.
    """
    out = np.empty(W.size + 1)
    partials = np.empty((n_chunks, W.size + 1))
    _gradient_partials(X, y, s, W, partials)
    _sum_chunks(partials, weight_sum, out)
    return out


@jit()
def hessian_product(X: Any, s: Any, weight_sum: float, W: Any, V: Any, n_chunks: int) -> Any:
    """The Hessian of the mean loss at W times V, (p,) float64, in one read of X."""
    out = np.empty(W.size)
    partials = np.empty((n_chunks, W.size))
    _product_partials(X, s, W, V, partials)
    _sum_chunks(partials, weight_sum, out)
    return out


@jit()
def descend(
    X: Any,
    y: Any,
    s: Any,
    weight_sum: float,
    W: Any,
    alpha: float,
    l2: float,
    steps: int,
    fit_intercept: bool,
    n_chunks: int,
) -> tuple[Any, Any]:
    """``steps`` steps of gradient descent on W (p,), in place: cost and ‖gradient‖₂ before each."""
    d = X.shape[1]
    costs = np.empty(steps)
    norms = np.empty(steps)
    for k in range(steps):
        gradient = loss_grad(X, y, s, weight_sum, W, n_chunks)
        squared_w = 0.0
        squared_gradient = 0.0
        for j in range(d):
            gradient[j] += l2 * W[j]
            squared_w += W[j] * W[j]
            squared_gradient += gradient[j] * gradient[j]
            W[j] -= alpha * gradient[j]
        if fit_intercept:
            squared_gradient += gradient[d] * gradient[d]
            W[d] -= alpha * gradient[d]
        costs[k] = gradient[d + 1] + 0.5 * l2 * squared_w
        norms[k] = np.sqrt(squared_gradient)
    return costs, norms


@jit(parallel=True)
def logits(X: Any, W: Any, n_chunks: int) -> Any:
    """z = X w + b, (m,) float64."""
    m, d = X.shape
    z = np.empty(m)
    for chunk in prange(n_chunks):
        for row in range(chunk * m // n_chunks, (chunk + 1) * m // n_chunks):
            z[row] = _scalar_dot(X, W, W[d], row)
    return z
