"""How runs of nonzeros are cut into segments, and what sparse X takes: numbers only, no device."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_logreg.kernels.cupy_fused.csr.plan import (
    STEPS,
    THREADS_PER_MULTIPROCESSOR,
    TILE_BYTES,
    csr_bytes,
    csr_gram_bytes,
    csr_hessian_bytes,
    cut_runs,
    plan_runs,
    plan_tiles,
    segment_blocks,
    tile_rows,
)
from accel_logreg.kernels.cupy_fused.dense.plan import Limits

HOPPER = Limits(132, 227 << 10, 228 << 10)
SMALL = Limits(1, 48 << 10, 64 << 10)
DEVICES = pytest.mark.parametrize("limits", [SMALL, HOPPER], ids=["one multiprocessor", "Hopper"])


def summed(lengths: np.ndarray, length: int, leading: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """What the kernels do with the plan: the answer, and how often each nonzero was counted in it."""
    starts = np.r_[0, np.cumsum(lengths)].astype(np.int64)
    plan = cut_runs(starts, length, leading)
    runs, nonzeros = len(lengths), int(starts[-1])
    assert plan.starts[0] == 0
    assert plan.starts[-1] == nonzeros
    assert (np.diff(plan.starts) >= 0).all()
    assert np.diff(plan.starts).max(initial=0) <= length
    counted = np.zeros(nonzeros, int)
    answer = np.full(runs + len(leading), -1)
    partials = np.full(plan.sum_starts[-1], -1)
    partials[: sum(leading)] = 1
    for segment in range(len(plan.starts) - 1):
        first, last = plan.starts[segment : segment + 2]
        counted[first:last] += 1
        target = segment if plan.targets is None else plan.targets[segment]
        where, place = (answer, target) if target < runs else (partials, target - runs)
        assert where[place] == -1  # one writer
        where[place] = last - first
    assert (partials >= 0).all()
    for k, target in enumerate(plan.sum_targets):
        assert answer[target] == -1
        answer[target] = partials[plan.sum_starts[k] : plan.sum_starts[k + 1]].sum()
    return answer, counted


@given(
    lengths=st.lists(st.integers(0, 300) | st.integers(0, 3), min_size=1, max_size=60),
    length=st.integers(1, 64),
    leading=st.sampled_from([(), (3, 3), (1, 1)]),
)
def test_every_nonzero_is_summed_once_into_its_run(
    lengths: list[int], length: int, leading: tuple[int, ...]
) -> None:
    answer, counted = summed(np.array(lengths), length, leading)
    np.testing.assert_array_equal(answer, [*lengths, *leading])
    assert (counted == 1).all()


def test_runs_that_are_not_cut_keep_their_starts() -> None:
    starts = np.array([0, 4, 4, 12], np.int64)
    plan = cut_runs(starts, 8, (2, 2))
    assert plan.starts is starts
    assert plan.targets is None
    np.testing.assert_array_equal(plan.sum_starts, [0, 2, 4])
    np.testing.assert_array_equal(plan.sum_targets, [3, 4])


def test_segments_of_a_run_are_about_equal() -> None:
    plan = cut_runs(np.array([0, 10, 10, 75], np.int64), 32)
    np.testing.assert_array_equal(np.diff(plan.starts), [10, 0, 22, 22, 21])
    np.testing.assert_array_equal(plan.targets, [0, 1, 3, 4, 5])
    np.testing.assert_array_equal(plan.sum_targets, [2])


@DEVICES
@pytest.mark.parametrize("runs", [1, 209, 50_000, 10**8])
@pytest.mark.parametrize("nonzeros", [0, 1, 10**7, 10**10])
def test_threads_follow_the_mean_length_and_segments_fill_the_device(
    runs: int, nonzeros: int, limits: Limits
) -> None:
    plan = plan_runs(runs, nonzeros, limits)
    assert plan.lanes in (4, 8, 16, 32)
    assert plan.lanes == 32 or 4 * plan.lanes >= nonzeros / runs
    assert plan.length % plan.lanes == 0
    assert plan.length >= STEPS * plan.lanes
    in_flight = limits.multiprocessors * THREADS_PER_MULTIPROCESSOR // plan.lanes
    # Not shorter than need be: partial sums stay few however large X is.
    assert nonzeros // plan.length <= 8 * in_flight
    assert plan.length == STEPS * plan.lanes or nonzeros // plan.length >= 7 * in_flight
    assert 1 <= segment_blocks(runs, plan.lanes, limits) <= 64 * limits.multiprocessors


def test_one_full_column_is_no_longer_than_any_other() -> None:
    """A word that is in all of a million rows, among fifty thousand others."""
    lengths = np.r_[np.full(25_000, 180), 1_000_000, np.full(25_000, 180)]
    starts = np.r_[0, np.cumsum(lengths)].astype(np.int64)
    plan = plan_runs(len(lengths), int(starts[-1]), HOPPER)
    segments = cut_runs(starts, plan.length)
    assert np.diff(segments.starts).max() <= plan.length == 1024
    assert len(segments.starts) - 1 == 50_000 + -(-1_000_000 // 1024)


def test_memory_grows_by_both_copies_and_the_sort() -> None:
    for itemsize in (4, 8):
        one, two = (csr_bytes(10**6, 10**4, k * 10**8, itemsize, False, HOPPER) for k in (1, 2))
        assert (two - one) / 10**8 == pytest.approx(4 + itemsize + 32, rel=0.01)
    assert csr_bytes(10, 10, 0, 8, False, SMALL) < 5000
    weighted = csr_bytes(1000, 10, 10, 8, True, SMALL) - csr_bytes(1000, 10, 10, 8, False, SMALL)
    assert weighted == 8000


@DEVICES
def test_dense_batches_are_bounded(limits: Limits) -> None:
    assert tile_rows(10, 3, 8) == 10
    assert tile_rows(10**6, 1000, 4) * 4000 <= TILE_BYTES
    assert tile_rows(10, TILE_BYTES, 8) == 1  # one row there must be
    for precise in (False, True):
        plan = plan_tiles(10**6, 1000, 4, precise, limits)
        rows = tile_rows(10**6, 1000, 4)
        assert (plan.slices - 1) * plan.chunk_terms < rows <= plan.slices * plan.chunk_terms
        need = csr_hessian_bytes(10**6, 1000, 4, True, precise, limits)
        assert need > 8 * 1001**2 + rows * 4000 + 8 * plan.tiles_size * (plan.slices + 1)
    assert csr_gram_bytes(100, 50, 4) == 8 * 100**2 + 32 * 50 * 4
