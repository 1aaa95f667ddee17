"""Launches the kernels of matrices/matrices.cu: answers that are matrices, and samples of rows.

All of it stays on the device until the answer is whole. Workspace is taken for one question and given
back after it: these questions are few, and their sizes differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused.dense.launch import (
    PLAIN_SCRATCH_BYTES,
    Float64,
    Resident,
    launch_over,
    reduce_partials,
)
from accel_logreg.kernels.cupy_fused.dense.plan import PLAIN_THREADS, narrow_lanes, plain_blocks
from accel_logreg.kernels.cupy_fused.launching import Device
from accel_logreg.kernels.cupy_fused.matrices.plan import RankPlan, plan_gram, plan_hessian, row_blocks

Indices = NDArray[np.intp]


def hessian(
    data: Resident,
    W: Float64,
    centre: Float64,
    scale: Float64,
    rows: Indices | None,
    factors: Float64 | None,
    precise: bool,
) -> Float64:
    """Σ wᵢ hᵢ x̂ᵢ x̂ᵢᵀ / Σ wᵢ, (p, p), with x̂ = ((x − centre)/scale, 1).

    rows, factors : (m,) the rows that count and what their weights are multiplied by; or None, all of them
    precise : whether the products, too, are float64
    """
    device, d, p = data.device, data.d, data.d + 1
    m = data.n if rows is None else len(rows)
    vectors = device.upload(np.concatenate([W, centre, 1.0 / scale]))
    picked = None if rows is None else device.upload(rows.astype(np.int64))
    weights = None if factors is None else device.upload(factors)
    plan = plan_hessian(p, m, precise, device.limits)
    roots, normaliser = _scaled_roots(data, vectors[:p], picked, weights, m, plan)
    kernel = f"{'precise_' * precise}hessian_{plan.shape.name}_{data.dtype.name}"
    args = (data.X, picked, roots, vectors[p : p + d], vectors[p + d :], np.int64(m), np.int64(d))
    tiles = _tiles(device, kernel, plan, args)
    return mirrored(device, plan, tiles, p, normaliser)


def _scaled_roots(
    data: Resident, W: Any, picked: Any | None, factors: Any | None, m: int, plan: RankPlan
) -> tuple[Any, Any]:
    """√(wᵢ hᵢ) × scale, (m,) in the type of the products, and (Σ wᵢ, scale)."""
    device, lanes = data.device, narrow_lanes(data.d)
    blocks = row_blocks(m, data.d, device.limits)
    roots, partials = device.empty(m), device.empty(2 * blocks)
    sizes = np.int64(m), np.int64(data.d), np.int32(lanes)
    args = (data.X, data.s, picked, factors, W, *sizes, roots, partials)
    kernel = f"hessian_roots_{data.dtype.name}"
    device.launch(kernel, (blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)
    return scaled_roots(device, roots, partials, m, blocks, plan)


def scaled_roots(
    device: Device, roots: Any, partials: Any, m: int, blocks: int, plan: RankPlan
) -> tuple[Any, Any]:
    """The roots times what brings them into the range of the products' type; and (Σ wᵢ, that scale).

    partials : two for each of the ``blocks`` of the kernel that made the roots
    """
    dtype = np.dtype(f"float{8 * plan.shape.itemsize}")
    scaled, normaliser = device.empty(m, dtype), device.empty(2)
    args = (roots, partials, np.int64(m), np.int32(blocks), scaled, normaliser)
    grid = (plain_blocks(m, device.limits),)
    device.launch(f"scale_roots_{dtype.name}", grid, PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)
    return scaled, normaliser


def gram(data: Resident, centre: Float64) -> Float64:
    """(X − centre)(X − centre)ᵀ, (n, n)."""
    device, n, d = data.device, data.n, data.d
    plan = plan_gram(n, d, device.limits)
    args = (data.X, device.upload(centre), np.int64(n), np.int64(d))
    tiles = _tiles(device, f"gram_{data.dtype.name}", plan, args)
    return mirrored(device, plan, tiles, n, None)


def _tiles(device: Device, kernel: str, plan: RankPlan, args: tuple[Any, ...]) -> Any:
    """The tiles of the lower triangle, (tiles, edge, edge): every way to make them goes through here."""
    shape, size = plan.shape, plan.tiles_size
    partials = device.empty(plan.slices * size)
    grid = (plan.tiles, plan.slices)
    args = (*args, np.int64(plan.chunk_terms), partials)
    device.launch(kernel, grid, shape.threads, shape.shared_bytes, args)
    if plan.slices == 1:
        return partials
    tiles = device.empty(size)
    reduce_partials(device, partials, plan.slices, size, 1.0, tiles)
    return tiles


def mirrored(device: Device, plan: RankPlan, tiles: Any, size: int, normaliser: Any | None) -> Float64:
    """The symmetric matrix (size, size) on the host, normalised."""
    out = device.empty(size * size)
    args = (tiles, np.int64(size), np.int32(plan.shape.edge), normaliser, out)
    launch_over(device, "mirror_tiles", size * size, args)
    return device.download(out).reshape(size, size)


def sample(data: Resident, rows: Indices, factors: Float64) -> Resident:
    """The rows (m,) copied within the device, with weights s × factors; no weights where all are 1."""
    device, m, d = data.device, len(rows), data.d
    weighted = sample_is_weighted(data.s, factors)
    X, y = device.empty(m * d, data.dtype), device.empty(m, np.int8)
    s = device.empty(m) if weighted else None
    lanes = narrow_lanes(d)
    picked = device.upload(rows.astype(np.int64)), device.upload(factors)
    args = (data.X, data.y, data.s, *picked, np.int64(m), np.int64(d), np.int32(lanes), X, y, s)
    launch_over(device, f"gather_rows_{data.dtype.name}", m * lanes, args)
    weight_sum = float(m) if s is None else float(device.download(s).sum())
    return Resident(device, (m, d), X, y, s, weight_sum)


def sample_is_weighted(s: Any | None, factors: Float64) -> bool:
    """Whether a sample of rows with weights s, and with these factors, needs weights of its own."""
    return s is not None or bool((factors != 1.0).any())
