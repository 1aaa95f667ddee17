"""K columns in the pure-Python engine, over dense rows and sparse ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.columns import ColumnLabels, Columns
from accel_logreg.kernels.python_loop import columns as kernels
from accel_logreg.kernels.python_loop import dense as python_loop


class PythonColumns(Columns):
    def __init__(self, X: Matrix | Csr, labels: ColumnLabels) -> None:
        super().__init__((X.shape[0], X.shape[1]), X.dtype, labels)
        self._X: list[Any]
        if isinstance(X, Csr):
            from accel_logreg.backends.python_loop.csr import sparse_rows
            from accel_logreg.kernels.python_loop import csr as python_loop_csr

            self._X = sparse_rows(X)
            self._look: Any = python_loop_csr.linear, python_loop_csr.add_scaled_row
        else:
            self._X = X.tolist()
            self._look = python_loop.linear, python_loop.add_scaled_row
        self._Y = labels.Y.astype(np.float64).tolist()
        self._S = labels.weights_of_every_column().tolist()

    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        J, dw, db = kernels.loss_grad(self._X, self._Y, self._S, *_split(W), *self._look)
        self._count(1)
        return np.array(J), _joined(dw, db)

    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        product, last = kernels.hessian_product(self._X, self._S, *_split(W), *_split(V), *self._look)
        self._count(1)
        return _joined(product, last)


def _split(W: Float64) -> tuple[list[list[float]], list[float]]:
    """Every column's w, and every column's b."""
    return W[:-1].T.tolist(), W[-1].tolist()


def _joined(dw: list[list[float]], db: list[float]) -> Float64:
    """(p, K)."""
    return np.vstack([np.array(dw).T, np.array(db)])
