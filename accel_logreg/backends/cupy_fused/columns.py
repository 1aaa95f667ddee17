"""K columns in the CuPy engine: X on the device once, read for as many columns as there is room for."""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.backends.cupy_fused.dense import CupyRows, require_memory
from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.columns import ColumnRows, OneByOne
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import Targets
from accel_logreg.kernels.cupy_fused.columns import launch as kernels
from accel_logreg.kernels.cupy_fused.columns.launch import ResidentColumns, plan_questions
from accel_logreg.kernels.cupy_fused.columns.plan import columns_bytes
from accel_logreg.kernels.cupy_fused.dense.launch import (
    GRADIENT,
    HESSIAN_PRODUCT,
    Resident,
    workspace_bytes,
)
from accel_logreg.kernels.cupy_fused.launching import Device


class CupyColumns(ColumnRows):
    """Columns whose rows fit in shared memory: a read serves ``plan.kept`` of them."""

    def __init__(self, device: Device, X: Any, targets: Targets, data: ResidentColumns) -> None:
        super().__init__(X, targets)
        self._device, self._X, self._data = device, X, data

    def column(self, k: int) -> Rows:
        one = self.targets.column(k)
        return CupyRows(Resident.around(self._device, self._X, one.y, one.s))

    def _around(self, rows: Rows, targets: Targets) -> ColumnRows:
        assert isinstance(rows, CupyRows)
        X = rows.data.X.reshape(rows.n_rows, rows.n_features)
        return columns_around(self._device, X, targets)

    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        self._count(self._data.plans.of(GRADIENT).reads)
        return kernels.loss_grad(self._data, W)

    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        self._count(self._data.plans.of(HESSIAN_PRODUCT).reads)
        return kernels.hessian_product(self._data, W, V)


def upload_columns(device: Device, X: Matrix, targets: Targets) -> ColumnRows:
    """Copy X and the columns' labels and weights to the device.

    Raises
    ------
    MemoryError
        They and the workspace are larger than the memory that is free; nothing has been copied.
    """
    need = _bytes(device, (X.shape[0], X.shape[1]), X.itemsize, targets)
    narrower = "X as float32 (half the bytes), " if X.itemsize == 8 else ""
    what = f"X of shape {X.shape} and dtype {X.dtype} with {targets.n_columns} columns"
    require_memory(device, need, what, f"Pass {narrower}fewer rows or fewer columns at a time")
    return _columns(device, device.upload(X), targets)


def columns_around(device: Device, X: Any, targets: Targets) -> ColumnRows:
    """Columns over an X (n, d) that is on the device, which is not copied.

    Raises MemoryError where labels, weights and workspace do not fit.
    """
    shape, itemsize = (int(X.shape[0]), int(X.shape[1])), np.dtype(X.dtype).itemsize
    need = _bytes(device, shape, itemsize, targets) - shape[0] * shape[1] * itemsize
    what = f"{targets.n_columns} columns over X of shape {shape} and dtype {X.dtype}, beside X itself,"
    require_memory(device, need, what, "Pass fewer rows or fewer columns at a time")
    return _columns(device, X, targets)


def _columns(device: Device, X: Any, targets: Targets) -> ColumnRows:
    n, d = X.shape
    plans = plan_questions(n, d, targets.n_columns, np.dtype(X.dtype).itemsize, device.limits)
    if plans is None:  # rows too long for shared memory: column by column, two reads of X each

        def around(rows: Rows, one: Targets) -> Rows:
            assert isinstance(rows, CupyRows)
            return CupyRows(Resident.around(device, rows.data.X.reshape(rows.n_rows, d), one.y, one.s))

        first = targets.column(0)
        return OneByOne(CupyRows(Resident.around(device, X, first.y, first.s)), targets, around)
    data = ResidentColumns(device, X, targets.y, targets.s, targets.weight_sum, plans)
    return CupyColumns(device, X, targets, data)


def _bytes(device: Device, shape: tuple[int, int], itemsize: int, targets: Targets) -> int:
    weights, K = 0 if targets.s is None else targets.s.size, targets.n_columns
    plans = plan_questions(*shape, K, itemsize, device.limits)
    if plans is None:
        n, d = shape
        data = n * d * itemsize + n * K + 8 * weights
        return data + workspace_bytes(shape, itemsize, device.limits) + 8 * 4 * (d + 2)
    return columns_bytes(shape, K, itemsize, weights, plans.all())
