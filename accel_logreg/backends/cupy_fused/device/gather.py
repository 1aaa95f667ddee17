"""Chosen rows of a host training set, brought to the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.backends.cupy_fused.device.staging import (
    PIECE_BYTES,
    Chosen,
    HostRows,
    Packer,
    PinnedPair,
    piece_bytes,
    send_rows,
)
from accel_logreg.kernels.cupy_fused.dense.resident import Float64, Matrix, Resident
from accel_logreg.kernels.cupy_fused.launching import Device


def chosen_rows(host: HostRows, chosen: Chosen, factors: Float64 | None, packer: Packer) -> HostRows:
    """The chosen rows as rows of their own on the host, with weights s × factors."""
    y = host.y[chosen]
    X: Matrix = np.empty((len(y), host.X.shape[1]), host.X.dtype)
    packer.pack(host.X, chosen, X)
    return HostRows.of(X, y, weights_of(host, chosen, factors))


def weights_of(host: HostRows, chosen: Chosen, factors: Float64 | None) -> Float64 | None:
    """s × factors of the chosen rows; None where all are 1."""
    if factors is None or (factors == 1.0).all():
        return None if host.s is None else np.ascontiguousarray(host.s[chosen])
    return factors.copy() if host.s is None else host.s[chosen] * factors


def gathered(
    device: Device,
    host: HostRows,
    chosen: Chosen,
    factors: Float64 | None,
    packer: Packer,
    weight_sum: float | None = None,
) -> Resident:
    """The chosen rows on the device, with weights s × factors.

    weight_sum : what their answers are divided by, if not the sum of these weights
    """
    labels, s = host.y[chosen], weights_of(host, chosen, factors)
    m, d = len(labels), host.X.shape[1]
    if weight_sum is None:
        weight_sum = float(m) if s is None else float(s.sum())
    X = _send(device, host.X, chosen, m, packer)
    y = device.upload(np.ascontiguousarray(labels))
    weights = None if s is None else device.upload(s)
    return Resident(device, (m, d), X, y, weights, weight_sum)


def _send(device: Device, X: Matrix, chosen: Chosen, count: int, packer: Packer) -> Any:
    """The chosen rows of X, flat, on the device when this returns."""
    d = X.shape[1]
    if count * d * X.itemsize < PIECE_BYTES:
        rows: Matrix = np.empty((count, d), X.dtype)
        packer.pack(X, chosen, rows)
        return device.upload(rows.reshape(-1))
    return _send_pieces(device, X, chosen, count, packer)


def send_all(device: Device, X: Matrix, packer: Packer) -> Any:
    """All of X (n, d), flat, on the device when this returns, by pinned pieces however small it is."""
    return _send_pieces(device, X, slice(0, len(X)), len(X), packer)


def _send_pieces(device: Device, X: Matrix, chosen: Chosen, count: int, packer: Packer) -> Any:
    target = device.empty(count * X.shape[1], X.dtype)
    copies = device.copies()
    copies.after_kernels()  # some may still use the memory that target now has
    try:
        for _ in send_rows(PinnedPair(copies, piece_bytes(X)), packer, X, chosen, count, target):
            pass
    finally:
        copies.finish()
    return target
