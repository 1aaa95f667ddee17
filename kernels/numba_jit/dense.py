"""Numba kernels: one read of X per gradient, fused and threaded, for one column of weights or for a few.

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

A few columns go over the same 8 or 16 rows one after the other, each along the features; for how many
that is quicker than a panel of eight (numba_jit/columns.py) accel_logreg/backends/numba_jit/tuning.py says.

Sums are float64 for either dtype of X. Chunks are fixed by the shape and their partial sums are added in
their order, so the same data gives the same bits on any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.blocks.row_groups import GROUP, add_group, group_dots
from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.copies import copy
from accel_logreg.kernels.numba_jit.link import curvature_rows, link_rows
from accel_logreg.kernels.numba_jit.llvm import LANES, arrays_lie_apart, use_wide_vectors
from accel_logreg.kernels.numba_jit.threads import share
from accel_logreg.kernels.numba_jit.tuning import AHEAD, TWO_GROUPS_TO


@jit()
def whole_vectors(d: int) -> int:
    """Entries of a row rounded up to whole vectors."""
    return -(-d // LANES) * LANES


@jit()
def plan(X: Any) -> tuple[int, int, int, int, int]:
    """Entries of a row rounded up to whole vectors, rows in a block, bytes to ask ahead, and to the middle
    of a group, rows that may be over-read.

    Rounding up reads into the next row, which all but the last rows of X have.
    """
    n, d = X.shape
    line = d * X.itemsize
    width = whole_vectors(d)
    rows = 2 * GROUP if line <= TWO_GROUPS_TO else GROUP
    safe = max(0, (n * d - width) // d + 1)
    return width, rows, max(AHEAD, GROUP * line), GROUP // 2 * line, safe


@jit()
def _scalar_dot(X: Any, w: Any, b: float, row: int) -> float:
    total = b
    x = X[row]
    for j in range(x.size):  # w may be longer
        total += x[j] * w[j]
    return total


@jit()
def _scalar_add(X: Any, r: float, row: int, g: Any) -> None:
    x = X[row]
    for j in range(x.size):
        g[j] += r * x[j]


@jit()
def _gradient_chunk(X: Any, Y: Any, S: Any, w: Any, b: Any, start: int, stop: int, z: Any, G: Any) -> None:
    """Rows start to stop: G ← every column's Σ s (a − y) x̃, and Σ s ℓ last.

    z (2 GROUP,) is memory for logits: an array made here would not be known to lie apart from the others.
    """
    use_wide_vectors()
    arrays_lie_apart()
    width, rows, ahead, half, safe = plan(X)
    line = X.shape[1] * X.itemsize
    K, last = Y.shape[0], S.shape[0] - 1
    G[:] = 0.0
    w0, y0, s0, g0 = w[0], Y[0], S[0], G[0]
    loss = residual = 0.0
    first = start
    while first + rows <= min(stop, safe):
        for i in range(0, rows, GROUP):
            group_dots(X, width, w0, b[0], first + i, z[i:], (first + i) * line + ahead)
        block_loss, block_residual = link_rows(z, y0, s0, first, rows)
        for i in range(0, rows, GROUP):
            add_group(X, width, z[i:], first + i, g0, (first + i) * line + ahead + half)
        loss += block_loss
        residual += block_residual
        for k in range(1, K):
            for i in range(0, rows, GROUP):
                group_dots(X, width, w[k], b[k], first + i, z[i:], None)
            block_loss, block_residual = link_rows(z, Y[k], S[min(k, last)], first, rows)
            for i in range(0, rows, GROUP):
                add_group(X, width, z[i:], first + i, G[k], None)
            G[k, width] += block_residual
            G[k, width + 1] += block_loss
        first += rows
    g0[width], g0[width + 1] = residual, loss
    for row in range(first, stop):
        for k in range(K):
            z[0] = _scalar_dot(X, w[k], b[k], row)
            loss, residual = link_rows(z, Y[k], S[min(k, last)], row, 1)
            _scalar_add(X, z[0], row, G[k])
            G[k, width] += residual
            G[k, width + 1] += loss


@jit()
def _product_chunk(
    X: Any, S: Any, w: Any, b: Any, v: Any, c: Any, start: int, stop: int, z: Any, u: Any, G: Any
) -> None:
    """Rows start to stop: G ← every column's Σ s h x̃ (x̃ᵀ(v, c)), and 0 last. z, u (2 GROUP,) as there."""
    use_wide_vectors()
    arrays_lie_apart()
    width, rows, ahead, half, safe = plan(X)
    line = X.shape[1] * X.itemsize
    K, last = w.shape[0], S.shape[0] - 1
    G[:] = 0.0
    w0, v0, s0, g0 = w[0], v[0], S[0], G[0]
    total = 0.0
    first = start
    while first + rows <= min(stop, safe):
        for i in range(0, rows, GROUP):
            group_dots(X, width, w0, b[0], first + i, z[i:], (first + i) * line + ahead)
            group_dots(X, width, v0, c[0], first + i, u[i:], (first + i) * line + ahead + half)
        total += curvature_rows(z, u, s0, first, rows)
        for i in range(0, rows, GROUP):
            add_group(X, width, z[i:], first + i, g0, (first + i) * line + ahead + half)
        for k in range(1, K):
            for i in range(0, rows, GROUP):
                group_dots(X, width, w[k], b[k], first + i, z[i:], None)
                group_dots(X, width, v[k], c[k], first + i, u[i:], None)
            G[k, width] += curvature_rows(z, u, S[min(k, last)], first, rows)
            for i in range(0, rows, GROUP):
                add_group(X, width, z[i:], first + i, G[k], None)
        first += rows
    g0[width] = total
    for row in range(first, stop):
        for k in range(K):
            z[0] = _scalar_dot(X, w[k], b[k], row)
            u[0] = _scalar_dot(X, v[k], c[k], row)
            G[k, width] += curvature_rows(z, u, S[min(k, last)], row, 1)
            _scalar_add(X, z[0], row, G[k])


