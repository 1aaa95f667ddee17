"""Host data through two places on the device: one piece is worked on while the next is copied.

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

import numpy as np

from accel_logreg.backends.cupy_fused.device.staging import PinnedPair
from accel_logreg.kernels.cupy_fused.launching import Bytes, Device, Sent

SLOTS = 2


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
