"""Copies from page-locked host memory that run beside the kernels, and how the two wait for each other.

A device works through two queues. Kernels keep the order in which they were launched, copies the order in
which they were sent, and between the two there is no order but the one that is asked for here:

    ``before_kernels(sent)``   a copy, then the kernels launched from now on (they read what it brings)
    ``after_kernels()``        the kernels launched so far, then the copies sent from now on (they write over
                               what those read)
    ``wait(sent)``             a copy, then the host (which may write over what it read)

``CudaCopies`` answers with CuPy's streams and events. The tests answer with queues that lag on purpose.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

CUDA_ERROR_MEMORY_ALLOCATION = 2

Bytes = NDArray[np.uint8]
Sent = Any  # a copy's event


class Copies(Protocol):
    """One device's queue of copies. Kernels are those of the calling thread's current stream.

    stream : what it queues on, for a clock that records events there
    """

    @property
    def stream(self) -> Any: ...

    def pinned(self, size: int) -> Bytes:
        """Page-locked host memory, (size,), uninitialised."""

    def send(self, source: Bytes, target: Any) -> Sent:
        """Queue a copy of pinned ``source`` to the head of device array ``target``.

        From now until the copy is waited for, source may be read and target written at any time.
        """

    def wait(self, sent: Sent) -> None:
        """The host goes on after this copy, and all that were sent before it."""

    def before_kernels(self, sent: Sent) -> None:
        """Kernels launched from now on start after this copy."""

    def after_kernels(self) -> None:
        """Copies sent from now on start after the kernels launched so far."""

    def finish(self) -> None:
        """The host goes on after every copy that was sent."""


class CudaCopies:
    """A stream of its own, which does not wait for the default stream by itself as ordinary ones do."""

    def __init__(self, cupy: Any, device: Any) -> None:
        self._cupy, self._device = cupy, device
        with device:
            self.stream = cupy.cuda.Stream(non_blocking=True)

    def pinned(self, size: int) -> Bytes:
        runtime = self._cupy.cuda.runtime
        try:
            with self._device:
                memory = self._cupy.cuda.alloc_pinned_memory(size)
        except runtime.CUDARuntimeError as error:
            if error.status != CUDA_ERROR_MEMORY_ALLOCATION:
                raise
            raise MemoryError(
                f"{size / 1e9:.2f} GB of page-locked host memory could not be had, through which X goes to "
                "the device. Free host memory, or choose a CPU engine: backend='numba'."
            ) from None
        return np.frombuffer(memory, np.uint8, size)

    def send(self, source: Bytes, target: Any) -> Sent:
        with self._device:
            target.data.copy_from_host_async(source.ctypes.data, source.nbytes, self.stream)
            return self._mark(self.stream)

    def wait(self, sent: Sent) -> None:
        sent.synchronize()

    def before_kernels(self, sent: Sent) -> None:
        with self._device:
            self._cupy.cuda.get_current_stream().wait_event(sent)

    def after_kernels(self) -> None:
        with self._device:
            self.stream.wait_event(self._mark(self._cupy.cuda.get_current_stream()))

    def finish(self) -> None:
        self.stream.synchronize()

    def _mark(self, stream: Any) -> Sent:
        event = self._cupy.cuda.Event(disable_timing=True)
        event.record(stream)
        return event
