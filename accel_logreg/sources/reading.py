"""Bytes from a disk past the page cache, and parts that are read while the ones before are worked on.

A scan of a file that is larger than memory, repeated, finds nothing in the page cache: what it needs next was
thrown out last. Direct reads leave the cache to others and skip the copy.
"""

from __future__ import annotations

import errno
import mmap
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.parted_matrix import SourceError

_T = TypeVar("_T")
ALIGNMENT = 4096  # of what direct reads ask for
AHEAD = 3  # parts that are read while one is worked on
_NO_DIRECT = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


class File:
    """A file that is read by position; by several threads at once."""

    def __init__(self, path: Path | int, name: str = "") -> None:
        """``path`` or, of a file without a name, its descriptor."""
        self.name = name or str(path)
        self._direct = getattr(os, "O_DIRECT", 0)
        target = f"/proc/self/fd/{path}" if isinstance(path, int) else path
        try:
            self._fd = os.open(target, os.O_RDONLY | self._direct)
        except OSError as error:  # a file system in memory, for one
            if error.errno not in _NO_DIRECT:
                raise
            self._direct = 0
            self._fd = os.open(target, os.O_RDONLY)
        self._opened = _state(self._fd)

    @property
    def size(self) -> int:
        """Bytes, when it was opened."""
        return self._opened[1]

    @staticmethod
    def buffer(size: int) -> NDArray[np.uint8]:
        """Memory for reads of so many bytes."""
        return np.frombuffer(mmap.mmap(-1, _up(size) + ALIGNMENT), dtype=np.uint8)

    def read(self, offset: int, size: int, buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """These bytes of the file, in ``buffer``.

        Raises SourceError where they cannot be read, or the file ends before.
        """
        start = offset // ALIGNMENT * ALIGNMENT
        end = offset + size
        done = start
        while done < end:
            wanted = buffer.data[done - start : _up(end) - start]
            try:
                got = os.preadv(self._fd, [wanted], done)
            except OSError as error:
                if self._direct and error.errno in _NO_DIRECT:
                    self._without_direct()
                    continue
                raise SourceError(f"{self.name} cannot be read at byte {done}: {error.strerror}") from error
            if got == 0:
                raise SourceError(
                    f"{self.name} ends at byte {done}, where {end} were expected: it was truncated while it "
                    "was read. Write it anew and fit again"
                )
            done += got
            if done < end and done % ALIGNMENT:  # an interrupted read: direct ones go on at a whole block
                done -= done % ALIGNMENT if got >= ALIGNMENT else 0
        if not self._direct and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._fd, start, done - start, os.POSIX_FADV_DONTNEED)
        return buffer[offset - start : end - start]

    def check_unchanged(self) -> None:
        """Raise SourceError where somebody has written to the file since it was opened."""
        if _state(self._fd) != self._opened:
            raise SourceError(
                f"{self.name} changed while it was read: a fit needs the same rows every time. Fit to a copy "
                "that nobody writes to"
            )

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()

    def _without_direct(self) -> None:
        fd = os.open(f"/proc/self/fd/{self._fd}", os.O_RDONLY)
        os.dup2(fd, self._fd)
        os.close(fd)
        self._direct = 0

    _fd = -1


def _state(fd: int) -> tuple[int, int, int]:
    found = os.fstat(fd)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def ahead(jobs: Sequence[int], read: Callable[[int, Any], _T], buffers: Sequence[Any]) -> Iterator[_T]:
    """``read(job, buffer)`` of every job, in order, each read while the ones before are worked on.

    What comes may use its buffer until the next is asked for.
    """
    free, left = deque(buffers), iter(jobs)
    waiting: deque[tuple[Any, Future[_T]]] = deque()
    with ThreadPoolExecutor(max(1, len(buffers) - 1), thread_name_prefix="accel_logreg_reader") as pool:
        try:
            while True:
                while free and (job := next(left, None)) is not None:
                    buffer = free.popleft()
                    waiting.append((buffer, pool.submit(read, job, buffer)))
                if not waiting:
                    return
                buffer, future = waiting.popleft()
                yield future.result()
                free.append(buffer)
        finally:
            for _, future in waiting:
                future.cancel()


def in_background(parts: Iterator[_T]) -> Iterator[_T]:
    """The same, made by a thread while the ones before are worked on: at most two wait, and one is in use."""
    ready: queue.Queue[tuple[_T | None, BaseException | None]] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def hand_over(part: _T | None, error: BaseException | None) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                ready.put((part, error), timeout=0.1)
                return

    def make() -> None:
        try:
            for part in parts:
                hand_over(part, None)
                if stopped.is_set():
                    return
            hand_over(None, None)
        except BaseException as error:
            hand_over(None, error)

    thread = threading.Thread(target=make, name="accel_logreg_reader", daemon=True)
    thread.start()
    try:
        while True:
            part, error = ready.get()
            if error is not None:
                raise error
            if part is None:
                return
            yield part
    finally:
        stopped.set()
        thread.join()
