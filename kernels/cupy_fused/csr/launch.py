"""Sparse X in device memory, by rows and by columns, and the questions of python_loop/csr.py about it.

As in dense/launch.py: a question is one copy to the device, launches of csr/csr.cu that follow each other
without a word to the host, and one copy back. Matrices are made of dense rows, some at a time, by
matrices/matrices.cu.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused.csr.plan import (
    GRAM_BATCH,
    Int64,
    cut_runs,
    plan_runs,
    plan_tiles,
    segment_blocks,
    tile_rows,
)
from accel_logreg.kernels.cupy_fused.dense.launch import (
    PLAIN_SCRATCH_BYTES,
    Float64,
    Labels,
    Matrix,
    largest_of,
    launch_over,
)
from accel_logreg.kernels.cupy_fused.dense.plan import PLAIN_THREADS, WARP, plain_blocks
from accel_logreg.kernels.cupy_fused.descent.launch import Trace, descend_in_steps
from accel_logreg.kernels.cupy_fused.launching import Device
from accel_logreg.kernels.cupy_fused.matrices.launch import (
    Indices,
    mirrored,
    sample_is_weighted,
    scaled_roots,
)
from accel_logreg.kernels.cupy_fused.matrices.plan import RankPlan

LOGITS_BYTES = 256 << 20  # of X on the device at a time
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
            launch_over(device, "sum_segments", sums * WARP, args)


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
        self.by_rows = Runs(device, values, columns, starts, self.row_starts)
        self.by_columns = self._transposed()
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

    def gradient(self, W: Any, answer: Any) -> None:
        """(dw, db, loss) at the device's W (p,), into answer (d + 2,). Makes the curvatures W's."""
        self._gradient_factors(W)
        self._sum_columns(answer, squared=False)

    def know_curvatures(self, W: Float64) -> bool:
        """Make the curvatures those of W; whether X was read for it."""
        if self.curvatures_at is not None and np.array_equal(self.curvatures_at, W):
            return False
        self.curvatures_at = None
        self._gradient_factors(self.device.upload(W))
        self.curvatures_at = W.copy()
        return True

    def _gradient_factors(self, W: Any) -> None:
        self.by_rows.sum(W, self._factors)
        sizes = np.int64(self.n), np.int64(self.d)
        outputs = self._factors, self.curvatures, self.by_columns.partials
        args = (self.y, self.s, W, *sizes, *outputs)
        self.device.launch("csr_gradient_factors", (self._blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)

    def sum_products(self, V: Any | None, answer: Any) -> None:
        """The Hessian where the curvatures are known times V (p,), or its diagonal: (d + 2,), last idle."""
        if V is not None:
            self.by_rows.sum(V, self._factors)
        sizes = np.int64(self.n), np.int64(self.d)
        args = (self.curvatures, V, *sizes, self._factors, self.by_columns.partials)
        self.device.launch("csr_product_factors", (self._blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)
        self._sum_columns(answer, squared=V is None)

    def _sum_columns(self, answer: Any, *, squared: bool) -> None:
        self.by_columns.sum(self._factors, answer, divisor=self.weight_sum, squared=squared, leading=True)

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
            launch_over(device, "column_starts", self.d + 1, (self.columns, order, *sizes, starts_there))
            sizes = np.int64(self.n), np.int64(nonzeros)
            args = (self.values, self.row_starts, order, *sizes, values, rows)
            launch_over(device, f"transpose_{self.dtype.name}", nonzeros, args)
            starts = device.download(starts_there)
        return Runs(device, values, rows, starts, leading=(self._blocks, self._blocks))


def upload_entries(device: Device, data: Matrix, indices: NDArray[Any]) -> tuple[Any, Any]:
    """Values, and columns as int32, on the device. Arrays of nothing have one entry, so that they exist."""
    if len(data) == 0:
        return device.empty(1, data.dtype), device.empty(1, np.int32)
    columns = np.ascontiguousarray(indices, np.int32)
    return device.upload(np.ascontiguousarray(data)), device.upload(columns)


# ---- questions


def loss_grad(data: CsrResident, W: Float64) -> tuple[float, Float64]:
    """J, and (∂J/∂w, ∂J/∂b) as (p,). Both copies of X are read; the curvatures at W are known after it."""
    data.curvatures_at = None
    answer = data.device.empty(data.d + 2)
    data.gradient(data.device.upload(W), answer)
    host = data.device.download(answer)
    data.curvatures_at = W.copy()
    return float(host[-1]), host[:-1]


def hessian_product(data: CsrResident, V: Float64) -> Float64:
    """The Hessian of the mean loss, where the curvatures are known, times V: (p,)."""
    answer, v = data.device.empty(data.d + 2), data.device.upload(V)
    data.sum_products(v, answer)
    return data.device.download(answer)[: data.d + 1]


def hessian_diagonal(data: CsrResident) -> Float64:
    """Σ sᵢ hᵢ x̃ᵢⱼ² / S, (p,), where the curvatures are known; X is read by columns alone."""
    answer = data.device.empty(data.d + 2)
    data.sum_products(None, answer)
    return data.device.download(answer)[: data.d + 1]


def combination(data: CsrResident, a: Float64) -> Float64:
    """Xᵀ a, (d,)."""
    answer = data.device.empty(data.d)
    data.by_columns.sum(data.device.upload(a), answer)
    return data.device.download(answer)


def descend(data: CsrResident, W: Float64, alpha: float, l2: float, steps: int, fit_intercept: bool) -> Trace:
    """``steps`` steps of gradient descent on J + l2/2 ‖w‖², queued without waiting."""
    data.curvatures_at = None
    return descend_in_steps(data.device, data.gradient, W, alpha, l2, steps, fit_intercept)


def largest_entry(data: CsrResident) -> float:
    """max |xᵢⱼ|, 0 where there are no nonzeros."""
    return largest_of(data.device, data.values, data.nonzeros)


def resident_logits(data: CsrResident, W: Float64) -> Float64:
    """z = X w + b, (n,), for X on the device."""
    out = data.device.empty(data.n)
    data.by_rows.sum(data.device.upload(W), out)
    z: Float64 = data.device.download(out) + W[-1]
    return z


def logits(device: Device, csr: tuple[Matrix, NDArray[Any], NDArray[Any]], W: Float64) -> Float64:
    """z = X w + b, (m,), or (m, K) for W (p, K). Host X, (data, indices, indptr), goes through the device in
    pieces.
    """
    data, indices, indptr = csr
    starts = np.ascontiguousarray(indptr, np.int64)
    weights = [device.upload(w) for w in np.ascontiguousarray(W.reshape(len(W), -1).T)]
    z = np.empty((len(weights), len(starts) - 1))
    for first, last in _pieces(starts, max(1, LOGITS_BYTES // (data.itemsize + INDEX_BYTES))):
        piece = slice(starts[first], starts[last])
        entries = upload_entries(device, data[piece], indices[piece])
        out = device.empty(last - first)
        runs = Runs(device, *entries, starts[first : last + 1] - starts[first])
        for k, w in enumerate(weights):
            runs.sum(w, out)
            z[k, first:last] = device.download(out)
    answer: Float64 = z.T.reshape(-1, *W.shape[1:]) + W[-1]
    return answer


def _pieces(starts: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Rows from, to: of at most ``most`` nonzeros, or one row."""
    n, first = len(starts) - 1, 0
    while first < n:
        last = int(np.searchsorted(starts, starts[first] + most, side="right")) - 1
        last = min(n, max(last, first + 1))
        yield first, last
        first = last


