"""What of X stays on the device and what goes through it in parts, from numbers alone.

A fit takes more than X: samples, the workspace of Hessians and of the passes. All of it is counted before
anything is allocated, so that a question asked later finds the memory that it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from accel_logreg.kernels.cupy_fused.dense.launch import DOTS, resident_bytes
from accel_logreg.kernels.cupy_fused.dense.plan import (
    LARGEST_PARTIALS_BYTES,
    PLAIN_THREADS,
    WARP,
    Limits,
    TilePlan,
    plan_pass,
)
from accel_logreg.kernels.cupy_fused.matrices.plan import (
    LARGEST_TILES_BYTES,
    TileShape,
    plan_gram,
    plan_hessian,
    row_blocks,
)

SLOTS = 2  # places for parts: one is worked on while the next is copied to the other
PART_BYTES = 32 << 20  # of rows: some 0.6 ms of the bus, tens of times what launching its kernels costs
SAMPLE_SHARE = 0.035  # of the rows, in the largest sample that a solver takes; newton.py has 0.03
SPARE = 32  # the part of the memory that is never planned with, one in so many: allocators round up
MOST_ENTRIES = 1 << 27  # of a square matrix that solvers consider, 1 GiB
ALIGNMENT = 16


@dataclass(frozen=True)
class PartLayout:
    """Where X (rows, d), s (rows,) float64 and y (rows,) int8 lie in one buffer of ``size`` bytes."""

    X_bytes: int
    s_start: int
    y_start: int
    size: int


@dataclass(frozen=True)
class StreamPlan:
    """``kept`` leading rows stay on the device, the others go through it ``rows`` at a time."""

    kept: int
    rows: int


def part_layout(rows: int, d: int, itemsize: int, weighted: bool) -> PartLayout:
    """The layout of a part of this many rows."""
    X_bytes = rows * d * itemsize
    s_start = -(-X_bytes // ALIGNMENT) * ALIGNMENT
    y_start = s_start + (8 * rows if weighted else 0)
    return PartLayout(X_bytes, s_start, y_start, y_start + rows)


def planned_bytes(free: int) -> int:
    """What may be planned with of ``free`` bytes."""
    return free - free // SPARE


def fits(shape: tuple[int, int], itemsize: int, weighted: bool, free: int, limits: Limits) -> bool:
    """Whether all rows and what a fit on them takes can be on a device with ``free`` bytes."""
    planned = planned_bytes(free)
    working = working_bytes(shape, shape[0], itemsize, weighted, planned, limits)
    return resident_bytes(shape, itemsize, weighted, limits) + working <= planned


def plan_stream(
    shape: tuple[int, int], itemsize: int, weighted: bool, free: int, limits: Limits
) -> StreamPlan | None:
    """How X (n, d) with ``itemsize`` bytes an entry goes through ``free`` bytes; None where not one row does.

    A part has PART_BYTES, or less where two of them would take more than a share of the memory. The rest of
    the memory, but for what a fit works with, keeps rows: those are sent once, and not at every read.
    """
    n, d = shape
    planned = planned_bytes(free)

    def parts(rows: int) -> int:
        return stream_bytes(rows, d, itemsize, weighted, limits)

    def working(rows: int) -> int:
        return working_bytes(shape, rows, itemsize, weighted, planned, limits)

    rows = min(n, max(1, PART_BYTES // part_layout(1, d, itemsize, weighted).size))
    # Where little more fits than the workspace, parts of a row or two would be all that a quarter leaves.
    share = 4 if parts(1) <= planned // 8 else 2
    while rows > 1 and (parts(rows) > planned // share or parts(rows) + working(rows) > planned):
        rows //= 2
    if parts(rows) > planned:
        return None

    def kept(count: int) -> int:
        return resident_bytes((count, d), itemsize, weighted, limits)

    count = most_rows(n - 1, kept, planned - parts(rows) - working(rows))
    return StreamPlan(count if count >= rows else 0, rows)  # fewer than a part are not worth a launch


def most_rows(most: int, need: Callable[[int], int], free: int) -> int:
    """The most rows, up to ``most``, that ``need`` no more than ``free`` bytes; 0 if not even one does."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if need(middle) <= free:
            low = middle
        else:
            high = middle - 1
    return low


def stream_bytes(rows: int, d: int, itemsize: int, weighted: bool, limits: Limits) -> int:
    """Device memory of the slots, their passes' workspace, a last part of any size, and the vectors."""
    slots = SLOTS * part_layout(rows, d, itemsize, weighted).size
    workspace = (SLOTS + 1) * workspace_bound(rows, d, itemsize, limits)
    return slots + workspace + _combination_bound(rows, d, limits) + _vector_bytes(d)


