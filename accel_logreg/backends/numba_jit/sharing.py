"""What is shared out among threads, and how arrays are handed to compiled code."""

from __future__ import annotations

from typing import Any

import numba
from numpy.typing import NDArray

from accel_logreg.backends.numba_jit.tuning import ENTRIES_PER_THREAD
from accel_logreg.interface.arrays import Matrix


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


def threads_for(entries: int, parts: int) -> int:
    """How many threads pay for this many entries, which fall into that many indivisible parts."""
    return int(max(1, min(numba.get_num_threads(), entries // ENTRIES_PER_THREAD, parts)))
