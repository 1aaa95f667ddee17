"""Compressed sparse rows in the Numba engine.

X's values stay where the caller has them. Its column numbers are copied where there are no more than
65,536 columns: as uint16, and from 2048 columns on by decreasing frequency, which brings together the
weights and sums that most nonzeros use. On the problem of kernels/numba_jit/csr.py that makes
each pass a sixth faster and costs about one pass, and 2 bytes a nonzero where X has 12. With more columns the
caller's numbers are used as they are.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.numba_jit import tuning
from accel_logreg.backends.numba_jit.sharing import chunks_for, read_only, room_for_matrices
from accel_logreg.interface.answers import Descent, RowSample, SmallFit
from accel_logreg.interface.arrays import Csr, Float64, Labels
from accel_logreg.interface.rows import AmongRows, ColumnDescent, Precision, Rows
from accel_logreg.kernels.numba_jit import csr as kernels
from accel_logreg.kernels.numba_jit.blas import DSYRK
from accel_logreg.kernels.numba_jit.reductions import largest_entry
from accel_logreg.kernels.numba_jit.threads import share
from accel_logreg.kernels.python_loop.csr import refuse_centre

_SHORT = 65_536  # columns that uint16 can number


class NumbaCsrRows(Rows, AmongRows, ColumnDescent):
    """Sparse rows, their values where they are."""

    def __init__(
        self,
        X: Csr,
        y: Labels,
        sample_weight: Float64 | None,
        *,
        order: NDArray[np.intp] | None = None,
    ) -> None:
        """With ``order``, X's column j is the caller's order[j] and its indices are kept as they are."""
        weight_sum = float(X.shape[0] if sample_weight is None else sample_weight.sum())
        super().__init__(X.shape, X.dtype, weight_sum)
        self.sparse, self.entries, self.nbytes = True, len(X.data), X.nbytes
        self.pairs = X.pairs
        self._data = read_only(X.data)
        self._indptr = read_only(X.indptr.astype(np.int64, copy=False))
        self.order = np.arange(self.n_features + 1) if order is None else order
        self._indices = read_only(self._renamed(X.indices) if order is None else X.indices)
        self._y = read_only(y.astype(np.int8, copy=False))
        self._s = read_only(np.empty(0) if sample_weight is None else np.ascontiguousarray(sample_weight))
        # s h at the last W asked about: a Hessian product there then needs no exponential and no z.
        self._sh = np.empty(self.n_rows)
        self._sh_at: Float64 | None = None
        self._by_columns: tuple[Any, Any, Any] | None = None

    def _renamed(self, indices: NDArray[Any]) -> NDArray[Any]:
        """Indices as uint16 where they fit, and ``_order`` to go with them."""
        d = self.n_features
        if d > _SHORT:
            return indices
        chunks = chunks_for(indices.size, self.n_rows, answer=d)
        names = np.arange(d, dtype=np.uint16)
        if d > tuning.CSR_WORTH_SORTING:
            counts = kernels.count_columns(read_only(indices), d, chunks)
            self.order[:d] = np.argsort(-counts, kind="stable")
            names[self.order[:d]] = np.arange(d, dtype=np.uint16)
        renamed = np.empty(indices.size, dtype=np.uint16)
        share(chunks, kernels.rename_columns, read_only(indices), names, renamed)
        return renamed

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        self._sh_at = None
        out = kernels.loss_grad(
            self._data,
            self._indices,
            self._indptr,
            self._y,
            self._s,
            self.weight_sum,
            W[self.order],
            self.bounds(),
            self._sh,
        )
        self._sh_at = W.copy()
        self._count(1)
        return float(out[-1]), self._outward(out[:-1])

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        self._know_curvatures(W)
        product = kernels.hessian_product(
            self._data,
            self._indices,
            self._indptr,
            self._sh,
            self.weight_sum,
            V[self.order],
            self.bounds(),
        )
        self._count(1)
        return self._outward(product)

    def descend(
        self, W: Float64, learning_rate: float, shrink: float, steps: int, fit_intercept: bool
    ) -> Descent:
        W = W[self.order]
        self._sh_at = None
        costs, norms = kernels.descend(
            self._data,
            self._indices,
            self._indptr,
            self._y,
            self._s,
            self.weight_sum,
            W,
            learning_rate,
            shrink,
            steps,
            fit_intercept,
            self.bounds(),
            self._sh,
        )
        self._count(steps)
        return Descent(self._outward(W), costs, norms)

    def _largest_entry(self) -> float:
        largest = float(largest_entry(self._data, self.bounds().size - 1))
        self._count(1)
        return largest

    def longest_row(self, centre: Float64, scale: Float64) -> float:
        order, bounds = self.order[:-1], self.bounds()
        squares = np.zeros(bounds.size - 1)
        of = self._data, self._indices, self._indptr, self._s, bounds
        inverse = 1.0 / np.square(scale[order])
        share(squares.size, kernels.longest_row, *of, 2.0 * centre[order], inverse, squares)
        self._count(1)
        zeros = float(np.square(centre / scale).sum()) + 1.0
        return math.sqrt(zeros + float(squares.max()))

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",  # noqa: ARG002
    ) -> Float64:
        if centre.any():
            refuse_centre(centre.tolist())
        rows = np.empty(0, dtype=np.intp) if sample is None else sample.rows
        factors = np.empty(0) if sample is None else sample.factors
        m = self.n_rows if sample is None else rows.size
        arguments = (
            self._data,
            self._indices,
            self._indptr,
            self._s,
            read_only(rows),
            read_only(factors),
            W[self.order],
            np.append(scale, 1.0)[self.order],
        )
        room = room_for_matrices(m, W.size)
        chunks = chunks_for(m * self.n_features, m, 4, most=room)
        if self.pairs > tuning.CSR_FULL**2 * self.n_rows * float(self.n_features) ** 2:
            syrk, tiles = DSYRK, np.empty((chunks, min(tuning.CSR_TILE_ROWS, m), W.size))
        else:
            syrk, tiles = 0, np.empty((chunks, 1, 0))
        H = kernels.hessian(*arguments, syrk, tiles)
        self._count(m / self.n_rows)
        named: Float64 = np.empty_like(H)
        named[np.ix_(self.order, self.order)] = H
        return named

    def hessian_diagonal(self, W: Float64) -> Float64:
        self._know_curvatures(W)
        return self._sums(self._sh, True) / self.weight_sum

    def gram(self, centre: Float64, *, precise: bool = True) -> Float64:  # noqa: ARG002
        if centre.any():
            refuse_centre(centre.tolist())
        chunks = chunks_for(self.n_rows**2, self.n_rows)
        K: Float64 = kernels.gram(self._data, self._indices, self._indptr, self.n_features, chunks)
        self._count(1)
        return K

    def combination(self, a: Float64) -> Float64:
        return self._sums(a.copy(), False)[:-1]

    def around(self, y: Labels, sample_weight: Float64 | None) -> NumbaCsrRows:
        """Rows of another problem over the same X, whose columns are renamed already."""
        X = Csr(self._data, self._indices, self._indptr, (self.n_rows, self.n_features))
        rows = NumbaCsrRows(X, y, sample_weight, order=self.order)
        rows.nbytes = self.nbytes
        return rows

    def logits(self, W: Float64) -> Float64:
        w = W[self.order]
        z: Float64 = kernels.logits(self._data, self._indices, self._indptr, w, self.bounds())
        self._count(1)
        return z

    def small_fit(self, shrink: float, fit_intercept: bool, tol: float, steps: int) -> SmallFit | None:
        """See ``Engine.small_fit``."""
        if self.entries > tuning.SMALL_NONZEROS or not shrink > 0.0:
            return None
        from accel_logreg.kernels.numba_jit import small_csr

        W = np.zeros(self.n_features + 1)
        if fit_intercept:
            negative, positive = self.targets.label_shares()
            W[-1] = math.log(positive / negative)
        of = self._data, self._indices, self._indptr, self._y, self._s, self.weight_sum
        status, _, reads, *run = small_csr.newton_cg(
            *of, shrink, fit_intercept, W, tol, steps, tuning.SMALL_READS
        )
        self._count(reads)
        return SmallFit(self._outward(W), *run) if status == small_csr.REACHED else None

    def column_descent(self) -> NumbaCsrRows:
        return self

    def minimise_model(
        self,
        W: Float64,
        gradient: Float64,
        l1: Float64,
        l2: Float64,
        *,
        at_least_zero: bool,
        fit_intercept: bool,
        tol: float,
        sweeps: int,
    ) -> Float64:
        from accel_logreg.kernels.numba_jit import csr_descent

        self._know_curvatures(W)
        if self._by_columns is None:
            self._by_columns = csr_descent.by_columns(
                self._data, self._indices, self._indptr, self.n_features
            )
            self._count(1)
        x, columns = W[self.order], self.order[:-1]
        made = csr_descent.descend(
            *self._by_columns,
            self._sh / self.weight_sum,
            gradient[self.order],
            l1[columns],
            l2[columns],
            at_least_zero,
            fit_intercept,
            x,
            tol,
            sweeps,
        )
        self._count(2 * made)
        return self._outward(x)

    def small_sparse_fit(
        self,
        start: Float64,
        l1: Float64,
        l2: Float64,
        at_least_zero: bool,
        fit_intercept: bool,
        tol: float,
        steps: int,
    ) -> SmallFit | None:
        """See ``Engine.small_sparse_fit``."""
        if self.entries > tuning.SMALL_NONZEROS:
            return None
        from accel_logreg.kernels.numba_jit import small, small_csr_sparse

        W, columns = start[self.order], self.order[:-1]
        of = self._data, self._indices, self._indptr, self._y, self._s, self.weight_sum
        status, _, sweeps, bound, *course = small_csr_sparse.prox_newton(
            *of, l1[columns], l2[columns], at_least_zero, fit_intercept, W, tol, steps
        )
        self._count(2 * sweeps)
        return SmallFit(self._outward(W), bound, *course) if status == small.REACHED else None

    def among_rows(self) -> NumbaCsrRows:
        return self

    def arrays(self) -> tuple[Any, Any, Any]:
        """Values, column numbers and row ends as the kernels take them."""
        return self._data, self._indices, self._indptr

    def sample(self, picked: RowSample) -> NumbaCsrRows:
        rows = picked.rows
        indptr = np.zeros(rows.size + 1, dtype=np.int64)
        np.cumsum(np.diff(self._indptr)[rows], out=indptr[1:])
        data = np.empty(indptr[-1], dtype=self.dtype)
        indices = np.empty(indptr[-1], dtype=self._indices.dtype)
        chunks = chunks_for(data.size, rows.size)
        of = self._data, self._indices, self._indptr, read_only(rows)
        share(chunks, kernels.gather, *of, data, indices, indptr)
        s = picked.factors * self._s[rows] if self._s.size else picked.factors
        uniform = not self._s.size and bool((picked.factors == 1.0).all())
        X = Csr(data, indices, indptr, (rows.size, self.n_features))
        sample = NumbaCsrRows(X, self._y[rows], None if uniform else s, order=self.order)
        self._share_tally(sample)
        return sample

    def _restricted(self, columns: NDArray[np.intp]) -> NumbaCsrRows:
        from accel_logreg.kernels.numba_jit.restriction import count_kept, sparse_columns

        k, d, bounds = columns.size, self.n_features, self.bounds()
        # Columns keep the order that they have here, so that frequent ones stay together.
        own = np.empty(d, dtype=np.intp)
        own[self.order[:d]] = np.arange(d)
        order = np.argsort(own[columns])
        names = np.full(d, -1, dtype=np.int32)
        names[own[columns[order]]] = np.arange(k)
        indptr = np.zeros(self.n_rows + 1, dtype=np.int64)
        kept = self._indices, self._indptr, names, bounds
        share(bounds.size - 1, count_kept, *kept, indptr[1:])
        np.cumsum(indptr, out=indptr)
        data = np.empty(indptr[-1], dtype=self.dtype)
        indices = np.empty(indptr[-1], dtype=np.uint16 if k <= _SHORT else self._indices.dtype)
        share(bounds.size - 1, sparse_columns, self._data, *kept, data, indices, indptr)
        X = Csr(data, indices, indptr, (self.n_rows, k))
        s = self._s if self._s.size else None
        return NumbaCsrRows(X, self._y, s, order=np.append(order, k))

    def _know_curvatures(self, W: Float64) -> None:
        """Make _sh that of W: another read, unless W is what the last gradient was asked at."""
        if self._sh_at is None or not np.array_equal(self._sh_at, W):
            self.loss_grad(W)

    def _sums(self, a: Float64, squared: bool) -> Float64:
        """Σ aᵢ xᵢⱼ or Σ aᵢ xᵢⱼ², and Σ aᵢ."""
        sums = kernels.weighted_sums(
            self._data, self._indices, self._indptr, a, self.n_features, squared, self.bounds()
        )
        self._count(1)
        return self._outward(sums)

    def _outward(self, g: Float64) -> Float64:
        """An answer (p,) with the caller's columns."""
        out: Float64 = np.empty_like(g)
        out[self.order] = g
        return out

    def bounds(self, chunks: int | None = None) -> NDArray[np.int64]:
        """The rows at which each chunk begins, or each of so many chunks, and n."""
        return bounds_of(self._indptr, self.n_features, chunks)


def csr_logits(X: Csr, W: Float64) -> Float64:
    """z = X W[:d] + W[d], (m,)."""
    indptr = read_only(X.indptr.astype(np.int64, copy=False))
    bounds = bounds_of(indptr, 0)
    z: Float64 = kernels.logits(read_only(X.data), read_only(X.indices), indptr, W.copy(), bounds)
    return z


def bounds_of(indptr: NDArray[np.int64], answer: int, chunks: int | None = None) -> NDArray[np.int64]:
    """The rows at which each chunk begins, and n: chunks of equal work, not of equal rows."""
    n = indptr.size - 1
    work = int(indptr[-1]) + tuning.CSR_ROW * n
    chunks = chunks_for(work, n, 2, answer=answer) if chunks is None else chunks
    inner = [
        bisect_left(range(n), work * chunk // chunks, key=lambda i: int(indptr[i]) + tuning.CSR_ROW * i)
        for chunk in range(1, chunks)
    ]
    return np.array([0, *inner, n], dtype=np.int64)
