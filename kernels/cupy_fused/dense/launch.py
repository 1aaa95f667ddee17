"""Launches the kernels of dense/passes.cu: the questions of python_loop/dense.py, answered on a CUDA device.

n rows, d features, p = d + 1 with the intercept last. W, V and every answer are host float64. A question
is one copy to the device, launches that follow each other without a word to the host, and one copy back.
Answers that are matrices or rows come from matrices/launch.py, descents from descent/launch.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused.dense.plan import (
    PLAIN_THREADS,
    REDUCE_THREADS,
    WARP,
    ColumnPlan,
    Limits,
    TilePlan,
    TwoReadPlan,
    plain_blocks,
    plan_columns,
    plan_pass,
)
from accel_logreg.kernels.cupy_fused.launching import Device

Float64 = NDArray[np.float64]
Matrix = NDArray[np.float32] | NDArray[np.float64]
Labels = NDArray[np.int8] | Float64

PLAIN_SCRATCH_BYTES = 8 * PLAIN_THREADS // WARP


class Question(NamedTuple):
    """What a pass sums: answer = (Σ fᵢ Entry(xᵢ), Σ fᵢ, loss) / S, with row factors f from the dot products.

    fused, factors, columns : kernels, for one read and for two
    dots : dot products per row: 1 with W, 2 with W and with V
    """

    fused: str
    factors: str
    columns: str
    dots: int


GRADIENT = Question("gradient", "gradient_factors", "column_sums", 1)
HESSIAN_PRODUCT = Question("hessian_product", "hessian_factors", "column_sums", 2)
HESSIAN_DIAGONAL = Question("hessian_diagonal", "hessian_diagonal_factors", "column_square_sums", 1)
DOTS = (1, 2)


class Resident:
    """X (n, d) float32 or float64, y (n,) int8, s (n,) float64 or None, on the device; and its passes."""

    def __init__(
        self, device: Device, shape: tuple[int, int], X: Any, y: Any, s: Any | None, weight_sum: float
    ) -> None:
        """Take arrays that are on the device; X may be flat."""
        self.device = device
        self.n, self.d = shape
        self.dtype = np.dtype(X.dtype)
        self.X, self.y, self.s = X, y, s
        self.weight_sum = weight_sum
        self._passes = {dots: _Pass(self, dots) for dots in DOTS}

    @classmethod
    def upload(cls, device: Device, X: Matrix, y: Labels, s: Float64 | None) -> Resident:
        """Copy a training set to the device."""
        return cls.around(device, device.upload(X), y, s)

    @classmethod
    def around(cls, device: Device, X: Any, y: Labels, s: Float64 | None) -> Resident:
        """Take X (n, d), which is on the device, as it is, and copy host y and s to it."""
        weight_sum = float(X.shape[0]) if s is None else float(s.sum())
        weights = None if s is None else device.upload(s)
        labels = device.upload(np.ascontiguousarray(y, np.int8))
        return cls(device, (X.shape[0], X.shape[1]), X, labels, weights, weight_sum)

    def chunks(self, blocks: int, block_rows: int) -> Iterator[tuple[int, int, tuple[Any, Any, Any]]]:  # noqa: ARG002
        """Blocks ``first`` to ``last`` of a fused pass, and (X, y, s) from the first one's rows on.

        Here all of them at once. Rows that are still on their way come in turn.
        """
        yield 0, blocks, (self.X, self.y, self.s)

    def launch(self, question: Question, W: Any, V: Any | None, answer: Any) -> None:
        """W, V: device (p,). answer: device (d + 2,), written. Returns before the device is done."""
        self._passes[question.dots].launch(self, question, W, V, answer)

    def plan(self, question: Question) -> TilePlan | TwoReadPlan:
        """How the rows are cut for a question."""
        return self._passes[question.dots].plan

    def reads(self, question: Question) -> int:
        """How often X is read for a question."""
        return 1 if isinstance(self.plan(question), TilePlan) else 2


def resident_bytes(shape: tuple[int, int], itemsize: int, weighted: bool, limits: Limits) -> int:
    """Device memory that a Resident of X with this shape (n, d) takes, workspace included."""
    n, d = shape
    return n * d * itemsize + n + (8 * n if weighted else 0) + workspace_bytes(shape, itemsize, limits)


def workspace_bytes(shape: tuple[int, int], itemsize: int, limits: Limits) -> int:
    """Device memory of the workspace alone."""
    n, d = shape
    workspace = 0
    for dots in DOTS:
        plan = plan_pass(n, d, itemsize, dots, limits)
        if isinstance(plan, TilePlan):
            workspace += 8 * plan.blocks * (d + 2)
        else:
            workspace += 8 * (n + plan.columns.chunks * d + 2 * plan.row_blocks)
    return workspace


class _Pass:
    """Plan and workspace of the questions with this number of dot products per row.

    The rows are an argument of every call and not kept: a cycle of references would hold their
    device memory until Python's next collection.
    """

    def __init__(self, data: Resident, dots: int) -> None:
        device = data.device
        self.plan = plan_pass(data.n, data.d, data.dtype.itemsize, dots, device.limits)
        if isinstance(self.plan, TilePlan):
            self._partials = device.empty(self.plan.blocks * (data.d + 2))
        else:
            self._factors = device.empty(data.n)
            self._partials = device.empty(self.plan.columns.chunks * data.d)
            self._sums = device.empty(2 * self.plan.row_blocks)

    def launch(self, data: Resident, question: Question, W: Any, V: Any | None, answer: Any) -> None:
        if isinstance(self.plan, TilePlan):
            self._launch_fused(data, self.plan, f"{question.fused}_{data.dtype.name}", (W, V), answer)
        else:
            inputs = (data.X, data.y, data.s, W, V, np.int64(data.n))
            self._launch_two_reads(data, self.plan, question, inputs, answer)

    def _launch_fused(
        self, data: Resident, plan: TilePlan, kernel: str, vectors: tuple[Any, Any], answer: Any
    ) -> None:
        cut = (
            np.int32(data.d),
            np.int64(plan.chunk_rows),
            np.int32(plan.tile_rows),
            np.int32(plan.lanes),
            np.int32(plan.stages),
        )
        # A block's partial sums do not depend on which others are launched with it: any chunks give
        # the same bits.
        for first, last, rows in data.chunks(plan.blocks, plan.chunk_rows):
            count = np.int64(data.n - first * plan.chunk_rows)
            args = (*rows, *vectors, count, *cut, self._partials[first * (data.d + 2) :])
            data.device.launch(kernel, (last - first,), plan.threads, plan.shared_bytes, args)
        reduce_partials(data.device, self._partials, plan.blocks, data.d + 2, data.weight_sum, answer)

    def _launch_two_reads(
        self, data: Resident, plan: TwoReadPlan, question: Question, inputs: tuple[Any, ...], answer: Any
    ) -> None:
        d, S = data.d, data.weight_sum
        args = (*inputs, np.int64(d), self._factors, self._sums)
        kernel = f"{question.factors}_{data.dtype.name}"
        data.device.launch(kernel, (plan.row_blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)
        launch_column_sums(data, question.columns, plan.columns, self._factors, self._partials)
        reduce_partials(data.device, self._partials, plan.columns.chunks, d, S, answer[:d])
        reduce_partials(data.device, self._sums, plan.row_blocks, 2, S, answer[d:])


def launch_column_sums(data: Resident, kernel: str, plan: ColumnPlan, factors: Any, partials: Any) -> None:
    """partials[chunk, j] = Σ factors[i] xᵢⱼ over the chunk's rows, or xᵢⱼ² as the kernel has it."""
    sizes = np.int64(data.n), np.int64(data.d), np.int64(plan.chunk_rows)
    args = (data.X, factors, *sizes, partials)
    data.device.launch(f"{kernel}_{data.dtype.name}", (plan.blocks, plan.chunks), PLAIN_THREADS, 0, args)


