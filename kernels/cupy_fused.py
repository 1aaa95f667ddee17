"""Launches the kernels of cupy_fused.cu: the questions of python_loop.py, answered on a CUDA device.

n rows, d features, p = d + 1 with the intercept last. ``Resident`` is a training set in device memory.
W, V and every answer are host float64. A question is one copy to the device, launches that follow each
other without a word to the host, and one copy back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused_device import Device
from accel_logreg.kernels.cupy_fused_plan import (
    PLAIN_THREADS,
    REDUCE_THREADS,
    WARP,
    Limits,
    TilePlan,
    TwoReadPlan,
    narrow_lanes,
    plain_blocks,
    plan_pass,
)

Float64 = NDArray[np.float64]
Matrix = NDArray[np.float32] | NDArray[np.float64]

GRADIENT_DOTS = 1  # dot products per row: with W
HESSIAN_DOTS = 2  # with W and with V
PLAIN_SCRATCH_BYTES = 8 * PLAIN_THREADS // WARP
STEP_THREADS = 1024
LOGITS_BYTES = 256 << 20  # of X on the device at a time


class Resident:
    """X (n, d) float32 or float64, y (n,) int8, s (n,) float64 or None, on the device; and its passes."""

    def __init__(self, device: Device, X: Matrix, y: Float64, s: Float64 | None) -> None:
        self.device = device
        self.n, self.d = X.shape
        self.dtype = X.dtype
        self.weight_sum = float(self.n) if s is None else float(s.sum())
        self.X = device.upload(X)
        self.y = device.upload(y.astype(np.int8))
        self.s = None if s is None else device.upload(s)
        self.gradient = _Pass(self, "gradient", "gradient_factors", GRADIENT_DOTS)
        self.hessian_product = _Pass(self, "hessian_product", "hessian_factors", HESSIAN_DOTS)


def resident_bytes(shape: tuple[int, int], itemsize: int, weighted: bool, limits: Limits) -> int:
    """Device memory that a Resident of X with this shape (n, d) takes, workspace included."""
    n, d = shape
    data = n * d * itemsize + n + (8 * n if weighted else 0)
    workspace = 0
    for dots in (GRADIENT_DOTS, HESSIAN_DOTS):
        plan = plan_pass(n, d, itemsize, dots, limits)
        if isinstance(plan, TilePlan):
            workspace += 8 * plan.blocks * (d + 2)
        else:
            workspace += 8 * (n + plan.chunks * d + 2 * plan.row_blocks)
    return data + workspace


class _Pass:
    """One question's plan and workspace: answer = (Σ fᵢ xᵢ, Σ fᵢ, loss) / S, with row factors f.

    The rows are an argument of every call and not kept: a cycle of references would hold their
    device memory until Python's next collection.
    """

    def __init__(self, data: Resident, fused: str, factors: str, dots: int) -> None:
        device = data.device
        self._names = f"{fused}_{data.dtype.name}", f"{factors}_{data.dtype.name}"
        self.plan = plan_pass(data.n, data.d, data.dtype.itemsize, dots, device.limits)
        if isinstance(self.plan, TilePlan):
            self.reads = 1
            self._partials = device.empty(self.plan.blocks * (data.d + 2))
        else:
            self.reads = 2
            self._factors = device.empty(data.n)
            self._partials = device.empty(self.plan.chunks * data.d)
            self._sums = device.empty(2 * self.plan.row_blocks)

    def launch(self, data: Resident, W: Any, V: Any | None, answer: Any) -> None:
        """W, V: device (p,). answer: device (d + 2,), written. Returns before the device is done."""
        inputs = (data.X, data.y, data.s, W, V, np.int64(data.n))
        if isinstance(self.plan, TilePlan):
            self._launch_fused(data, self.plan, inputs, answer)
        else:
            self._launch_two_reads(data, self.plan, inputs, answer)

    def _launch_fused(self, data: Resident, plan: TilePlan, inputs: tuple[Any, ...], answer: Any) -> None:
        cut = (
            np.int32(data.d),
            np.int64(plan.chunk_rows),
            np.int32(plan.tile_rows),
            np.int32(plan.lanes),
            np.int32(plan.stages),
        )
        args = (*inputs, *cut, self._partials)
        data.device.launch(self._names[0], (plan.blocks,), plan.threads, plan.shared_bytes, args)
        _reduce(data, self._partials, plan.blocks, data.d + 2, answer)

    def _launch_two_reads(
        self, data: Resident, plan: TwoReadPlan, inputs: tuple[Any, ...], answer: Any
    ) -> None:
        n, d = np.int64(data.n), np.int64(data.d)
        args: tuple[Any, ...] = (*inputs, d, self._factors, self._sums)
        data.device.launch(self._names[1], (plan.row_blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)
        args = (data.X, self._factors, n, d, np.int64(plan.chunk_rows), self._partials)
        grid = (plan.column_blocks, plan.chunks)
        data.device.launch(f"column_sums_{data.dtype.name}", grid, PLAIN_THREADS, 0, args)
        _reduce(data, self._partials, plan.chunks, data.d, answer[: data.d])
        _reduce(data, self._sums, plan.row_blocks, 2, answer[data.d :])


def _reduce(data: Resident, partials: Any, rows: int, columns: int, out: Any) -> None:
    """out[j] = Σ partials[row, j] / S."""
    args = (partials, np.int64(rows), np.int64(columns), np.float64(data.weight_sum), out)
    blocks = -(-columns // WARP)
    data.device.launch("reduce_partials", (blocks,), REDUCE_THREADS, 8 * REDUCE_THREADS, args)


def loss_grad(data: Resident, W: Float64) -> tuple[float, Float64]:
    """J, and (∂J/∂w, ∂J/∂b) as (p,)."""
    answer = data.device.empty(data.d + 2)
    data.gradient.launch(data, data.device.upload(W), None, answer)
    host = data.device.download(answer)
    return float(host[-1]), host[:-1]


def hessian_product(data: Resident, W: Float64, V: Float64) -> Float64:
    """The Hessian of the mean loss at W times V, (p,)."""
    p = data.d + 1
    both = data.device.upload(np.concatenate([W, V]))
    answer = data.device.empty(p + 1)
    data.hessian_product.launch(data, both[:p], both[p:], answer)
    return data.device.download(answer)[:p]


def descend(
    data: Resident, W: Float64, alpha: float, l2: float, steps: int, fit_intercept: bool
) -> tuple[Float64, Float64, Float64]:
    """``steps`` steps of gradient descent on J + l2/2 ‖w‖²: W (p,), and cost and ‖gradient‖₂ before each.

    Three launches a step, queued without waiting; everything comes back in one copy at the end.
    """
    p = data.d + 1
    trace = data.device.upload(np.concatenate([W, np.zeros(2 * steps)]))  # W | costs | norms
    current, costs, norms = trace[:p], trace[p : p + steps], trace[p + steps :]
    answer = data.device.empty(p + 1)
    constants = (np.int64(data.d), np.float64(alpha), np.float64(l2), np.int32(fit_intercept))
    for step in range(steps):
        data.gradient.launch(data, current, None, answer)
        data.device.launch(
            "gradient_descent_step",
            (1,),
            STEP_THREADS,
            8 * STEP_THREADS // WARP,
            (answer, *constants, np.int64(step), current, costs, norms),
        )
    host = data.device.download(trace)
    return host[:p], host[p : p + steps], host[p + steps :]


def largest_entry(data: Resident) -> float:
    """max |xᵢⱼ|."""
    count = data.n * data.d
    blocks = plain_blocks(count // 8, data.device.limits)
    partials = data.device.empty(blocks)
    data.device.launch(
        f"largest_entry_{data.dtype.name}",
        (blocks,),
        PLAIN_THREADS,
        PLAIN_SCRATCH_BYTES,
        (data.X, np.int64(count), partials),
    )
    return float(data.device.download(partials).max())


def logits(device: Device, X: Matrix, W: Float64) -> Float64:
    """z = X w + b, (m,), for host X (m, d); X goes through the device in pieces of LOGITS_BYTES."""
    m, d = X.shape
    weights = device.upload(W)
    lanes = narrow_lanes(d)
    z = np.empty(m)
    for rows in _pieces(m, max(1, LOGITS_BYTES // (d * X.itemsize))):
        piece = X[rows]
        out = device.empty(len(piece))
        device.launch(
            f"logits_{X.dtype.name}",
            (plain_blocks(len(piece) * lanes, device.limits),),
            PLAIN_THREADS,
            0,
            (device.upload(piece), weights, np.int64(len(piece)), np.int64(d), np.int32(lanes), out),
        )
        z[rows] = device.download(out)
    return z


def _pieces(m: int, size: int) -> Iterator[slice]:
    for start in range(0, m, size):
        yield slice(start, min(m, start + size))
