"""Host data through two places on the device: one piece is worked on while the next is copied.

A training set goes in parts, each of them rows that can be asked; an X to predict in pieces of rows.

Why it is right. Piece k lies in pinned buffer and place k mod 2.

- Its pinned buffer is filled after the host waited for the copy of piece k − 2 (``PinnedPair``).
- Its copy into the place starts after the kernels launched before it was sent (``after_kernels``). Piece k is
  sent when piece k − 1 is about to be worked on, so those are the kernels of piece k − 2 and all earlier
  ones, among them whatever used the place's memory before there was a place.
- Its kernels start after its copy (``before_kernels``).
- ``each`` begins and ends, also by an exception, with no copy under way (``finish``): pinned buffers and
  places can be let go between two of them.

The kernels of piece k − 1 are not waited for by the copy of piece k: that is the overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from accel_logreg.backends.cupy_fused.device.staging import HostRows, Packer, PinnedPair
from accel_logreg.backends.cupy_fused.device.stream_plan import SLOTS, PartLayout, part_layout
from accel_logreg.kernels.cupy_fused.dense.launch import Float64, Matrix, Resident
from accel_logreg.kernels.cupy_fused.launching import Bytes, Device, Sent
from accel_logreg.kernels.cupy_fused.predict.launch import launch_logits

LOGITS_PIECE_BYTES = 32 << 20  # of X: some 0.6 ms of the bus, tens of times what a piece costs the host
AT_ONCE_BYTES = 16 << 20  # of X, below which pinned buffers cost more than they save


@dataclass(frozen=True)
class Piece:
    """``size`` bytes that ``fill`` writes into pinned memory, and the ``rows`` that they are."""

    rows: slice
    size: int
    fill: Callable[[Bytes], None]


class Slots:
    """Two places of ``size`` bytes on the device, and as much pinned memory."""

    def __init__(self, device: Device, size: int) -> None:
        self._copies = device.copies()
        self._pair = PinnedPair(self._copies, size)
        self.places = [device.empty(size, np.uint8) for _ in range(SLOTS)]

    def each(self, pieces: Sequence[Piece], work: Callable[[int, Piece], None]) -> None:
        """Call ``work(place, piece)`` with every piece in turn, and the number of the place where it lies.

        It launches kernels on the current stream; it need not wait for them.
        """
        self._copies.finish()
        try:
            sent = self._send(pieces, 0)
            for k, piece in enumerate(pieces):
                following = self._send(pieces, k + 1)
                self._copies.before_kernels(sent)
                work(k % SLOTS, piece)
                sent = following
        finally:
            self._copies.finish()

    def _send(self, pieces: Sequence[Piece], k: int) -> Sent | None:
        """Send piece k, if there is one."""
        if k >= len(pieces):
            return None
        self._copies.after_kernels()
        return self._pair.send(pieces[k].size, pieces[k].fill, self.places[k % SLOTS])


class Parts:
    """Host rows from one to another, ``rows`` of them on the device at a time, in ``Slots``.

    Every part is a ``Resident`` whose answers are divided by the weight of all rows: their sum is the answer.
    """

    def __init__(self, device: Device, host: HostRows, rows: int, packer: Packer) -> None:
        self._device, self._host, self._rows, self._packer = device, host, rows, packer
        self._slots = Slots(device, self._layout(rows).size)
        self._whole = [self._part(place, rows) for place in self._slots.places]

    def each(self, first: int, last: int, work: Callable[[Resident, slice], None]) -> None:
        """Call ``work`` with every part of the rows from ``first`` to ``last``, and with which rows they are.

        It launches kernels on the current stream; it need not wait for them.
        """
        rows = [slice(row, min(last, row + self._rows)) for row in range(first, last, self._rows)]

        def work_on(place: int, piece: Piece) -> None:
            count = piece.rows.stop - piece.rows.start
            whole = count == self._rows
            part = self._whole[place] if whole else self._part(self._slots.places[place], count)
            work(part, piece.rows)

        self._slots.each([self._piece(some) for some in rows], work_on)

    def _piece(self, rows: slice) -> Piece:
        count = rows.stop - rows.start
        layout = self._layout(count)

        def fill(buffer: Bytes) -> None:
            X, y, s = self._views(buffer, count, layout)
            self._packer.pack(self._host.X, rows, X.reshape(-1, self._host.X.shape[1]))
            np.copyto(y, self._host.y[rows])
            if s is not None and self._host.s is not None:
                np.copyto(s, self._host.s[rows])

        return Piece(rows, layout.size, fill)

    def _part(self, place: Any, count: int) -> Resident:
        """The rows in a place that holds so many of them."""
        views = self._views(place, count, self._layout(count))
        return Resident(self._device, (count, self._host.X.shape[1]), *views, self._host.weight_sum)

    def _layout(self, rows: int) -> PartLayout:
        X = self._host.X
        return part_layout(rows, X.shape[1], X.itemsize, self._host.s is not None)

    def _views(self, buffer: Any, rows: int, layout: PartLayout) -> tuple[Any, Any, Any | None]:
        """X (flat), y and s in a buffer of the host or the device."""
        X = buffer[: layout.X_bytes].view(self._host.X.dtype)
        y = buffer[layout.y_start : layout.size].view(np.int8)
        if self._host.s is None:
            return X, y, None
        return X, y, buffer[layout.s_start : layout.s_start + 8 * rows].view(np.float64)


def logits(device: Device, X: Matrix, W: Float64) -> Float64:
    """z = X w + b, (m,), or (m, K), for host X (m, d) and W (p,), or (p, K), with the intercept last.

    Pieces have LOGITS_PIECE_BYTES, or less where two of them and their z would take more than half of the
    memory that is free; at least one row. Every z is the same bits, whatever the pieces.
    """
    m, d = X.shape
    rows = piece_rows(d * X.itemsize, device.free_bytes())
    weights = [device.upload(w) for w in np.ascontiguousarray(W.reshape(d + 1, -1).T)]
    z, out = np.empty((m, len(weights))), device.empty(min(m, rows))

    def answer(part: Any, those: slice) -> None:
        for k, w in enumerate(weights):
            launch_logits(device, part, w, out[: part.shape[0]])
            z[those, k] = device.download(out[: part.shape[0]])  # the next piece is on its way

    if m <= rows and X.nbytes < AT_ONCE_BYTES:
        answer(device.upload(X), slice(0, m))
        return z.reshape(m, *W.shape[1:])
    slots, packer = Slots(device, min(m, rows) * d * X.itemsize), Packer()

    def work(place: int, piece: Piece) -> None:
        count = piece.rows.stop - piece.rows.start
        answer(slots.places[place][: piece.size].view(X.dtype).reshape(count, d), piece.rows)

    slots.each([_piece(X, slice(row, min(m, row + rows)), packer) for row in range(0, m, rows)], work)
    return z.reshape(m, *W.shape[1:])


def piece_rows(row_bytes: int, free: int) -> int:
    """How many rows make a piece, with ``free`` bytes of the device's memory to be had."""
    return max(1, min(LOGITS_PIECE_BYTES // row_bytes, free // 2 // (SLOTS * row_bytes + 8)))


def _piece(X: Matrix, rows: slice, packer: Packer) -> Piece:
    count, d = rows.stop - rows.start, X.shape[1]

    def fill(buffer: Bytes) -> None:
        packer.pack(X, rows, buffer.view(X.dtype).reshape(count, d))

    return Piece(rows, count * d * X.itemsize, fill)
