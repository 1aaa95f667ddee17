"""How a pass for K columns is cut: panels, columns kept at once, tiles and blocks. Numbers alone, no device.

The layout of shared memory is the one written above ``columns_pass`` in columns/columns.cu; the byte
counts here and there must agree, and the host check of the kernels runs with exactly these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accel_logreg.kernels.cupy_fused.dense.plan import (
    ENOUGH_ROWS,
    SMALLEST_CHUNK_BYTES,
    WARP,
    Limits,
    TilePlan,
    ceil_div,
    row_lanes,
    slots,
    stage_bytes,
)

WIDTHS = (1, 4, 8)  # columns of a panel that kernels are compiled for
THREADS_PER_MULTIPROCESSOR = 512  # 128 registers a thread, for a panel's sums


@dataclass(frozen=True)
class ColumnsPlan:
    """A pass over X for ``kept`` columns at a time, in panels of ``width``: ⌈K/kept⌉ reads of X.

    The last pass may have fewer columns. cut : tiles and blocks; its shared memory is that of a full pass
    """

    n_columns: int
    width: int
    kept: int
    cut: TilePlan

    @property
    def reads(self) -> int:
        return ceil_div(self.n_columns, self.kept)

    @property
    def padded(self) -> int:
        """Weight vectors in whole panels."""
        return ceil_div(self.n_columns, self.width) * self.width

    def passes(self) -> Iterator[tuple[int, int]]:
        """The first column of each pass, and how many it has."""
        for first in range(0, self.n_columns, self.kept):
            yield first, min(self.kept, self.n_columns - first)


def plan_columns_pass(
    n: int, d: int, n_columns: int, itemsize: int, dots: int, limits: Limits
) -> ColumnsPlan | None:
    """Cut n rows of d features of ``itemsize`` bytes for K columns, ``dots`` dot products a row and column.

    As few reads as leave ENOUGH_ROWS in a tile beside the columns' sums: with fewer rows the barriers
    between a panel's steps cost more than another read. Where not even one column does, as many rows as
    there is room for. None where there is no room for a row.
    """
    for reads in range(1, n_columns + 1):
        most = ceil_div(n_columns, reads)
        width = next((width for width in WIDTHS if width >= most), WIDTHS[-1])
        kept = ceil_div(most, width) * width
        for stages in (2, 1):
            for blocks in (2, 1):
                threads = THREADS_PER_MULTIPROCESSOR // blocks
                rows = _tile_rows(threads, d, width, kept, itemsize, dots, stages, limits.shared(blocks))
                if rows < ENOUGH_ROWS and not (kept == 1 and blocks == 1 and rows >= 1):
                    continue
                # A block writes, and another kernel reads, 8 bytes for every feature and column: no more than
                # its rows.
                least = max(ceil_div(SMALLEST_CHUNK_BYTES, d * itemsize), ceil_div(8 * kept, itemsize))
                chunk_rows = min(n, max(ceil_div(n, blocks * limits.multiprocessors), least))
                tile_rows = ceil_div(chunk_rows, ceil_div(chunk_rows, rows))  # equal: the last is no stump
                lanes = max(width, row_lanes(d, tile_rows, threads))
                shared = columns_shared_bytes(
                    threads, d, width, kept, itemsize, dots, tile_rows, lanes, stages
                )
                cut = TilePlan(ceil_div(n, chunk_rows), threads, chunk_rows, tile_rows, lanes, stages, shared)
                return ColumnsPlan(n_columns, width, kept, cut)
    return None


def columns_shared_bytes(
    threads: int,
    d: int,
    width: int,
    columns: int,
    itemsize: int,
    dots: int,
    tile_rows: int,
    lanes: int,
    stages: int,
) -> int:
    """Dynamic shared memory of ``columns_pass``: sums and tails, dots, then the stages."""
    kept = ceil_div(columns, width) * width
    before_dots = _even(kept * (slots(threads, d) + 2 * (threads // WARP)))
    before_stages = _even(before_dots + dots * max(1, lanes // WARP) * tile_rows * width)
    return 8 * before_stages + stages * stage_bytes(tile_rows, d, itemsize)


def _tile_rows(
    threads: int, d: int, width: int, kept: int, itemsize: int, dots: int, stages: int, budget: int
) -> int:
    """The most rows whose tile fits in ``budget`` bytes; 0 if none does. As in dense/plan.py."""
    sums = kept * (slots(threads, d) + 2 * (threads // WARP))
    fixed = 8 * (sums + width * dots * (threads // 16) + 2) + 32 * stages
    per_row = stages * d * itemsize + 8 * dots * width
    return max(0, (budget - fixed) // per_row)


def columns_bytes(
    shape: tuple[int, int], n_columns: int, itemsize: int, weights: int, plans: list[ColumnsPlan]
) -> int:
    """Device memory of X, the labels, ``weights`` of them and the largest plan's workspace and vectors."""
    n, d = shape
    partials = max(plan.cut.blocks * plan.kept for plan in plans)
    vectors = 3 * max(plan.padded for plan in plans)  # W, V and the answer
    return n * d * itemsize + n * n_columns + 8 * weights + 8 * (partials + vectors) * (d + 2)


def _even(k: int) -> int:
    return k + k % 2
