"""How a pass is cut into tiles and blocks, from numbers alone: no device is needed to compute or test it.

The layout of shared memory is the one written above ``fused_pass`` in dense/passes.cu; the byte counts
here and there must agree, and the host check of the kernels runs with exactly these.
"""

from __future__ import annotations

from dataclasses import dataclass

WARP = 32
THREADS_PER_MULTIPROCESSOR = 1024  # 64 registers a thread, which the float64 arithmetic needs
RESERVED_BYTES = 1024  # shared memory that the system takes from every block, from compute capability 8.0
ENOUGH_ROWS = 4  # rows in a tile from which the update of the column sums is no longer what costs most
SMALLEST_CHUNK_BYTES = 8 << 10  # below this a block costs more in partial sums than it saves in time
PLAIN_THREADS = 256
REDUCE_THREADS = 512
LARGEST_PARTIALS_BYTES = 64 << 20


@dataclass(frozen=True)
class Limits:
    """What a plan must know of a device.

    multiprocessors : their number
    shared_per_block : bytes of shared memory that a block may ask for (the opt-in limit)
    shared_per_multiprocessor : bytes of shared memory that a multiprocessor has
    cooperative : whether a grid can be started whose blocks wait for each other
    tf32 : whether the tensor cores multiply TF32 numbers
    """

    multiprocessors: int
    shared_per_block: int
    shared_per_multiprocessor: int
    cooperative: bool = True
    tf32: bool = False

    def shared(self, blocks: int) -> int:
        """Bytes for each of so many blocks at once on a multiprocessor."""
        return min(self.shared_per_block, self.shared_per_multiprocessor // blocks - RESERVED_BYTES)


@dataclass(frozen=True)
class TilePlan:
    """One fused pass: ``blocks`` persistent blocks, each with its chunk of rows in tiles. One read of X.

    threads : per block
    chunk_rows, tile_rows : rows per block and per tile; the last of each may be shorter
    lanes : neighbouring threads that share a row's dot products, a power of two
    stages : tiles in shared memory at once; with 2 the next one arrives while one is used
    shared_bytes : dynamic shared memory per block
    """

    blocks: int
    threads: int
    chunk_rows: int
    tile_rows: int
    lanes: int
    stages: int
    shared_bytes: int


@dataclass(frozen=True)
class ColumnPlan:
    """Sums over columns, a thread each: blocks side by side, and chunks of rows that are added up after."""

    blocks: int
    chunks: int
    chunk_rows: int


@dataclass(frozen=True)
class TwoReadPlan:
    """Rows too long for a tile: factors of all rows, then the columns. Two reads of X."""

    row_blocks: int
    columns: ColumnPlan


def plan_pass(n: int, d: int, itemsize: int, dots: int, limits: Limits) -> TilePlan | TwoReadPlan:
    """Cut n rows of d features of ``itemsize`` bytes, ``dots`` dot products per row.

    Blocks per multiprocessor are 4, 2 or 1: as many as leave ENOUGH_ROWS in a tile, since several
    blocks hide each other's barriers. Two stages come before one: a tile whose copy is waited for
    leaves the memory idle while it is used.
    """
    for stages in (2, 1):
        for blocks in (4, 2, 1):
            threads = THREADS_PER_MULTIPROCESSOR // blocks
            rows = _tile_rows(threads, d, itemsize, dots, stages, limits.shared(blocks))
            if rows >= ENOUGH_ROWS or (blocks == 1 and rows >= 1):
                return _tile_plan(
                    n, d, itemsize, dots, stages, threads, rows, blocks * limits.multiprocessors
                )
    return _two_read_plan(n, d, limits)


def _tile_plan(
    n: int, d: int, itemsize: int, dots: int, stages: int, threads: int, rows: int, most_blocks: int
) -> TilePlan:
    chunk_rows = max(ceil_div(n, most_blocks), ceil_div(SMALLEST_CHUNK_BYTES, d * itemsize))
    chunk_rows = min(chunk_rows, n)
    tile_rows = ceil_div(chunk_rows, ceil_div(chunk_rows, rows))  # equal tiles: the last is no stump
    lanes = row_lanes(d, tile_rows, threads)
    return TilePlan(
        blocks=ceil_div(n, chunk_rows),
        threads=threads,
        chunk_rows=chunk_rows,
        tile_rows=tile_rows,
        lanes=lanes,
        stages=stages,
        shared_bytes=shared_bytes(threads, d, itemsize, dots, tile_rows, lanes, stages),
    )


def _two_read_plan(n: int, d: int, limits: Limits) -> TwoReadPlan:
    columns = plan_columns(n, d, limits)
    return TwoReadPlan(min(ceil_div(n, PLAIN_THREADS // WARP), 8 * limits.multiprocessors), columns)


def plan_columns(n: int, d: int, limits: Limits) -> ColumnPlan:
    """Cut the sums over d columns of n rows."""
    column_blocks = ceil_div(d, PLAIN_THREADS)
    chunks = ceil_div(16 * limits.multiprocessors, column_blocks)
    chunks = max(1, min(chunks, n, LARGEST_PARTIALS_BYTES // (8 * d)))
    chunk_rows = ceil_div(n, chunks)
    return ColumnPlan(column_blocks, ceil_div(n, chunk_rows), chunk_rows)


def row_lanes(d: int, rows: int, threads: int) -> int:
    """Threads per row: about 4 elements each up to a warp, and more where rows are fewer than threads."""
    return min(threads, max(narrow_lanes(d), _power_of_two(ceil_div(threads, rows))))


def narrow_lanes(d: int) -> int:
    """Threads per row where there are rows enough: about 4 elements each, a warp at most."""
    return min(WARP, _power_of_two(ceil_div(d, 4)))


def shared_bytes(
    threads: int, d: int, itemsize: int, dots: int, tile_rows: int, lanes: int, stages: int
) -> int:
    """Dynamic shared memory of ``fused_pass``: sums, dots, scratch, then the stages."""
    doubles = slots(threads, d) + dots * max(1, lanes // WARP) * tile_rows + threads // WARP
    return ceil_div(doubles, 2) * 16 + stages * stage_bytes(tile_rows, d, itemsize)


def slots(threads: int, d: int) -> int:
    """Places for the sums over d columns by so many threads."""
    return threads // d * d if d <= threads else d


def stage_bytes(tile_rows: int, d: int, itemsize: int) -> int:
    """A tile in shared memory, and 16 bytes for the shift to X's alignment, as in common/tile.cuh."""
    return ceil_div(tile_rows * d * itemsize + 16, 16) * 16


def _tile_rows(threads: int, d: int, itemsize: int, dots: int, stages: int, budget: int) -> int:
    """The most rows whose tile fits in ``budget`` bytes; 0 if none does.

    The dots take tile_rows entries, or up to threads/16 more where several warps share a row
    (``row_lanes`` gives a row at most twice its even share of the threads).
    """
    fixed = 8 * (slots(threads, d) + dots * (threads // 16) + threads // WARP + 1) + 32 * stages
    per_row = stages * d * itemsize + 8 * dots
    return max(0, (budget - fixed) // per_row)


def plain_blocks(threads_wanted: int, limits: Limits) -> int:
    """Blocks of PLAIN_THREADS for a kernel that strides over its work: enough to fill the device."""
    return max(1, min(ceil_div(threads_wanted, PLAIN_THREADS), 8 * limits.multiprocessors))


def ceil_div(a: int, b: int) -> int:
    """⌈a / b⌉."""
    return -(-a // b)


def _power_of_two(k: int) -> int:
    """The smallest power of two that is at least k ≥ 1."""
    return 1 << (k - 1).bit_length()
