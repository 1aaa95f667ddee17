"""K classes in the NumPy engine: two matrix products a block of rows, which stays in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from accel_logreg.backends.numpy_vectorised.dense import NumpyRows
from accel_logreg.interface.arrays import Float64, Labels
from accel_logreg.interface.classes import Around, ClassRows
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import ClassTargets
from accel_logreg.kernels.numpy_vectorised import classes as kernels

# Arrays (m, K) that a block of m rows keeps alive at once: logits, their exponentials and what those become.
_TEMPORARIES = 6


def _around(rows: Rows, y: Labels, s: Float64 | None) -> NumpyRows:
    assert isinstance(rows, NumpyRows)
    return rows.around(y, s)


class NumpyClasses(ClassRows):
    """One problem of K classes over the X that ``rows`` hold."""

    def __init__(self, rows: Rows, targets: ClassTargets, around: Around = _around) -> None:
        assert isinstance(rows, NumpyRows)
        super().__init__(rows, targets, around)
        self._of_x = rows
        self._s = np.broadcast_to(1.0, rows.n_rows) if targets.s is None else targets.s
        self._classes = np.arange(self.n_classes)

    def _blocks(self) -> Iterator[tuple[slice, Any]]:
        """Row blocks of X as float64: read from memory once, and once more from the cache."""
        answer_bytes = 8 * (self.n_features + 1) * self.n_classes
        return self._of_x.blocks(_TEMPORARIES * self.n_classes, answer_bytes)

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        loss, gradient = 0.0, np.zeros(W.shape)
        for rows, X in self._blocks():
            Y = kernels.one_hot(self.targets.y[rows], self._classes)
            block_loss, block_gradient = kernels.loss_grad(X, Y, self._s[rows], W[:-1], W[-1])
            loss += float(block_loss)
            gradient += block_gradient
        self._count(1)
        return loss / self.weight_sum, gradient / self.weight_sum

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        product = np.zeros(W.shape)
        for rows, X in self._blocks():
            product += kernels.hessian_product(X, self._s[rows], W[:-1], W[-1], V[:-1], V[-1])
        self._count(1)
        return product / self.weight_sum

    def logits(self, W: Float64) -> Float64:
        z = np.empty((self.n_rows, self.n_classes))
        for rows, X in self._blocks():
            z[rows] = kernels.linear(X, W[:-1], W[-1])
        self._count(1)
        return z