@jit()
def gradient_part(chunk: int, chunks: int, X: Any, Y: Any, S: Any, w: Any, b: Any, partials: Any) -> None:
    """partials[chunk] (K, width + 2) ← the chunk's sums of a gradient, in one read of X.

    X (n, d) float32 or float64, C-contiguous and finite. w (K, width), each column padded with zeros to whole
    vectors, and b (K,); Y (K, n) int8; S (K, n) or, shared by all columns, (1, n) float64, or (1, 0) for
    weights of one. Of a column the sums are those over x, over a column of ones, and its loss.
    """
    n = X.shape[0]
    G = np.empty(partials.shape[1:])  # its own: no cache line of it is another thread's as well
    z = np.empty(2 * GROUP)
    _gradient_chunk(X, Y, S, w, b, chunk * n // chunks, (chunk + 1) * n // chunks, z, G)
    target = partials[chunk]
    for k in range(G.shape[0]):
        copy(G[k], target[k])


@jit()
def product_part(
    chunk: int, chunks: int, X: Any, S: Any, w: Any, b: Any, v: Any, c: Any, partials: Any
) -> None:
    """partials[chunk] (K, width + 2) ← the chunk's sums of a Hessian product, in one read of X."""
    n = X.shape[0]
    G = np.empty(partials.shape[1:])
    z, u = np.empty(2 * GROUP), np.empty(2 * GROUP)
    _product_chunk(X, S, w, b, v, c, chunk * n // chunks, (chunk + 1) * n // chunks, z, u, G)
    target = partials[chunk]
    for k in range(G.shape[0]):
        copy(G[k], target[k])


def _padded(W: Any, d: int) -> Any:
    """The first d entries of W as one column, followed by zeros up to a whole number of vectors."""
    padded = np.zeros((1, -(-d // LANES) * LANES))
    padded[0, :d] = W[:d]
    return padded


@jit()
def sum_chunks(partials: Any, weight_sum: float) -> Any:
    """Add the chunks in their order and divide by S: always the same bits for the same chunks."""
    arrays_lie_apart()
    out = np.empty(partials.shape[1])
    for j in range(out.size):
        total = 0.0
        for chunk in range(partials.shape[0]):
            total += partials[chunk, j]
        out[j] = total / weight_sum
    return out


@jit()
def _sum_of_column(partials: Any, d: int, weight_sum: float) -> Any:
    """``sum_chunks`` of the only column, without what its d entries were padded with."""
    arrays_lie_apart()
    padding = partials.shape[2] - 2 - d
    out = np.empty(d + 2)
    for j in range(d + 2):
        total = 0.0
        for chunk in range(partials.shape[0]):
            total += partials[chunk, 0, j if j < d else j + padding]
        out[j] = total / weight_sum
    return out


def loss_grad(X: Any, y: Any, s: Any, weight_sum: float, W: Any, n_chunks: int) -> Any:
    """Mean loss and its gradient in one read of X.

    X (n, d) float32 or float64, C-contiguous and finite; y (n,) int8; s (n,) float64, or (0,) for
    weights of one; W (p,) float64. Returns (p + 1,) float64: the gradient, then the loss.
    """
    d = X.shape[1]
    w = _padded(W, d)
    partials = np.empty((n_chunks, 1, w.size + 2))
    share(n_chunks, gradient_part, X, y.reshape(1, -1), s.reshape(1, -1), w, W[d:], partials)
    return _sum_of_column(partials, d, weight_sum)


def hessian_product(X: Any, s: Any, weight_sum: float, W: Any, V: Any, n_chunks: int) -> Any:
    """The Hessian of the mean loss at W times V, (p,) float64, in one read of X."""
    d = X.shape[1]
    w = _padded(W, d)
    partials = np.empty((n_chunks, 1, w.size + 2))
    share(n_chunks, product_part, X, s.reshape(1, -1), w, W[d:], _padded(V, d), V[d:], partials)
    answer = _sum_of_column(partials, d, weight_sum)
    return answer[: d + 1]


@jit()
def step_down(W: Any, gradient: Any, alpha: float, l2: float, fit_intercept: bool) -> tuple[float, float]:
    """A step of gradient descent on W (p,), in place; the cost and ‖gradient‖₂ before it.

    ``gradient`` as ``loss_grad`` returns it.
    """
    arrays_lie_apart()
    d = W.size - 1
    squared_w = 0.0
    squared_gradient = gradient[d] * gradient[d] if fit_intercept else 0.0
    for j in range(d):
        gradient[j] += l2 * W[j]
        squared_w += W[j] * W[j]
        squared_gradient += gradient[j] * gradient[j]
        W[j] -= alpha * gradient[j]
    if fit_intercept:
        W[d] -= alpha * gradient[d]
    return gradient[d + 1] + 0.5 * l2 * squared_w, np.sqrt(squared_gradient)


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
    costs, norms = np.empty(steps), np.empty(steps)
    for k in range(steps):
        gradient = loss_grad(X, y, s, weight_sum, W, n_chunks)
        costs[k], norms[k] = step_down(W, gradient, alpha, l2, fit_intercept)
    return costs, norms


@jit()
def _logits_part(chunk: int, chunks: int, X: Any, w: Any, b: float, z: Any) -> None:
    use_wide_vectors()
    m, d = X.shape
    width, _, ahead, _, safe = plan(X)
    line = d * X.itemsize
    row, stop = chunk * m // chunks, (chunk + 1) * m // chunks
    while row + GROUP <= min(stop, safe):
        group_dots(X, width, w, b, row, z[row:], row * line + ahead)
        row += GROUP
    while row < stop:
        z[row] = _scalar_dot(X, w, b, row) if d > 0 else b
        row += 1


def logits(X: Any, W: Any, n_chunks: int) -> Any:
    """z = X w + b, (m,) float64."""
    d = X.shape[1]
    z = np.empty(X.shape[0])
    share(n_chunks, _logits_part, X, _padded(W, d)[0], float(W[d]), z)
    return z
