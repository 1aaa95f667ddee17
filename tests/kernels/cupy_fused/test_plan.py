"""How passes are cut into tiles: numbers only, no device."""

from __future__ import annotations

import itertools

import pytest

from accel_logreg.kernels.cupy_fused.dense.plan import (
    LARGEST_PARTIALS_BYTES,
    Limits,
    TilePlan,
    TwoReadPlan,
    narrow_lanes,
    plain_blocks,
    plan_pass,
    row_lanes,
    shared_bytes,
)
from accel_logreg.kernels.cupy_fused.dense.resident import DOTS, GRADIENT, resident_bytes

TURING = Limits(72, 64 << 10, 64 << 10)
ADA = Limits(128, 99 << 10, 100 << 10)
HOPPER = Limits(132, 227 << 10, 228 << 10)
ROWS = (1, 2, 31, 209, 1_000, 99_999, 10**6, 10**10)
COLUMNS = (1, 2, 3, 28, 31, 32, 33, 255, 256, 257, 1000, 3072, 8191, 12288, 14000, 20_000, 10**6)


@pytest.mark.parametrize("limits", [TURING, ADA, HOPPER], ids=["Turing", "Ada", "Hopper"])
@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("dots", DOTS)
def test_every_plan_covers_the_rows_and_fits(limits: Limits, itemsize: int, dots: int) -> None:
    for n, d in itertools.product(ROWS, COLUMNS):
        plan = plan_pass(n, d, itemsize, dots, limits)
        if isinstance(plan, TwoReadPlan):
            columns = plan.columns
            assert (columns.chunks - 1) * columns.chunk_rows < n <= columns.chunks * columns.chunk_rows
            assert 256 * (columns.blocks - 1) < d <= 256 * columns.blocks
            assert columns.chunks == 1 or 8 * columns.chunks * d <= LARGEST_PARTIALS_BYTES
            assert columns.chunks <= 65535  # the grid's second dimension
            continue
        assert (plan.blocks - 1) * plan.chunk_rows < n <= plan.blocks * plan.chunk_rows, (n, d, plan)
        per_multiprocessor = 1024 // plan.threads
        assert plan.shared_bytes <= limits.shared_per_block
        assert per_multiprocessor * (plan.shared_bytes + 1024) <= limits.shared_per_multiprocessor
        assert plan.blocks <= per_multiprocessor * limits.multiprocessors
        assert 1 <= plan.tile_rows <= plan.chunk_rows
        assert plan.tile_rows * d < 2**31  # offsets in a tile are 32-bit
        assert plan.lanes & (plan.lanes - 1) == 0
        assert plan.lanes <= plan.threads
        assert plan.shared_bytes == shared_bytes(
            plan.threads, d, itemsize, dots, plan.tile_rows, plan.lanes, plan.stages
        )


@pytest.mark.parametrize(
    ("n", "d", "itemsize", "threads", "stages"),
    [
        (10**6, 28, 4, 256, 2),
        (2 * 10**5, 300, 8, 256, 2),
        (2 * 10**4, 3072, 4, 1024, 2),
        (209, 12288, 4, 1024, 2),
        (209, 12288, 8, 1024, 1),
    ],
)
def test_common_shapes_take_one_read_on_hopper(
    n: int, d: int, itemsize: int, threads: int, stages: int
) -> None:
    plan = plan_pass(n, d, itemsize, GRADIENT.dots, HOPPER)
    assert isinstance(plan, TilePlan)
    assert (plan.threads, plan.stages) == (threads, stages)


@pytest.mark.parametrize(("d", "itemsize"), [(20_000, 4), (15_000, 8), (10**6, 4)])
def test_rows_too_long_for_hopper_take_two_reads(d: int, itemsize: int) -> None:
    assert isinstance(plan_pass(1000, d, itemsize, GRADIENT.dots, HOPPER), TwoReadPlan)


def test_large_problems_fill_the_device() -> None:
    plan = plan_pass(10**6, 28, 4, GRADIENT.dots, HOPPER)
    assert isinstance(plan, TilePlan)
    assert 0.98 * 4 * 132 <= plan.blocks <= 4 * 132


def test_lanes_follow_the_row_and_then_the_threads() -> None:
    assert [narrow_lanes(d) for d in (1, 4, 5, 28, 64, 65, 10**6)] == [1, 1, 2, 8, 16, 32, 32]
    assert row_lanes(28, 256, 256) == 8
    assert row_lanes(28, 16, 256) == 16
    assert row_lanes(12288, 1, 1024) == 1024
    assert row_lanes(12288, 3, 1024) == 512


def test_plain_blocks_are_bounded() -> None:
    assert plain_blocks(0, HOPPER) == 1
    assert plain_blocks(257, HOPPER) == 2
    assert plain_blocks(10**12, HOPPER) == 8 * 132


def test_resident_bytes_are_the_data_and_a_small_workspace() -> None:
    data = 10**6 * 28 * 4 + 10**6
    assert data < resident_bytes((10**6, 28), 4, False, HOPPER) < 1.01 * data
    weighted = resident_bytes((10**6, 28), 4, True, HOPPER)
    assert weighted == resident_bytes((10**6, 28), 4, False, HOPPER) + 8 * 10**6
