"""Rows of the CuPy engine: what each question takes of the device, and what it reads of X."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.cupy_fused.device.budget import memory_error
from accel_logreg.interface.answers import Descent, RowSample
from accel_logreg.interface.arrays import Float64, Labels, Matrix
from accel_logreg.interface.rows import AmongRows, Precision, Rows
from accel_logreg.kernels.cupy_fused.dense import launch as kernels
from accel_logreg.kernels.cupy_fused.dense.launch import (
    GRADIENT,
    HESSIAN_DIAGONAL,
    HESSIAN_PRODUCT,
    Resident,
    resident_bytes,
)
from accel_logreg.kernels.cupy_fused.descent import launch as descent
from accel_logreg.kernels.cupy_fused.launching import Device
from accel_logreg.kernels.cupy_fused.matrices import launch as matrices
from accel_logreg.kernels.cupy_fused.matrices.plan import gram_bytes, hessian_bytes
from accel_logreg.kernels.cupy_fused.predict.launch import logits_on_host, take_columns, take_rows


class CupyRows(Rows, AmongRows):
    """Rows in the memory of one device. ``upload_rows`` puts them there."""

    def __init__(self, data: Resident) -> None:
        super().__init__((data.n, data.d), data.dtype, data.weight_sum)
        self.data = data

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        self._count(self.data.reads(GRADIENT))
        return kernels.loss_grad(self.data, W)

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        self._count(self.data.reads(HESSIAN_PRODUCT))
        return kernels.hessian_product(self.data, W, V)

    def descend(
        self, W: Float64, learning_rate: float, shrink: float, steps: int, fit_intercept: bool
    ) -> Descent:
        self._count(steps * descent.descent_reads(self.data))
        return Descent(*descent.descend(self.data, W, learning_rate, shrink, steps, fit_intercept))

    def _largest_entry(self) -> float:
        largest = kernels.largest_entry(self.data)
        self._count(1)
        return largest

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",
    ) -> Float64:
        """As in ``Rows``. Two reads of the rows that count: their curvatures, then the products.

        Raises
        ------
        MemoryError
            The answer and the workspace are larger than the memory that is free; nothing was taken.
        """
        rows, factors = (None, None) if sample is None else checked_rows(sample, self.n_rows)
        m = self.n_rows if rows is None else len(rows)
        limits = self.data.device.limits
        need = hessian_bytes(self.n_features, m, rows is not None, precision == "float64", limits)
        require_memory(
            self.data.device,
            need,
            f"The Hessian of {self.n_features + 1} parameters over {m} rows",
            "Pass fewer features",
        )
        self._count(2 * m / self.n_rows)
        return matrices.hessian(self.data, W, centre, scale, rows, factors, precision == "float64")

    def hessian_diagonal(self, W: Float64) -> Float64:
        self._count(self.data.reads(HESSIAN_DIAGONAL))
        return kernels.hessian_diagonal(self.data, W)

    def gram(self, centre: Float64, *, precise: bool = True) -> Float64:  # noqa: ARG002
        """As in ``Rows``. Raises MemoryError as ``hessian`` does."""
        device = self.data.device
        need = gram_bytes(self.n_rows, self.n_features, device.limits)
        require_memory(device, need, f"The Gram matrix of {self.n_rows} rows", "Pass fewer rows")
        self._count(1)
        return matrices.gram(self.data, centre)

    def combination(self, a: Float64) -> Float64:
        self._count(1)
        return kernels.combination(self.data, np.ascontiguousarray(a))

    def logits(self, W: Float64) -> Float64:
        self._count(1)
        return logits_on_host(self.data.device, self._matrix, W)

    def take(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        return take_rows(self.data.device, self._matrix, rows)[:, columns]

    @property
    def _matrix(self) -> Any:
        """X (n, d) on the device."""
        return self.data.X.reshape(self.n_rows, self.n_features)

    def among_rows(self) -> CupyRows:
        return self

    def sample(self, picked: RowSample) -> CupyRows:
        """As in ``Rows``, copied within the device. Raises MemoryError as ``hessian`` does."""
        rows, factors = checked_rows(picked, self.n_rows)
        data, m = self.data, len(rows)
        weighted = matrices.sample_is_weighted(data.s, factors)
        need = 16 * m + resident_bytes((m, data.d), data.dtype.itemsize, weighted, data.device.limits)
        require_memory(data.device, need, f"A sample of {m} rows", "Pass fewer rows")
        sample = CupyRows(self._gathered(rows, factors))
        self._share_tally(sample)
        return sample

    def _restricted(self, columns: NDArray[np.intp]) -> CupyRows:
        """As in ``Rows``, copied within the device. Raises MemoryError as ``hessian`` does."""
        data, shape = self.data, (self.n_rows, len(columns))
        need = 8 * shape[1] + resident_bytes(shape, data.dtype.itemsize, False, data.device.limits)
        require_memory(data.device, need, f"A copy of {shape[1]} columns", "Pass fewer rows")
        X = take_columns(data.device, self._matrix, columns)
        return CupyRows(Resident(data.device, shape, X, data.y, data.s, data.weight_sum))

    def _gathered(self, rows: matrices.Indices, factors: Float64) -> Resident:
        return matrices.sample(self.data, rows, factors)


def upload_rows(device: Device, X: Matrix, y: Labels, sample_weight: Float64 | None) -> CupyRows:
    """Copy a training set to the device.

    Raises
    ------
    MemoryError
        X and the workspace are larger than the memory that is free; nothing has been copied.
    """
    shape = X.shape[0], X.shape[1]
    need = resident_bytes(shape, X.itemsize, sample_weight is not None, device.limits)
    narrower = "X as float32 (half the bytes), " if X.itemsize == 8 else ""
    require_memory(device, need, f"X of shape {X.shape} and dtype {X.dtype}", f"Pass {narrower}fewer rows")
    return CupyRows(Resident.upload(device, X, y, sample_weight))


def require_memory(device: Device, need: int, what: str, remedy: str) -> None:
    """Raise MemoryError, naming ``what`` and the remedy, unless ``need`` bytes are free on the device."""
    free = device.free_bytes()
    if need > free:
        raise memory_error(what, need, free, remedy)


def checked_rows(picked: RowSample, n: int) -> tuple[matrices.Indices, Float64]:
    """The picked rows and factors. A row that is not there would be read past the end of X."""
    rows, factors = np.ascontiguousarray(picked.rows), np.ascontiguousarray(picked.factors)
    if len(rows) == 0 or len(rows) != len(factors):
        raise ValueError(
            f"{len(rows)} rows and {len(factors)} factors are picked: pick one row or more, a factor each."
        )
    if rows.min() < 0 or rows.max() >= n:
        raise IndexError(
            f"Rows {rows.min()} to {rows.max()} are picked: they are numbered from 0 to {n - 1} here."
        )
    return rows, factors