# ---- matrices, and samples of rows


def hessian(
    data: CsrResident, scale: Float64, rows: Indices | None, factors: Float64 | None, precise: bool
) -> Float64:
    """Σ wᵢ hᵢ x̂ᵢ x̂ᵢᵀ / Σ wᵢ, (p, p), with x̂ = (x/scale, 1), where the curvatures are known.

    rows, factors : (m,) the rows that count and what their weights are multiplied by; or None, all of them
    precise : whether the products, too, are float64
    """
    device, d, p = data.device, data.d, data.d + 1
    m = data.n if rows is None else len(rows)
    picked = None if rows is None else device.upload(rows.astype(np.int64))
    weights = None if factors is None else device.upload(factors)
    plan = plan_tiles(m, d, data.dtype.itemsize, precise, device.limits)
    roots, normaliser = _scaled_roots(data, picked, weights, m, plan)
    coordinates = device.upload(np.concatenate([np.zeros(d), 1.0 / scale]))
    kernel = f"{'precise_' * precise}hessian_{plan.shape.name}_{data.dtype.name}"
    batch = tile_rows(m, d, data.dtype.itemsize)
    dense = device.empty(batch * d, data.dtype)
    partials, total = device.empty(plan.slices * plan.tiles_size), device.empty(plan.tiles_size)
    for first in range(0, m, batch):
        count = min(batch, m - first)
        _fill(data, dense, count * d)
        which = None if picked is None else picked[first : first + count]
        _scatter(data, dense, which, first, count, row_step=d, column_step=1)
        slices = -(-count // plan.chunk_terms)
        sizes = np.int64(count), np.int64(d), np.int64(plan.chunk_terms)
        centre, inverse = coordinates[:d], coordinates[d:]
        args = (dense, None, roots[first : first + count], centre, inverse, *sizes, partials)
        device.launch(kernel, (plan.tiles, slices), plan.shape.threads, plan.shape.shared_bytes, args)
        sums = np.int64(slices), np.int64(plan.tiles_size), np.int32(first == 0)
        launch_over(device, "add_slices", plan.tiles_size, (partials, *sums, total))
    return mirrored(device, plan, total, p, normaliser)


def _scaled_roots(
    data: CsrResident, picked: Any | None, factors: Any | None, m: int, plan: RankPlan
) -> tuple[Any, Any]:
    """√(wᵢ hᵢ) × scale, (m,) in the type of the products, and (Σ wᵢ, scale)."""
    device, blocks = data.device, plain_blocks(m, data.device.limits)
    roots, partials = device.empty(m), device.empty(2 * blocks)
    args = (data.curvatures, data.s, picked, factors, np.int64(m), roots, partials)
    device.launch("csr_roots", (blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)
    return scaled_roots(device, roots, partials, m, blocks, plan)


def gram(data: CsrResident) -> Float64:
    """X Xᵀ, (n, n): GRAM_BATCH rows at a time, dense, against all rows after them."""
    device, n = data.device, data.n
    dense, out = device.empty(GRAM_BATCH * data.d, data.dtype), device.empty(n * n)
    _fill(data, dense, GRAM_BATCH * data.d)
    for first in range(0, n, GRAM_BATCH):
        count = min(GRAM_BATCH, n - first)
        _scatter(data, dense, None, first, count, row_step=1, column_step=GRAM_BATCH)
        args = (data.values, data.columns, data.row_starts, dense, np.int64(first), np.int64(n), out)
        launch_over(device, f"gram_batch_{data.dtype.name}", (n - first) * WARP, args)
        _scatter(data, dense, None, first, count, row_step=1, column_step=GRAM_BATCH, clear=True)
    return device.download(out).reshape(n, n)


def sample_lengths(data: CsrResident, rows: Indices) -> Int64:
    """How many nonzeros each of the rows (m,) has."""
    device, m = data.device, len(rows)
    lengths = device.empty(m, np.int64)
    args = (data.row_starts, device.upload(rows.astype(np.int64)), np.int64(m), lengths)
    launch_over(device, "row_lengths", m, args)
    found: Int64 = device.download(lengths)
    return found


def sample(data: CsrResident, rows: Indices, factors: Float64, lengths: Int64) -> CsrResident:
    """The rows (m,) copied within the device, with weights s × factors; no weights where all are 1."""
    device, m = data.device, len(rows)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    nonzeros = int(starts[-1])
    values, columns = device.empty(max(1, nonzeros), data.dtype), device.empty(max(1, nonzeros), np.int32)
    y, s = device.empty(m, np.int8), device.empty(m) if sample_is_weighted(data.s, factors) else None
    picked = device.upload(rows.astype(np.int64)), device.upload(factors), device.upload(starts)
    lanes = plan_runs(m, nonzeros, device.limits).lanes
    inputs = (data.values, data.columns, data.row_starts, data.y, data.s, *picked)
    args = (*inputs, np.int64(m), np.int32(lanes), values, columns, y, s)
    launch_over(device, f"gather_csr_rows_{data.dtype.name}", m * lanes, args)
    weight_sum = float(m) if s is None else float(device.download(s).sum())
    return CsrResident(device, (m, data.d), values, columns, starts, y, s, weight_sum)


class Renamed(NamedTuple):
    """The nonzeros' new columns, negative where they have none, and whether they have, (nonzeros,) on the
    device; where the rows of those that have begin, (n + 1,) on the host.
    """

    columns: Any
    kept: Any
    starts: Int64


def renaming_bytes(data: CsrResident) -> int:
    """Device memory that ``rename_columns`` takes, and what CuPy takes to leave out nonzeros."""
    return 24 * data.nonzeros + 4 * data.d + 8 * (data.n + 2)


def rename_columns(data: CsrResident, names: NDArray[np.int32]) -> Renamed:
    """Column j becomes names[j], for names (d,); where that is negative, it is left out."""
    device = data.device
    there, before = device.upload(names), device.empty(data.nonzeros + 1, np.int64)
    with device.expressions():
        columns, kept, starts = renamed(data.columns[: data.nonzeros], data.row_starts, there, before)
    return Renamed(columns, kept, device.download(starts))


def renamed(columns: Any, row_starts: Any, names: Any, before: Any) -> tuple[Any, Any, Any]:
    """What ``Renamed`` holds, by expressions; ``before`` (nonzeros + 1,) is written."""
    columns = names[columns]
    kept = columns >= 0
    before[:1] = 0
    kept.cumsum(None, np.int64, before[1:])
    return columns, kept, before[row_starts]


def restricted(data: CsrResident, to: Renamed, k: int) -> CsrResident:
    """The k columns that are left, copied within the device; labels and weights are not."""
    device, (columns, kept, starts) = data.device, to
    if starts[-1]:
        with device.expressions():
            values, columns = data.values[: data.nonzeros][kept], columns[kept]
    else:
        values, columns = device.empty(1, data.dtype), device.empty(1, np.int32)
    return CsrResident(device, (data.n, k), values, columns, starts, data.y, data.s, data.weight_sum)


def _fill(data: CsrResident, dense: Any, count: int) -> None:
    launch_over(data.device, f"fill_zeros_{data.dtype.name}", count, (np.int64(count), dense))


def _scatter(
    data: CsrResident,
    dense: Any,
    picked: Any | None,
    first: int,
    count: int,
    *,
    row_step: int,
    column_step: int,
    clear: bool = False,
) -> None:
    """Put the nonzeros of ``count`` rows, the picked ones or those from ``first`` on, in their places."""
    device = data.device
    lanes = plan_runs(data.n, data.nonzeros, device.limits).lanes
    sizes = np.int64(first), np.int64(count), np.int32(lanes)
    steps = np.int64(row_step), np.int64(column_step), np.int32(clear)
    args = (data.values, data.columns, data.row_starts, picked, *sizes, *steps, dense)
    launch_over(device, f"scatter_rows_{data.dtype.name}", count * lanes, args)
