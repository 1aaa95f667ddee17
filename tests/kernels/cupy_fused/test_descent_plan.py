"""How gradient descent in one launch slices X: numbers only, no device."""

from __future__ import annotations

import itertools

import pytest

from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.cupy_fused.descent.plan import (
    LEAST_THREADS,
    MOST_THREADS,
    SMALLEST_SLICE_BYTES,
    plan_descent,
)

TURING = Limits(72, 64 << 10, 64 << 10)
ADA = Limits(128, 99 << 10, 100 << 10)
HOPPER = Limits(132, 227 << 10, 228 << 10)
DEVICES = pytest.mark.parametrize("limits", [TURING, ADA, HOPPER], ids=["Turing", "Ada", "Hopper"])
ITEMS = pytest.mark.parametrize("itemsize", [4, 8])
ROWS = (1, 2, 31, 64, 209, 1_000, 9_999, 10**5, 10**6, 10**10)
COLUMNS = (1, 2, 3, 28, 31, 32, 33, 255, 1000, 3072, 12288, 20_000, 10**6)


@DEVICES
@ITEMS
def test_every_plan_covers_the_matrix_and_fits(limits: Limits, itemsize: int) -> None:
    for n, d in itertools.product(ROWS, COLUMNS):
        plan = plan_descent(n, d, itemsize, limits)
        if plan is None:
            continue
        p = d + 1
        length = p if plan.by_columns else n
        assert (plan.blocks - 1) * plan.extent < length <= plan.blocks * plan.extent, (n, d, plan)
        assert plan.blocks <= limits.multiprocessors
        assert plan.shared_bytes <= limits.shared_per_block
        rows, columns = (n, plan.extent) if plan.by_columns else (plan.extent, p)
        assert columns <= plan.pitch <= columns + 2 * plan.lanes
        assert plan.pitch % plan.lanes == 0 or plan.lanes == 32
        assert LEAST_THREADS <= plan.threads <= MOST_THREADS
        assert plan.threads % 32 == 0
        assert plan.lanes in (1, 2, 4, 8, 16, 32)
        assert plan.groups & (plan.groups - 1) == 0
        assert plan.groups == 1 or plan.groups * columns <= plan.threads
        assert plan.groups < 2 * rows
        doubles = columns + rows + (plan.groups * columns if plan.groups > 1 else 0) + plan.threads // 8
        assert plan.shared_bytes == (doubles + 1) // 2 * 16 + rows * plan.pitch * itemsize


@ITEMS
def test_the_lessons_photographs_lie_in_hopper_by_columns(itemsize: int) -> None:
    plan = plan_descent(209, 12288, itemsize, HOPPER)
    assert plan is not None
    assert (plan.by_columns, plan.blocks, plan.extent, plan.threads) == (True, 131, 94, 1024)
    assert (plan.lanes, plan.pitch, plan.groups) == (4, 100, 8)
    assert plan.shared_bytes == pytest.approx(209 * 94 * itemsize, rel=0.2)


def test_what_is_exchanged_is_the_shorter_vector() -> None:
    assert plan_descent(1000, 999, 4, HOPPER).by_columns  # type: ignore[union-attr]
    assert not plan_descent(1001, 999, 4, HOPPER).by_columns  # type: ignore[union-attr]
    assert not plan_descent(10**5, 28, 4, HOPPER).by_columns  # type: ignore[union-attr]


def test_small_problems_stay_in_one_block() -> None:
    plan = plan_descent(100, 30, 4, HOPPER)
    assert plan is not None
    assert SMALLEST_SLICE_BYTES > 100 * 31 * 4
    assert plan.blocks == 1
    assert plan_descent(100, 200, 4, HOPPER).blocks == 3  # type: ignore[union-attr]


def test_what_does_not_fit_has_no_plan() -> None:
    assert plan_descent(10**6, 28, 4, HOPPER) is None
    assert plan_descent(209, 12288, 8, TURING) is None
    assert plan_descent(10, 10, 8, Limits(1, 1000, 1000)) is None


@DEVICES
@ITEMS
def test_nearly_all_shared_memory_is_used(limits: Limits, itemsize: int) -> None:
    """Vectors and padding take a little: seven tenths of what there is hold X, of any shape."""
    room = 0.7 * limits.multiprocessors * limits.shared_per_block
    for d in (28, 100, 300, 1000):
        n = int(room / ((d + 1) * itemsize))
        assert plan_descent(n, d, itemsize, limits) is not None, (n, d)
        wide = int(room / (d * itemsize)) - 1
        assert d > 300 or plan_descent(d, wide, itemsize, limits) is not None, (d, wide)


def test_devices_that_cannot_launch_cooperatively_have_no_plan() -> None:
    assert plan_descent(209, 12288, 4, Limits(132, 227 << 10, 228 << 10, cooperative=False)) is None
