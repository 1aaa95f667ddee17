"""The NumPy engine: whole-array expressions over row blocks that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from accel_logreg.backends.base import Backend, Descent, Float64, Matrix, Rows, blas_threads_now
from accel_logreg.kernels import numpy_vectorised as kernels

BLOCK_BYTES = 4 << 20  # float64; smaller blocks fall below the size from which BLAS uses its threads


class NumpyRows(Rows):
    def __init__(self, X: Matrix, y: Float64, sample_weight: Float64 | None) -> None:
        self.n_rows, self.n_features = X.shape
        self.dtype = X.dtype
        self._X = X
        self._y = y
        self._s = np.ones(self.n_rows) if sample_weight is None else sample_weight
        self.weight_sum = float(self._s.sum())
        self.reads = 0
        self._largest: float | None = None

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        w, b = W[:-1], float(W[-1])
        loss = 0.0
        gradient = np.zeros_like(W)
        for rows, X in _blocks(self._X):
            block_loss, dw, db = kernels.loss_grad(X, self._y[rows], self._s[rows], self.weight_sum, w, b)
            loss += block_loss
            gradient[:-1] += dw
            gradient[-1] += db
        self.reads += 1
        return loss, gradient

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        product = np.zeros_like(W)
        for rows, X in _blocks(self._X):
            dw, db = kernels.hessian_product(
                X, self._s[rows], self.weight_sum, W[:-1], float(W[-1]), V[:-1], float(V[-1])
            )
            product[:-1] += dw
            product[-1] += db
        self.reads += 1
        return product

    def descend(
        self, W: Float64, learning_rate: float, l2: float, steps: int, fit_intercept: bool
    ) -> Descent:
        costs = np.empty(steps)
        norms = np.empty(steps)
        w, b = W[:-1].copy(), float(W[-1])
        with np.errstate(over="ignore", invalid="ignore"):  # the solver names a rate that diverges
            for k in range(steps):
                loss, gradient = self.loss_grad(np.append(w, b))
                dw = gradient[:-1] + l2 * w
                db = float(gradient[-1]) if fit_intercept else 0.0
                costs[k] = loss + 0.5 * l2 * (w @ w)
                norms[k] = np.sqrt(dw @ dw + db * db)
                w, b = kernels.gradient_descent_step(w, b, dw, db, learning_rate)
        return Descent(np.append(w, b), costs, norms)

    def largest_entry(self) -> float:
        if self._largest is None:
            self._largest = max(float(self._X.max()), -float(self._X.min()))
            self.reads += 2
        return self._largest


class NumpyBackend(Backend):
    name = "numpy"

    def rows(self, X: Matrix, y: Float64, sample_weight: Float64 | None) -> NumpyRows:
        return NumpyRows(X, y, sample_weight)

    def n_threads(self, n_threads: int | None) -> int:
        """Those of BLAS, which is where the two products of a pass run."""
        available = blas_threads_now()
        return available if n_threads is None else min(n_threads, available)

    def logits(self, X: Matrix, W: Float64) -> Float64:
        z = np.empty(X.shape[0])
        for rows, block in _blocks(X):
            z[rows] = kernels.linear(block, W[:-1], float(W[-1]))
        return z


def _blocks(X: Matrix) -> Iterator[tuple[slice, Float64]]:
    """Row blocks of about BLOCK_BYTES as float64.

    Two products with one block cost one read of memory, because the second finds the block in the
    cache; and float32 is widened a block at a time, so sums are float64 and X is never copied whole.
    """
    step = max(1, BLOCK_BYTES // (8 * X.shape[1]))
    for start in range(0, X.shape[0], step):
        rows = slice(start, start + step)
        yield rows, X[rows].astype(np.float64, copy=False)
