"""What is shared out among threads, and how arrays are handed to compiled code."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from accel_logreg.backends.numba_jit.tuning import (
    CHUNK_ENTRIES,
    CHUNKS,
    ENTRIES_PER_THREAD,
    LEAF_ENTRIES,
    MATRICES_BYTES,
    MOST_CHUNKS,
    ROWS_A_MATRIX,
    WORTH_OWN_SUMS,
)
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
    """Chunks of rows for a pass over X whose answer has a number a column."""
    return chunks_for(X.size, X.shape[0], answer=X.shape[1])


def chunks_for(entries: int, parts: int, each: int = 1, *, answer: int = 0, most: int | None = None) -> int:
    """Into how many chunks a question over this many entries is cut, in that many indivisible parts.

    By its shape alone, however many threads there are, because the chunks decide the bits of an answer. A
    power of two, which the usual numbers of threads divide evenly.

    each : how many times the work of a gradient there is for an entry
    answer : numbers of which a chunk has sums of its own, where they are many
    most : chunks that there is room for
    """
    work = entries * each
    chunks = min(work // ENTRIES_PER_THREAD, max(2, work // CHUNK_ENTRIES), parts)
    chunks = min(chunks, max(CHUNKS, min(MOST_CHUNKS, entries // LEAF_ENTRIES)))
    if answer:
        chunks = min(chunks, max(2, work // (WORTH_OWN_SUMS * answer)))
    if most is not None:
        chunks = min(chunks, most)
    return 1 << (max(1, chunks).bit_length() - 1)


def room_for_matrices(rows: int, width: int, count: int = 1) -> int:
    """Chunks of a Hessian that there is room for, with ``count`` matrices (width, width) each."""
    return min(CHUNKS, max(2, rows // ROWS_A_MATRIX), MATRICES_BYTES // (16 * count * width * width))
