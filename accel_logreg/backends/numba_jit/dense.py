"""The Numba engine: host arrays, compiled kernels, one thread pool bounded around each fit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import Descent, NewtonRun, RoughHessian
from accel_logreg.interface.rows import (
    Backend,
    BackendUnavailableError,
    Csr,
    Float64,
    Labels,
    Matrix,
    Picked,
    Rough,
    Rows,
    blas_threads,
)

try:
    import numba

    from accel_logreg.kernels.numba_jit import dense as kernels
    from accel_logreg.kernels.numba_jit import hessian as second
    from accel_logreg.kernels.numba_jit.blas import DSYRK, SSYRK
    from accel_logreg.kernels.numba_jit.blocks import int8_products as byte_products
    from accel_logreg.kernels.numba_jit.blocks.inner_products import PAD
    from accel_logreg.kernels.numba_jit.blocks.rank_update import COLUMNS
    from accel_logreg.kernels.numba_jit.reductions import largest_entry
except Exception as error:  # a NumPy that Numba refuses, a missing llvmlite, a broken install
    raise BackendUnavailableError(
        "numba",
        f"importing Numba failed ({type(error).__name__}: {error}).",
        'Install a version that fits with: pip install "accel_logreg[numba]"',
    ) from error

if TYPE_CHECKING:
    from accel_logreg.interface.columns import Columns

# set_num_threads() can choose among the threads that were launched, never launch more.
LAUNCHED: int = vars(numba.config)["NUMBA_NUM_THREADS"]

# Below this many entries a second thread costs more than it saves (about 10 µs to wake it).
_ENTRIES_PER_THREAD = 32_768

# A tile of rows waits for BLAS in a quarter of a core's L2 cache, where that holds enough of them.
_TILE_BYTES = 1 << 19
_TILE_ROWS = 64, 256
_TILE_COLUMNS = 512
_NARROW = 112  # unknowns up to which a rank-k update in registers beats BLAS's

# What one thread solves in a few milliseconds, from the L2 cache.
_SMALL_ENTRIES = 200_000
_SMALL_FEATURES = 100

# Entries from which a copy in 8 bits is worth making: below, X is in a cache.
_LEAST_FOR_ROUGH = 1_000_000


class NumbaRows(Rows):
    def __init__(self, X: Matrix, y: Labels, sample_weight: Float64 | None) -> None:
        weight_sum = float(X.shape[0] if sample_weight is None else sample_weight.sum())
        super().__init__(X.shape, X.dtype, weight_sum)
        self._X = _read_only(X)
        # An eighth of the traffic that float64 labels would cost.
        self._y = _read_only(y.astype(np.int8, copy=False))
        self._s = _read_only(np.empty(0) if sample_weight is None else np.ascontiguousarray(sample_weight))
        self._largest: float | None = None

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        out = kernels.loss_grad(self._X, self._y, self._s, self.weight_sum, W.copy(), _chunks(self._X))
        self._count(1)
        return float(out[-1]), out[:-1]

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        product: Float64 = kernels.hessian_product(
            self._X, self._s, self.weight_sum, W.copy(), V.copy(), _chunks(self._X)
        )
        self._count(1)
        return product

    def descend(
        self, W: Float64, learning_rate: float, l2: float, steps: int, fit_intercept: bool
    ) -> Descent:
        W = W.copy()
        costs, norms = kernels.descend(
            self._X,
            self._y,
            self._s,
            self.weight_sum,
            W,
            learning_rate,
            l2,
            steps,
            fit_intercept,
            _chunks(self._X),
        )
        self._count(steps)
        return Descent(W, costs, norms)

    def largest_entry(self) -> float:
        if self._largest is None:
            self._largest = float(largest_entry(self._X, _chunks(self._X)))
            self._count(1)
        return self._largest

    def newton(self, l2: float, fit_intercept: bool, tol: float, steps: int) -> NewtonRun | None:
        if self.n_features > _SMALL_FEATURES or self._X.size > _SMALL_ENTRIES:
            return None
        from accel_logreg.kernels.numba_jit import small

        status, taken, *run = small.newton(
            self._X, self._y, self._s, self.weight_sum, l2, fit_intercept, tol, steps
        )
        if status != small.REACHED:
            return None
        self._count(taken + 2)
        W, decrement, bound, costs, norms = run
        return NewtonRun(W, costs, norms, decrement, bound)

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        picked: Picked | None = None,
        precise: bool = False,
    ) -> Float64:
        rows = _NO_ROWS if picked is None else picked.rows
        factors = _NO_WEIGHTS if picked is None else picked.factors
        m = self.n_rows if picked is None else len(rows)
        chunks = _threads_for(m * self.n_features, m)
        p = self.n_features + 1
        syrk, width = SSYRK, p
        if precise:
            syrk = DSYRK
        elif p <= _NARROW:
            syrk, width = 0, (p + COLUMNS - 1) // COLUMNS * COLUMNS
        dtype = np.dtype(np.float64 if precise else np.float32)
        least, most = _TILE_ROWS
        rows_a_tile = min(m, max(least, min(most, _TILE_BYTES // (width * dtype.itemsize))))
        tiles = np.zeros((chunks, rows_a_tile, width), dtype=dtype)
        H: Float64 = second.hessian(
            self._X,
            self._s,
            _read_only(rows),
            _read_only(factors),
            W.copy(),
            centre.copy(),
            scale.copy(),
            syrk,
            tiles,
        )
        self._count(m / self.n_rows)
        return H

    def rough_hessian(
        self, W: Float64, centre: Float64, scale: Float64, *, picked: Picked | None = None
    ) -> RoughHessian | None:
        if self.n_features + 1 < NumbaBackend.rates.rough_from:
            return None
        from accel_logreg.backends.numba_jit.hessian_int8 import rough_hessian

        rows = _NO_ROWS if picked is None else picked.rows
        factors = _NO_WEIGHTS if picked is None else picked.factors
        m = self.n_rows if picked is None else len(rows)
        chunks = _threads_for(m * self.n_features, m)
        H = rough_hessian(self._X, self._s, _read_only(rows), _read_only(factors), W, centre, scale, chunks)
        self._count(m / self.n_rows)
        return H

    def hessian_diagonal(self, W: Float64) -> Float64:
        diagonal: Float64 = second.hessian_diagonal(
            self._X, self._s, self.weight_sum, W.copy(), _chunks(self._X)
        )
        self._count(1)
        return diagonal

    def gram(self, centre: Float64, *, precise: bool = True) -> Float64:
        chunks = _threads_for(self._X.size, self.n_features)
        K: Float64
        if precise:
            tiles = np.empty((chunks, self.n_rows, min(_TILE_COLUMNS, self.n_features)))
            K = second.gram(self._X, centre.copy(), DSYRK, tiles)
        else:
            padded = -(-self.n_rows // PAD) * PAD
            K = second.gram_roughly(
                self._X, centre.copy(), np.zeros((chunks, padded, _TILE_COLUMNS), dtype=np.float32)
            )
        self._count(1)
        return K

    def combination(self, a: Float64) -> Float64:
        total: Float64 = second.combination(self._X, a.copy(), _threads_for(self._X.size, self.n_features))
        self._count(1)
        return total

    def sample(self, picked: Picked) -> NumbaRows:
        X = np.empty((len(picked.rows), self.n_features), dtype=self.dtype)
        second.gather(self._X, _read_only(picked.rows), X, _chunks(X))
        s = picked.factors * self._s[picked.rows] if self._s.size else picked.factors
        uniform = not self._s.size and bool((picked.factors == 1.0).all())
        sample = NumbaRows(X, self._y[picked.rows], None if uniform else s)
        self._share_tally(sample)
        return sample

    def rough(self, centre: Float64, scale: Float64) -> Rough | None:
        if self._X.size < _LEAST_FOR_ROUGH:
            return None
        from accel_logreg.backends.numba_jit.quantised import round_off

        chunks = _chunks(self._X)
        return round_off(self._X, self._y, self._s, centre, scale, chunks, self._count)


class NumbaBackend(Backend):
    name = "numba"
    rates = replace(
        Backend.rates,
        rough_entry=0.032e-9,
        rough_multiplication=1 / 800e9,
        rough_tile_entry=0.6e-9,
        rough_from=_NARROW + 1 if byte_products.available() else math.inf,
    )

    def rows(self, X: Matrix | Csr, y: Labels, sample_weight: Float64 | None) -> Rows:
        if isinstance(X, Csr):
            from accel_logreg.backends.numba_jit.csr import NumbaCsrRows

            return NumbaCsrRows(X, y, sample_weight)
        return NumbaRows(X, y, sample_weight)

    def columns(self, X: Matrix | Csr, Y: Any, weights: Any = None) -> Columns:
        from accel_logreg.backends.numba_jit.columns import FEW, NumbaColumns, NumbaFewColumns
        from accel_logreg.interface.columns import column_labels, refuse_sparse

        if isinstance(X, Csr):
            refuse_sparse(self.name, X)
        labels = column_labels(X.shape[0], Y, weights)
        kind = NumbaFewColumns if labels.n_columns <= FEW else NumbaColumns
        return kind(X, labels, lambda: _threads_for(X.size * labels.n_columns, X.shape[0]))

    def logits(self, X: Matrix | Csr, W: Float64) -> Float64:
        if isinstance(X, Csr):
            from accel_logreg.backends.numba_jit.csr import csr_logits

            return csr_logits(X, W)
        z: Float64 = kernels.logits(_read_only(X), W.copy(), _chunks(X))
        return z

    def n_threads(self, n_threads: int | None) -> int:
        return LAUNCHED if n_threads is None else min(n_threads, LAUNCHED)

    @contextmanager
    def threads(self, n_threads: int | None) -> Iterator[None]:
        """Numba gets the threads and BLAS one: BLAS workers spin after a call and slow Numba's."""
        before = numba.get_num_threads()
        with blas_threads(1):
            numba.set_num_threads(self.n_threads(n_threads))
            try:
                yield
            finally:
                numba.set_num_threads(before)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written to.

    Numba compiles again for read-only arrays, which memory-mapped files are: with only those it
    compiles once. For the same reason weights, which a caller may have frozen, are copied.
    """
    view = array.view()
    view.flags.writeable = False
    return view


def _chunks(X: Matrix) -> int:
    """One chunk of rows for each thread that has enough to do."""
    return _threads_for(X.size, X.shape[0])


def _threads_for(entries: int, parts: int) -> int:
    """How many threads pay for this many entries, which fall into that many indivisible parts."""
    return int(max(1, min(numba.get_num_threads(), entries // _ENTRIES_PER_THREAD, parts)))


_NO_ROWS = np.empty(0, dtype=np.intp)
_NO_WEIGHTS = np.empty(0)
