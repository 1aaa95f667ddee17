"""What stays and what streams: enough memory for every plan, most of it used, and parts of a good size."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from accel_logreg.backends.cupy_fused.device.stream_plan import (
    PART_BYTES,
    SAMPLE_SHARE,
    fits,
    most_rows,
    part_layout,
    plan_stream,
    planned_bytes,
    stream_bytes,
    working_bytes,
    workspace_bound,
)
from accel_logreg.kernels.cupy_fused.dense.launch import resident_bytes, workspace_bytes
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.cupy_fused.matrices.plan import gram_bytes, hessian_bytes
from accel_logreg.solvers import newton

TURING = Limits(40, 64 << 10, 64 << 10)
HOPPER = Limits(132, 227 << 10, 228 << 10)
GB = 10**9


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("itemsize", [4, 8])
def test_a_part_is_one_piece_with_everything_aligned(itemsize: int, weighted: bool) -> None:
    for rows, d in itertools.product((1, 2, 7, 1000), (1, 3, 28)):
        layout = part_layout(rows, d, itemsize, weighted)
        assert layout.X_bytes == rows * d * itemsize
        assert layout.X_bytes <= layout.s_start < layout.X_bytes + 16
        assert layout.s_start % 16 == 0
        assert layout.y_start == layout.s_start + (8 * rows if weighted else 0)
        assert layout.size == layout.y_start + rows


@pytest.mark.parametrize("limits", [TURING, HOPPER], ids=["Turing", "Hopper"])
@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("weighted", [True, False])
def test_every_plan_fits_with_what_a_fit_takes_beside_it(
    limits: Limits, itemsize: int, weighted: bool
) -> None:
    plans = 0
    for n, d, free in itertools.product(
        (1, 2, 1000, 10**6, 10**9), (1, 3, 28, 300, 3072, 20_000, 10**6), (10**5, 10**7, GB, 80 * GB)
    ):
        plan = plan_stream((n, d), itemsize, weighted, free, limits)
        parts = stream_bytes(1, d, itemsize, weighted, limits)
        if plan is None:
            assert parts > planned_bytes(free)
            continue
        plans += 1
        assert 1 <= plan.rows <= n
        assert 0 <= plan.kept < n
        assert plan.kept == 0 or plan.kept >= plan.rows
        assert plan.rows == 1 or part_layout(plan.rows, d, itemsize, weighted).size <= PART_BYTES
        taken = stream_bytes(plan.rows, d, itemsize, weighted, limits)
        assert taken <= planned_bytes(free)
        if plan.kept:
            taken += resident_bytes((plan.kept, d), itemsize, weighted, limits)
            taken += working_bytes((n, d), plan.rows, itemsize, weighted, planned_bytes(free), limits)
            assert taken <= planned_bytes(free) < free
    assert plans > 100


def test_workspace_of_any_smaller_part_is_within_the_bound(rng: np.random.Generator) -> None:
    for limits, itemsize, d in itertools.product((TURING, HOPPER), (4, 8), (1, 28, 257, 12_288, 20_000)):
        rows = int(rng.integers(1, 5000))
        bound = workspace_bound(rows, d, itemsize, limits)
        for fewer in {1, rows, *rng.integers(1, rows + 1, 20).tolist()}:
            assert workspace_bytes((fewer, d), itemsize, limits) <= bound


def test_a_problem_a_fifth_too_large_streams_little_more_than_that() -> None:
    """80 GB, and 96 GB of X: at least 16 must stream, and a sample wants room, and the slots do."""
    n = 240_000_000
    plan = plan_stream((n, 100), 4, False, 80 * GB, HOPPER)
    assert plan is not None
    assert 16 / 96 < 1 - plan.kept / n < 0.25
    assert 300 * plan.rows * 100 * 4 < 80 * GB
    assert plan.rows * 100 * 4 > 0.9 * PART_BYTES


def test_more_memory_keeps_more_rows() -> None:
    kept = []
    for free in (GB, 2 * GB, 4 * GB, 8 * GB):
        plan = plan_stream((10**8, 100), 4, False, free, HOPPER)
        assert plan is not None
        kept.append(plan.kept)
    assert kept == sorted(kept)
    assert kept[0] < kept[-1]


@pytest.mark.parametrize("free", [GB, 80 * GB])
def test_rows_that_fit_leave_room_for_samples_and_hessians(free: int) -> None:
    for d, itemsize in itertools.product((1, 28, 300, 3072), (4, 8)):
        most = _most_that_fit(d, itemsize, free)
        taken = resident_bytes((most, d), itemsize, False, HOPPER)
        for precise in (False, True):
            assert taken + hessian_bytes(d, most, False, precise, HOPPER) < free
        sample = int(newton._LARGEST_COPY * most) + 1
        taken += 16 * sample + resident_bytes((sample, d), itemsize, False, HOPPER)
        assert taken + hessian_bytes(d, sample, False, False, HOPPER) < free
        assert taken > 0.5 * free or d == 1  # of 5 bytes a row, for which a Hessian takes 16


def _most_that_fit(d: int, itemsize: int, free: int) -> int:
    def need(n: int) -> int:
        return 0 if fits((n, d), itemsize, False, free, HOPPER) else 1

    return most_rows(10**12, need, 0)


def test_what_a_sample_takes_is_what_the_solver_takes() -> None:
    assert newton._LARGEST_COPY <= SAMPLE_SHARE


def test_a_gram_matrix_is_counted_where_rows_are_few() -> None:
    shape, planned = (2000, 10**6), 80 * GB
    working = working_bytes(shape, 2000, 4, False, planned, HOPPER)
    assert working >= gram_bytes(*shape, HOPPER)


def test_a_matrix_that_cannot_be_had_takes_no_room_from_the_rows() -> None:
    most = working_bytes((10**6, 10_000), 10**6, 4, False, GB, HOPPER)
    assert most < GB // 3  # of the sample alone: a Hessian takes 1.6 GB


def test_most_rows() -> None:
    assert most_rows(100, lambda count: 7 * count, 50) == 7
    assert most_rows(5, lambda count: 7 * count, 50) == 5
    assert most_rows(5, lambda _count: 51, 50) == 0
    assert most_rows(0, lambda _count: 0, 50) == 0
