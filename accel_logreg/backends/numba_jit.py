"""The Numba engine: host arrays, compiled kernels, one thread pool bounded around each fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.base import (
    Backend,
    BackendUnavailableError,
    Descent,
    Float64,
    Matrix,
    Rows,
    blas_threads,
)

try:
    import numba

    from accel_logreg.kernels import numba_jit as kernels
    from accel_logreg.kernels.numba_reductions import largest_entry
except Exception as error:  # a NumPy that Numba refuses, a missing llvmlite, a broken install
    raise BackendUnavailableError(
        "numba",
        f"importing Numba failed ({type(error).__name__}: {error}).",
        'Install a version that fits with: pip install "accel_logreg[numba]"',
    ) from error

# set_num_threads() can choose among the threads that were launched, never launch more.
LAUNCHED: int = vars(numba.config)["NUMBA_NUM_THREADS"]

# Below this many entries a second thread costs more than it saves (about 10 µs to wake it).
_ENTRIES_PER_THREAD = 32_768


class NumbaRows(Rows):
    def __init__(self, X: Matrix, y: Float64, sample_weight: Float64 | None) -> None:
        self.n_rows, self.n_features = X.shape
        self.dtype = X.dtype
        self._X = _read_only(X)
        # An eighth of the traffic that float64 labels would cost.
        self._y = _read_only(y.astype(np.int8))
        self._s = _read_only(np.empty(0) if sample_weight is None else np.ascontiguousarray(sample_weight))
        self.weight_sum = float(self.n_rows if sample_weight is None else sample_weight.sum())
        self.reads = 0
        self._largest: float | None = None

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        out = kernels.loss_grad(self._X, self._y, self._s, self.weight_sum, W.copy(), _chunks(self._X))
        self.reads += 1
        return float(out[-1]), out[:-1]

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        product: Float64 = kernels.hessian_product(
            self._X, self._s, self.weight_sum, W.copy(), V.copy(), _chunks(self._X)
        )
        self.reads += 1
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
        self.reads += steps
        return Descent(W, costs, norms)

    def largest_entry(self) -> float:
        if self._largest is None:
            self._largest = float(largest_entry(self._X, _chunks(self._X)))
            self.reads += 1
        return self._largest


class NumbaBackend(Backend):
    name = "numba"

    def rows(self, X: Matrix, y: Float64, sample_weight: Float64 | None) -> NumbaRows:
        return NumbaRows(X, y, sample_weight)

    def logits(self, X: Matrix, W: Float64) -> Float64:
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
    return int(max(1, min(numba.get_num_threads(), X.size // _ENTRIES_PER_THREAD, X.shape[0])))
