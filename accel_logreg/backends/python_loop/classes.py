"""K classes in the pure-Python engine, over dense rows and sparse ones."""

from __future__ import annotations

import numpy as np

from accel_logreg.backends.python_loop.columns import joined, split_columns
from accel_logreg.backends.python_loop.dense import ListRows, floats, weights
from accel_logreg.interface.arrays import Float64, Labels
from accel_logreg.interface.classes import Around, ClassRows
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import ClassTargets
from accel_logreg.kernels.python_loop import classes as kernels


def _around(rows: Rows, y: Labels, s: Float64 | None) -> ListRows:
    assert isinstance(rows, ListRows)
    return ListRows(rows.kernels, rows.X, floats(y), weights(s, rows.n_rows), rows.n_features, rows.dtype)


class PythonClasses(ClassRows):
    """One problem of K classes over the lists that ``rows`` hold."""

    def __init__(self, rows: Rows, targets: ClassTargets, around: Around = _around) -> None:
        assert isinstance(rows, ListRows)
        super().__init__(rows, targets, around)
        self._X, self._y, self._s = rows.X, targets.y.tolist(), weights(targets.s, rows.n_rows)
        self._linear, self._add_scaled_row = rows.kernels.linear, rows.kernels.add_scaled_row

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        look = self._linear, self._add_scaled_row
        J, dw, db = kernels.loss_grad(self._X, self._y, self._s, *split_columns(W), *look)
        self._count(1)
        return J, joined(dw, db)

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        at, times, look = split_columns(W), split_columns(V), (self._linear, self._add_scaled_row)
        product, last = kernels.hessian_product(self._X, self._s, *at, *times, *look)
        self._count(1)
        return joined(product, last)

    def logits(self, W: Float64) -> Float64:
        w, b = split_columns(W)
        self._count(1)
        return np.array([kernels.logits(row, w, b, self._linear) for row in self._X])
