"""The questions of python_loop/csr.py, answered on a CUDA device.

As in dense/launch.py: a question is one copy to the device, launches that follow each other without a word to
the host, and one copy back. Answers that are matrices or rows come from csr/matrices.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused.csr.resident import INDEX_BYTES, CsrResident, Runs, upload_entries
from accel_logreg.kernels.cupy_fused.dense.launch import STEP_THREADS
from accel_logreg.kernels.cupy_fused.dense.plan import PLAIN_THREADS, WARP, plain_blocks
from accel_logreg.kernels.cupy_fused.dense.resident import PLAIN_SCRATCH_BYTES, Float64, Matrix
from accel_logreg.kernels.cupy_fused.launching import Device

LOGITS_BYTES = 256 << 20  # of X on the device at a time


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
    answer = data.device.empty(data.d + 2)
    data.product(data.device.upload(V), answer)
    return data.device.download(answer)[: data.d + 1]


def hessian_diagonal(data: CsrResident) -> Float64:
    """Σ sᵢ hᵢ x̃ᵢⱼ² / S, (p,), where the curvatures are known; X is read by columns alone."""
    answer = data.device.empty(data.d + 2)
    data.diagonal(answer)
    return data.device.download(answer)[: data.d + 1]


def combination(data: CsrResident, a: Float64) -> Float64:
    """Xᵀ a, (d,)."""
    answer = data.device.empty(data.d)
    data.combination(data.device.upload(a), answer)
    return data.device.download(answer)


def descend(
    data: CsrResident, W: Float64, alpha: float, l2: float, steps: int, fit_intercept: bool
) -> tuple[Float64, Float64, Float64]:
    """``steps`` steps of gradient descent on J + l2/2 ‖w‖²: W (p,), and cost and ‖gradient‖₂ before each.

    Queued without waiting; everything comes back in one copy at the end.
    """
    p, device = data.d + 1, data.device
    data.curvatures_at = None
    trace = device.upload(np.concatenate([W, np.zeros(2 * steps)]))  # W | costs | norms
    current, costs, norms = trace[:p], trace[p : p + steps], trace[p + steps :]
    answer = device.empty(p + 1)
    constants = (np.int64(data.d), np.float64(alpha), np.float64(l2), np.int32(fit_intercept))
    for step in range(steps):
        data.gradient(current, answer)
        args = (answer, *constants, np.int64(step), current, costs, norms)
        device.launch("gradient_descent_step", (1,), STEP_THREADS, 8 * STEP_THREADS // WARP, args)
    host = device.download(trace)
    return host[:p], host[p : p + steps], host[p + steps :]


def largest_entry(data: CsrResident) -> float:
    """max |xᵢⱼ|, 0 where there are no nonzeros."""
    blocks = plain_blocks(data.nonzeros // 8, data.device.limits)
    partials = data.device.empty(blocks)
    args = (data.values, np.int64(data.nonzeros), partials)
    kernel = f"largest_entry_{data.dtype.name}"
    data.device.launch(kernel, (blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)
    return float(data.device.download(partials).max())


def resident_logits(data: CsrResident, W: Float64) -> Float64:
    """z = X w + b, (n,), for X on the device."""
    out = data.device.empty(data.n)
    data.products(data.device.upload(W), out)
    z: Float64 = data.device.download(out) + W[-1]
    return z


def logits(device: Device, csr: tuple[Matrix, NDArray[Any], NDArray[Any]], W: Float64) -> Float64:
    """z = X w + b, (m,), for host X as (data, indices, indptr), which goes through the device in pieces."""
    data, indices, indptr = csr
    starts = np.ascontiguousarray(indptr, np.int64)
    weights = device.upload(W)
    z = np.empty(len(starts) - 1)
    for first, last in _pieces(starts, max(1, LOGITS_BYTES // (data.itemsize + INDEX_BYTES))):
        piece = slice(starts[first], starts[last])
        entries = upload_entries(device, data[piece], indices[piece])
        out = device.empty(last - first)
        Runs(device, *entries, starts[first : last + 1] - starts[first]).sum(weights, out)
        z[first:last] = device.download(out)
    z += W[-1]
    return z


def _pieces(starts: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Rows from, to: of at most ``most`` nonzeros, or one row."""
    n, first = len(starts) - 1, 0
    while first < n:
        last = int(np.searchsorted(starts, starts[first] + most, side="right")) - 1
        last = min(n, max(last, first + 1))
        yield first, last
        first = last
