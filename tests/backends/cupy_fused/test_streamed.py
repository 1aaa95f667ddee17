"""Rows that go through the device in parts: kernels compiled for the host, queues that lag, little memory.

The device keeps account of its memory, which proves that what was planned was enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.cuda_host.host_device import NO_ROOM, ONE_MULTIPROCESSOR, Driver
from support.cuda_host.queues import LAGGING, QueueingDevice
from support.interface_problems import (
    assert_same_answers,
    assert_same_curvature,
    assert_same_descent,
    precision_of,
    problem,
)

from accel_logreg.backends.cupy_fused.dense import CupyRows
from accel_logreg.backends.cupy_fused.device import staging as cupy_fused_staging
from accel_logreg.backends.cupy_fused.device.staging import HostRows
from accel_logreg.backends.cupy_fused.placement import place_rows
from accel_logreg.backends.cupy_fused.streamed import BUS, StreamedRows
from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.interface.answers import Rates, RowSample
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.targets import Targets
from accel_logreg.kernels.cupy_fused.dense.launch import resident_bytes
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.cupy_fused.matrices.plan import gram_bytes

pytest_plugins = ["support.cuda_host.fixtures"]

# n, d, whether the rows have weights, and the memory as a share of what all rows take
SHAPES = [
    (401, 7, True, 1.0),
    (300, 3, False, 1.0),  # the last part is one row (float32), or whole (float64)
    (25, 257, False, 0.9),  # parts of one row, and none that stays (float32)
    (1001, 1, True, 0.9),
]


@pytest.fixture(params=["copies", "kernels"])
def lagging(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def small_device(
    driver: Driver, X: Any, s: Any, share: float, lagging: str = "copies", limits: Limits = ONE_MULTIPROCESSOR
) -> QueueingDevice:
    """One with ``share`` times the memory that all rows take."""
    memory = int(share * resident_bytes(X.shape, X.itemsize, s is not None, limits))
    return QueueingDevice(driver, limits, memory=memory, lagging=lagging)


def streamed(device: QueueingDevice, X: Any, y: Any, s: Any) -> StreamedRows:
    rows = place_rows(device, X, y, s)
    assert isinstance(rows, StreamedRows)
    assert rows.n_rows - rows.kept > 2 * rows.part_rows  # a slot is used more than once
    return rows


def vectors(rng: np.random.Generator, d: int) -> tuple[Float64, Float64]:
    return rng.normal(size=d + 1) / np.sqrt(d), rng.normal(size=d + 1)


def assert_enough(device: QueueingDevice) -> None:
    assert device.idle
    if device.lagging == "copies":  # a kernel that waits holds on to what the program has let go
        assert device.most <= device.memory


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_pass(
    driver: Driver, lagging: str, dtype: Any, rng: np.random.Generator, shape: tuple[int, int, bool, float]
) -> None:
    n, d, weighted, share = shape
    X, y, s = problem(rng, n, d, dtype, weighted)
    device = small_device(driver, X, s, share, lagging)
    rows, loop = streamed(device, X, y, s), PythonRows(X, y, s)
    assert rows.weight_sum == pytest.approx(loop.weight_sum)
    W, V = vectors(rng, d)
    assert_same_answers(rows, loop, W, V)
    np.testing.assert_allclose(rows.hessian_diagonal(W), loop.hessian_diagonal(W), rtol=1e-12)
    assert rows.reads == pytest.approx(3.0)
    assert rows.largest_entry() == rows.largest_entry() == loop.largest_entry()
    assert rows.reads == pytest.approx(4.0)
    a = rng.normal(size=n)
    np.testing.assert_allclose(rows.combination(a), loop.combination(a), rtol=1e-11, atol=1e-11)
    assert rows.reads == pytest.approx(5.0)
    assert_enough(device)


def test_two_reads_of_what_stays_and_one_over_the_bus(
    driver: Driver, lagging: str, dtype: Any, rng: np.random.Generator
) -> None:
    X, y, s = problem(rng, 401, 7, dtype, weighted=True)
    device = small_device(driver, X, s, 1.0, lagging, NO_ROOM)
    rows = streamed(device, X, y, s)
    assert rows.kept
    assert_same_answers(rows, PythonRows(X, y, s), *vectors(rng, 7))
    assert rows.reads == pytest.approx(2.0 * (1.0 + rows.kept / 401))
    assert_enough(device)


def test_rows_without_weight(driver: Driver, dtype: Any, rng: np.random.Generator) -> None:
    """A whole part of them has no mean of its own."""
    X, y, _ = problem(rng, 301, 5, dtype, weighted=False)
    s = np.where(np.arange(301) < 250, 0.0, 1.5)
    rows, loop = StreamedRows(small_device(driver, X, s, 4.0), HostRows.of(X, y, s)), PythonRows(X, y, s)
    W, V = vectors(rng, 5)
    assert_same_answers(rows, loop, W, V)
    centre, scale = rng.normal(size=5), 0.5 + rng.random(5)
    H = rows.hessian(W, centre, scale, precision="float64")
    assert_same_curvature(H, loop.hessian(W, centre, scale), rtol=1e-12)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_descent(driver: Driver, dtype: Any, rng: np.random.Generator, fit_intercept: bool) -> None:
    X, y, s = problem(rng, 200, 4, dtype, weighted=True)
    rows = streamed(small_device(driver, X, s, 1.0), X, y, s)
    W = rng.normal(size=5)
    found = rows.descend(W, 0.3, 0.01, 3, fit_intercept)
    assert_same_descent(found, PythonRows(X, y, s).descend(W, 0.3, 0.01, 3, fit_intercept), 1e-13)
    assert rows.reads == pytest.approx(3.0)


@pytest.mark.parametrize("precise", [False, True], ids=["rounded", "precise"])
@pytest.mark.parametrize("share", [1.0, 1.4], ids=["many blocks", "few blocks"])
def test_hessian(driver: Driver, dtype: Any, rng: np.random.Generator, share: float, precise: bool) -> None:
    n, d = 301, 28
    X, y, s = problem(rng, n, d, dtype, weighted=True)
    device = small_device(driver, X, s, share)
    rows, loop = streamed(device, X, y, s), PythonRows(X, y, s)
    W, centre, scale = rng.normal(size=d + 1) / 5, rng.normal(size=d), 0.5 + rng.random(d)
    tolerance = 1e-12 if precise else 2e-6
    H = rows.hessian(W, centre, scale, precision=precision_of(precise))
    assert_same_curvature(H, loop.hessian(W, centre, scale), tolerance)
    assert rows.reads == pytest.approx(1.0)
    picked = RowSample(rng.integers(0, n, 200), 0.1 + rng.random(200))
    H = rows.hessian(W, centre, scale, sample=picked, precision=precision_of(precise))
    assert_same_curvature(H, loop.hessian(W, centre, scale, sample=picked), tolerance)
    assert rows.reads == pytest.approx(1.0 + 200 / n)
    assert_enough(device)


def test_gram_by_columns(driver: Driver, dtype: Any, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 9, 1500, dtype, weighted=True)
    device = small_device(driver, X, s, 4.0)
    rows = StreamedRows(device, HostRows.of(X, y, s))
    block = resident_bytes((9, 700), X.itemsize, False, ONE_MULTIPROCESSOR)
    device.memory = device.used + block + gram_bytes(9, 700, ONE_MULTIPROCESSOR)
    centre = rng.normal(size=1500)
    G = rows.gram(centre)
    np.testing.assert_array_equal(G, G.T)
    np.testing.assert_allclose(G, PythonRows(X, y, s).gram(centre), rtol=1e-11, atol=1e-11)
    assert sum(name.startswith("gram_") for name in device.launched) > 1
    assert rows.reads == pytest.approx(1.0)
    assert_enough(device)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(("m", "kind"), [(11, CupyRows), (850, StreamedRows)])
def test_samples_stay_where_they_fit(
    driver: Driver,
    dtype: Any,
    rng: np.random.Generator,
    weighted: bool,
    m: int,
    kind: type,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cupy_fused_staging, "PIECE_BYTES", 600)  # through pinned memory
    X, y, s = problem(rng, 401, 7, dtype, weighted)
    device = small_device(driver, X, s, 2.0)
    rows, loop = StreamedRows(device, HostRows.of(X, y, s)), PythonRows(X, y, s)
    picked = RowSample(rng.integers(0, 401, m), np.ones(m) if not weighted else 0.1 + rng.random(m))
    sample = rows.sample(picked)
    assert type(sample) is kind
    assert_same_answers(sample, loop.sample(picked), *vectors(rng, 7))
    assert rows.reads == sample.reads == pytest.approx(3 * m / 401)
    assert_enough(device)


def test_the_same_memory_gives_the_same_bits(driver: Driver, dtype: Any, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 401, 7, dtype, weighted=True)
    W, _ = vectors(rng, 7)
    answers = set()
    for lagging in LAGGING:
        rows = streamed(small_device(driver, X, s, 1.0, lagging), X, y, s)
        for _ in range(2):
            loss, gradient = rows.loss_grad(W)
            answers.add((loss, gradient.tobytes()))
    assert len(answers) == 1


def test_rates_of_rows_that_come_over_the_bus(driver: Driver, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 401, 7, np.float32, weighted=True)
    rows = streamed(small_device(driver, X, s, 1.0), X, y, s)
    usual = Rates(1e-12, 2e-12, 3e-12, 4e-12, 5e-6)
    rates = rows.placed(Targets(y.astype(np.int8), s), usual).rates
    assert rates.byte == pytest.approx(1e-12 + BUS * (1 - rows.kept / 401))
    assert rates.tile_entry == pytest.approx(3e-12 + 4 * BUS)
    assert (rates.entry, rates.multiplication, rates.call) == (2e-12, 4e-12, 5e-6)


def test_not_even_one_row(driver: Driver) -> None:
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR, memory=500)
    message = r"One row at a time of X of shape \(9, 50\) and dtype float64 needs .*.*max_memory.*'numba'"
    with pytest.raises(MemoryError, match=message):
        place_rows(device, np.ones((9, 50)), np.ones(9), None)
    assert device.most == 0


def test_answers_too_large_for_what_is_left(driver: Driver, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 60, 257, np.float64, weighted=False)
    rows = streamed(small_device(driver, X, s, 0.5), X, y, s)
    with pytest.raises(MemoryError, match=r"Hessian of 258 parameters needs .*max_memory.*fewer features"):
        rows.hessian(np.zeros(258), np.zeros(257), np.ones(257))
    with pytest.raises(MemoryError, match=r"Gram matrix of 60 rows needs .*Pass fewer rows"):
        rows.gram(np.zeros(257))
    assert rows.reads == 0.0


def test_rows_that_are_not_there_are_refused(driver: Driver, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 300, 3, np.float32, weighted=False)
    rows = streamed(small_device(driver, X, s, 0.7), X, y, s)
    picked = RowSample(np.array([0, 300]), np.ones(2))
    with pytest.raises(IndexError, match="Rows 0 to 300 are picked"):
        rows.sample(picked)
    with pytest.raises(IndexError, match="Rows 0 to 300 are picked"):
        rows.hessian(np.zeros(4), np.zeros(3), np.ones(3), sample=picked)
