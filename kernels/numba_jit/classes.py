"""K classes in Numba: the softmax, with one read of X for all of them.

Dense rows come in blocks that stay in the cache: a copy of the block in the arithmetic's own precision, all
classes' logits by one matrix product of BLAS, the softmax in place, and the gradient by a second product.
Within a block an array lies class by class, (K, m), so that every loop runs along the rows in whole vectors,
however few classes there are. Sparse rows go one by one, a loop along the classes for every nonzero.

The arithmetic is that of W's dtype. float32 is for what steers a solver; blocks are added up in float64
either way. Chunks are fixed by (n, threads) and added in their order: the same data on the same threads gives
the same bits.

n rows, d features, K classes. X is (n, d), or (data, indices, indptr) of CSR; y (n,) int32; s (n,) float64,
or (0,) for weights of one. P keeps the probabilities, block after block for dense rows, row after row for
sparse ones, (n K,), or (0,) to keep none: a Hessian product at the W of the last gradient then takes no
exponential.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.blas import add_logits, add_outer_products, combine_rows
from accel_logreg.kernels.numba_jit.blocks.rank_update import add_outer_products_small
from accel_logreg.kernels.numba_jit.compile import IN_ORDER, jit
from accel_logreg.kernels.numba_jit.link import exp_negative, log1p_over_2v
from accel_logreg.kernels.numba_jit.llvm import arrays_lie_apart, use_wide_vectors
from accel_logreg.kernels.numba_jit.tuning import ROWS_PER_SUM


@jit(IN_ORDER)
def log1p_positive(t: float) -> float:
    """log(1 + t) for t ≥ 0, to the last digits however small t is: 1 + t = 2ᵏ(1 + r), r in [0, 1)."""
    k = (np.float64(1.0 + t).view(np.int64) >> 52) - 1023
    down = np.int64((1023 - k) << 52).view(np.float64)  # 2⁻ᵏ
    r = t * down + (down - 1.0)
    v = r / (2.0 + r)
    return np.float64(k) * 0.6931471805599453 + 2.0 * v * log1p_over_2v(v * v)


@jit()
def _exponentials(z: Any, m: int, K: int, largest: Any, which: Any, rest: Any) -> None:
    """z ← e^(z − largest); rest ← Σ over all classes but ``which``, the (first) largest: (m,) each."""
    for i in range(m):
        largest[i] = z[i]
        which[i] = 0
        rest[i] = 0.0
    for k in range(1, K):
        for i in range(m):
            greater = z[k * m + i] > largest[i]
            largest[i] = z[k * m + i] if greater else largest[i]
            which[i] = k if greater else which[i]
    for k in range(K):
        for i in range(m):
            e = exp_negative(np.float64(z[k * m + i]) - largest[i])
            z[k * m + i] = e
            rest[i] += 0.0 if which[i] == k else e


@jit()
def _divide(z: Any, m: int, K: int, rest: Any, of: Any) -> None:
    """of ← z/(1 + rest): the probabilities, (K m,)."""
    for i in range(m):
        rest[i] = 1.0 / (1.0 + rest[i])
    for k in range(K):
        for i in range(m):
            of[k * m + i] = z[k * m + i] * rest[i]


@jit()
def _link(z: Any, m: int, K: int, y: Any, s: Any, first: int, work: Any, which: Any, P: Any) -> float:
    """z ← s (a − e_y) in place, P ← a unless it is empty; returns Σ s ℓ.

    ℓ = (max z − z_y) + log(1 + rest), and a_y − 1 is minus the sum of the other probabilities: neither is a
    difference that would lose the digits of a loss of 1e-18.
    """
    largest, rest, of_label, slope = work[0], work[1], work[2], work[3]
    weighted = s.size > 0
    for i in range(m):
        of_label[i] = z[y[first + i] * m + i]
    _exponentials(z, m, K, largest, which, rest)
    total = 0.0
    for i in range(m):
        loss = (largest[i] - of_label[i]) + log1p_positive(rest[i])
        total += s[first + i] * loss if weighted else loss
    for i in range(m):
        label = y[first + i]
        others = rest[i] if which[i] == label else 1.0 + rest[i] - z[label * m + i]
        slope[i] = others / (1.0 + rest[i])
    if P.size > 0:
        _divide(z, m, K, rest, P)
        for k in range(K):
            for i in range(m):
                z[k * m + i] = P[k * m + i]
    else:
        _divide(z, m, K, rest, z)
    for i in range(m):
        z[y[first + i] * m + i] = -slope[i]
    if weighted:
        for k in range(K):
            for i in range(m):
                z[k * m + i] *= s[first + i]
    return total


@jit()
def _curve(z: Any, m: int, K: int, a: Any, s: Any, first: int, work: Any) -> None:
    """z ← s a (z − Σ a z): each row's curvature diag(a) − a aᵀ times its z.

    The likeliest class's z is taken off first: where its a rounds to 1, its own entry would be 0.
    """
    likeliest, largest, mean = work[0], work[1], work[2]
    for i in range(m):
        largest[i] = a[i]
        likeliest[i] = z[i]
        mean[i] = 0.0
    for k in range(1, K):
        for i in range(m):
            greater = a[k * m + i] > largest[i]
            largest[i] = a[k * m + i] if greater else largest[i]
            likeliest[i] = z[k * m + i] if greater else likeliest[i]
    for k in range(K):
        for i in range(m):
            z[k * m + i] -= likeliest[i]
            mean[i] += a[k * m + i] * z[k * m + i]
    for k in range(K):
        for i in range(m):
            z[k * m + i] = a[k * m + i] * (z[k * m + i] - mean[i])
    if s.size > 0:
        for k in range(K):
            for i in range(m):
                z[k * m + i] *= s[first + i]


@jit()
def _copy_rows(X: Any, first: int, m: int, x: Any) -> None:
    """x ← m rows of X from ``first`` on."""
    rows = X[first : first + m].reshape(-1)
    for k in range(rows.size):
        x[k] = rows[k]


@jit()
def _logits(gemm: int, x: Any, W: Any, b: Any, m: int, z: Any) -> None:
    """z ← logits of m rows, class by class."""
    for k in range(b.size):
        for i in range(m):
            z[k * m + i] = b[k]
    add_logits(gemm, x, W, m, z)


@jit()
def _add(gemm: int, x: Any, z: Any, m: int, g: Any, G: Any) -> None:
    """G (K, d + 1) += Σᵢ zᵢₖ (xᵢ, 1), by way of g (K, d)."""
    K, d = g.shape
    combine_rows(gemm, x, z, m, g)
    for k in range(K):
        for j in range(d):
            G[k, j] += g[k, j]
        total = 0.0
        for i in range(m):
            total += z[k * m + i]
        G[k, d] += total


@jit()
def gradient_part(
    chunk: int,
    chunks: int,
    X: Any,
    y: Any,
    s: Any,
    W: Any,
    b: Any,
    gemm: int,
    rows: int,
    P: Any,
    partials: Any,
    losses: Any,
) -> None:
    """partials[chunk] (K, d + 1) ← Σ s (a − e_y) x̃, losses[chunk] ← Σ s ℓ; W (K, d), b (K,)."""
    use_wide_vectors()
    n, d = X.shape
    K = b.size
    x = np.empty(rows * d, dtype=W.dtype)
    z = np.empty(rows * K, dtype=W.dtype)
    g = np.empty((K, d), dtype=W.dtype)
    work, which = np.empty((4, rows)), np.empty(rows, dtype=np.int64)
    stop = (chunk + 1) * n // chunks
    for first in range(chunk * n // chunks, stop, rows):
        m = min(rows, stop - first)
        _copy_rows(X, first, m, x)
        _logits(gemm, x, W, b, m, z)
        kept = P[first * K : (first + m) * K]
        losses[chunk] += _link(z, m, K, y, s, first, work, which, kept)
        _add(gemm, x, z, m, g, partials[chunk])


@jit()
def product_part(
    chunk: int,
    chunks: int,
    X: Any,
    s: Any,
    W: Any,
    b: Any,
    V: Any,
    c: Any,
    gemm: int,
    rows: int,
    P: Any,
    partials: Any,
) -> None:
    """partials[chunk] (K, d + 1) ← Σ s x̃ (diag(a) − a aᵀ)(V, c)ᵀx̃; a from P unless it is empty."""
    use_wide_vectors()
    n, d = X.shape
    K = b.size
    x = np.empty(rows * d, dtype=W.dtype)
    z = np.empty(rows * K, dtype=W.dtype)
    a = np.empty(rows * K if P.size == 0 else 0, dtype=W.dtype)
    g = np.empty((K, d), dtype=W.dtype)
    work, which = np.empty((3, rows)), np.empty(rows, dtype=np.int64)
    stop = (chunk + 1) * n // chunks
    for first in range(chunk * n // chunks, stop, rows):
        m = min(rows, stop - first)
        _copy_rows(X, first, m, x)
        if P.size == 0:
            _logits(gemm, x, W, b, m, a)
            _exponentials(a, m, K, work[0], which, work[1])
            _divide(a, m, K, work[1], a)
        _logits(gemm, x, V, c, m, z)
        _curve(z, m, K, a if P.size == 0 else P[first * K : (first + m) * K], s, first, work)
        _add(gemm, x, z, m, g, partials[chunk])


@jit()
def kronecker_part(
    chunk: int,
    chunks: int,
    X: Any,
    s: Any,
    W: Any,
    b: Any,
    gemm: int,
    rows: int,
    traces: Any,
    partials: Any,
    diagonals: Any,
) -> None:
    """traces[i] ← Σₖ aₖ(1 − aₖ) of a chunk's rows i; partials[chunk] (K K,) ← Σ s a aᵀ, and
    diagonals[chunk] (K,) ← Σ s a(1 − a).
    """
    use_wide_vectors()
    arrays_lie_apart()
    n, d = X.shape
    K = b.size
    x = np.empty(rows * d, dtype=W.dtype)
    z = np.empty(rows * K, dtype=W.dtype)
    weighted = np.empty(rows * K, dtype=W.dtype)
    work, which = np.empty((2, rows)), np.empty(rows, dtype=np.int64)
    stop = (chunk + 1) * n // chunks
    for first in range(chunk * n // chunks, stop, rows):
        m = min(rows, stop - first)
        _copy_rows(X, first, m, x)
        _logits(gemm, x, W, b, m, z)
        _exponentials(z, m, K, work[0], which, work[1])
        for i in range(m):
            traces[first + i] = 0.0
        for k in range(K):
            total = 0.0
            for i in range(m):
                whole = 1.0 + work[1, i]
                others = work[1, i] if which[i] == k else whole - z[k * m + i]
                curved = z[k * m + i] * others / (whole * whole)
                traces[first + i] += curved
                weight = s[first + i] if s.size > 0 else 1.0
                total += weight * curved
            diagonals[chunk, k] += total
        _divide(z, m, K, work[1], z)
        for k in range(K):
            for i in range(m):
                weighted[k * m + i] = z[k * m + i] * (s[first + i] if s.size > 0 else 1.0)
        of = weighted[: K * m].reshape(K, m)
        add_logits(gemm, z, of, K, partials[chunk])


@jit()
def _standardise(x: Any, m: int, centre: Any, inverse: Any, tile: Any) -> None:
    """tile[:m] ← ((x − centre) ∘ inverse, 1)."""
    d = centre.size
    for i in range(m):
        for j in range(d):
            tile[i, j] = (x[i * d + j] - centre[j]) * inverse[j]
        tile[i, d] = 1.0


@jit()
def _root_of(
    z: Any, m: int, k: int, other: int, which: Any, rest: Any, s: Any, first: int, root: Any
) -> None:
    """root ← √(s a_k a_other), or √(s a_k (1 − a_k)) for k itself; z, which, rest of ``_exponentials``."""
    for i in range(m):
        whole = 1.0 + rest[i]
        a = z[k * m + i] / whole
        b = z[other * m + i]
        if k == other:
            b = rest[i] if which[i] == k else whole - b
        weight = a * (b / whole)
        root[i] = np.sqrt(weight * s[first + i] if s.size > 0 else weight)


@jit()
def hessian_part(
    chunk: int,
    chunks: int,
    X: Any,
    s: Any,
    W: Any,
    b: Any,
    gemm: int,
    centre: Any,
    inverse: Any,
    pairs: Any,
    syrk: int,
    tiles: Any,
    partials: Any,
) -> None:
    """partials[chunk, q] (p, p) ← the upper triangle of Σ s a_k a_l x̂x̂ᵀ for classes (k, l) = pairs[q].

    Of s a_k (1 − a_k) where k = l. tiles is (chunks, 2, rows of a block, p or more), zeros at first, of the
    dtype of the products; syrk is BLAS's rank-k update, or 0 for the one in registers.
    """
    use_wide_vectors()
    n, d = X.shape
    p = d + 1
    K = b.size
    rows, width = tiles.shape[2], tiles.shape[3]
    base, scaled = tiles[chunk, 0], tiles[chunk, 1]
    sums = np.zeros((len(pairs), width, width), dtype=tiles.dtype)
    x = np.empty(rows * d, dtype=W.dtype)
    z = np.empty(rows * K, dtype=W.dtype)
    work, which = np.empty((3, rows)), np.empty(rows, dtype=np.int64)
    start, stop = chunk * n // chunks, (chunk + 1) * n // chunks
    summed = 0
    for first in range(start, stop, rows):
        m = min(rows, stop - first)
        _copy_rows(X, first, m, x)
        _logits(gemm, x, W, b, m, z)
        _exponentials(z, m, K, work[0], which, work[1])
        _standardise(x, m, centre, inverse, base)
        for q in range(len(pairs)):
            _root_of(z, m, pairs[q, 0], pairs[q, 1], which, work[1], s, first, work[2])
            for i in range(m):
                root = work[2, i]
                for j in range(width):
                    scaled[i, j] = base[i, j] * root
            if syrk == 0:
                add_outer_products_small(scaled, m, p, sums[q])
            else:
                add_outer_products(syrk, scaled, m, sums[q])
        summed += m
        if summed >= ROWS_PER_SUM or first + rows >= stop:
            for q in range(len(pairs)):
                for i in range(p):
                    for j in range(i, p):
                        partials[chunk, q, i, j] += sums[q, i, j]
                        sums[q, i, j] = 0
            summed = 0


@jit()
def whole_hessian_part(
    chunk: int,
    chunks: int,
    X: Any,
    s: Any,
    W: Any,
    b: Any,
    gemm: int,
    centre: Any,
    inverse: Any,
    syrk: int,
    tiles: Any,
    partials: Any,
    diagonals: Any,
) -> None:
    """partials[chunk] (K p, K p) ← the upper triangle of Σ s (a ⊗ x̂)(a ⊗ x̂)ᵀ, class by class, and
    diagonals[chunk] (K, p, p) ← Σ s aₖ x̂x̂ᵀ: what a Hessian of few features is the difference of.

    tiles is (chunks, rows of a block, K p), float64.
    """
    use_wide_vectors()
    n, d = X.shape
    p = d + 1
    K = b.size
    rows = tiles.shape[1]
    tile, D = tiles[chunk], diagonals[chunk]
    x = np.empty(rows * d, dtype=W.dtype)
    z = np.empty(rows * K, dtype=W.dtype)
    base = np.empty((rows, p))
    work, which = np.empty((2, rows)), np.empty(rows, dtype=np.int64)
    stop = (chunk + 1) * n // chunks
    for first in range(chunk * n // chunks, stop, rows):
        m = min(rows, stop - first)
        _copy_rows(X, first, m, x)
        _logits(gemm, x, W, b, m, z)
        _exponentials(z, m, K, work[0], which, work[1])
        _divide(z, m, K, work[1], z)
        _standardise(x, m, centre, inverse, base)
        for i in range(m):
            root = np.sqrt(s[first + i]) if s.size > 0 else 1.0
            for k in range(K):
                a = z[k * m + i]
                for j in range(p):
                    tile[i, k * p + j] = root * a * base[i, j]
                for j in range(p):
                    weighted = root * root * a * base[i, j]
                    for q in range(j, p):
                        D[k, j, q] += weighted * base[i, q]
        add_outer_products(syrk, tile, m, partials[chunk])


@jit()
def logits_part(chunk: int, chunks: int, X: Any, W: Any, b: Any, gemm: int, rows: int, Z: Any) -> None:
    """Z (n, K) ← logits of a chunk of rows."""
    use_wide_vectors()
    n, d = X.shape
    K = b.size
    x = np.empty(rows * d, dtype=W.dtype)
    z = np.empty(rows * K, dtype=W.dtype)
    stop = (chunk + 1) * n // chunks
    for first in range(chunk * n // chunks, stop, rows):
        m = min(rows, stop - first)
        _copy_rows(X, first, m, x)
        _logits(gemm, x, W, b, m, z)
        for i in range(m):
            for k in range(K):
                Z[first + i, k] = z[k * m + i]


@jit()
def _csr_logits(data: Any, indices: Any, lo: int, hi: int, W: Any, b: Any, z: Any) -> None:
    """z (K,) ← b + Σ x W[j] over a row's nonzeros; W (d, K)."""
    K = b.size
    for k in range(K):
        z[k] = b[k]
    for q in range(lo, hi):
        x, j = data[q], np.int64(indices[q])
        for k in range(K):
            z[k] += x * W[j, k]


