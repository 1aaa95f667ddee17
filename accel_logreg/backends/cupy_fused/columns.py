"""K columns in the CuPy engine: X on the device once, read for as many columns as there is room for."""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.backends.cupy_fused.dense import require_memory
from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.columns import ColumnLabels, Columns
from accel_logreg.kernels.cupy_fused.columns import launch as cupy_fused_columns
from accel_logreg.kernels.cupy_fused.columns.launch import ResidentColumns, plan_questions
from accel_logreg.kernels.cupy_fused.columns.plan import columns_bytes
from accel_logreg.kernels.cupy_fused.dense import launch as cupy_fused
from accel_logreg.kernels.cupy_fused.dense.resident import (
    GRADIENT,
    HESSIAN_PRODUCT,
    Question,
    Resident,
    workspace_bytes,
)
from accel_logreg.kernels.cupy_fused.launching import Device


class CupyColumns(Columns):
    """Columns whose rows fit in shared memory: a read serves ``plan.kept`` of them."""

    def __init__(self, data: ResidentColumns, labels: ColumnLabels) -> None:
        super().__init__((data.n, data.d), data.dtype, labels)
        self._data = data

    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        self._count(self._data.plans.of(GRADIENT).reads)
        return cupy_fused_columns.loss_grad(self._data, W)

    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        self._count(self._data.plans.of(HESSIAN_PRODUCT).reads)
        return cupy_fused_columns.hessian_product(self._data, W, V)


class CupyLongColumns(Columns):
    """Columns whose rows are too long for shared memory: column by column, two reads of X each."""

    def __init__(self, device: Device, X: Any, labels: ColumnLabels) -> None:
        super().__init__((int(X.shape[0]), int(X.shape[1])), np.dtype(X.dtype), labels)
        self._device, self._X = device, X
        self._Y = device.upload(np.ascontiguousarray(labels.Y.T))
        s = labels.s
        self._s = None if s is None else device.upload(np.ascontiguousarray(s.T))

    def _column(self, k: int) -> Resident:
        """Column k as rows, with a workspace that lasts as long as they do."""
        s = self._s if self._s is None or self._s.ndim == 1 else self._s[k]
        shape, S = (self.n_rows, self.n_features), float(self.weight_sums[k])
        return Resident(self._device, shape, self._X, self._Y[k], s, S)

    def _ask(self, data: Resident, question: Question) -> Resident:
        self._count(data.reads(question))
        return data

    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        losses, gradient = np.empty(self.n_columns), np.empty_like(W)
        for k in range(self.n_columns):
            data = self._ask(self._column(k), GRADIENT)
            losses[k], gradient[:, k] = cupy_fused.loss_grad(data, W[:, k].copy())
        return losses, gradient

    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        product = np.empty_like(W)
        for k in range(self.n_columns):
            data = self._ask(self._column(k), HESSIAN_PRODUCT)
            product[:, k] = cupy_fused.hessian_product(data, W[:, k].copy(), V[:, k].copy())
        return product


def upload_columns(device: Device, X: Matrix, labels: ColumnLabels) -> Columns:
    """Copy X and the columns' labels and weights to the device.

    Raises
    ------
    MemoryError
        They and the workspace are larger than the memory that is free; nothing has been copied.
    """
    need = _bytes(device, (X.shape[0], X.shape[1]), X.itemsize, labels)
    narrower = "X as float32 (half the bytes), " if X.itemsize == 8 else ""
    what = f"X of shape {X.shape} and dtype {X.dtype} with {labels.n_columns} columns"
    require_memory(device, need, what, f"Pass {narrower}fewer rows or fewer columns at a time")
    return _columns(device, device.upload(X), labels)


def columns_around(device: Device, X: Any, labels: ColumnLabels) -> Columns:
    """Columns over an X (n, d) that is on the device, which is not copied.

    Raises MemoryError where labels, weights and workspace do not fit.
    """
    shape, itemsize = (int(X.shape[0]), int(X.shape[1])), np.dtype(X.dtype).itemsize
    need = _bytes(device, shape, itemsize, labels) - shape[0] * shape[1] * itemsize
    what = f"{labels.n_columns} columns over X of shape {shape} and dtype {X.dtype}, beside X itself,"
    require_memory(device, need, what, "Pass fewer rows or fewer columns at a time")
    return _columns(device, X, labels)


def _columns(device: Device, X: Any, labels: ColumnLabels) -> Columns:
    plans = plan_questions(
        X.shape[0], X.shape[1], labels.n_columns, np.dtype(X.dtype).itemsize, device.limits
    )
    if plans is None:
        return CupyLongColumns(device, X, labels)
    data = ResidentColumns(device, X, labels.Y, labels.s, labels.weight_sums, plans)
    return CupyColumns(data, labels)


def _bytes(device: Device, shape: tuple[int, int], itemsize: int, labels: ColumnLabels) -> int:
    weights, K = 0 if labels.s is None else labels.s.size, labels.n_columns
    plans = plan_questions(*shape, K, itemsize, device.limits)
    if plans is None:
        n, d = shape
        data = n * d * itemsize + n * K + 8 * weights
        return data + workspace_bytes(shape, itemsize, device.limits) + 8 * 4 * (d + 2)
    return columns_bytes(shape, K, itemsize, weights, plans.all())