def working_bytes(
    shape: tuple[int, int], rows: int, itemsize: int, weighted: bool, planned: int, limits: Limits
) -> int:
    """What a fit on X of this shape takes beside its rows: a sample, and a matrix made of ``rows`` at a time.

    A matrix that cannot be had, however few rows it is made of at a time, is not reckoned with: who asks
    for it all the same is told so.
    """
    n, d = shape
    p = d + 1
    of_sample = int(SAMPLE_SHARE * n) + 1
    # X, y and s, which rows they are, and the roots and factors of a Hessian.
    sample = of_sample * (d * itemsize + 1 + 8 + 16) + workspace_bound(of_sample, d, itemsize, limits)
    room = planned - stream_bytes(1, d, itemsize, weighted, limits)
    largest = _combination_bound(rows, d, limits)
    if p * p <= MOST_ENTRIES and hessian_block_bytes(1, d, itemsize, limits) <= room:
        one_row = hessian_block_bytes(1, d, itemsize, limits) - hessian_bound(1, d, limits)
        largest = max(largest, hessian_bound(rows, d, limits) + one_row)
    if n < p and n * n <= MOST_ENTRIES and gram_block_bytes(1, n, itemsize, limits) <= room:
        largest = max(largest, gram_bound(d, n, limits))
    return min(sample, planned // 4) + largest + _vector_bytes(d)


def hessian_block_bytes(rows: int, d: int, itemsize: int, limits: Limits) -> int:
    """The most that a copy of so many rows, or fewer, and a Hessian of them take."""
    data = rows * (d * itemsize + 1 + 8) + workspace_bound(rows, d, itemsize, limits)
    return data + hessian_bound(rows, d, limits)


def gram_block_bytes(columns: int, n: int, itemsize: int, limits: Limits) -> int:
    """The most that a copy of so many columns of n rows, or fewer, and a Gram matrix of them take."""
    data = n * (columns * itemsize + 1) + workspace_bound(n, columns, itemsize, limits)
    return data + gram_bound(columns, n, limits)


def hessian_bound(rows: int, d: int, limits: Limits) -> int:
    """The most that ``hessian_bytes`` comes to for so many rows, or fewer, precise or not."""
    p = d + 1
    shapes = [plan_hessian(p, rows, precise, limits).shape for precise in (False, True)]
    tiles = max(_tiles_bound(shape, p, rows, limits) for shape in shapes)
    return rows * (8 + 8) + 16 * row_blocks(rows, d, limits) + 8 * (3 * d + 3) + tiles + 8 * p * p


def gram_bound(columns: int, n: int, limits: Limits) -> int:
    """The most that ``gram_bytes`` comes to for n rows of so many columns, or fewer."""
    shape = plan_gram(n, columns, limits).shape
    return 8 * columns + _tiles_bound(shape, n, columns, limits) + 8 * n * n


def _tiles_bound(shape: TileShape, size: int, terms: int, limits: Limits) -> int:
    """Float64 tiles of as many slices as there may be: fewer terms may be cut into more of them."""
    tiles = 8 * shape.tiles(size) * shape.edge**2
    slices = min(shape.blocks * limits.multiprocessors, -(-terms // shape.step), LARGEST_TILES_BYTES // tiles)
    return tiles * (slices + 1 if slices > 1 else 1)


def workspace_bound(rows: int, d: int, itemsize: int, limits: Limits) -> int:
    """The most workspace that the passes over so many rows, or fewer, take."""
    bound = 0
    for dots in DOTS:
        if isinstance(plan_pass(rows, d, itemsize, dots, limits), TilePlan):
            bound += 8 * min(rows, 4 * limits.multiprocessors) * (d + 2)
        else:
            blocks = min(-(-rows // (PLAIN_THREADS // WARP)), 8 * limits.multiprocessors)
            bound += 8 * (rows + _most_column_chunks(rows, d, limits) * d + 2 * blocks)
    return bound


def _combination_bound(rows: int, d: int, limits: Limits) -> int:
    """Factors, partial sums and answer of Xᵀ a."""
    return 8 * rows + 8 * d * (_most_column_chunks(rows, d, limits) + 1)


def _vector_bytes(d: int) -> int:
    """W, V and the answer, of two questions of which one ends when the other begins."""
    return 2 * 8 * 3 * (d + 2)


def _most_column_chunks(rows: int, d: int, limits: Limits) -> int:
    """The most chunks into which ``plan_columns`` cuts so many rows, or fewer."""
    chunks = -(-16 * limits.multiprocessors // -(-d // PLAIN_THREADS))
    return max(1, min(chunks, rows, LARGEST_PARTIALS_BYTES // (8 * d)))
