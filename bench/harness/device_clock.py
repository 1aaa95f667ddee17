"""A GPU call is over when the device is idle. Here that is checked, and the device's own time taken.

CUDA kernels run after the call that launched them has returned. A clock that stops at the return times
the launch, and many published speed-ups did. So a call that claims to be over is held to it: its streams are
asked before anybody waits for them, and if work is pending there is no time, but an error that names the
benchmark. Work on a stream that is not known here shows in how long the device then takes to fall idle.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

IDLE_SECONDS = 50e-6  # that a wait for an idle device may take
IDLE_SHARE = 0.05  # of a call


class UnsynchronisedError(RuntimeError):
    """A GPU call returned before the device was done; the time until its return is not its time."""


class CudaDevice:
    """The device of CuPy, as ``accel_logreg.measure.clock.Clock`` asks it.

    Parameters
    ----------
    cupy : module
        CuPy, or what plays it.
    streams : sequence of stream
        Further streams that the work uses, besides the current one and the default one.
    now : function
        The clock for waits.

    Attributes
    ----------
    waits : list of float
        Seconds that the device took to fall idle after each sample.
    """

    def __init__(
        self, cupy: Any, streams: Sequence[Any] = (), now: Callable[[], float] = time.perf_counter
    ) -> None:
        self._cupy, self._streams, self._now = cupy, tuple(streams), now
        self.waits: list[float] = []
        self._spans: list[float] = []

    def synchronise(self) -> None:
        """Wait until the whole device is idle, all streams of it."""
        self._cupy.cuda.Device().synchronize()

    def pending(self) -> bool:
        """Whether one of the streams has work that is not done; asks, and does not wait."""
        cuda = self._cupy.cuda
        return not all(
            stream.done for stream in (cuda.get_current_stream(), cuda.Stream.null, *self._streams)
        )

    def require_done(self, name: str, seconds: float) -> None:
        """Ask the streams, then wait for the device; nothing may be left of a call that is over.

        Raises
        ------
        UnsynchronisedError
            A stream has work pending.
        """
        left_behind = self.pending()  # first of all: what is still running may be done in a moment
        began = self._now()
        self.synchronise()
        self.waits.append(self._now() - began)
        self._spans.append(seconds)
        if left_behind:
            raise UnsynchronisedError(
                f"{name}: the call returned after {seconds:.3g} s with work pending on the device, which "
                f"took another {self.waits[-1]:.3g} s. Nothing was recorded. Wait for the answer inside the "
                "call (float(...), .get(), stream.synchronize())"
            )

    def require_idle(self, name: str) -> None:
        """After all samples: in most of them the device was idle when the call returned.

        This finds work on streams that ``pending`` does not know. Single waits are left alone: a host
        that was interrupted in one says nothing of the device.

        Raises
        ------
        UnsynchronisedError
            The median wait is longer than an idle device takes.
        """
        if not self.waits:
            return
        wait, span = statistics.median(self.waits), statistics.median(self._spans)
        if wait > max(IDLE_SECONDS, IDLE_SHARE * span):
            raise UnsynchronisedError(
                f"{name}: when the call had returned, after {span:.3g} s, the device was busy for another "
                f"{wait:.3g} s, on a stream that is not known here. Nothing was recorded. Wait for that "
                "stream inside the call"
            )


def event_seconds(cupy: Any, call: Callable[[], object], repeats: int) -> tuple[float, ...]:
    """Seconds on the device between an event before each call and one after it, on the current stream.

    They leave out what the host does before the first kernel and after the last. What a call does on
    other streams counts only where the current stream waits for it.
    """
    seconds = []
    for _ in range(repeats):
        start, stop = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        call()
        stop.record()
        stop.synchronize()
        seconds.append(1e-3 * float(cupy.cuda.get_elapsed_time(start, stop)))
    return tuple(seconds)
