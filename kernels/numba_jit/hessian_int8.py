"""The Hessian of dense rows from products of 8 bits: a preconditioner at a quarter of the price, or less.

A round of rows goes through three steps. Each row's logit and √(s h), and with them the largest
magnitude of every column; then x̂ √(s h) as whole multiples of the column's step, a 127th of that; then
the products, in whole numbers (blocks/int8_products.py). The diagonal is summed up from what was rounded
off, so that only what lies beside it is approximate: rounding adds noise of step²/12 to an entry, and what
that comes to beside the column's own square is returned with the matrix.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.blocks.int8_products import COLUMNS, LANES, TOGETHER, add_products
from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.link import root_curvature
from accel_logreg.kernels.numba_jit.llvm import arrays_lie_apart, prefetch, use_wide_vectors
from accel_logreg.kernels.numba_jit.quantised import LARGEST
from accel_logreg.kernels.numba_jit.threads import share
from accel_logreg.kernels.numba_jit.tuning import MIRRORED, WEIGHED_AHEAD


def width_for(p: int) -> int:
    """Columns of the matrices for p unknowns."""
    return -(-p // COLUMNS) * COLUMNS


@jit()
def _weigh(
    X: Any, s: Any, picked: Any, share: float, at: Any, standard: Any, first: int, V: Any, largest: Any
) -> None:
    """V[i] = (x̂, 1, 0, …) √(share s h) of the rows from ``first``; largest[j] ← max |V[i, j]|.

    picked is (rows, factors), standard (centre, inverse), and at (u, c): logits are x̂ u + c.
    """
    use_wide_vectors()
    arrays_lie_apart()
    (rows, factors), (u, c), (centre, inverse) = picked, at, standard
    d = X.shape[1]
    line = d * X.itemsize
    half = line // 128 * 64
    t = np.empty(d, dtype=np.float32)
    for i in range(V.shape[0]):
        row = np.uintp(rows[first + i]) if rows.size > 0 else np.uintp(first + i)
        later = first + i + WEIGHED_AHEAD
        if later < rows.size:
            later = rows[later]
        z = np.float32(0.0)
        for byte in range(0, half, 64):  # the other half between the loops: fewer wait at a time
            prefetch(X, later * line + byte)
        for j in range(d):
            t[j] = np.float32(X[row, j] - centre[j]) * inverse[j]
            z += t[j] * u[j]
        weight = share
        if factors.size > 0:
            weight *= factors[first + i]
        if s.size > 0:
            weight *= s[row]
        root = np.float32(np.sqrt(weight) * root_curvature(np.float64(z) + c))
        v = V[i]
        for byte in range(half, line + 63, 64):
            prefetch(X, later * line + byte)
        for j in range(d):
            v[j] = t[j] * root
            size = abs(v[j])
            largest[j] = size if size > largest[j] else largest[j]
        v[d] = root
        v[d + 1 :] = np.float32(0.0)
        largest[d] = max(largest[d], root)


@jit()
def _pack(V: Any, by: Any, start: int, stop: int, packed: Any, sums: Any, squares: Any) -> None:
    """packed[:, g] = rows 4 g to 4 g + 3 of V in multiples of the columns' steps, for g from start to stop.

    by (width,) float32, one over the steps; ``sums`` Σ of what is packed, ``squares`` Σ of the squares
    before they were rounded.
    """
    use_wide_vectors()
    four = np.empty(by.size, dtype=np.int32)
    byte = np.int32(255)
    for group in range(start, stop):
        v = V[TOGETHER * group : TOGETHER * (group + 1)]
        for j in range(by.size):
            v0, v1, v2, v3 = v[0, j] * by[j], v[1, j] * by[j], v[2, j] * by[j], v[3, j] * by[j]
            squares[j] += (v0 * v0 + v1 * v1) + (v2 * v2 + v3 * v3)
            q0, q1 = np.int32(np.rint(v0)), np.int32(np.rint(v1))
            q2, q3 = np.int32(np.rint(v2)), np.int32(np.rint(v3))
            sums[j] += (q0 + q1) + (q2 + q3)
            low = (q0 & byte) | ((q1 & byte) << np.int32(8))
            four[j] = low | ((q2 & byte) << np.int32(16)) | (q3 << np.int32(24))
        for block in range(packed.shape[0]):
            target, source = packed[block, group], four[block * LANES : (block + 1) * LANES]
            for lane in range(LANES):
                target[lane] = source[lane]


@jit()
def _weigh_part(
    chunk: int,
    chunks: int,
    X: Any,
    s: Any,
    rows: Any,
    factors: Any,
    share_of: float,
    u: Any,
    c: float,
    centre: Any,
    inverse: Any,
    first: int,
    V: Any,
    largest: Any,
) -> None:
    m = V.shape[0]
    start, stop = chunk * m // chunks, (chunk + 1) * m // chunks
    largest[chunk] = 0.0
    picked, at, standard = (rows, factors), (u, c), (centre, inverse)
    _weigh(X, s, picked, share_of, at, standard, first + start, V[start:stop], largest[chunk])


@jit()
def _pack_part(
    chunk: int, chunks: int, V: Any, groups: int, by: Any, packed: Any, sums: Any, squares: Any
) -> None:
    sums[chunk] = 0
    squares[chunk] = 0.0
    start, stop = chunk * groups // chunks, (chunk + 1) * groups // chunks
    _pack(V, by, start, stop, packed, sums[chunk], squares[chunk])


@jit()
def _add_part(chunk: int, chunks: int, packed: Any, groups: int, sums: Any, steps: Any, H: Any) -> None:
    add_products(packed, groups, sums, steps, chunk, chunks, H)


@jit()
def _square(H: Any, p: int) -> Any:
    """(p, p), symmetric, from the upper triangle of H (width, width), in H's own memory."""
    width = H.shape[0]
    flat = H.ravel()
    for i in range(1, p):
        for j in range(i, p):
            flat[i * p + j] = flat[i * width + j]  # from further behind, and in order: nothing is lost
    answer = flat[: p * p].reshape((p, p))
    for top in range(0, p, MIRRORED):
        for left in range(top, p, MIRRORED):
            for i in range(top, min(top + MIRRORED, p)):
                for j in range(max(left, i), min(left + MIRRORED, p)):
                    answer[j, i] = answer[i, j]
    return answer


