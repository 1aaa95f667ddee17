"""Launches the kernels of predict/predict.cu: what is said of an X (m, d) that stays on the device.

X is C-contiguous, W (p,) on the host with the intercept last. What is handed out, ``logits``,
``probabilities`` and ``labels``, comes from the caller's own allocator; the rest from the engine's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused.dense.launch import PLAIN_SCRATCH_BYTES, Float64, Matrix, launch_over
from accel_logreg.kernels.cupy_fused.dense.plan import PLAIN_THREADS, narrow_lanes, plain_blocks
from accel_logreg.kernels.cupy_fused.launching import Device


def launch_logits(device: Device, X: Any, weights: Any, out: Any) -> None:
    """out (m,) = X w + b, all three and the weights (p,) on the device."""
    m, d = X.shape
    lanes = narrow_lanes(d)
    args = (X, weights, np.int64(m), np.int64(d), np.int32(lanes), out)
    launch_over(device, f"logits_{np.dtype(X.dtype).name}", m * lanes, args)


def logits(device: Device, X: Any, W: Float64) -> Any:
    """z = X w + b, (m,) float64, on the device."""
    z = device.for_user(X.shape[0], np.float64)
    launch_logits(device, X, device.upload(W), z)
    return z


def logits_on_host(device: Device, X: Any, W: Float64) -> Float64:
    """z = X w + b, (m,), on the host."""
    z = device.empty(X.shape[0])
    launch_logits(device, X, device.upload(W), z)
    return device.download(z)


def probabilities(device: Device, z: Any, *, logarithm: bool) -> Any:
    """(1 − a, a) of every z, or their logarithms: (m, 2) float64, on the device."""
    m = z.shape[0]
    out = device.for_user(2 * m, np.float64)
    args = (z, np.int64(m), np.int32(logarithm), out)
    launch_over(device, "probabilities", m, args)
    return out.reshape(m, 2)


def labels(device: Device, z: Any, classes: NDArray[Any]) -> Any:
    """classes[1] where z > 0, else classes[0], (m,) on the device; numbers of up to eight bytes."""
    m, itemsize = z.shape[0], classes.dtype.itemsize
    low, high = (_bits(classes[k : k + 1]) for k in (0, 1))
    out = device.for_user(m * itemsize, np.int8)
    args = (z, np.int64(m), low, high, np.int32(itemsize), out)
    launch_over(device, "labels", m * itemsize, args)
    return out.view(classes.dtype)


def _bits(label: NDArray[Any]) -> np.int64:
    """The bytes of one label in the low bytes of an integer."""
    return np.int64(int.from_bytes(label.tobytes(), "little", signed=True))


def all_finite(device: Device, z: Any) -> bool:
    """Whether no entry of z (m,) is NaN or infinite."""
    count = z.shape[0]
    blocks = plain_blocks(count, device.limits)
    partials = device.empty(blocks)
    args = (z, np.int64(count), partials)
    device.launch("not_finite", (blocks,), PLAIN_THREADS, PLAIN_SCRATCH_BYTES, args)
    return not device.download(partials).any()


def take_columns(device: Device, X: Any, columns: NDArray[np.intp]) -> Any:
    """A copy of these columns of X, (m, len(columns)) on the device, by an expression of its arrays."""
    m, k = X.shape[0], len(columns)
    picked, out = device.upload(columns.astype(np.int64)), device.empty(m * k, X.dtype).reshape(m, k)
    with device.expressions():
        X.take(picked, 1, out)
    return out


def take_rows(device: Device, X: Any, rows: NDArray[np.intp]) -> Matrix:
    """Copies of these rows of X, (len(rows), d), on the host."""
    m, d = len(rows), X.shape[1]
    dtype = np.dtype(X.dtype)
    out = device.empty(m * d, dtype)
    args = (X, device.upload(rows.astype(np.int64)), np.int64(m), np.int64(d), out)
    launch_over(device, f"take_rows_{dtype.name}", m * d, args)
    return device.download(out).reshape(m, d)