def reduce_partials(device: Device, partials: Any, rows: int, columns: int, divisor: float, out: Any) -> None:
    """out[j] = Σ partials[row, j] / divisor."""
    args = (partials, np.int64(rows), np.int64(columns), np.float64(divisor), out)
    blocks = -(-columns // WARP)
    device.launch("reduce_partials", (blocks,), REDUCE_THREADS, 8 * REDUCE_THREADS, args)


# ---- questions


def loss_grad(data: Resident, W: Float64) -> tuple[float, Float64]:
    """J, and (∂J/∂w, ∂J/∂b) as (p,)."""
    answer = data.device.empty(data.d + 2)
    data.launch(GRADIENT, data.device.upload(W), None, answer)
    host = data.device.download(answer)
    return float(host[-1]), host[:-1]


def hessian_product(data: Resident, W: Float64, V: Float64) -> Float64:
    """The Hessian of the mean loss at W times V, (p,)."""
    p = data.d + 1
    both = data.device.upload(np.concatenate([W, V]))
    answer = data.device.empty(p + 1)
    data.launch(HESSIAN_PRODUCT, both[:p], both[p:], answer)
    return data.device.download(answer)[:p]


def hessian_diagonal(data: Resident, W: Float64) -> Float64:
    """Σ sᵢ hᵢ x̃ᵢⱼ² / S, (p,): a pass like the gradient's, over squares."""
    answer = data.device.empty(data.d + 2)
    data.launch(HESSIAN_DIAGONAL, data.device.upload(W), None, answer)
    return data.device.download(answer)[: data.d + 1]


def combination(data: Resident, a: Float64) -> Float64:
    """Xᵀ a, (d,): the second of two reads alone."""
    device = data.device
    plan = plan_columns(data.n, data.d, device.limits)
    partials, out = device.empty(plan.chunks * data.d), device.empty(data.d)
    launch_column_sums(data, "column_sums", plan, device.upload(a), partials)
    reduce_partials(device, partials, plan.chunks, data.d, 1.0, out)
    return device.download(out)


def largest_entry(data: Resident) -> float:
    """max |xᵢⱼ|."""
    return largest_of(data.device, data.X, data.n * data.d)


def launch_over(device: Device, kernel: str, threads: int, args: tuple[Any, ...]) -> None:
    """Launch a kernel that strides over work for so many threads, without shared memory."""
    device.launch(kernel, (plain_blocks(threads, device.limits),), PLAIN_THREADS, 0, args)


def largest_of(device: Device, values: Any, count: int) -> float:
    """max |v| of ``count`` values, 0 where there are none."""
    blocks = plain_blocks(count // 8, device.limits)
    partials = device.empty(blocks)
    kernel = f"largest_entry_{np.dtype(values.dtype).name}"
    device.launch(kernel, (blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, (values, np.int64(count), partials))
    return float(device.download(partials).max())
