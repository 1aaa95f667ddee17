"""z = X w + b for host X, whose rows go through the device: a piece is worked on while the next is copied."""

from __future__ import annotations

import numpy as np

from accel_logreg.backends.cupy_fused.device.slots import SLOTS, Piece, Slots
from accel_logreg.backends.cupy_fused.device.staging import Packer
from accel_logreg.kernels.cupy_fused.dense.resident import Float64, Matrix
from accel_logreg.kernels.cupy_fused.launching import Bytes, Device
from accel_logreg.kernels.cupy_fused.predict.launch import launch_logits

PIECE_BYTES = 32 << 20  # of X: some 0.6 ms of the bus, tens of times what a piece costs the host
AT_ONCE_BYTES = 16 << 20  # of X, below which pinned buffers cost more than they save


def logits(device: Device, X: Matrix, W: Float64) -> Float64:
    """z = X w + b, (m,), for host X (m, d) and W (p,) with the intercept last.

    Pieces have PIECE_BYTES, or less where two of them and their z would take more than half of the memory
    that is free; at least one row. Every z is the same bits, whatever the pieces.
    """
    m, d = X.shape
    rows = piece_rows(d * X.itemsize, device.free_bytes())
    weights, z = device.upload(W), np.empty(m)
    out = device.empty(min(m, rows))
    if m <= rows and X.nbytes < AT_ONCE_BYTES:
        launch_logits(device, device.upload(X), weights, out)
        return device.download(out)
    slots, packer = Slots(device, min(m, rows) * d * X.itemsize), Packer()

    def work(place: int, piece: Piece) -> None:
        count = piece.rows.stop - piece.rows.start
        part = slots.places[place][: piece.size].view(X.dtype).reshape(count, d)
        launch_logits(device, part, weights, out[:count])
        z[piece.rows] = device.download(out[:count])  # by now the next piece is on its way

    slots.each([_piece(X, slice(row, min(m, row + rows)), packer) for row in range(0, m, rows)], work)
    return z


def piece_rows(row_bytes: int, free: int) -> int:
    """How many rows make a piece, with ``free`` bytes of the device's memory to be had."""
    return max(1, min(PIECE_BYTES // row_bytes, free // 2 // (SLOTS * row_bytes + 8)))


def _piece(X: Matrix, rows: slice, packer: Packer) -> Piece:
    count, d = rows.stop - rows.start, X.shape[1]

    def fill(buffer: Bytes) -> None:
        packer.pack(X, rows, buffer.view(X.dtype).reshape(count, d))

    return Piece(rows, count * d * X.itemsize, fill)
