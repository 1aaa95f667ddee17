"""Every CUDA kernel, compiled for the host, against the Python loop: launcher, plans and arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.cuda_host.host_device import (
    NO_ROOM,
    ONE_MULTIPROCESSOR,
    Driver,
    HostDevice,
)
from support.interface_problems import assert_same_answers, assert_same_descent, problem

from accel_logreg.backends.cupy_fused.dense import upload_rows
from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.kernels.cupy_fused.dense.launch import GRADIENT
from accel_logreg.kernels.cupy_fused.dense.plan import Limits, TilePlan
from accel_logreg.kernels.cupy_fused.programs import PROGRAMS

pytest_plugins = ["support.cuda_host.fixtures"]

NOT_COOPERATIVE = Limits(1, 100 << 10, 100 << 10, cooperative=False)
SHAPES = [  # n, d, and whether the rows have weights
    (1, 1, True),
    (1, 31, False),
    (67, 1, False),
    (600, 3, True),
    (301, 28, False),
    (301, 28, True),
    (97, 33, True),
    (40, 257, False),
    (9, 1023, True),
]


def compare(device: HostDevice, X: Any, y: Any, s: Any, W: Any, V: Any) -> None:
    assert_same_answers(upload_rows(device, X, y, s), PythonRows(X, y, s), W, V, 1e-13)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_read(
    device: HostDevice, dtype: Any, rng: np.random.Generator, shape: tuple[int, int, bool]
) -> None:
    n, d, weighted = shape
    device.misaligned = n % 2
    X, y, s = problem(rng, n, d, dtype, weighted)
    compare(device, X, y, s, rng.normal(size=d + 1) / np.sqrt(d), rng.normal(size=d + 1))
    name = np.dtype(dtype).name
    assert device.launched == [
        f"gradient_{name}",
        "reduce_partials",
        f"hessian_product_{name}",
        "reduce_partials",
    ]


@pytest.mark.parametrize("shape", [(1, 1), (101, 28), (9, 1023)], ids=str)
def test_two_reads_where_no_tile_fits(
    device: HostDevice, dtype: Any, rng: np.random.Generator, shape: tuple[int, int]
) -> None:
    device.limits = NO_ROOM
    X, y, s = problem(rng, *shape, dtype, weighted=True)
    compare(device, X, y, s, rng.normal(size=shape[1] + 1), rng.normal(size=shape[1] + 1))
    assert f"column_sums_{np.dtype(dtype).name}" in device.launched


def test_one_stage_where_two_do_not_fit(device: HostDevice, dtype: Any, rng: np.random.Generator) -> None:
    d = 700
    room = 8 * (d + 200) + d * np.dtype(dtype).itemsize  # column sums, a little, and one row
    device.limits = Limits(1, room, room + 1024)
    X, y, s = problem(rng, 5, d, dtype, weighted=False)
    plan = upload_rows(device, X, y, s).data.plan(GRADIENT)
    assert isinstance(plan, TilePlan)
    assert plan.stages == 1
    compare(device, X, y, s, rng.normal(size=d + 1), rng.normal(size=d + 1))


def test_many_tiles_a_block(device: HostDevice, dtype: Any, rng: np.random.Generator) -> None:
    device.limits = Limits(1, 6 << 10, 40 << 10)
    X, y, s = problem(rng, 401, 37, dtype, weighted=True)
    plan = upload_rows(device, X, y, s).data.plan(GRADIENT)
    assert isinstance(plan, TilePlan)
    assert plan.blocks > 1
    assert plan.chunk_rows > 3 * plan.tile_rows
    compare(device, X, y, s, rng.normal(size=38) / 6, rng.normal(size=38))


@pytest.mark.parametrize("limits", [ONE_MULTIPROCESSOR, NO_ROOM], ids=["one read", "two reads"])
def test_logits_of_800(device: HostDevice, dtype: Any, limits: Limits) -> None:
    device.limits = limits
    X = np.array([[800.0], [-800.0], [800.0], [-800.0], [0.0]], dtype)
    y = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    compare(device, X, y, None, np.array([1.0, 0.0]), np.array([1.0, 1.0]))


@pytest.mark.parametrize("limits", [NOT_COOPERATIVE, NO_ROOM], ids=["one read", "two reads"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_descent_launch_after_launch(
    device: HostDevice, dtype: Any, rng: np.random.Generator, limits: Limits, fit_intercept: bool
) -> None:
    device.limits = limits
    X, y, s = problem(rng, 83, 7, dtype, weighted=True)
    W = rng.normal(size=8)
    rows = upload_rows(device, X, y, s)
    found = rows.descend(W, 0.3, 0.01, 4, fit_intercept)
    assert_same_descent(found, PythonRows(X, y, s).descend(W, 0.3, 0.01, 4, fit_intercept), 1e-13)
    assert rows.reads == 4 * (1 if limits is NOT_COOPERATIVE else 2)
    assert device.launched.count("gradient_descent_step") == 4


@pytest.mark.parametrize("shape", [(1, 1), (999, 17)], ids=str)
def test_largest_entry(
    device: HostDevice, dtype: Any, rng: np.random.Generator, shape: tuple[int, int]
) -> None:
    X, y, s = problem(rng, *shape, dtype, weighted=False)
    X[-1, -1] = -70.0
    rows = upload_rows(device, X, y, s)
    assert rows.largest_entry() == rows.largest_entry() == 70.0
    assert rows.reads == 1


def test_order_of_threads_and_copies_changes_no_bit(driver: Driver, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 301, 28, np.float32, weighted=True)
    W = rng.normal(size=29)
    answers = []
    for late, descending in [(True, False), (False, True), (True, True)]:
        device = HostDevice(driver, ONE_MULTIPROCESSOR, late, descending)
        loss, gradient = upload_rows(device, X, y, s).loss_grad(W)
        answers.append((loss, gradient.tobytes()))
    assert answers[0] == answers[1] == answers[2]


def test_every_kernel_was_named(driver: Driver) -> None:
    """A name that the driver was not compiled with is refused, so every launch above was of a real kernel."""
    device = HostDevice(driver, ONE_MULTIPROCESSOR)
    names = [name for program in PROGRAMS for name in program.kernels]
    assert len(set(names)) == len(names)
    with pytest.raises(RuntimeError, match="no kernel is called gradient_float16"):
        device.launch("gradient_float16", (1,), 32, 0, ())


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("past_shared_memory", "AddressSanitizer"),
        ("past_the_end", "AddressSanitizer"),
        ("diverging_barrier", "a thread has ended where others wait"),
        ("diverging_shuffle", "a thread waits at a shuffle where others"),
        ("copy_without_wait", "never waited for"),
        ("misaligned_copy", "not aligned"),
        ("unrounded_factor", r"0x1.002p\+0 is no TF32 number"),
        # A device would end the kernel; most hosts read on in silence.
        ("misaligned_pair", "misaligned address"),
    ],
)
def test_the_check_notices(checked_driver: Driver, kernel: str, message: str) -> None:
    if message in ("AddressSanitizer", "misaligned address") and not checked_driver.sanitized:
        pytest.skip("the C++ compiler has no sanitizers, so overruns go unnoticed on this machine")
    device = HostDevice(checked_driver, ONE_MULTIPROCESSOR)
    X = (np.zeros(64),) if kernel.endswith(("wait", "copy")) else ()
    with pytest.raises(RuntimeError, match=message):
        device.launch(kernel, (1,), 64, 8 * (128 if kernel == "misaligned_pair" else 64), (*X, np.zeros(64)))


@pytest.mark.parametrize(
    "kernel", ["missing_barrier", "overwritten_factors"], ids=["none before", "none before the next panel"]
)
def test_the_check_notices_a_missing_barrier(driver: Driver, kernel: str) -> None:
    answers = []
    for descending in (False, True):
        out = np.zeros(64)
        device = HostDevice(driver, ONE_MULTIPROCESSOR, descending=descending)
        device.launch(kernel, (1,), 64, 8 * (64 if kernel == "missing_barrier" else 128), (out,))
        answers.append(out)
    assert np.isnan(answers[0]).any() == (kernel == "missing_barrier")  # memory that nobody had written yet
    assert not np.array_equal(*answers)


@pytest.mark.parametrize(
    "args", [(), (np.zeros(8, np.float32),), (np.float64(0),)], ids=["too few", "float32 array", "scalar"]
)
def test_wrong_arguments_are_refused(driver: Driver, args: tuple[Any, ...]) -> None:
    with pytest.raises(RuntimeError, match="argument"):
        HostDevice(driver, ONE_MULTIPROCESSOR).launch("missing_barrier", (1,), 32, 8 * 32, args)
