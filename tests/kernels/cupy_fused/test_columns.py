"""The kernels for K columns, compiled for the host, against the Python loop; and how their passes are cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.column_problems import assert_close, assert_same_answers, check_every_question, column_problem
from support.cuda_host.host_device import (
    NO_ROOM,
    ONE_MULTIPROCESSOR,
    Driver,
    HostDevice,
)
from support.cuda_host.play_engine import PlayedCupyBackend
from support.cuda_host.played_arrays import CupyLike

from accel_logreg.backends.cupy_fused.columns import CupyColumns, upload_columns
from accel_logreg.backends.python_loop.engine import PythonEngine
from accel_logreg.interface.columns import OneByOne
from accel_logreg.interface.targets import column_targets
from accel_logreg.kernels.cupy_fused.columns.launch import plan_questions
from accel_logreg.kernels.cupy_fused.columns.plan import (
    WIDTHS,
    plan_columns_pass,
)
from accel_logreg.kernels.cupy_fused.dense.launch import GRADIENT, HESSIAN_PRODUCT
from accel_logreg.kernels.cupy_fused.dense.plan import Limits

pytest_plugins = ["support.cuda_host.fixtures"]

TURING = Limits(72, 64 << 10, 64 << 10)
HOPPER = Limits(132, 227 << 10, 228 << 10)
LARGE_MULTIPROCESSOR = Limits(1, 227 << 10, 228 << 10)
# n, d, K, weights: one of everything; every width, full panels and not; d below and above the threads.
SHAPES = [
    (1, 1, 1, "own"),
    (1, 31, 3, "none"),
    (67, 1, 2, "shared"),
    (131, 3, 8, "own"),
    (75, 28, 1, "shared"),
    (75, 28, 9, "none"),
    (49, 33, 4, "own"),
    (30, 32, 33, "shared"),
    (20, 257, 7, "none"),
    (5, 523, 8, "own"),
]


def compare(device: HostDevice, X: Any, Y: Any, s: Any, W: Any, V: Any) -> Any:
    columns = upload_columns(device, X, column_targets(len(X), Y, s))
    assert_same_answers(columns, PythonEngine().place(X, Y, s), W, V)
    return columns


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_read(
    device: HostDevice, dtype: Any, rng: np.random.Generator, shape: tuple[int, int, int, str]
) -> None:
    n, d, K, weights = shape
    device.misaligned, device.limits = n % 2, LARGE_MULTIPROCESSOR
    X, Y, s = column_problem(rng, n, d, K, dtype, weights)
    columns = compare(device, X, Y, s, *rng.normal(size=(2, d + 1, K)) / np.sqrt(d))
    assert isinstance(columns, CupyColumns)
    assert columns.reads == 2
    width, name = next((width for width in WIDTHS if width >= K), 8), np.dtype(dtype).name
    assert device.launched == [
        f"gradient_columns{width}_{name}",
        "reduce_partials",
        f"hessian_product_columns{width}_{name}",
        "reduce_partials",
    ]


@pytest.mark.parametrize(
    ("dtype", "weights"), [("float64", "none"), ("float32", "shared"), ("float64", "own"), ("float32", "own")]
)
def test_several_reads_where_the_sums_do_not_fit(
    device: HostDevice, dtype: Any, rng: np.random.Generator, weights: str
) -> None:
    device.limits = Limits(1, 24 << 10, 25 << 10)
    X, Y, s = column_problem(rng, 30, 70, 19, dtype, weights)
    columns = compare(device, X, Y, s, *rng.normal(size=(2, 71, 19)) / 8)
    plans = plan_questions(30, 70, 19, X.itemsize, device.limits)
    assert plans is not None
    reads = [plans.of(question).reads for question in (GRADIENT, HESSIAN_PRODUCT)]
    assert columns.reads == sum(reads)
    assert 1 < reads[0] < 19
    assert len(device.launched) == 2 * sum(reads)


def test_many_tiles_a_block(device: HostDevice, dtype: Any, rng: np.random.Generator) -> None:
    device.limits = Limits(1, 30 << 10, 60 << 10)
    X, Y, s = column_problem(rng, 401, 37, 6, dtype, "own")
    plan = plan_columns_pass(401, 37, 6, X.itemsize, 1, device.limits)
    assert plan is not None
    assert plan.cut.blocks > 1
    assert plan.cut.chunk_rows > 3 * plan.cut.tile_rows
    compare(device, X, Y, s, *rng.normal(size=(2, 38, 6)) / 6)


def test_one_stage_and_a_row_of_several_warps(
    device: HostDevice, dtype: Any, rng: np.random.Generator
) -> None:
    d, itemsize = 600, np.dtype(dtype).itemsize
    room = 8 * (d + 200) + d * itemsize  # one column's sums, a little, and one row
    device.limits = Limits(1, room, room + 1024)
    X, Y, s = column_problem(rng, 4, d, 3, dtype, "own")
    plan = plan_columns_pass(4, d, 3, itemsize, 1, device.limits)
    assert plan is not None
    assert (plan.kept, plan.cut.stages, plan.cut.tile_rows) == (1, 1, 1)
    assert plan.cut.lanes > 32
    compare(device, X, Y, s, *rng.normal(size=(2, d + 1, 3)) / 24)


@pytest.mark.parametrize("weights", ["none", "shared", "own"])
def test_rows_too_long_go_column_by_column(
    device: HostDevice, dtype: Any, rng: np.random.Generator, weights: str
) -> None:
    device.limits = NO_ROOM
    X, Y, s = column_problem(rng, 21, 130, 3, dtype, weights)
    columns = compare(device, X, Y, s, *rng.normal(size=(2, 131, 3)) / 11)
    assert isinstance(columns, OneByOne)
    assert columns.reads == 2 * 2 * 3
    assert f"column_sums_{np.dtype(dtype).name}" in device.launched


@pytest.mark.parametrize("K", [1, 3, 8])
def test_logits_of_800(device: HostDevice, dtype: Any, K: int) -> None:
    X = np.array([[800.0], [-800.0], [800.0], [-800.0], [0.0]], dtype)
    Y = np.repeat(np.array([[1.0], [0.0], [0.0], [1.0], [1.0]]), K, axis=1)
    compare(device, X, Y, None, np.tile([[1.0], [0.0]], K), np.ones((2, K)))


def test_a_column_of_nan_keeps_it_to_itself(one_device: HostDevice, rng: np.random.Generator) -> None:
    X, Y, _ = column_problem(rng, 20, 3, 9, np.float64, "none")
    W = rng.standard_normal((4, 9))
    W[1, 2] = np.nan
    losses, gradient = upload_columns(one_device, X, column_targets(20, Y, None)).loss_grad(W)
    np.testing.assert_array_equal(np.isnan(losses), np.arange(9) == 2)
    np.testing.assert_array_equal(np.isnan(gradient).all(axis=0), np.arange(9) == 2)
    np.testing.assert_array_equal(np.isnan(gradient).any(axis=0), np.arange(9) == 2)


def test_order_of_threads_and_copies_changes_no_bit(driver: Driver, rng: np.random.Generator) -> None:
    X, Y, s = column_problem(rng, 75, 28, 11, np.float32, "own")
    W = rng.normal(size=(29, 11))
    answers = []
    for late, descending in [(True, False), (False, True), (True, True)]:
        device = HostDevice(driver, ONE_MULTIPROCESSOR, late, descending)
        losses, gradient = upload_columns(device, X, column_targets(75, Y, s)).loss_grad(W)
        answers.append((losses.tobytes(), gradient.tobytes()))
    assert answers[0] == answers[1] == answers[2]


def test_x_on_the_device_is_read_where_it_lies(
    played_engine: PlayedCupyBackend, dtype: Any, rng: np.random.Generator
) -> None:
    X, Y, s = column_problem(rng, 40, 5, 3, dtype, "shared")
    W = rng.normal(size=(6, 3))
    columns = played_engine.place(CupyLike(X, ordinal=1), Y, s)
    losses, gradient = columns.loss_grad(W)
    expected_losses, expected = PythonEngine().place(X, Y, s).loss_grad(W)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-12)
    assert_close(gradient, expected)
    assert played_engine._played[0].launched == []
    assert isinstance(columns, CupyColumns)
    assert np.shares_memory(columns._data.X, X)


def test_no_room_is_named_before_anything_is_copied(
    one_device: HostDevice, dtype: Any, rng: np.random.Generator
) -> None:
    X, Y, s = column_problem(rng, 40, 5, 3, dtype, "own")
    one_device.memory = X.nbytes
    with pytest.raises(MemoryError, match=r"X of shape \(40, 5\) .* with 3 columns needs .*fewer columns"):
        upload_columns(one_device, X, column_targets(40, Y, s))


@pytest.mark.parametrize("weights", ["none", "shared", "own"])
@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_every_question_is_answered_for_every_column(
    played_engine: PlayedCupyBackend, layout: str, weights: str, dtype: Any, rng: np.random.Generator
) -> None:
    check_every_question(played_engine, layout, weights, 3, dtype, rng)


def test_rows_too_long_for_shared_memory_answer_every_question(
    played_engine: PlayedCupyBackend, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accel_logreg.backends.cupy_fused.columns.plan_questions", lambda *_: None)
    check_every_question(played_engine, "dense", "own", 2, np.float64, rng)
