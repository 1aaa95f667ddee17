"""What is shared out among threads, and how arrays are handed to compiled code."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from accel_logreg.backends.numba_jit.tuning import ENTRIES_PER_THREAD
from accel_logreg.interface.arrays import Matrix
from accel_logreg.kernels.numba_jit.threads import MOST


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


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written to.

    Numba compiles again for read-only arrays, which memory-mapped files are: with only those it
    compiles once. For the same reason weights, which a caller may have frozen, are copied.
    """
    view = array.view()
    view.flags.writeable = False
    return view


def chunks_of(X: Matrix) -> int:
    """One chunk of rows for each thread that has enough to do."""
    return threads_for(X.size, X.shape[0])


def threads_for(entries: int, parts: int, each: int = 1) -> int:
    """How many threads pay for this many entries, in that many indivisible parts.

    each : how many times the work of a gradient there is for an entry
    """
    return int(max(1, min(threads_now(), entries * each // ENTRIES_PER_THREAD, parts)))
