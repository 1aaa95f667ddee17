"""Sparse X in device memory, by rows and by columns, and sums over both: launches of csr/csr.cu."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused.csr.plan import Int64, cut_runs, plan_runs, segment_blocks
from accel_logreg.kernels.cupy_fused.dense.plan import PLAIN_THREADS, WARP, plain_blocks
from accel_logreg.kernels.cupy_fused.dense.resident import PLAIN_SCRATCH_BYTES, Float64, Labels, Matrix
from accel_logreg.kernels.cupy_fused.launching import Device

INDEX_BYTES = 4


class Runs:
    """Runs of nonzeros, rows or columns, cut into segments, on the device.

    starts : (runs + 1,) on the host
    leading : groups of partial sums that another kernel writes to the front of ``partials``; they go to the
        entries of the answer after the runs'
    """

    def __init__(
        self,
        device: Device,
        values: Any,
        indices: Any,
        starts: Int64,
        starts_there: Any | None = None,
        leading: tuple[int, ...] = (),
    ) -> None:
        """``starts_there`` is the device's copy of ``starts``, where there is one."""
        self._device, self._values, self._indices = device, values, indices
        self._runs = len(starts) - 1
        plan = plan_runs(self._runs, int(starts[-1]), device.limits)
        segments = cut_runs(starts, plan.length, leading)
        self._lanes, self._segments = plan.lanes, len(segments.starts) - 1
        if segments.targets is None and starts_there is not None:
            self._starts = starts_there
        else:
            self._starts = device.upload(segments.starts)
        self._targets = None if segments.targets is None else device.upload(segments.targets)
        self._leading = len(leading)
        self._sums = len(segments.sum_targets)
        self.partials: Any | None = None
        if self._sums:
            self.partials = device.empty(int(segments.sum_starts[-1]))
            self._sum_starts = device.upload(segments.sum_starts)
            self._sum_targets = device.upload(segments.sum_targets)

    def sum(
        self, vector: Any, out: Any, *, divisor: float = 1.0, squared: bool = False, leading: bool = False
    ) -> None:
        """out[j] = Σ values × vector[indices] / divisor over run j; and the leading groups, if told to."""
        device, name = self._device, np.dtype(self._values.dtype).name
        kernel = f"segment_{'square_' * squared}sums_{name}"
        blocks = segment_blocks(self._segments, self._lanes, device.limits)
        cut = np.int64(self._segments), np.int64(self._runs), np.int32(self._lanes)
        inputs = self._values, self._indices, self._starts, self._targets, *cut, vector, np.float64(divisor)
        device.launch(kernel, (blocks,), PLAIN_THREADS, 0, (*inputs, out, self.partials))
        skip = 0 if leading else self._leading
        sums = self._sums - skip
        if sums:
            ends = self._sum_starts[skip:], self._sum_targets[skip:]
            args = (self.partials, *ends, np.int64(sums), np.float64(divisor), out)
            blocks = plain_blocks(sums * WARP, device.limits)
            device.launch("sum_segments", (blocks,), PLAIN_THREADS, 0, args)


