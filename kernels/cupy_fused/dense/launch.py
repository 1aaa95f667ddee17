"""Launches the kernels of dense/passes.cu: the questions of python_loop/dense.py, answered on a CUDA device.

n rows, d features, p = d + 1 with the intercept last. W, V and every answer are host float64. A question
is one copy to the device, launches that follow each other without a word to the host, and one copy back.
Answers that are matrices or rows come from matrices/launch.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.cupy_fused.dense.plan import PLAIN_THREADS, WARP, plain_blocks, plan_columns
from accel_logreg.kernels.cupy_fused.dense.resident import (
    GRADIENT,
    HESSIAN_DIAGONAL,
    HESSIAN_PRODUCT,
    PLAIN_SCRATCH_BYTES,
    Float64,
    Resident,
    launch_column_sums,
    reduce_partials,
)
from accel_logreg.kernels.cupy_fused.descent.launch import descend_at_once
from accel_logreg.kernels.cupy_fused.descent.plan import plan_descent

STEP_THREADS = 1024


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


def descend(
    data: Resident, W: Float64, alpha: float, l2: float, steps: int, fit_intercept: bool
) -> tuple[Float64, Float64, Float64]:
    """``steps`` steps of gradient descent on J + l2/2 ‖w‖²: W (p,), and cost and ‖gradient‖₂ before each.

    One launch where X fits into the multiprocessors' shared memory, three a step elsewhere, queued
    without waiting; everything comes back in one copy at the end.
    """
    p = data.d + 1
    trace = data.device.upload(np.concatenate([W, np.zeros(2 * steps)]))  # W | costs | norms
    current, costs, norms = trace[:p], trace[p : p + steps], trace[p + steps :]
    plan = plan_descent(data.n, data.d, data.dtype.itemsize, data.device.limits)
    if plan is None:
        _descend_step_by_step(data, alpha, l2, fit_intercept, current, costs, norms)
    else:
        descend_at_once(data, plan, alpha, l2, fit_intercept, current, costs, norms)
    host = data.device.download(trace)
    return host[:p], host[p : p + steps], host[p + steps :]


def descent_reads(data: Resident) -> int:
    """How often a step of ``descend`` goes over X, be it in shared memory."""
    plan = plan_descent(data.n, data.d, data.dtype.itemsize, data.device.limits)
    return data.reads(GRADIENT) if plan is None else 1


def _descend_step_by_step(
    data: Resident, alpha: float, l2: float, fit_intercept: bool, W: Any, costs: Any, norms: Any
) -> None:
    answer = data.device.empty(data.d + 2)
    constants = (np.int64(data.d), np.float64(alpha), np.float64(l2), np.int32(fit_intercept))
    for step in range(len(costs)):
        data.launch(GRADIENT, W, None, answer)
        data.device.launch(
            "gradient_descent_step",
            (1,),
            STEP_THREADS,
            8 * STEP_THREADS // WARP,
            (answer, *constants, np.int64(step), W, costs, norms),
        )


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
