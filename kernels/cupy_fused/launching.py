"""What a launcher asks of the machine under it: memory, kernels, and copies beside them.

accel_logreg/backends/cupy_fused/device/cuda.py answers with CuPy. The tests answer with the same kernels
compiled for the host.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused.dense.plan import Limits

Bytes = NDArray[np.uint8]
Sent = Any  # a copy's event


class Copies(Protocol):
    """One device's queue of copies from page-locked host memory, which run beside the kernels.

    Kernels, those of the calling thread's current stream, keep the order in which they were launched, copies
    the order in which they were sent, and between the two there is no order but the one that is asked for.

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


class Device(Protocol):
    """Memory and kernels of one device. Arrays are the device's own; an argument None is a null pointer."""

    @property
    def limits(self) -> Limits: ...

    def free_bytes(self) -> int:
        """Memory that an allocation can still get."""

    def used_bytes(self) -> int:
        """Memory that this process's arrays take now."""

    def copies(self) -> Copies:
        """A new queue of copies beside the kernels."""

    def empty(self, size: int, dtype: Any = np.float64) -> Any:
        """An uninitialised array (size,); a slice of it is a valid argument."""

    def for_user(self, size: int, dtype: Any) -> Any:
        """As ``empty``, from the caller's own allocator, for an array that is handed out."""

    def contiguous(self, array: Any, dtype: Any) -> Any:
        """An array of this device as C-contiguous of this dtype: itself where it is, else a copy."""

    def expressions(self) -> AbstractContextManager[None]:
        """A context in which expressions of this device's arrays run on it, in memory of the engine's."""

    def after_fit(self) -> None:
        """Return most of the memory that is not in use."""

    def release_memory(self) -> None:
        """Return all memory that is not in use."""

    def upload(self, array: NDArray[Any]) -> Any:
        """A C-contiguous host array copied to the device."""

    def download(self, array: Any) -> NDArray[Any]:
        """A device array copied to the host, once everything launched before is done."""

    def stable_order(self, keys: Any) -> Any:
        """The places (int64) of the keys in increasing order, equal ones in the order they had."""

    def launch(
        self, kernel: str, grid: tuple[int, ...], threads: int, shared_bytes: int, args: tuple[Any, ...]
    ) -> None:
        """Start one kernel. Scalars in ``args`` are NumPy scalars of exactly the kernel's types.

        One of a cooperative program starts only if all blocks of its grid fit on the device at once.
        """
