"""How sums over the rows and columns of sparse X are cut into segments, from numbers alone, and what X takes.

Rows and columns are the same thing to the kernels: a list of runs of nonzeros, each of which is summed.
Runs differ in length without bound (words in text: one is in every document, most in a few), so a long one
is cut into segments of bounded length, whose partial sums are added up after, in their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused.dense.plan import (
    PLAIN_THREADS,
    Limits,
    ceil_div,
    narrow_lanes,
    plain_blocks,
)
from accel_logreg.kernels.cupy_fused.matrices.plan import RankPlan, plan_hessian

Int64 = NDArray[np.int64]

LARGEST_INDEX = 2**31 - 1  # rows and columns that the device's 32-bit indices can number
LEAST_LANES = 4  # below this, neighbouring threads read too little of a line side by side
STEPS = 32  # nonzeros that a thread sums at most where the device is not full
WAVES = 8  # segments a group of threads gets where it is: enough to even out what they cost
THREADS_PER_MULTIPROCESSOR = 1536  # 40 registers a thread, which the sums of segments take
SEGMENT_BLOCKS = 64  # of PLAIN_THREADS a multiprocessor; the device deals them out as others end
# Device memory that sorting takes a nonzero: keys of 4 bytes and places of 8, both twice, and some room.
SORT_BYTES = 32
TILE_BYTES = 64 << 20  # of dense rows at a time for a Hessian: about what a large second-level cache holds
GRAM_BATCH = 32  # rows that are dense at a time for a Gram matrix, a lane each


@dataclass(frozen=True)
class RunPlan:
    """How runs of nonzeros are summed: ``lanes`` neighbouring threads a segment of at most ``length``."""

    lanes: int
    length: int


@dataclass(frozen=True)
class Segments:
    """Where segments begin, and where their sums go.

    starts : (segments + 1,) the first nonzero of each, and the end of the last
    targets : (segments,) the run whose whole sum it is, or runs + the place of a partial sum; None where
        no run is cut and segment k is run k
    sum_starts, sum_targets : (sums + 1,), (sums,) the partial sums from sum_starts[k] to sum_starts[k + 1]
        make the answer's entry sum_targets[k]
    """

    starts: Int64
    targets: Int64 | None
    sum_starts: Int64
    sum_targets: Int64


def plan_runs(runs: int, nonzeros: int, limits: Limits) -> RunPlan:
    """Threads by the mean length; a length that leaves segments enough to keep the device evenly busy."""
    lanes = max(LEAST_LANES, narrow_lanes(max(1, ceil_div(nonzeros, runs))))
    groups = limits.multiprocessors * THREADS_PER_MULTIPROCESSOR // lanes
    steps = max(STEPS, ceil_div(nonzeros, WAVES * groups * lanes))
    return RunPlan(lanes, steps * lanes)


def cut_runs(starts: Int64, length: int, leading: tuple[int, ...] = ()) -> Segments:
    """Cut runs, of which number j goes from starts[j] to starts[j + 1], into segments of at most ``length``.

    The segments of one run are of about equal length; an empty run has an empty one. Before the partial
    sums of the runs there are ``leading`` groups of others, which go to the entries after the runs'.
    """
    runs = len(starts) - 1
    lengths = np.diff(starts)
    pieces = np.maximum(1, -(-lengths // length))
    long = np.flatnonzero(pieces > 1)
    sum_starts = np.concatenate([[0], np.cumsum([*leading, *pieces[long]], dtype=np.int64)]).astype(np.int64)
    sum_targets = np.concatenate([runs + np.arange(len(leading)), long]).astype(np.int64)
    if len(long) == 0:
        return Segments(starts, None, sum_starts, sum_targets)
    run = np.repeat(np.arange(runs), pieces)
    number = np.arange(len(run)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    step = -(-lengths // pieces)
    inner = starts[run] + number * step[run]
    targets = run.copy()
    cut = pieces[run] > 1
    targets[cut] = runs + sum(leading) + np.arange(np.count_nonzero(cut))
    return Segments(np.append(inner, starts[-1]).astype(np.int64), targets, sum_starts, sum_targets)


def segment_blocks(segments: int, lanes: int, limits: Limits) -> int:
    """Blocks of PLAIN_THREADS for a kernel that strides over segments."""
    wanted = ceil_div(segments * lanes, PLAIN_THREADS)
    return max(1, min(wanted, SEGMENT_BLOCKS * limits.multiprocessors))


def csr_bytes(n: int, d: int, nonzeros: int, itemsize: int, weighted: bool, limits: Limits) -> int:
    """Device memory that sparse X (n, d), by rows and by columns, takes at most, its making included."""
    entry = 4 + itemsize
    segments = 0
    for runs in (n, d):
        extra = nonzeros // plan_runs(runs, nonzeros, limits).length
        segments += 16 * (runs + extra) + 8 * 2 * extra + 16 * extra  # segments, partial sums, their ends
    kept = 2 * entry * nonzeros + 8 * n + n * (9 if weighted else 1) + 16 * n + segments
    sorting = max(SORT_BYTES - entry, 8) * nonzeros + 8 * d  # the columns are not there yet
    return kept + sorting + 16 * plain_blocks(n, limits) + 8 * 4 * (d + 2) + 1024


def tile_rows(m: int, d: int, itemsize: int) -> int:
    """Rows that are dense at a time for a Hessian over m."""
    return max(1, min(m, TILE_BYTES // (d * itemsize)))


def plan_tiles(m: int, d: int, itemsize: int, precise: bool, limits: Limits) -> RankPlan:
    """The rank-k update of one batch of dense rows."""
    return plan_hessian(d + 1, tile_rows(m, d, itemsize), precise, limits)


def csr_hessian_bytes(m: int, d: int, itemsize: int, picked: bool, precise: bool, limits: Limits) -> int:
    """Device memory that ``hessian`` over m sparse rows takes beside the rows themselves."""
    p = d + 1
    plan = plan_tiles(m, d, itemsize, precise, limits)
    roots = m * (8 + plan.shape.itemsize + (16 if picked else 0)) + 16 * plain_blocks(m, limits)
    tiles = tile_rows(m, d, itemsize) * d * itemsize + 8 * plan.tiles_size * (plan.slices + 1)
    return roots + tiles + 8 * (3 * p + 4) + 8 * p * p


def csr_gram_bytes(n: int, d: int, itemsize: int) -> int:
    """Device memory that ``gram`` of sparse rows takes beside the rows themselves."""
    return 8 * n * n + GRAM_BATCH * d * itemsize
