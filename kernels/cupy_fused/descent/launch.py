"""Gradient descent on a CUDA device, without a word to the host until its end.

Where the multiprocessors can hold X, the whole of it is one launch of descent/descent.cu; elsewhere each
step is a pass and one launch more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from accel_logreg.kernels.cupy_fused.dense.launch import GRADIENT, Float64, Resident
from accel_logreg.kernels.cupy_fused.dense.plan import WARP
from accel_logreg.kernels.cupy_fused.descent.plan import DescentPlan, plan_descent
from accel_logreg.kernels.cupy_fused.launching import Device

EXTRAS = 3  # sums that travel with every exchange: loss, ‖w‖² and ‖∇J‖²
# The watchdog of a device that drives a display ends a kernel that takes seconds.
STEPS_A_LAUNCH = 10_000
STEP_THREADS = 1024

Trace = tuple[Float64, Float64, Float64]  # W (p,), and cost and ‖gradient‖₂ before each step


def descend(data: Resident, W: Float64, alpha: float, l2: float, steps: int, fit_intercept: bool) -> Trace:
    """``steps`` steps of gradient descent on J + l2/2 ‖w‖²."""

    def gradient(current: Any, answer: Any) -> None:
        data.launch(GRADIENT, current, None, answer)

    plan = _plan(data)
    if plan is None:
        return descend_in_steps(data.device, gradient, W, alpha, l2, steps, fit_intercept)
    trace = _Trace(data.device, W, steps)
    _at_once(data, plan, alpha, l2, fit_intercept, *trace.parts)
    return trace.download()


def descent_reads(data: Resident) -> int:
    """How often a step of ``descend`` goes over X, be it in shared memory."""
    return data.reads(GRADIENT) if _plan(data) is None else 1


def descend_in_steps(
    device: Device,
    gradient: Callable[[Any, Any], None],
    W: Float64,
    alpha: float,
    l2: float,
    steps: int,
    fit_intercept: bool,
) -> Trace:
    """As ``descend``, with ``gradient(W, answer)`` launching what writes (dw, db, loss) at the device's W."""
    trace, answer = _Trace(device, W, steps), device.empty(len(W) + 1)
    constants = (np.int64(len(W) - 1), np.float64(alpha), np.float64(l2), np.int32(fit_intercept))
    for step in range(steps):
        gradient(trace.parts[0], answer)
        args = (answer, *constants, np.int64(step), *trace.parts)
        device.launch("gradient_descent_step", (1,), STEP_THREADS, 8 * STEP_THREADS // WARP, args)
    return trace.download()


class _Trace:
    """W | costs | norms in one array of the device, so that one copy brings all of them."""

    def __init__(self, device: Device, W: Float64, steps: int) -> None:
        self._device = device
        self._whole = device.upload(np.concatenate([W, np.zeros(2 * steps)]))
        ends = len(W), len(W) + steps
        self._slices = slice(ends[0]), slice(*ends), slice(ends[1], None)
        self.parts = tuple(self._whole[part] for part in self._slices)

    def download(self) -> Trace:
        host = self._device.download(self._whole)
        W, costs, norms = (host[part] for part in self._slices)
        return W, costs, norms


def _plan(data: Resident) -> DescentPlan | None:
    return plan_descent(data.n, data.d, data.dtype.itemsize, data.device.limits)


def _at_once(
    data: Resident,
    plan: DescentPlan,
    alpha: float,
    l2: float,
    fit_intercept: bool,
    W: Any,
    costs: Any,
    norms: Any,
) -> None:
    """W (p,), costs and norms (steps,) on the device: W is moved, the others written. Does not wait.

    One launch for each STEPS_A_LAUNCH steps; a launch reads X from device memory once.
    """
    device, steps = data.device, len(costs)
    entries = data.n if plan.by_columns else data.d + 2  # z of every row; or the gradient, (p,), and the loss
    parts, totals = device.empty(plan.blocks * (entries + EXTRAS)), device.empty(entries)
    kernel = f"descend_by_{'columns' if plan.by_columns else 'rows'}_{data.dtype.name}"
    inputs = (data.X, data.y, data.s, np.int64(data.n), np.int64(data.d))
    rule = (np.float64(data.weight_sum), np.float64(alpha), np.float64(l2), np.int32(fit_intercept))
    cut = (np.int32(plan.extent), np.int32(plan.pitch), np.int32(plan.lanes), np.int32(plan.groups))
    for start in range(0, steps, STEPS_A_LAUNCH):
        some = slice(start, min(steps, start + STEPS_A_LAUNCH))
        arrived = device.upload(np.zeros(plan.blocks, np.int64))
        here = (W, costs[some], norms[some], parts, totals, arrived)
        args = (*inputs, *rule, np.int64(some.stop - start), *cut, *here)
        device.launch(kernel, (plan.blocks,), plan.threads, plan.shared_bytes, args)
