"""How work is cut into tiles, slices and segments, and what it takes: numbers only, no device."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_logreg.kernels.cupy_fused.columns.launch import plan_questions
from accel_logreg.kernels.cupy_fused.columns.plan import (
    WIDTHS,
    ColumnsPlan,
    columns_bytes,
    columns_shared_bytes,
    plan_columns_pass,
)
from accel_logreg.kernels.cupy_fused.csr import plan as csr_plan
from accel_logreg.kernels.cupy_fused.csr.plan import (
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
from accel_logreg.kernels.cupy_fused.dense.launch import DOTS, GRADIENT, resident_bytes
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
from accel_logreg.kernels.cupy_fused.descent.plan import (
    LEAST_THREADS,
    MOST_THREADS,
    SMALLEST_SLICE_BYTES,
    plan_descent,
)
from accel_logreg.kernels.cupy_fused.matrices.plan import (
    LARGEST_TILES_BYTES,
    NARROW_FLOAT32,
    NARROW_FLOAT64,
    TENSOR_FLOAT32,
    WIDE_FLOAT32,
    WIDE_FLOAT64,
    RankPlan,
    gram_bytes,
    hessian_bytes,
    plan_gram,
    plan_hessian,
    plan_rank_update,
)

SMALL = Limits(1, 48 << 10, 64 << 10)
TURING = Limits(72, 64 << 10, 64 << 10)
ADA = Limits(128, 99 << 10, 100 << 10)
HOPPER = Limits(132, 227 << 10, 228 << 10)
TENSOR_CORES = Limits(132, 227 << 10, 228 << 10, tf32=True)
DEVICES = pytest.mark.parametrize("limits", [TURING, ADA, HOPPER], ids=["Turing", "Ada", "Hopper"])
WITH_TENSOR_CORES = pytest.mark.parametrize(
    "limits", [TURING, HOPPER, TENSOR_CORES], ids=["Turing", "Hopper", "tensor cores"]
)
ONE_AND_MANY = pytest.mark.parametrize("limits", [SMALL, HOPPER], ids=["one multiprocessor", "Hopper"])
ITEMS = pytest.mark.parametrize("itemsize", [4, 8])

# ---- passes ----------------------------------------------------------------------------------------------

ROWS = (1, 2, 31, 209, 1_000, 99_999, 10**6, 10**10)
COLUMNS = (1, 2, 3, 28, 31, 32, 33, 255, 256, 257, 1000, 3072, 8191, 12288, 14000, 20_000, 10**6)


def check_tiles(cut: TilePlan, n: int, d: int, limits: Limits, threads: int) -> None:
    """``threads`` : that the plan counts on, of a multiprocessor."""
    per_multiprocessor = threads // cut.threads
    assert (cut.blocks - 1) * cut.chunk_rows < n <= cut.blocks * cut.chunk_rows, (n, d, cut)
    assert cut.shared_bytes <= limits.shared_per_block
    assert per_multiprocessor * (cut.shared_bytes + 1024) <= limits.shared_per_multiprocessor
    assert cut.blocks <= per_multiprocessor * limits.multiprocessors
    assert 1 <= cut.tile_rows <= cut.chunk_rows
    assert cut.tile_rows * d < 2**31  # offsets in a tile are 32-bit
    assert cut.lanes & (cut.lanes - 1) == 0
    assert cut.lanes <= cut.threads


@DEVICES
@ITEMS
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
        check_tiles(plan, n, d, limits, 1024)
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


# ---- symmetric updates -----------------------------------------------------------------------------------


SIZES = (1, 2, 29, 32, 33, 64, 65, 128, 129, 301, 3073, 12289)
TERMS = (1, 2, 7, 8, 9, 209, 1_000, 99_999, 10**6, 10**10)


def check_update(plan: RankPlan, size: int, terms: int, limits: Limits) -> None:
    shape = plan.shape
    strips = -(-size // shape.edge)
    assert plan.tiles == strips * (strips + 1) // 2
    assert plan.tiles < 2**31  # the grid's first dimension
    assert 1 <= plan.slices <= 65535  # and its second
    assert (plan.slices - 1) * plan.chunk_terms < terms <= plan.slices * plan.chunk_terms
    assert plan.chunk_terms % shape.step == 0
    assert plan.slices == 1 or plan.workspace_bytes <= LARGEST_TILES_BYTES
    assert plan.slices <= shape.blocks * limits.multiprocessors
    assert shape.shared_bytes <= 48 << 10  # no kernel needs to opt in to more


@WITH_TENSOR_CORES
def test_every_plan_covers_the_terms_and_fits(limits: Limits) -> None:
    for size, terms in itertools.product(SIZES, TERMS):
        for precise in (False, True):
            check_update(plan_hessian(size, terms, precise, limits), size, terms, limits)
        check_update(plan_gram(size, terms, limits), size, terms, limits)


@pytest.mark.parametrize(
    ("p", "precise", "shape"),
    [
        (1, False, NARROW_FLOAT32),
        (29, False, NARROW_FLOAT32),
        (96, False, NARROW_FLOAT32),
        (97, False, WIDE_FLOAT32),
        (128, False, WIDE_FLOAT32),
        (129, False, NARROW_FLOAT32),
        (3073, False, WIDE_FLOAT32),
        (29, True, NARROW_FLOAT64),
        (33, True, WIDE_FLOAT64),
        (3073, True, WIDE_FLOAT64),
    ],
)
def test_the_shape_with_the_least_waste(p: int, precise: bool, shape: object) -> None:
    assert plan_hessian(p, 10**5, precise, HOPPER).shape is shape


@pytest.mark.parametrize(
    ("p", "precise", "shape"),
    [
        (29, False, NARROW_FLOAT32),
        (64, False, NARROW_FLOAT32),
        (65, False, TENSOR_FLOAT32),
        (129, False, TENSOR_FLOAT32),
        (3073, False, TENSOR_FLOAT32),
        (3073, True, WIDE_FLOAT64),
    ],
)
def test_tensor_cores_take_what_is_wide_and_not_precise(p: int, precise: bool, shape: object) -> None:
    assert plan_hessian(p, 10**5, precise, TENSOR_CORES).shape is shape


def test_slices_fill_the_device() -> None:
    tall = plan_hessian(29, 10**6, False, HOPPER)
    assert tall.tiles == 1
    assert 0.98 * 8 * 132 <= tall.slices <= 8 * 132
    medium = plan_hessian(301, 2 * 10**5, False, HOPPER)  # 6 tiles: all blocks at once, none left over
    assert 0.9 * 2 * 132 <= medium.tiles * medium.slices <= 2 * 132
    few_rows = plan_hessian(29, 64, False, HOPPER)
    assert few_rows.slices * NARROW_FLOAT32.step <= 64
    wide = plan_gram(209, 12288, HOPPER)
    assert wide.tiles == 10
    assert 0.8 * 2 * 132 <= wide.tiles * wide.slices <= 2 * 132


def test_enough_tiles_need_no_slices() -> None:
    assert plan_hessian(12289, 10**6, False, HOPPER).slices == 1


def test_workspace_stays_within_what_is_given() -> None:
    one_tile = 8 * 32**2
    shapes = (NARROW_FLOAT32,)
    for tiles, slices in [(0, 1), (1, 1), (2, 1), (3, 2), (10, 9)]:
        plan = plan_rank_update(29, 10**6, shapes, tiles * one_tile, HOPPER)
        assert plan.slices <= slices
        assert plan.slices == 1 or plan.workspace_bytes <= tiles * one_tile


def test_memory_is_that_of_the_answer_the_tiles_and_the_roots() -> None:
    n, p = 10**6, 301
    plan = plan_hessian(p, n, False, HOPPER)
    whole = hessian_bytes(p - 1, n, False, False, HOPPER)
    assert plan.workspace_bytes + 8 * p * p + 12 * n < whole < plan.workspace_bytes + 8 * p * p + 13 * n
    assert hessian_bytes(p - 1, n, True, False, HOPPER) == whole + 16 * n
    gram = gram_bytes(2000, 12288, HOPPER)
    assert gram == plan_gram(2000, 12288, HOPPER).workspace_bytes + 8 * 2000**2 + 8 * 12288


# ---- descents --------------------------------------------------------------------------------------------


DESCENT_ROWS = (1, 2, 31, 64, 209, 1_000, 9_999, 10**5, 10**6, 10**10)
DESCENT_COLUMNS = (1, 2, 3, 28, 31, 32, 33, 255, 1000, 3072, 12288, 20_000, 10**6)


@DEVICES
@ITEMS
def test_every_plan_covers_the_matrix_and_fits(limits: Limits, itemsize: int) -> None:
    for n, d in itertools.product(DESCENT_ROWS, DESCENT_COLUMNS):
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


# ---- sparse rows -----------------------------------------------------------------------------------------


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


@ONE_AND_MANY
@pytest.mark.parametrize("runs", [1, 209, 50_000, 10**8])
@pytest.mark.parametrize("nonzeros", [0, 1, 10**7, 10**10])
def test_threads_follow_the_mean_length_and_segments_fill_the_device(
    runs: int, nonzeros: int, limits: Limits
) -> None:
    plan = plan_runs(runs, nonzeros, limits)
    assert plan.lanes in (4, 8, 16, 32)
    assert plan.lanes == 32 or 4 * plan.lanes >= nonzeros / runs
    assert plan.length % plan.lanes == 0
    assert plan.length >= csr_plan.STEPS * plan.lanes
    in_flight = limits.multiprocessors * csr_plan.THREADS_PER_MULTIPROCESSOR // plan.lanes
    # Not shorter than need be: partial sums stay few however large X is.
    assert nonzeros // plan.length <= 8 * in_flight
    assert plan.length == csr_plan.STEPS * plan.lanes or nonzeros // plan.length >= 7 * in_flight
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


@ONE_AND_MANY
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


# ---- K columns -------------------------------------------------------------------------------------------


@ITEMS
@pytest.mark.parametrize("limits", [TURING, HOPPER], ids=["Turing", "Hopper"])
@pytest.mark.parametrize("dots", [1, 2])
def test_every_plan_covers_the_rows_and_columns_and_fits(limits: Limits, itemsize: int, dots: int) -> None:
    for n, d, K in itertools.product(
        (1, 31, 10**6, 10**10), (1, 3, 28, 32, 257, 3072, 12288, 50_000), (1, 2, 5, 8, 9, 33, 1000)
    ):
        plan = plan_columns_pass(n, d, K, itemsize, dots, limits)
        if plan is None:
            assert 8 * d + d * itemsize > limits.shared_per_block - 4096
            continue
        cut = plan.cut
        assert plan.width in WIDTHS
        assert plan.kept % plan.width == 0
        passes = list(plan.passes())
        assert len(passes) == plan.reads
        assert [first for first, _ in passes] == [plan.kept * i for i in range(len(passes))]
        assert sum(columns for _, columns in passes) == K <= plan.padded < K + plan.width
        assert all(1 <= columns <= plan.kept for _, columns in passes)
        check_tiles(cut, n, d, limits, 512)
        assert plan.width <= cut.lanes
        assert cut.threads // plan.width >= 32  # a warp of the link holds every column
        for columns in {columns for _, columns in passes}:
            args = (plan.width, columns, itemsize, dots, cut.tile_rows, cut.lanes, cut.stages)
            assert columns_shared_bytes(cut.threads, d, *args) <= cut.shared_bytes


@pytest.mark.parametrize(
    ("n", "d", "K", "itemsize", "expected"),
    [
        (10**6, 28, 1, 4, (1, 1)),
        (10**6, 28, 3, 4, (4, 1)),
        (10**6, 28, 32, 8, (8, 1)),
        (2 * 10**5, 300, 10, 4, (8, 1)),
        (2 * 10**5, 300, 32, 8, (8, 1)),
        (2 * 10**4, 3072, 10, 4, (4, 3)),
    ],
)
def test_common_shapes_on_hopper(n: int, d: int, K: int, itemsize: int, expected: tuple[int, int]) -> None:
    """Width of a panel, and reads of X."""
    plan = plan_columns_pass(n, d, K, itemsize, GRADIENT.dots, HOPPER)
    assert isinstance(plan, ColumnsPlan)
    assert (plan.width, plan.reads) == expected
    assert plan.cut.stages == 2


def test_the_memory_is_the_data_and_a_small_workspace() -> None:
    plans = plan_questions(10**6, 28, 10, 4, HOPPER)
    assert plans is not None
    data = 10**6 * 28 * 4 + 10**7
    assert data < columns_bytes((10**6, 28), 10, 4, 0, plans.all()) < 1.01 * data
    weighted = columns_bytes((10**6, 28), 10, 4, 10**7, plans.all())
    assert weighted == columns_bytes((10**6, 28), 10, 4, 0, plans.all()) + 8 * 10**7
