"""How gradient descent in one launch slices X̃ = (X, 1), from numbers alone.

The layout of shared memory is the one written above ``Layout`` in descent/descent.cu; the byte counts
here and there must agree, and the host check of the kernels runs with exactly these.
"""

from __future__ import annotations

from dataclasses import dataclass

from accel_logreg.kernels.cupy_fused.dense.plan import WARP, Limits

MOST_THREADS = 1024
LEAST_THREADS = 64
ELEMENTS_PER_THREAD = 8
# About where the arithmetic on a slice takes as long as the exchange between blocks: a smaller one saves
# nothing. Reckoned from data sheets, not measured.
SMALLEST_SLICE_BYTES = 32 << 10
LINES = 4  # of a double per warp, which the kernels keep for what is summed over a block


@dataclass(frozen=True)
class DescentPlan:
    """One block a multiprocessor at most, each with its slice of X̃ (n, p) in shared memory.

    A block may ask for all the shared memory that its multiprocessor gives to one, and the kernels'
    launch bounds keep its registers within what one multiprocessor has. So ``blocks`` of them, no more
    than there are multiprocessors, are always there at once, as a cooperative launch requires.

    by_columns : whether slices are columns of X̃, or rows
    extent : columns or rows in a slice; the last may be narrower
    pitch : elements between neighbouring rows in shared memory
    lanes : neighbouring threads that share a row's dot product, a power of two up to a warp
    groups : threads that share a column's sum, a power of two
    shared_bytes : dynamic shared memory per block
    """

    by_columns: bool
    blocks: int
    threads: int
    extent: int
    pitch: int
    lanes: int
    groups: int
    shared_bytes: int


def plan_descent(n: int, d: int, itemsize: int, limits: Limits) -> DescentPlan | None:
    """Slice n rows of d features of ``itemsize`` bytes; None where the device cannot hold them.

    Columns make the blocks exchange n numbers a step, rows p + 1: the shorter comes first. Fewer lanes
    pad the rows less, where it is that which does not fit.
    """
    if not limits.cooperative:
        return None
    plans = (
        _plan(n, d + 1, itemsize, by_columns, most_lanes, limits)
        for by_columns in (n <= d + 1, n > d + 1)
        for most_lanes in (WARP, 2, 1)
    )
    return next((plan for plan in plans if plan.shared_bytes <= limits.shared_per_block), None)


def _plan(n: int, p: int, itemsize: int, by_columns: bool, most_lanes: int, limits: Limits) -> DescentPlan:
    length, breadth = (p, n) if by_columns else (n, p)
    extent = max(-(-length // limits.multiprocessors), -(-SMALLEST_SLICE_BYTES // (breadth * itemsize)))
    extent = min(extent, length)
    rows, columns = (n, extent) if by_columns else (extent, p)
    threads = _power_of_two_below(2 * rows * columns // ELEMENTS_PER_THREAD)
    threads = min(MOST_THREADS, max(LEAST_THREADS, threads))
    lanes = min(most_lanes, _power_of_two_below(threads // rows), _power_of_two_below(2 * columns - 1))
    groups = min(_power_of_two_below(threads // columns), _power_of_two_below(2 * rows - 1))
    pitch = _pitch(columns, lanes)
    sums = groups * columns if groups > 1 else 0
    doubles = columns + rows + sums + LINES * (threads // WARP)
    return DescentPlan(
        by_columns=by_columns,
        blocks=-(-length // extent),
        threads=threads,
        extent=extent,
        pitch=pitch,
        lanes=lanes,
        groups=groups,
        shared_bytes=(doubles + 1) // 2 * 16 + rows * pitch * itemsize,
    )


def _pitch(columns: int, lanes: int) -> int:
    """An odd multiple of ``lanes``: the rows that a warp reads side by side then meet no bank twice."""
    return columns if lanes == WARP else lanes * (-(-columns // lanes) | 1)


def _power_of_two_below(k: int) -> int:
    """The largest power of two that is at most k, 1 for k < 1."""
    return 1 << max(0, k.bit_length() - 1)
