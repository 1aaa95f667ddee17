"""Gradient descent in one launch, on the host, against the Python loop: slices, exchange and arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.cuda_host.host_device import Driver, HostDevice
from support.interface_problems import assert_same_descent, problem

from accel_logreg.backends.cupy_fused.dense import upload_rows
from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.cupy_fused.descent import launch as cupy_fused_descent
from accel_logreg.kernels.cupy_fused.descent import plan as cupy_fused_descent_plan
from accel_logreg.kernels.cupy_fused.descent.plan import DescentPlan, plan_descent

pytest_plugins = ["support.cuda_host.fixtures"]

FIVE = Limits(5, 100 << 10, 100 << 10)
SHAPES = [  # n, d, whether the rows have weights, and how many blocks share the work
    (1, 1, True, 2),  # the intercept alone in one
    (1, 40, False, 5),
    (3, 300, True, 5),  # columns: 61 and at last 57 a block
    (40, 257, False, 5),
    (61, 61, True, 5),  # n < p by one
    (62, 61, True, 5),  # and rows from here
    (67, 1, False, 5),
    (301, 28, True, 5),
    (600, 3, False, 5),
    (7, 2, False, 4),  # fewer slices than multiprocessors
]


@pytest.fixture
def thin_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small problems go to several blocks, as large ones do."""
    monkeypatch.setattr(cupy_fused_descent_plan, "SMALLEST_SLICE_BYTES", 1)


def plan_of(X: Any, limits: Limits) -> DescentPlan:
    plan = plan_descent(*X.shape, X.itemsize, limits)
    assert plan is not None
    return plan


@pytest.mark.usefixtures("thin_slices")
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_descent_in_one_launch(
    device: HostDevice,
    dtype: Any,
    rng: np.random.Generator,
    shape: tuple[int, int, bool, int],
    fit_intercept: bool,
) -> None:
    n, d, weighted, blocks = shape
    device.limits = FIVE
    device.misaligned = n % 2
    X, y, s = problem(rng, n, d, dtype, weighted)
    plan = plan_of(X, FIVE)
    assert (plan.by_columns, plan.blocks) == (n <= d + 1, blocks)
    W = rng.normal(size=d + 1)
    rows = upload_rows(device, X, y, s)
    found = rows.descend(W, 0.3, 0.01, 4, fit_intercept)
    assert_same_descent(found, PythonRows(X, y, s).descend(W, 0.3, 0.01, 4, fit_intercept))
    assert fit_intercept or found.W[-1] == W[-1]
    assert device.launched == [f"descend_by_{'columns' if n <= d + 1 else 'rows'}_{np.dtype(dtype).name}"]
    assert rows.reads == 4


@pytest.mark.parametrize(("n", "d"), [(13, 700), (700, 13), (2, 1500), (1, 12_000)])
def test_slices_of_the_size_that_a_device_gets(
    one_device: HostDevice, dtype: Any, rng: np.random.Generator, n: int, d: int
) -> None:
    """Whole warps a row, and more columns than threads."""
    one_device.limits = FIVE
    X, y, s = problem(rng, n, d, dtype, weighted=True)
    W = rng.normal(size=d + 1) / np.sqrt(d)
    found = upload_rows(one_device, X, y, s).descend(W, 1.0 / d, 0.0, 2, True)
    assert_same_descent(found, PythonRows(X, y, s).descend(W, 1.0 / d, 0.0, 2, True))


@pytest.mark.usefixtures("thin_slices")
@pytest.mark.parametrize("steps", [0, 1, 2, 5, 23])
def test_steps_and_launches(
    one_device: HostDevice, rng: np.random.Generator, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cupy_fused_descent, "STEPS_A_LAUNCH", 5)
    one_device.limits = FIVE
    X, y, s = problem(rng, 31, 7, np.float64, weighted=True)
    W = rng.normal(size=8)
    rows = upload_rows(one_device, X, y, s)
    found = rows.descend(W, 0.3, 0.01, steps, True)
    assert_same_descent(found, PythonRows(X, y, s).descend(W, 0.3, 0.01, steps, True))
    assert found.costs.shape == found.gradient_norms.shape == (steps,)
    assert len(one_device.launched) == -(-steps // 5)
    assert rows.reads == steps


@pytest.mark.usefixtures("thin_slices")
@pytest.mark.parametrize("by_columns", [True, False])
def test_logits_of_800(device: HostDevice, dtype: Any, by_columns: bool) -> None:
    device.limits = FIVE
    X = np.array([[800.0], [-800.0], [800.0], [-800.0], [0.0]], dtype)
    if by_columns:
        X = np.hstack([X, np.zeros((5, 6), dtype)])
    assert plan_of(X, FIVE).by_columns == by_columns
    y, W = np.array([1.0, 0.0, 0.0, 1.0, 1.0]), np.r_[1.0, np.zeros(X.shape[1])]
    found = upload_rows(device, X, y, None).descend(W, 1e-3, 0.0, 3, True)
    assert_same_descent(found, PythonRows(X, y, None).descend(W, 1e-3, 0.0, 3, True))
    assert found.costs[0] > 300.0


@pytest.mark.usefixtures("thin_slices")
@pytest.mark.parametrize("shape", [(31, 90), (90, 31)], ids=["columns", "rows"])
def test_order_of_blocks_and_threads_changes_no_bit(
    driver: Driver, dtype: Any, rng: np.random.Generator, shape: tuple[int, int]
) -> None:
    X, y, s = problem(rng, *shape, dtype, weighted=True)
    answers = set()
    for descending in (False, True):
        rows = upload_rows(HostDevice(driver, FIVE, descending=descending), X, y, s)
        found = rows.descend(np.zeros(shape[1] + 1), 0.3, 0.01, 5, True)
        answers.add((found.W.tobytes(), found.costs.tobytes(), found.gradient_norms.tobytes()))
    assert len(answers) == 1


# ---- the emulation of a cooperative grid notices what a device would not ------------------------------


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("diverging_grid_barrier", "a block has ended where others wait at the grid's barrier"),
        ("torn_grid_barrier", "a thread waits at the grid's barrier where others wait"),
        ("repeated_epoch", "epoch 1 of the grid's barrier, after 1"),
    ],
)
def test_the_check_notices(driver: Driver, kernel: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        HostDevice(driver, FIVE).launch(kernel, (3,), 64, 0, (np.zeros(192), np.zeros(3, np.int64)))


def test_the_check_notices_flags_that_were_not_cleared(driver: Driver) -> None:
    args = (np.zeros(192), np.ones(3, np.int64))
    with pytest.raises(RuntimeError, match="epoch 1 of the grid's barrier, after 1"):
        HostDevice(driver, FIVE).launch("repeated_epoch", (3,), 64, 0, args)


def test_the_check_notices_a_missing_grid_barrier(driver: Driver) -> None:
    answers = []
    for descending in (False, True):
        out = np.full(192, np.nan)
        device = HostDevice(driver, FIVE, descending=descending)
        device.launch("missing_grid_barrier", (3,), 64, 0, (out, np.zeros(3, np.int64)))
        answers.append(out)
    assert np.isnan(answers[1]).any()  # memory that the first block had not written yet
    assert not np.isnan(answers[0]).any()


def test_the_check_notices_a_launch_that_is_not_cooperative(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support.cuda_host.host_device.COOPERATIVE", frozenset())
    with pytest.raises(RuntimeError, match="a barrier of the grid in a launch that is not cooperative"):
        HostDevice(driver, FIVE).launch("repeated_epoch", (1,), 64, 0, (np.zeros(64), np.zeros(1, np.int64)))
