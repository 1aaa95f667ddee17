"""Matrices of sparse rows, and samples of them: launches of csr/csr.cu and matrices/matrices.cu."""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.cupy_fused.csr.plan import GRAM_BATCH, Int64, plan_runs, plan_tiles, tile_rows
from accel_logreg.kernels.cupy_fused.csr.resident import CsrResident
from accel_logreg.kernels.cupy_fused.dense.plan import PLAIN_THREADS, WARP, plain_blocks
from accel_logreg.kernels.cupy_fused.dense.resident import PLAIN_SCRATCH_BYTES, Float64
from accel_logreg.kernels.cupy_fused.matrices.launch import Indices
from accel_logreg.kernels.cupy_fused.matrices.plan import RankPlan


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
        blocks = plain_blocks(plan.tiles_size, device.limits)
        device.launch("add_slices", (blocks,), PLAIN_THREADS, 0, (partials, *sums, total))
    out = device.empty(p * p)
    last = (total, np.int64(p), np.int32(plan.shape.edge), normaliser, out)
    device.launch("mirror_tiles", (plain_blocks(p * p, device.limits),), PLAIN_THREADS, 0, last)
    return device.download(out).reshape(p, p)


def _scaled_roots(
    data: CsrResident, picked: Any | None, factors: Any | None, m: int, plan: RankPlan
) -> tuple[Any, Any]:
    """√(wᵢ hᵢ) × scale, (m,) in the type of the products, and (Σ wᵢ, scale)."""
    device, blocks = data.device, plain_blocks(m, data.device.limits)
    roots, partials = device.empty(m), device.empty(2 * blocks)
    args: tuple[Any, ...] = (data.curvatures, data.s, picked, factors, np.int64(m), roots, partials)
    device.launch("csr_roots", (blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)
    dtype = np.dtype(f"float{8 * plan.shape.itemsize}")
    scaled, normaliser = device.empty(m, dtype), device.empty(2)
    args = (roots, partials, np.int64(m), np.int32(blocks), scaled, normaliser)
    device.launch(f"scale_roots_{dtype.name}", (blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)
    return scaled, normaliser


def gram(data: CsrResident) -> Float64:
    """X Xᵀ, (n, n): GRAM_BATCH rows at a time, dense, against all rows after them."""
    device, n = data.device, data.n
    dense, out = device.empty(GRAM_BATCH * data.d, data.dtype), device.empty(n * n)
    _fill(data, dense, GRAM_BATCH * data.d)
    for first in range(0, n, GRAM_BATCH):
        count = min(GRAM_BATCH, n - first)
        _scatter(data, dense, None, first, count, row_step=1, column_step=GRAM_BATCH)
        blocks = plain_blocks((n - first) * WARP, device.limits)
        args = (data.values, data.columns, data.row_starts, dense, np.int64(first), np.int64(n), out)
        device.launch(f"gram_batch_{data.dtype.name}", (blocks,), PLAIN_THREADS, 0, args)
        _scatter(data, dense, None, first, count, row_step=1, column_step=GRAM_BATCH, clear=True)
    return device.download(out).reshape(n, n)


def sample_lengths(data: CsrResident, rows: Indices) -> Int64:
    """How many nonzeros each of the rows (m,) has."""
    device, m = data.device, len(rows)
    lengths = device.empty(m, np.int64)
    args = (data.row_starts, device.upload(rows.astype(np.int64)), np.int64(m), lengths)
    device.launch("row_lengths", (plain_blocks(m, device.limits),), PLAIN_THREADS, 0, args)
    found: Int64 = device.download(lengths)
    return found


def sample(data: CsrResident, rows: Indices, factors: Float64, lengths: Int64) -> CsrResident:
    """The rows (m,) copied within the device, with weights s × factors; no weights where all are 1."""
    device, m = data.device, len(rows)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    nonzeros = int(starts[-1])
    values, columns = device.empty(max(1, nonzeros), data.dtype), device.empty(max(1, nonzeros), np.int32)
    y, s = device.empty(m, np.int8), device.empty(m) if sample_is_weighted(data, factors) else None
    picked = device.upload(rows.astype(np.int64)), device.upload(factors), device.upload(starts)
    lanes = plan_runs(m, nonzeros, device.limits).lanes
    inputs = (data.values, data.columns, data.row_starts, data.y, data.s, *picked)
    args = (*inputs, np.int64(m), np.int32(lanes), values, columns, y, s)
    blocks = plain_blocks(m * lanes, device.limits)
    device.launch(f"gather_csr_rows_{data.dtype.name}", (blocks,), PLAIN_THREADS, 0, args)
    weight_sum = float(m) if s is None else float(device.download(s).sum())
    return CsrResident(device, (m, data.d), values, columns, starts, y, s, weight_sum)


def sample_is_weighted(data: CsrResident, factors: Float64) -> bool:
    """Whether a sample with these factors needs weights of its own."""
    return data.s is not None or bool((factors != 1.0).any())


def _fill(data: CsrResident, dense: Any, count: int) -> None:
    blocks = plain_blocks(count, data.device.limits)
    args = (np.int64(count), dense)
    data.device.launch(f"fill_zeros_{data.dtype.name}", (blocks,), PLAIN_THREADS, 0, args)


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
    blocks = plain_blocks(count * lanes, device.limits)
    device.launch(f"scatter_rows_{data.dtype.name}", (blocks,), PLAIN_THREADS, 0, args)