@jit()
def _csr_add(data: Any, indices: Any, lo: int, hi: int, z: Any, G: Any, squared: bool) -> None:
    """G[j] (d + 1, K) += x z, or x² z, over a row's nonzeros, and z for the intercepts."""
    K = z.size
    for q in range(lo, hi):
        x, j = np.float64(data[q]), np.int64(indices[q])
        if squared:
            x *= x
        for k in range(K):
            G[j, k] += x * z[k]
    for k in range(K):
        G[G.shape[0] - 1, k] += z[k]


@jit()
def csr_gradient_part(
    chunk: int,
    chunks: int,  # noqa: ARG001
    data: Any,
    indices: Any,
    indptr: Any,
    y: Any,
    s: Any,
    W: Any,
    b: Any,
    bounds: Any,
    P: Any,
    partials: Any,
    losses: Any,
) -> None:
    """partials[chunk] (d + 1, K) ← Σ s (a − e_y) x̃, losses[chunk] ← Σ s ℓ; W (d, K); bounds (chunks + 1,)."""
    use_wide_vectors()
    K = b.size
    z, work, which = np.empty(K), np.empty((4, 1)), np.empty(1, dtype=np.int64)
    for i in range(bounds[chunk], bounds[chunk + 1]):
        _csr_logits(data, indices, indptr[i], indptr[i + 1], W, b, z)
        losses[chunk] += _link(z, 1, K, y, s, i, work, which, P[i * K : (i + 1) * K])
        _csr_add(data, indices, indptr[i], indptr[i + 1], z, partials[chunk], False)


