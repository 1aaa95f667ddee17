"""A device with two queues, kernels and copies, of which one or both lag as far as the program lets them.

A queue keeps its own order and no other: what is in it happens when somebody waits for it, the host or
the other queue, and not before. A device is free to be as slow as that. So a wait that is missing shows: in
kernels that read NaN where a copy has not landed, in copies of a pinned buffer that has been filled anew,
in kernels that read a slot which the next copy has overwritten.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from support.cuda_host.host_device import HostDevice

LAGGING = ("copies", "kernels", "both")


class Queue:
    """Work in order. ``lags``: nothing happens until it is waited for; else all of it at once."""

    def __init__(self, lags: bool) -> None:
        self._lags = lags
        self._waiting: deque[Callable[[], None]] = deque()
        self.added = self._done = 0

    def add(self, work: Callable[[], None]) -> None:
        self._waiting.append(work)
        self.added += 1
        if not self._lags:
            self.run(self.added)

    def run(self, until: int) -> None:
        """Wait for the first ``until`` pieces of work."""
        while self._done < until:
            self._done += 1
            self._waiting.popleft()()

    @property
    def idle(self) -> bool:
        return not self._waiting


class Stream(NamedTuple):
    """A queue as others than its owner may add to it: marks of a clock, which happen in its order."""

    queue: Queue
    lock: AbstractContextManager[object]

    def add(self, work: Callable[[], None]) -> None:
        with self.lock:
            self.queue.add(work)


class Event(NamedTuple):
    queue: Queue
    position: int

    def wait(self) -> None:
        self.queue.run(self.position)


@dataclass
class QueueingDevice(HostDevice):
    """``HostDevice`` with asynchronous kernels and copies, and with an account of its memory.

    lagging : which queues lag, one of LAGGING
    memory : bytes that it has in all; ``most`` of them have been in use
    """

    lagging: str = "copies"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kernels = Queue(self.lagging in ("kernels", "both"))
        self.made: list[PlayedCopies] = []
        self.used = self.most = 0
        self.lock = RLock()  # one thing at a time, whatever thread asks

    def free_bytes(self) -> int:
        return self.memory - self.used

    def used_bytes(self) -> int:
        return self.used

    def copies(self) -> PlayedCopies:
        self.made.append(PlayedCopies(self))
        return self.made[-1]

    @property
    def idle(self) -> bool:
        """Whether every copy that was sent has been waited for."""
        return all(copies.queue.idle for copies in self.made)

    def empty(self, size: int, dtype: Any = np.float64) -> NDArray[Any]:
        return self._account(super().empty(size, dtype))

    def expressions(self) -> AbstractContextManager[None]:
        self.kernels.run(self.kernels.added)  # NumPy's expressions do not queue
        return super().expressions()

    def contiguous(self, array: NDArray[Any], dtype: Any) -> NDArray[Any]:
        found = super().contiguous(array, dtype)
        return found if found is array else self._account(found)

    def upload(self, array: NDArray[Any]) -> NDArray[Any]:
        with self.lock:
            self.kernels.run(self.kernels.added)
            return self._account(super().upload(array))

    def download(self, array: NDArray[Any]) -> NDArray[Any]:
        with self.lock:
            self.kernels.run(self.kernels.added)
            return super().download(array)

    def launch(
        self, kernel: str, grid: tuple[int, ...], threads: int, shared_bytes: int, args: tuple[Any, ...]
    ) -> None:
        with self.lock:
            self.kernels.add(partial(super().launch, kernel, grid, threads, shared_bytes, args))

    def _account(self, array: NDArray[Any]) -> NDArray[Any]:
        self.used += array.nbytes
        self.most = max(self.most, self.used)
        owner = array
        while isinstance(owner.base, np.ndarray):  # what a slice of the array keeps alive
            owner = owner.base
        weakref.finalize(owner, self._free, array.nbytes)
        return array

    def _free(self, size: int) -> None:
        self.used -= size


class PlayedCopies:
    """Answers ``Copies`` with a queue of its own beside the device's kernels."""

    def __init__(self, device: QueueingDevice) -> None:
        self._device = device
        self.queue = Queue(device.lagging in ("copies", "both"))
        self.stream = Stream(self.queue, device.lock)

    def pinned(self, size: int) -> NDArray[np.uint8]:
        return np.full(size, 0xFF, np.uint8)  # NaN, or −1

    def send(self, source: NDArray[np.uint8], target: NDArray[Any]) -> Event:
        assert source.nbytes <= target.nbytes, "a copy past the end of its target"
        with self._device.lock:
            self.queue.add(partial(_copy, source, target))
            return Event(self.queue, self.queue.added)

    def wait(self, sent: Event) -> None:
        with self._device.lock:
            sent.wait()

    def before_kernels(self, sent: Event) -> None:
        with self._device.lock:
            self._device.kernels.add(sent.wait)

    def after_kernels(self) -> None:
        with self._device.lock:
            launched = Event(self._device.kernels, self._device.kernels.added)
            self.queue.add(launched.wait)

    def finish(self) -> None:
        with self._device.lock:
            self.queue.run(self.queue.added)


def _copy(source: NDArray[np.uint8], target: NDArray[Any]) -> None:
    target.view(np.uint8)[: source.nbytes] = source
