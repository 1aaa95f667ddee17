"""A host training set through the device in parts, each of them rows that can be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from accel_logreg.backends.cupy_fused.device.slots import Piece, Slots
from accel_logreg.backends.cupy_fused.device.staging import HostRows, Packer
from accel_logreg.backends.cupy_fused.device.stream_plan import PartLayout, part_layout
from accel_logreg.kernels.cupy_fused.dense.resident import Resident
from accel_logreg.kernels.cupy_fused.launching import Bytes, Device


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
