"""K columns in the NumPy engine: two matrix products a block of rows, which stays in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from accel_logreg.backends.numpy_vectorised.dense import NumpyRows
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.columns import ColumnRows
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import Targets
from accel_logreg.kernels.numpy_vectorised import columns as kernels

# Arrays (m, K) that a block of m rows keeps alive at once: z, its link and what they are made from.
_TEMPORARIES = 4


class NumpyColumns(ColumnRows):
    """K problems over the X that ``rows`` hold."""

    def __init__(self, rows: Rows, targets: Targets) -> None:
        assert isinstance(rows, NumpyRows)
        super().__init__(rows, targets)
        self._rows = rows
        self._Y = targets.y
        self._s = targets.weights_of_every_column()

    def column(self, k: int) -> Rows:
        one = self.targets.column(k)
        return self._rows.around(one.y, one.s)

    def _blocks(self) -> Iterator[tuple[slice, Any]]:
        """Row blocks of X as float64: read from memory once, and once more from the cache."""
        answer_bytes = 8 * (self.n_features + 1) * self.n_columns
        return self._rows.blocks(_TEMPORARIES * self.n_columns, answer_bytes)

    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        losses, gradient = np.zeros(self.n_columns), np.zeros_like(W)
        for rows, X in self._blocks():
            Y = self._Y[rows].astype(np.float64)
            block_losses, block_gradient = kernels.loss_grad(X, Y, self._s[rows], W[:-1], W[-1])
            losses += block_losses
            gradient += block_gradient
        self._count(1)
        return losses / self.weight_sum, gradient / self.weight_sum

    def hessian_diagonal(self, W: Float64) -> Float64:
        W, diagonal = self._checked("W", W), np.zeros_like(W)
        for rows, X in self._blocks():
            diagonal += kernels.hessian_diagonal(X, self._s[rows], W[:-1], W[-1])
        self._count(1)
        return diagonal / self.weight_sum

    def logits(self, W: Float64) -> Float64:
        W = self._checked("W", W)
        self._count(1)
        return np.vstack([kernels.linear(X, W[:-1], W[-1]) for _, X in self._blocks()])

    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        product = np.zeros_like(W)
        for rows, X in self._blocks():
            product += kernels.hessian_product(X, self._s[rows], W[:-1], W[-1], V[:-1], V[-1])
        self._count(1)
        return product / self.weight_sum
