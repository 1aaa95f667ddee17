"""K classes in the Numba engine: BLAS on blocks of dense rows, loops over the nonzeros of sparse ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.numba_jit import tuning
from accel_logreg.backends.numba_jit.csr import NumbaCsrRows
from accel_logreg.backends.numba_jit.dense import NumbaRows
from accel_logreg.backends.numba_jit.sharing import chunks_for, read_only, room_for_matrices
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.classes import ClassRows, in_blocks
from accel_logreg.interface.rows import Precision, Rows
from accel_logreg.interface.targets import ClassTargets
from accel_logreg.kernels.numba_jit import classes as kernels
from accel_logreg.kernels.numba_jit.blas import DGEMM, DSYRK, SGEMM, SSYRK
from accel_logreg.kernels.numba_jit.blocks.rank_update import COLUMNS
from accel_logreg.kernels.numba_jit.threads import share


def classes_over(rows: Rows, targets: ClassTargets) -> ClassRows:
    """One problem of K classes over the X that ``rows`` hold."""
    if isinstance(rows, NumbaCsrRows):
        return NumbaCsrClasses(rows, targets, _around)
    return NumbaClasses(rows, targets, _around)


def _around(rows: Rows, y: NDArray[Any], s: Float64 | None) -> Rows:
    assert isinstance(rows, NumbaRows | NumbaCsrRows)
    return rows.around(y, s)


class _Classes(ClassRows):
    """What dense and sparse rows share: labels, weights, and the last gradient's probabilities."""

    def __init__(self, rows: Rows, targets: ClassTargets, around: Any) -> None:
        super().__init__(rows, targets, around)
        self._y = read_only(targets.y.astype(np.int32, copy=False))
        self._s = read_only(np.empty(0) if targets.s is None else np.ascontiguousarray(targets.s))
        self._P: Any = np.empty(0)
        self._P_at: Float64 | None = None

    def _known(self, W: Float64) -> bool:
        """Whether the probabilities at W are kept."""
        return self._P_at is not None and np.array_equal(self._P_at, W)


