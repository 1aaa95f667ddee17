"""Rows of the Numba engine: host arrays and compiled kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.numba_jit import tuning
from accel_logreg.backends.numba_jit.sharing import chunks_for, chunks_of, read_only, room_for_matrices
from accel_logreg.interface.answers import Descent, LowPrecisionHessian, RowSample, SmallFit
from accel_logreg.interface.arrays import Float64, Labels, Matrix
from accel_logreg.interface.rows import AmongRows, ExpectedHessian, Precision, Quantised, Rows
from accel_logreg.kernels.numba_jit import dense as kernels
from accel_logreg.kernels.numba_jit import hessian as second
from accel_logreg.kernels.numba_jit.blas import DSYRK, SSYRK
from accel_logreg.kernels.numba_jit.blocks.inner_products import PAD
from accel_logreg.kernels.numba_jit.blocks.rank_update import COLUMNS
from accel_logreg.kernels.numba_jit.reductions import largest_entry
from accel_logreg.kernels.numba_jit.threads import share


class NumbaRows(Rows, AmongRows):
    """Dense rows, read where they are."""

    def __init__(self, X: Matrix, y: Labels, sample_weight: Float64 | None) -> None:
        weight_sum = float(X.shape[0] if sample_weight is None else sample_weight.sum())
        super().__init__(X.shape, X.dtype, weight_sum)
        self.X = read_only(X)
        # An eighth of the traffic that float64 labels would cost.
        self._y = read_only(y.astype(np.int8, copy=False))
        self._longest_at: tuple[Float64, Float64, float] | None = None
        self._expected = ExpectedHessian()
        self._s = read_only(np.empty(0) if sample_weight is None else np.ascontiguousarray(sample_weight))

    def expect_hessian(self, centre: Float64, scale: Float64, precision: Precision) -> bool:
        self._expected.set(centre, scale, precision)
        return True

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        if self._expected:
            H, out = self._hessian(W, *self._expected.taken(), None, self._y)
            self._expected.keep(W, H)
            return float(out[-1]), out[:-1]
        out = kernels.loss_grad(self.X, self._y, self._s, self.weight_sum, W.copy(), chunks_of(self.X))
        self._count(1)
        return float(out[-1]), out[:-1]

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        product: Float64 = kernels.hessian_product(
            self.X, self._s, self.weight_sum, W.copy(), V.copy(), chunks_of(self.X)
        )
        self._count(1)
        return product

    def descend(
        self, W: Float64, learning_rate: float, shrink: float, steps: int, fit_intercept: bool
    ) -> Descent:
        W = W.copy()
        costs, norms = kernels.descend(
            self.X,
            self._y,
            self._s,
            self.weight_sum,
            W,
            learning_rate,
            shrink,
            steps,
            fit_intercept,
            chunks_of(self.X),
        )
        self._count(steps)
        return Descent(W, costs, norms)

    def _largest_entry(self) -> float:
        largest = float(largest_entry(self.X, chunks_of(self.X)))
        self._count(1)
        return largest

    def small_fit(self, shrink: float, fit_intercept: bool, tol: float, steps: int) -> SmallFit | None:
        """See ``Engine.small_fit``."""
        if self.n_features > tuning.SMALL_FEATURES or self.X.size > tuning.SMALL_ENTRIES:
            return None
        from accel_logreg.kernels.numba_jit import small

        status, taken, *run = small.newton(
            self.X, self._y, self._s, self.weight_sum, shrink, fit_intercept, tol, steps
        )
        if status != small.REACHED:
            return None
        self._count(taken + 2)
        return SmallFit(*run)

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
        if self.n_features > tuning.SMALL_FEATURES or self.X.size > tuning.SMALL_ENTRIES:
            return None
        from accel_logreg.kernels.numba_jit import small, small_sparse

        W = start.copy()
        status, taken, bound, *course = small_sparse.prox_newton(
            self.X, self._y, self._s, self.weight_sum, l1, l2, at_least_zero, fit_intercept, W, tol, steps
        )
        if status != small.REACHED:
            return None
        self._count(taken + 2)
        return SmallFit(W, bound, *course)

    def around(self, y: Labels, sample_weight: Float64 | None) -> NumbaRows:
        """Rows of another problem over the same X."""
        return NumbaRows(self.X, y, sample_weight)

    def logits(self, W: Float64) -> Float64:
        z: Float64 = kernels.logits(self.X, W.copy(), chunks_of(self.X))
        self._count(1)
        return z

    def take(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        entries: Matrix = self.X[rows, columns]
        return entries

    def among_rows(self) -> NumbaRows:
        return self

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",
    ) -> Float64:
        if sample is None:
            known = self._expected.known(W, centre, scale, precision)
            if known is not None:
                return known
        return self._hessian(W, centre, scale, precision, sample, _NO_LABELS)[0]

    def _hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        precision: Precision,
        sample: RowSample | None,
        y: Labels,
    ) -> tuple[Float64, Float64]:
        """The Hessian, and the gradient and the loss (p + 1,) unless y is empty."""
        rows = _NO_ROWS if sample is None else sample.rows
        factors = _NO_WEIGHTS if sample is None else sample.factors
        m = self.n_rows if sample is None else len(rows)
        p = self.n_features + 1
        syrk, width = SSYRK, p
        if precision == "float64":
            syrk = DSYRK
        elif p <= tuning.NARROW:
            syrk, width = 0, (p + COLUMNS - 1) // COLUMNS * COLUMNS
        room = room_for_matrices(m, width)
        chunks = chunks_for(m * self.n_features, m, 1 + self.n_features // 16, most=room)
        dtype = np.dtype(np.float64 if precision == "float64" else np.float32)
        least, most = tuning.TILE_ROWS
        rows_a_tile = min(m, max(least, min(most, tuning.TILE_BYTES // (width * dtype.itemsize))))
        tiles = np.zeros((chunks, rows_a_tile, width), dtype=dtype)
        H, longest, gradient = second.hessian(
            self.X,
            self._s,
            read_only(rows),
            read_only(factors),
            W.copy(),
            centre.copy(),
            scale.copy(),
            syrk,
            tiles,
            y,
        )
        self._count(m / self.n_rows)
        if sample is None:
            self._longest_at = centre, scale, longest
        return H, gradient

    def longest_row(self, centre: Float64, scale: Float64) -> float:
        """What the last Hessian of all rows found on its way, in these coordinates."""
        at = self._longest_at
        if at is None or at[0] is not centre or at[1] is not scale:
            return super().longest_row(centre, scale)
        return float(at[2])

    def low_precision_hessian(
        self, W: Float64, centre: Float64, scale: Float64, *, sample: RowSample | None = None
    ) -> LowPrecisionHessian | None:
        if self.n_features + 1 < tuning.RATES.int8_from:
            return None
        from accel_logreg.backends.numba_jit.hessian_int8 import int8_hessian

        rows = _NO_ROWS if sample is None else sample.rows
        factors = _NO_WEIGHTS if sample is None else sample.factors
        m = self.n_rows if sample is None else len(rows)
        room = room_for_matrices(m, W.size)
        chunks = chunks_for(m * self.n_features, m, 1 + self.n_features // 64, most=room)
        H = int8_hessian(self.X, self._s, read_only(rows), read_only(factors), W, centre, scale, chunks)
        self._count(m / self.n_rows)
        return H

    def hessian_diagonal(self, W: Float64) -> Float64:
        diagonal: Float64 = second.hessian_diagonal(
            self.X, self._s, self.weight_sum, W.copy(), chunks_of(self.X)
        )
        self._count(1)
        return diagonal

    def gram(self, centre: Float64, *, precise: bool = True) -> Float64:
        room = max(2, tuning.MATRICES_BYTES // (16 * self.n_rows * self.n_rows))
        chunks = chunks_for(self.X.size, self.n_features, 1 + self.n_rows // 16, most=room)
        tiles: Matrix
        if precise:
            syrk, tiles = DSYRK, np.empty((chunks, self.n_rows, min(tuning.TILE_COLUMNS, self.n_features)))
        else:
            padded = -(-self.n_rows // PAD) * PAD
            syrk, tiles = 0, np.zeros((chunks, padded, tuning.TILE_COLUMNS), dtype=np.float32)
        K: Float64 = second.gram(self.X, centre.copy(), syrk, tiles)
        self._count(1)
        return K

    def combination(self, a: Float64) -> Float64:
        total: Float64 = second.combination(self.X, a.copy(), chunks_of(self.X))
        self._count(1)
        return total

    def sample(self, picked: RowSample) -> NumbaRows:
        X = np.empty((len(picked.rows), self.n_features), dtype=self.dtype)
        share(chunks_of(X), second.gather, self.X, read_only(picked.rows), X)
        s = picked.factors * self._s[picked.rows] if self._s.size else picked.factors
        uniform = not self._s.size and bool((picked.factors == 1.0).all())
        sample = NumbaRows(X, self._y[picked.rows], None if uniform else s)
        self._share_tally(sample)
        return sample

    def _restricted(self, columns: NDArray[np.intp]) -> NumbaRows:
        from accel_logreg.kernels.numba_jit.restriction import dense_columns

        X = np.empty((self.n_rows, columns.size), dtype=self.dtype)
        share(chunks_of(X), dense_columns, self.X, read_only(columns), X)
        return NumbaRows(X, self._y, self._s if self._s.size else None)

    def quantised(self, centre: Float64, scale: Float64) -> Quantised | None:
        if self.X.size < tuning.LEAST_FOR_QUANTISED:
            return None
        from accel_logreg.backends.numba_jit.quantised import round_off

        chunks = chunks_of(self.X)
        return round_off(self.X, self._y, self._s, centre, scale, chunks, self._count)


_NO_ROWS = np.empty(0, dtype=np.intp)
_NO_WEIGHTS = np.empty(0)
_NO_LABELS = read_only(np.empty(0, dtype=np.int8))
