"""K columns in the NumPy engine: two matrix products a block of rows, which stays in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from accel_logreg.backends.numpy_vectorised.dense import rows_in_block
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.columns import ColumnLabels, Columns
from accel_logreg.kernels.numpy_vectorised import columns as kernels

# Arrays (m, K) that a block of m rows keeps alive at once: z, its link and what they are made from.
_TEMPORARIES = 4


class NumpyColumns(Columns):
    def __init__(self, X: Matrix | Csr, labels: ColumnLabels) -> None:
        super().__init__((X.shape[0], X.shape[1]), X.dtype, labels)
        self._X = X
        self._Y = labels.Y
        self._s = labels.weights_of_every_column()

    def _blocks(self) -> Iterator[tuple[slice, Any]]:
        """Row blocks of X as float64: read from memory once, and once more from the cache."""
        if isinstance(self._X, Csr):
            from accel_logreg.backends.numpy_vectorised.csr import float64_parts

            yield from float64_parts(self._X)
            return
        answer_bytes = 8 * (self.n_features + 1) * self.n_columns
        step = rows_in_block(self.n_features + _TEMPORARIES * self.n_columns, answer_bytes)
        for start in range(0, self.n_rows, step):
            rows = slice(start, start + step)
            yield rows, self._X[rows].astype(np.float64, copy=False)

    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        losses, gradient = np.zeros(self.n_columns), np.zeros_like(W)
        for rows, X in self._blocks():
            Y = self._Y[rows].astype(np.float64)
            block_losses, block_gradient = kernels.loss_grad(X, Y, self._s[rows], W[:-1], W[-1])
            losses += block_losses
            gradient += block_gradient
        self._count(1)
        return losses / self.weight_sums, gradient / self.weight_sums

    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        product = np.zeros_like(W)
        for rows, X in self._blocks():
            product += kernels.hessian_product(X, self._s[rows], W[:-1], W[-1], V[:-1], V[-1])
        self._count(1)
        return product / self.weight_sums
