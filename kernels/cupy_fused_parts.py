"""Host rows through two places on the device: one part is worked on while the next is copied.

Why it is right. Part k lies in pinned buffer and device slot k mod 2.

- Its pinned buffer is filled after the host waited for the copy of part k − 2 (``PinnedPair``).
- Its copy into the slot starts after the kernels launched before it was sent (``after_kernels``). Part k is
  sent when part k − 1 is about to be worked on, so those are the kernels of part k − 2 and all earlier
  ones, among them whatever used the slot's memory before there was a slot.
- Its kernels start after its copy (``before_kernels``).
- A pass begins and ends, also by an exception, with no copy under way (``finish``): pinned buffers and
  slots can be let go between passes.

The kernels of part k − 1 are not waited for by the copy of part k: that is the overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from accel_logreg.kernels.cupy_fused_copies import Bytes, Sent
from accel_logreg.kernels.cupy_fused_device import Device
from accel_logreg.kernels.cupy_fused_resident import Resident
from accel_logreg.kernels.cupy_fused_staging import HostRows, Packer, PinnedPair
from accel_logreg.kernels.cupy_fused_stream_plan import SLOTS, PartLayout, part_layout


class Parts:
    """Host rows from one to another, ``rows`` of them on the device at a time.

    Every part is a ``Resident`` whose answers are divided by the weight of all rows: their sum is the answer.
    """

    def __init__(self, device: Device, host: HostRows, rows: int, packer: Packer) -> None:
        self._device, self._host, self._rows, self._packer = device, host, rows, packer
        size = self._layout(rows).size
        self._copies = device.copies()
        self._pair = PinnedPair(self._copies, size)
        self._slots = [device.empty(size, np.uint8) for _ in range(SLOTS)]
        self._whole = [self._part(slot, rows) for slot in self._slots]

    def each(self, first: int, last: int, work: Callable[[Resident, slice], None]) -> None:
        """Call ``work`` with every part of the rows from ``first`` to ``last``, and with which rows they are.

        It launches kernels on the current stream; it need not wait for them.
        """
        pieces = [slice(row, min(last, row + self._rows)) for row in range(first, last, self._rows)]
        self._copies.finish()
        try:
            sent = self._send(pieces, 0)
            for k, rows in enumerate(pieces):
                following = self._send(pieces, k + 1)
                self._copies.before_kernels(sent)
                count, slot = rows.stop - rows.start, k % SLOTS
                whole = count == self._rows
                work(self._whole[slot] if whole else self._part(self._slots[slot], count), rows)
                sent = following
        finally:
            self._copies.finish()

    def _send(self, pieces: list[slice], k: int) -> Sent | None:
        """Send piece k, if there is one."""
        if k >= len(pieces):
            return None
        rows = pieces[k]
        layout = self._layout(rows.stop - rows.start)

        def fill(buffer: Bytes) -> None:
            X, y, s = self._views(buffer, rows.stop - rows.start, layout)
            self._packer.pack(self._host.X, rows, X.reshape(-1, self._host.X.shape[1]))
            np.copyto(y, self._host.y[rows])
            if s is not None and self._host.s is not None:
                np.copyto(s, self._host.s[rows])

        self._copies.after_kernels()
        return self._pair.send(layout.size, fill, self._slots[k % SLOTS])

    def _part(self, slot: Any, count: int) -> Resident:
        """The rows in a slot that holds so many of them."""
        views = self._views(slot, count, self._layout(count))
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
