"""Launches descent/descent.cu: the whole of gradient descent on an X that the multiprocessors can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.cupy_fused.dense.resident import Resident
from accel_logreg.kernels.cupy_fused.descent.plan import DescentPlan

EXTRAS = 3  # sums that travel with every exchange: loss, ‖w‖² and ‖∇J‖²
# The watchdog of a device that drives a display ends a kernel that takes seconds.
STEPS_A_LAUNCH = 10_000


def descend_at_once(
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
