"""Chunks of work on parked threads: what compiled code is shared out by.

Threads of our own, each waiting for a lock: one that has nothing to do takes no time from anybody, where
OpenMP's spin. With a competitor on each of two cores, a gradient over 200,000 x 28 took 5.7 ms by OpenMP and
1.3 by these; with none 0.7 and 0.7. Kernels run without the interpreter's lock. A child after a fork starts
with none and makes its own; several fits at once share them, and whoever finds no thread free does the work
itself.

Which chunks there are decides the bits of an answer; which thread takes one, and how many there are, do not.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Kernel = Callable[..., Any]


class _Work:
    """Chunks of one question, taken one after the other by whoever comes."""

    def __init__(self, chunks: int, kernel: Kernel, arguments: tuple[Any, ...]) -> None:
        self._chunks, self._kernel, self._arguments = chunks, kernel, arguments
        self._next = itertools.count()  # its next() cannot be interrupted by another thread
        self._left = itertools.count(1)
        self._done = threading.Lock()
        self._done.acquire()
        self._finished = False
        self.error: BaseException | None = None

    def take_part(self) -> None:
        """Take chunks until none is left."""
        while (chunk := next(self._next)) < self._chunks:
            try:
                self._kernel(chunk, self._chunks, *self._arguments)
            except BaseException as error:
                self.error = error
            if next(self._left) == self._chunks:
                self._finished = True
                self._done.release()

    def wait(self) -> None:
        """Until all are done; also where Ctrl-C comes meanwhile, for threads still write into the arrays."""
        while not self._finished:
            try:
                self._done.acquire()
            except BaseException as error:
                self.error = error
        if self.error is not None:
            raise self.error


class _Worker:
    """A thread that waits for work."""

    def __init__(self, idle: list[_Worker]) -> None:
        self._idle, self._work = idle, None
        self._wake = threading.Lock()
        self._wake.acquire()
        threading.Thread(target=self._run, name="accel_logreg", daemon=True).start()

    _work: _Work | None

    def give(self, work: _Work) -> None:
        self._work = work
        self._wake.release()

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            work, self._work = self._work, None
            assert work is not None
            work.take_part()
            del work  # and its arrays
            self._idle.append(self)


class _Bound(threading.local):
    """How many threads a question may take that this thread asks."""

    threads: int | None = None


_bound = _Bound()


def threads_now() -> int:
    """How many threads a question may take at this moment."""
    return MOST if _bound.threads is None else min(_bound.threads, MOST)


@contextmanager
def bounded(n_threads: int | None) -> Iterator[None]:
    """Questions of this thread take at most so many threads meanwhile; None leaves the bound alone."""
    before = _bound.threads
    _bound.threads = before if n_threads is None else n_threads
    try:
        yield
    finally:
        _bound.threads = before


CONTROL_GROUP = Path("/sys/fs/cgroup")
_idle: list[_Worker] = []
_count = itertools.count(1)
_made = 0


def share(chunks: int, kernel: Kernel, *arguments: Any) -> None:
    """kernel(chunk, chunks, *arguments) for every chunk, on ``threads_now()`` threads at most.

    Raises what a kernel raises, when all have ended.
    """
    if chunks == 1:
        kernel(0, 1, *arguments)
        return
    global _made
    work = _Work(chunks, kernel, arguments)
    for _ in range(min(chunks, threads_now()) - 1):
        try:
            worker = _idle.pop()
        except IndexError:
            if _made >= MOST - 1:
                break
            _made += 1
            worker = _Worker(_idle)
        worker.give(work)
    work.take_part()
    work.wait()


def _after_fork() -> None:
    global _made
    _made = 0
    _idle.clear()


def available_cores() -> int:
    """Cores that this process may run on: its affinity, and a container's quota, rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota()))


def _quota() -> int:
    """Of a control group, version 2 or 1, in whole cores; a large number where there is none."""
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            limit, period = map(int, " ".join((CONTROL_GROUP / file).read_text() for file in files).split())
        except (OSError, ValueError):  # none, or "max"
            continue
        if limit > 0:
            return -(-limit // period)
    return 1 << 20


MOST = int(os.environ.get("NUMBA_NUM_THREADS") or available_cores())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