class NumbaClasses(_Classes):
    """Dense rows. In ``single`` precision all products are float32, and what they say only steers."""

    def __init__(self, rows: Rows, targets: ClassTargets, around: Any, *, single: bool = False) -> None:
        super().__init__(rows, targets, around)
        assert isinstance(rows, NumbaRows)
        self._X = rows.X
        self._dtype: Any = np.float32 if single else np.float64
        self._gemm = SGEMM if single else DGEMM
        self._block = _block_rows(self.n_features, self.n_classes, np.dtype(self._dtype).itemsize)
        if self.n_rows * self.n_classes * np.dtype(self._dtype).itemsize <= max(
            self.nbytes, tuning.PROBABILITIES_BYTES
        ):
            self._P = np.empty(self.n_rows * self.n_classes, dtype=self._dtype)

    def sample(self, picked: RowSample) -> NumbaClasses:
        sample = super().sample(picked)
        assert isinstance(sample, NumbaClasses)
        return sample

    def _over(self, rows: Rows, targets: ClassTargets) -> ClassRows:
        return NumbaClasses(rows, targets, self._around)

    def standardised_sample(self, picked: RowSample | None, centre: Float64, scale: Float64) -> ClassRows:
        n = self.n_rows if picked is None else len(picked.rows)
        X = np.empty((n, self.n_features), dtype=np.float32)
        step = max(1, tuning.PROBABILITIES_BYTES // (64 * self.n_features))
        for first in range(0, n, step):
            part = slice(first, first + step)
            rows = self._X[part] if picked is None else self._X[picked.rows[part]]
            np.divide(rows - centre, scale, out=X[part], casting="same_kind")
        targets = self.targets
        if picked is not None:
            targets = targets.of_sample(picked.rows, picked.factors)
        rows_of_X = NumbaRows(X, np.zeros(n, dtype=np.int8), None)
        sample = NumbaClasses(rows_of_X, targets, self._around, single=True)
        self._share_tally(sample)
        return sample

    def _split(self, W: Float64) -> tuple[NDArray[Any], NDArray[Any]]:
        """(K, d) and (K,) in the arithmetic's dtype."""
        return np.ascontiguousarray(W[:-1].T, dtype=self._dtype), W[-1].astype(self._dtype)

    def _chunks(self) -> int:
        answer = self.n_classes * self.n_features
        return chunks_for(self._X.size * self.n_classes, self.n_rows, answer=answer)

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        chunks = self._chunks()
        partials, losses = np.zeros((chunks, self.n_classes, self.n_features + 1)), np.zeros(chunks)
        self._P_at = None
        of = self._X, self._y, self._s, *self._split(W), self._gemm, self._block, self._P
        share(chunks, kernels.gradient_part, *of, partials, losses)
        if self._P.size:
            self._P_at = W.copy()
        self._count(1)
        return float(losses.sum()) / self.weight_sum, self._answer(partials)

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        if self._P.size and not self._known(W):
            self.loss_grad(W)
        chunks = self._chunks()
        partials = np.zeros((chunks, self.n_classes, self.n_features + 1))
        of = self._X, self._s, *self._split(W), *self._split(V), self._gemm, self._block, self._P
        share(chunks, kernels.product_part, *of, partials)
        self._count(1)
        return self._answer(partials)

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",
    ) -> Float64:
        K, p = self.n_classes, self.n_features + 1
        rows = self if sample is None else self.sample(sample)
        # A difference loses digits where most rows are certain; what is to be exact is made of no difference.
        if precision == "float32" and whole_is_quicker(K, p):
            return rows._whole(W, centre, scale)
        pairs = np.array([(k, m) for k in range(K) for m in range(k)], dtype=np.int64)
        return in_blocks(K, p, pairs, rows._grams(W, centre, scale, pairs, precision))

    def _whole(self, W: Float64, centre: Float64, scale: Float64) -> Float64:
        """The Hessian (K p, K p) by one rank-k update of all unknowns."""
        K, p = self.n_classes, self.n_features + 1
        room = room_for_matrices(self.n_rows, K * p)
        chunks = chunks_for(self.n_rows * (K * p) ** 2 // 16, self.n_rows, most=room)
        rows = min(self.n_rows, max(16, tuning.CLASS_BLOCK_BYTES // (8 * K * p)))
        tiles, partials = np.zeros((chunks, rows, K * p)), np.zeros((chunks, K * p, K * p))
        diagonals = np.zeros((chunks, K, p, p))
        of = self._X, self._s, np.ascontiguousarray(W[:-1].T), W[-1].copy(), DGEMM, centre, 1.0 / scale
        share(chunks, kernels.whole_hessian_part, *of, DSYRK, tiles, partials, diagonals)
        self._count(1)
        H = -np.triu(partials.sum(axis=0))
        each = np.arange(K)
        H.reshape(K, p, K, p)[each, :, each] += diagonals.sum(axis=0)
        H /= self.weight_sum
        return np.asarray(H + np.triu(H, 1).T)

    def kronecker_factors(
        self, W: Float64, centre: Float64, scale: Float64, *, sample: RowSample | None = None
    ) -> tuple[Float64, Float64]:
        if sample is not None:
            return self.sample(sample).kronecker_factors(W, centre, scale)
        K, chunks = self.n_classes, self._chunks()
        traces, diagonals = np.empty(self.n_rows), np.zeros((chunks, K))
        partials = np.zeros((chunks, K * K), dtype=self._dtype)
        of = self._X, self._s, *self._split(W), self._gemm, self._block
        share(chunks, kernels.kronecker_part, *of, traces, partials, diagonals)
        self._count(1)
        A = -partials.sum(axis=0, dtype=np.float64).reshape(K, K)
        np.fill_diagonal(A, diagonals.sum(axis=0))
        return A / np.trace(A), self._gram_of(traces, centre, scale, "float32")

    def _grams(
        self, W: Float64, centre: Float64, scale: Float64, pairs: NDArray[Any], precision: Precision
    ) -> Float64:
        """(pairs, p, p): see ``kernels.hessian_part``."""
        p = self.n_features + 1
        syrk, width = (DSYRK if precision == "float64" else SSYRK), p
        if precision == "float32" and p <= tuning.NARROW:
            syrk, width = 0, -(-p // COLUMNS) * COLUMNS
        room = room_for_matrices(self.n_rows, width, len(pairs))
        chunks = chunks_for(self._X.size * len(pairs), self.n_rows, 1 + p // 16, most=room)
        least, most = tuning.CLASS_TILE_ROWS
        rows = min(self.n_rows, most if syrk else least)
        tiles = np.zeros((chunks, 2, rows, width), dtype=precision)
        partials = np.zeros((chunks, len(pairs), p, p))
        of = self._X, self._s, np.ascontiguousarray(W[:-1].T), W[-1].copy(), DGEMM
        share(chunks, kernels.hessian_part, *of, centre, 1.0 / scale, pairs, syrk, tiles, partials)
        self._count(1)
        H = partials[0]
        for chunk in partials[1:]:
            H += chunk
        H /= self.weight_sum
        below = np.tril_indices(p, -1)
        H[:, below[0], below[1]] = H[:, below[1], below[0]]
        return np.asarray(H)

    def logits(self, W: Float64) -> Float64:
        Z = _logits(self._X, W, self._block)
        self._count(1)
        return Z

    def _answer(self, partials: Float64) -> Float64:
        """The chunks' sums in their order, (p, K)."""
        return np.asarray(np.ascontiguousarray(partials.sum(axis=0).T) / self.weight_sum)


class NumbaCsrClasses(_Classes):
    """Sparse rows. The columns are those of ``rows``, renamed."""

    def __init__(self, rows: Rows, targets: ClassTargets, around: Any) -> None:
        super().__init__(rows, targets, around)
        assert isinstance(rows, NumbaCsrRows)
        answer = self.n_classes * self.n_features
        chunks = chunks_for(2 * self.entries * self.n_classes, self.n_rows, answer=answer)
        self._X, self._order, self._bounds = rows.arrays(), rows.order, rows.bounds(chunks)
        few = 8 * self.n_rows * self.n_classes <= tuning.PROBABILITIES_BYTES
        self._P = np.empty(self.n_rows * self.n_classes, dtype=np.float64 if few else np.float32)

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        partials, losses = self._partials(), np.zeros(self._bounds.size - 1)
        self._P_at = None
        of = *self._X, self._y, self._s, *self._split(W), self._bounds, self._P
        share(losses.size, kernels.csr_gradient_part, *of, partials, losses)
        self._P_at = W.copy()
        self._count(1)
        return float(losses.sum()) / self.weight_sum, self._answer(partials)

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        if not self._known(W):
            self.loss_grad(W)
        partials = self._partials()
        of = *self._X, self._s, *self._split(V), self._bounds, self._P
        share(len(partials), kernels.csr_product_part, *of, partials)
        self._count(1)
        return self._answer(partials)

    def curvature_sums(self, W: Float64) -> tuple[Float64, Float64]:
        if not self._known(W):
            self.loss_grad(W)
        answers = []
        for squared in (True, False):
            partials = self._partials()
            of = *self._X, self._s, self._bounds, self._P, squared
            share(len(partials), kernels.csr_curvature_part, *of, partials)
            self._count(1)
            answers.append(self._answer(partials))
        return answers[0], answers[1][:-1]

    def logits(self, W: Float64) -> Float64:
        Z = np.empty((self.n_rows, self.n_classes))
        share(self._bounds.size - 1, kernels.csr_logits_part, *self._X, *self._split(W), Z)
        self._count(1)
        return Z

    def _split(self, W: Float64) -> tuple[Float64, Float64]:
        """(d, K) with the columns' own order, and (K,)."""
        return W[self._order[:-1]], W[-1].copy()

    def _partials(self) -> Float64:
        return np.zeros((self._bounds.size - 1, self.n_features + 1, self.n_classes))

    def _answer(self, partials: Float64) -> Float64:
        """The chunks' sums in their order, (p, K), with the caller's columns."""
        total = partials[0]
        for chunk in partials[1:]:
            total += chunk
        answer = np.empty_like(total)
        np.divide(total, self.weight_sum, out=total)
        answer[self._order] = total
        return np.asarray(answer)


def whole_is_quicker(K: int, p: int) -> bool:
    """Whether the Hessian of all unknowns at once takes less time than a block for each two classes."""
    by_pairs = K * (K - 1) // 2 * max(tuning.CLASS_PAIR, p * p * tuning.RATES.multiplication)
    return (K * p) ** 2 * tuning.CLASS_WHOLE < by_pairs


def class_logits(X: Matrix | Csr, W: Float64) -> Float64:
    """z (m, K) = X W[:d] + W[d], for W (p, K)."""
    if not isinstance(X, Csr):
        return _logits(read_only(X), W, _block_rows(X.shape[1], W.shape[1], 8))
    Z = np.empty((X.shape[0], W.shape[1]))
    arrays = read_only(X.data), read_only(X.indices), read_only(X.indptr.astype(np.int64, copy=False))
    chunks = chunks_for(X.data.size * W.shape[1], X.shape[0])
    share(chunks, kernels.csr_logits_part, *arrays, W[:-1].copy(), W[-1].copy(), Z)
    return Z


def _logits(X: Matrix, W: Float64, block: int) -> Float64:
    Z = np.empty((X.shape[0], W.shape[1]))
    of = X, np.ascontiguousarray(W[:-1].T), W[-1].copy(), DGEMM, block
    share(chunks_for(X.size * W.shape[1], X.shape[0]), kernels.logits_part, *of, Z)
    return Z


def _block_rows(d: int, K: int, itemsize: int) -> int:
    """Rows in a block: its copy and its logits stay in the cache, and BLAS packs W once for all of them."""
    rows = tuning.CLASS_BLOCK_BYTES // (itemsize * (d + 2 * K))
    least, most = tuning.CLASS_BLOCK_ROWS
    return max(least, min(most, rows // 16 * 16))