@jit()
def csr_product_part(
    chunk: int,
    chunks: int,  # noqa: ARG001
    data: Any,
    indices: Any,
    indptr: Any,
    s: Any,
    V: Any,
    c: Any,
    bounds: Any,
    P: Any,
    partials: Any,
) -> None:
    """partials[chunk] (d + 1, K) ← Σ s x̃ (diag(a) − a aᵀ) Vᵀx̃, a from P (n K,)."""
    use_wide_vectors()
    K = c.size
    z, work = np.empty(K), np.empty((3, 1))
    for i in range(bounds[chunk], bounds[chunk + 1]):
        _csr_logits(data, indices, indptr[i], indptr[i + 1], V, c, z)
        _curve(z, 1, K, P[i * K : (i + 1) * K], s, i, work)
        _csr_add(data, indices, indptr[i], indptr[i + 1], z, partials[chunk], False)


@jit()
def csr_curvature_part(
    chunk: int,
    chunks: int,  # noqa: ARG001
    data: Any,
    indices: Any,
    indptr: Any,
    s: Any,
    bounds: Any,
    P: Any,
    squared: bool,
    partials: Any,
) -> None:
    """partials[chunk] (d + 1, K) ← Σ s a (1 − a) x̃, or of x̃², a from P (n K,)."""
    use_wide_vectors()
    K = partials.shape[2]
    z = np.empty(K)
    for i in range(bounds[chunk], bounds[chunk + 1]):
        weight = s[i] if s.size > 0 else 1.0
        likeliest = 0
        for k in range(K):
            z[k] = P[i * K + k]
            if z[k] > z[likeliest]:
                likeliest = k
        others = 0.0  # 1 - a of the likeliest class, which as a difference would be 0 where a rounds to 1
        for k in range(K):
            others += 0.0 if k == likeliest else z[k]
        for k in range(K):
            z[k] *= weight * (others if k == likeliest else 1.0 - z[k])
        _csr_add(data, indices, indptr[i], indptr[i + 1], z, partials[chunk], squared)


@jit()
def csr_logits_part(
    chunk: int, chunks: int, data: Any, indices: Any, indptr: Any, W: Any, b: Any, Z: Any
) -> None:
    """Z (n, K) ← logits of a chunk of rows."""
    n = Z.shape[0]
    for i in range(chunk * n // chunks, (chunk + 1) * n // chunks):
        _csr_logits(data, indices, indptr[i], indptr[i + 1], W, b, Z[i])