def byte_hessian(
    X: Any,
    s: Any,
    rows: Any,
    factors: Any,
    total: float,
    W: Any,
    centre: Any,
    scale: Any,
    V: Any,
    packed: Any,
    H: Any,
    chunks: int,
) -> Any:
    """(1/S) Σ s h x̂ x̂ᵀ, x̂ = ((x − centre)/scale, 1), (p, p) float32, approximately; and how nearly.

    X (n, d) float32 or float64; s (n,) or (0,) for weights of one; rows (m,) intp and factors (m,), or
    (0,) both for all rows; ``total`` S, of these rows; W (p,) float64; centre, scale (d,) float64.
    V (4 groups, width) float32 and packed (width / 16, groups, 16) int32 are for a round's rows, H
    (width, width) float32 of zeros for the answer; width is ``width_for(p)``.

    The second answer is the largest share of a column's square that rounding adds as noise; NaN or
    infinite where the rows are beyond float32 on the way.
    """
    d = X.shape[1]
    a_round, width = V.shape
    largest = np.zeros((chunks, width), dtype=np.float32)
    sums = np.zeros((chunks, width), dtype=np.int32)
    squares = np.zeros((chunks, width), dtype=np.float32)
    steps, by = np.zeros(width, dtype=np.float32), np.zeros(width, dtype=np.float32)
    diagonal, noise = np.zeros(width), np.zeros(width)
    c = float(W[d] + np.sum(W[:d] * centre))
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float32: the answer says so
        at = (W[:d] * scale).astype(np.float32), c
        standard = centre.astype(X.dtype), (1.0 / scale).astype(np.float32)
    n = rows.size if rows.size > 0 else X.shape[0]
    for first in range(0, n, a_round):
        m = min(a_round, n - first)
        groups = -(-m // TOGETHER)
        V[m : groups * TOGETHER] = 0.0  # rows beyond the last weigh nothing
        of = X, s, rows, factors, 1.0 / total, *at, *standard, first
        share(chunks, _weigh_part, *of, V[:m], largest)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            np.divide(largest.max(axis=0), np.float32(LARGEST), out=steps)
            np.divide(np.float32(1.0), steps, out=by)
        by[~(steps > 0.0)] = 0.0
        share(chunks, _pack_part, V, groups, by, packed, sums, squares)
        share(chunks, _add_part, packed, groups, sums.sum(axis=0).astype(np.int32), steps, H)
        square = np.square(steps.astype(np.float64))
        with np.errstate(over="ignore", invalid="ignore"):
            diagonal += square * squares.astype(np.float64).sum(axis=0)
            noise += square * m / 12.0
    H.flat[:: width + 1] = diagonal
    some = noise[: d + 1] > 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        worst = float((noise[: d + 1][some] / diagonal[: d + 1][some]).max(initial=0.0))
    finite = math.isfinite(c) and math.isfinite(diagonal.sum())
    return _square(H, d + 1), worst if finite else math.nan