class CsrResident:
    """X (n, d) by rows and by columns, y (n,) int8, s (n,) float64 or None, on the device.

    ``curvatures`` are the s h of the rows at the W of ``curvatures_at``, if that is known.
    """

    def __init__(
        self,
        device: Device,
        shape: tuple[int, int],
        values: Any,
        columns: Any,
        starts: Int64,
        y: Any,
        s: Any | None,
        weight_sum: float,
    ) -> None:
        """Take arrays that are on the device, ``starts`` (n + 1,) on the host. X by columns is made here."""
        self.device = device
        self.n, self.d = shape
        self.nonzeros = int(starts[-1])
        self.dtype = np.dtype(values.dtype)
        self.values, self.columns = values, columns
        self.row_starts = device.upload(starts)
        self.y, self.s = y, s
        self.weight_sum = weight_sum
        self._blocks = plain_blocks(self.n, device.limits)
        self._by_rows = Runs(device, values, columns, starts, self.row_starts)
        self._by_columns = self._transposed()
        self._factors, self.curvatures = device.empty(self.n), device.empty(self.n)
        self.curvatures_at: Float64 | None = None

    @classmethod
    def upload(
        cls,
        device: Device,
        shape: tuple[int, int],
        csr: tuple[Matrix, NDArray[Any], NDArray[Any]],
        y: Labels,
        s: Float64 | None,
    ) -> CsrResident:
        """Copy a training set to the device: ``csr`` is (data, indices, indptr)."""
        data, indices, indptr = csr
        starts = np.ascontiguousarray(indptr, np.int64)
        values, columns = upload_entries(device, data[: starts[-1]], indices[: starts[-1]])
        weight_sum = float(shape[0]) if s is None else float(s.sum())
        weights = None if s is None else device.upload(np.ascontiguousarray(s))
        labels = device.upload(np.ascontiguousarray(y, np.int8))
        return cls(device, shape, values, columns, starts, labels, weights, weight_sum)

    def relabelled(self, y: Labels, s: Float64 | None) -> CsrResident:
        """Another problem over the same X, which is not copied."""
        other = copy(self)
        other.y = self.device.upload(np.ascontiguousarray(y, np.int8))
        other.s = None if s is None else self.device.upload(np.ascontiguousarray(s))
        other.weight_sum = float(self.n) if s is None else float(s.sum())
        other.curvatures, other.curvatures_at = self.device.empty(self.n), None
        return other

    def products(self, W: Any, out: Any) -> None:
        """X w for the device's W, into out (n,)."""
        self._by_rows.sum(W, out)

    def gradient(self, W: Any, answer: Any) -> None:
        """(dw, db, loss) at the device's W (p,), into answer (d + 2,). Makes the curvatures W's."""
        self._gradient_factors(W)
        self._sum_columns(answer, squared=False)

    def product(self, V: Any, answer: Any) -> None:
        """The Hessian where the curvatures are known, times the device's V (p,): (d + 2,), the last idle."""
        self._by_rows.sum(V, self._factors)
        self._product_factors(V)
        self._sum_columns(answer, squared=False)

    def diagonal(self, answer: Any) -> None:
        """The Hessian's diagonal where the curvatures are known: (d + 2,), the last idle."""
        self._product_factors(None)
        self._sum_columns(answer, squared=True)

    def combination(self, a: Any, answer: Any) -> None:
        """Xᵀ a for the device's a (n,): (d,)."""
        self._by_columns.sum(a, answer)

    def know_curvatures(self, W: Float64) -> bool:
        """Make the curvatures those of W; whether X was read for it."""
        if self.curvatures_at is not None and np.array_equal(self.curvatures_at, W):
            return False
        self.curvatures_at = None
        self._gradient_factors(self.device.upload(W))
        self.curvatures_at = W.copy()
        return True

    def _gradient_factors(self, W: Any) -> None:
        self._by_rows.sum(W, self._factors)
        sizes = np.int64(self.n), np.int64(self.d)
        outputs = self._factors, self.curvatures, self._by_columns.partials
        args = (self.y, self.s, W, *sizes, *outputs)
        self.device.launch("csr_gradient_factors", (self._blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)

    def _product_factors(self, V: Any | None) -> None:
        sizes = np.int64(self.n), np.int64(self.d)
        args = (self.curvatures, V, *sizes, self._factors, self._by_columns.partials)
        self.device.launch("csr_product_factors", (self._blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)

    def _sum_columns(self, answer: Any, *, squared: bool) -> None:
        self._by_columns.sum(self._factors, answer, divisor=self.weight_sum, squared=squared, leading=True)

    def _transposed(self) -> Runs:
        """X by columns, from X by rows."""
        device, nonzeros = self.device, self.nonzeros
        starts = np.zeros(self.d + 1, dtype=np.int64)
        if nonzeros:
            order = device.stable_order(self.columns)  # before there is a second copy: it takes memory
        values, rows = device.empty(max(1, nonzeros), self.dtype), device.empty(max(1, nonzeros), np.int32)
        if nonzeros:
            starts_there = device.empty(self.d + 1, np.int64)
            sizes = np.int64(nonzeros), np.int64(self.d)
            blocks = plain_blocks(self.d + 1, device.limits)
            args: tuple[Any, ...] = (self.columns, order, *sizes, starts_there)
            device.launch("column_starts", (blocks,), PLAIN_THREADS, 0, args)
            sizes = np.int64(self.n), np.int64(nonzeros)
            args = (self.values, self.row_starts, order, *sizes, values, rows)
            blocks = plain_blocks(nonzeros, device.limits)
            device.launch(f"transpose_{self.dtype.name}", (blocks,), PLAIN_THREADS, 0, args)
            starts = device.download(starts_there)
        return Runs(device, values, rows, starts, leading=(self._blocks, self._blocks))


def upload_entries(device: Device, data: Matrix, indices: NDArray[Any]) -> tuple[Any, Any]:
    """Values, and columns as int32, on the device. Arrays of nothing have one entry, so that they exist."""
    if len(data) == 0:
        return device.empty(1, data.dtype), device.empty(1, np.int32)
    columns = np.ascontiguousarray(indices, np.int32)
    return device.upload(np.ascontiguousarray(data)), device.upload(columns)
