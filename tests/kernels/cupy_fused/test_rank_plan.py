"""How symmetric updates are cut into tiles and slices: numbers only, no device."""

from __future__ import annotations

import itertools

import pytest

from accel_logreg.kernels.cupy_fused.dense.plan import Limits
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

TURING = Limits(72, 64 << 10, 64 << 10)
HOPPER = Limits(132, 227 << 10, 228 << 10)
TENSOR_CORES = Limits(132, 227 << 10, 228 << 10, tf32=True)
DEVICES = pytest.mark.parametrize(
    "limits", [TURING, HOPPER, TENSOR_CORES], ids=["Turing", "Hopper", "tensor cores"]
)
SIZES = (1, 2, 29, 32, 33, 64, 65, 128, 129, 301, 3073, 12289)
TERMS = (1, 2, 7, 8, 9, 209, 1_000, 99_999, 10**6, 10**10)


def check(plan: RankPlan, size: int, terms: int, limits: Limits) -> None:
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


@DEVICES
def test_every_plan_covers_the_terms_and_fits(limits: Limits) -> None:
    for size, terms in itertools.product(SIZES, TERMS):
        for precise in (False, True):
            check(plan_hessian(size, terms, precise, limits), size, terms, limits)
        check(plan_gram(size, terms, limits), size, terms, limits)


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
