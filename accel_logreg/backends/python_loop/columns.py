"""K columns in the pure-Python engine, over dense rows and sparse ones."""

from __future__ import annotations

import numpy as np

from accel_logreg.backends.python_loop.dense import ListRows, floats, weights
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.columns import ColumnRows
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import Targets
from accel_logreg.kernels.python_loop import columns as kernels


class PythonColumns(ColumnRows):
    """K problems over the lists that ``rows`` hold."""

    def __init__(self, rows: Rows, targets: Targets) -> None:
        assert isinstance(rows, ListRows)
        super().__init__(rows, targets)
        self._rows, self._X = rows, rows.X
        self._look = rows.kernels.linear, rows.kernels.add_scaled_row
        self._Y = targets.y.astype(np.float64).tolist()
        self._S = targets.weights_of_every_column().tolist()

    def column(self, k: int) -> Rows:
        one, rows = self.targets.column(k), self._rows
        y, s = floats(one.y), weights(one.s, self.n_rows)
        return ListRows(rows.kernels, rows.X, y, s, self.n_features, self.dtype)

    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        J, dw, db = kernels.loss_grad(self._X, self._Y, self._S, *split_columns(W), *self._look)
        self._count(1)
        return np.array(J), joined(dw, db)

    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        product, last = kernels.hessian_product(
            self._X, self._S, *split_columns(W), *split_columns(V), *self._look
        )
        self._count(1)
        return joined(product, last)


def split_columns(W: Float64) -> tuple[list[list[float]], list[float]]:
    """Every column's w, and every column's b."""
    return W[:-1].T.tolist(), W[-1].tolist()


def joined(dw: list[list[float]], db: list[float]) -> Float64:
    """(p, K)."""
    return np.vstack([np.array(dw).T, np.array(db)])
