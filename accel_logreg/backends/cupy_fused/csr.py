"""Compressed sparse rows in the CuPy engine: X on the device by rows and by columns.

A gradient or a Hessian product reads both copies, and is counted as two reads. The rows' curvatures at the
last W asked about stay on the device, so that a question about the Hessian there does not read X for them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.cupy_fused.dense import checked_rows, require_memory
from accel_logreg.interface.answers import Descent, RowSample
from accel_logreg.interface.arrays import Csr, Float64, Labels
from accel_logreg.interface.columns import OneByOne
from accel_logreg.interface.rows import AmongRows, Precision, Rows
from accel_logreg.interface.targets import Targets
from accel_logreg.kernels.cupy_fused.csr import launch as kernels
from accel_logreg.kernels.cupy_fused.csr.launch import INDEX_BYTES, CsrResident
from accel_logreg.kernels.cupy_fused.csr.plan import (
    LARGEST_INDEX,
    csr_bytes,
    csr_gram_bytes,
    csr_hessian_bytes,
)
from accel_logreg.kernels.cupy_fused.launching import Device
from accel_logreg.kernels.cupy_fused.matrices.launch import sample_is_weighted
from accel_logreg.kernels.python_loop.csr import refuse_centre


class CupyCsrRows(Rows, AmongRows):
    """Sparse rows in the memory of one device. ``upload_csr_rows`` puts them there."""

    def __init__(self, data: CsrResident) -> None:
        super().__init__((data.n, data.d), data.dtype, data.weight_sum)
        self.sparse, self.entries = True, data.nonzeros
        self.nbytes = data.nonzeros * (data.dtype.itemsize + INDEX_BYTES) + INDEX_BYTES * (data.n + 1)
        self.data = data

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        self._count(2)
        return kernels.loss_grad(self.data, W)

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        self._know_curvatures(W)
        self._count(2)
        return kernels.hessian_product(self.data, V)

    def descend(
        self, W: Float64, learning_rate: float, shrink: float, steps: int, fit_intercept: bool
    ) -> Descent:
        self._count(2 * steps)
        return Descent(*kernels.descend(self.data, W, learning_rate, shrink, steps, fit_intercept))

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
        """As in ``Rows``, through dense rows, some at a time; a read of the rows that count.

        Raises
        ------
        MemoryError
            The answer and the workspace are larger than the memory that is free; nothing was taken.
        """
        if centre.any():
            refuse_centre(centre.tolist())
        rows, factors = (None, None) if sample is None else checked_rows(sample, self.n_rows)
        m, precise = self.n_rows if rows is None else len(rows), precision == "float64"
        device, itemsize = self.data.device, self.dtype.itemsize
        require_memory(
            device,
            csr_hessian_bytes(m, self.n_features, itemsize, rows is not None, precise, device.limits),
            f"The Hessian of {self.n_features + 1} parameters over {m} rows",
            "Pass fewer features, or solver='newton-cg', which needs no such matrix",
        )
        self._know_curvatures(W)
        self._count(m / self.n_rows)
        return kernels.hessian(self.data, scale, rows, factors, precise)

    def hessian_diagonal(self, W: Float64) -> Float64:
        self._know_curvatures(W)
        self._count(1)
        return kernels.hessian_diagonal(self.data)

    def gram(self, centre: Float64, *, precise: bool = True) -> Float64:  # noqa: ARG002
        """As in ``Rows``, counted as one read. Raises MemoryError as ``hessian`` does."""
        if centre.any():
            refuse_centre(centre.tolist())
        need = csr_gram_bytes(self.n_rows, self.n_features, self.dtype.itemsize)
        what = f"The Gram matrix of {self.n_rows} rows"
        require_memory(self.data.device, need, what, "Pass fewer rows, or solver='newton-cg'")
        self._count(1)
        return kernels.gram(self.data)

    def combination(self, a: Float64) -> Float64:
        self._count(1)
        return kernels.combination(self.data, np.ascontiguousarray(a))

    def logits(self, W: Float64) -> Float64:
        self._count(1)
        return kernels.resident_logits(self.data, W)

    def among_rows(self) -> CupyCsrRows:
        return self

    def sample(self, picked: RowSample) -> CupyCsrRows:
        """As in ``Rows``, copied within the device: a read of the rows, and one for their columns.

        Raises MemoryError as ``hessian`` does.
        """
        rows, factors = checked_rows(picked, self.n_rows)
        data, m = self.data, len(rows)
        lengths = kernels.sample_lengths(data, rows)
        weighted = sample_is_weighted(data.s, factors)
        shape = m, self.n_features, int(lengths.sum())
        need = 24 * m + csr_bytes(*shape, self.dtype.itemsize, weighted, data.device.limits)
        require_memory(data.device, need, f"A sample of {m} rows", "Pass fewer rows")
        sample = CupyCsrRows(kernels.sample(data, rows, factors, lengths))
        self._share_tally(sample)
        sample._count(1)
        return sample

    def _restricted(self, columns: NDArray[np.intp]) -> CupyCsrRows:
        """As in ``Rows``, copied within the device. Raises MemoryError as ``hessian`` does."""
        data, k = self.data, len(columns)
        device, what = data.device, f"A copy of {k} columns"
        require_memory(device, kernels.renaming_bytes(data), what, "Pass fewer rows")
        names = np.full(data.d, -1, dtype=np.int32)
        names[columns] = np.arange(k)
        renamed = kernels.rename_columns(data, names)
        need = csr_bytes(data.n, k, int(renamed.starts[-1]), data.dtype.itemsize, False, device.limits)
        require_memory(device, need, what, "Pass fewer rows")
        return CupyCsrRows(kernels.restricted(data, renamed, k))

    def _know_curvatures(self, W: Float64) -> None:
        if self.data.know_curvatures(W):
            self._count(1)


def upload_csr_rows(device: Device, X: Csr, y: Labels, sample_weight: Float64 | None) -> CupyCsrRows:
    """Copy a sparse training set to the device, and make X by columns there.

    Raises
    ------
    ValueError
        More rows or columns than 32 bits can number.
    MemoryError
        Both copies, and the sort that makes the second, are larger than the memory that is free; nothing
        has been copied.
    """
    _require_short_indices(X)
    (n, d), nonzeros, weighted = X.shape, len(X.data), sample_weight is not None
    need = csr_bytes(n, d, nonzeros, X.dtype.itemsize, weighted, device.limits)
    narrower = "X as float32, " if X.dtype.itemsize == 8 else ""
    what = f"Sparse X of shape {X.shape} with {nonzeros} nonzeros of dtype {X.dtype}"
    require_memory(device, need, what, f"Pass {narrower}fewer rows")
    rows = CupyCsrRows(CsrResident.upload(device, X.shape, (X.data, X.indices, X.indptr), y, sample_weight))
    rows.nbytes = X.nbytes
    return rows


def csr_columns(rows: CupyCsrRows, targets: Targets) -> OneByOne:
    """K problems over the X that ``rows`` hold, asked one after the other."""

    def around(of: Rows, one: Targets) -> Rows:
        assert isinstance(of, CupyCsrRows)
        return CupyCsrRows(of.data.relabelled(one.y, one.s))

    return OneByOne(rows, targets, around)


def csr_logits(device: Device, X: Csr, W: Float64) -> Float64:
    """z = X W[:d] + W[d], (m,) or (m, K); X goes through the device in pieces."""
    _require_short_indices(X)
    return kernels.logits(device, (X.data, X.indices, X.indptr), W)


def _require_short_indices(X: Csr) -> None:
    if max(X.shape) > LARGEST_INDEX:
        raise ValueError(
            f"X has shape {X.shape}: backend='cupy' numbers rows and columns of sparse X with 32 bits, at "
            f"most {LARGEST_INDEX} of each. Use backend='numba'."
        )
