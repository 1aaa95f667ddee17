"""The CuPy engine around its kernels: what it says to CuPy, memory, and the GPU's own tests."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from support.csr_problems import sparse
from support.cuda_host.host_device import NO_DRIVER, HostDevice
from support.interface_problems import precision_of

from accel_logreg.backends import load_backend
from accel_logreg.backends.cupy_fused.csr import upload_csr_rows
from accel_logreg.backends.cupy_fused.dense import upload_rows
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.engine import Engine
from accel_logreg.kernels.cupy_fused.dense.plan import Limits

pytest_plugins = ["support.cuda_host.fixtures"]

LIMITS = Limits(2, 100 << 10, 100 << 10)


# ---- memory ----------------------------------------------------------------------------------------


LAYOUTS: dict[str, Any] = {
    "dense": upload_rows,
    "csr": lambda device, X, y, s: upload_csr_rows(device, sparse(X), y, s),
}
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("dense", r"shape \(100, 10\).*float64.*float32 \(half the bytes\).*'numba'"),
        ("csr", r"shape \(100, 10\) with 1000 nonzeros of dtype float64.*float32, fewer rows.*'numba'"),
    ],
)
def test_rows_larger_than_the_device_are_refused_before_copying(layout: str, message: str) -> None:
    device = HostDevice(NO_DRIVER, LIMITS, memory=1000)
    with pytest.raises(MemoryError, match=message):
        LAYOUTS[layout](device, np.ones((100, 10)), np.ones(100), None)
    with pytest.raises(MemoryError, match=r"Pass fewer rows"):
        LAYOUTS[layout](device, np.ones((100, 10), np.float32), np.ones(100), None)


@pytest.mark.parametrize(
    ("layout", "remedy"), [("dense", "fewer features.*'numba'"), ("csr", "solver='newton-cg'")]
)
def test_answers_larger_than_the_device_are_refused(one_device: HostDevice, layout: str, remedy: str) -> None:
    rows = LAYOUTS[layout](one_device, np.eye(100, 10), np.ones(100), None)
    one_device.memory = 1000
    with pytest.raises(MemoryError, match=rf"Hessian of 11 parameters over 100 rows.*{remedy}"):
        rows.hessian(np.zeros(11), np.zeros(10), np.ones(10))
    with pytest.raises(MemoryError, match=r"Gram matrix of 100 rows.*fewer rows.*'numba'"):
        rows.gram(np.zeros(10))
    with pytest.raises(MemoryError, match=r"sample of 50 rows.*fewer rows.*'numba'"):
        rows.sample(RowSample(np.arange(50), np.ones(50)))
    assert rows.reads == 0


@each_layout
@pytest.mark.parametrize(
    ("rows", "factors", "error", "message"),
    [
        ([3, -1], [1.0, 1.0], IndexError, "Rows -1 to 3 are picked: they are numbered from 0 to 9"),
        ([0, 10], [1.0, 1.0], IndexError, "Rows 0 to 10 are picked"),
        ([0, 1], [1.0], ValueError, "2 rows and 1 factors are picked"),
        ([], [], ValueError, "0 rows and 0 factors are picked"),
    ],
)
def test_rows_that_are_not_there_are_refused(
    one_device: HostDevice,
    layout: str,
    rows: list[int],
    factors: list[float],
    error: type[Exception],
    message: str,
) -> None:
    resident = LAYOUTS[layout](one_device, np.eye(10, 2), np.ones(10), None)
    picked = RowSample(np.array(rows, np.intp), np.array(factors))
    with pytest.raises(error, match=message):
        resident.sample(picked)
    with pytest.raises(error, match=message):
        resident.hessian(np.zeros(3), np.zeros(2), np.ones(2), sample=picked)


@each_layout
def test_device_memory_is_given_back_without_the_garbage_collector(
    one_device: HostDevice, layout: str
) -> None:
    rows = LAYOUTS[layout](one_device, np.eye(10, 2), np.ones(10), None)
    rows.loss_grad(np.zeros(3))
    gone = weakref.ref(rows.data)
    gc.disable()
    try:
        del rows
        assert gone() is None
    finally:
        gc.enable()


# ---- on the device itself: what is particular to it; its numerics are tests/interface's ----------------


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(100_003, 28), (301, 3072), (209, 12288), (57, 20_011), (1, 1)], ids=str)
def test_one_and_two_reads_on_the_device(
    gpu: Engine, dtype: Any, rng: np.random.Generator, shape: tuple[int, int]
) -> None:
    """Shapes whose tiles are many, long, wider than 48 KB, and too long for shared memory."""
    n, d = shape
    X = rng.normal(size=shape).astype(dtype)
    y = (rng.random(n) < 0.5).astype(np.float64)
    s = rng.random(n) + 0.5
    W, V = rng.normal(size=d + 1) / np.sqrt(d), rng.normal(size=d + 1)
    rows, reference = gpu.place(X, y, s), load_backend("numpy").place(X, y, s)
    loss, gradient = rows.loss_grad(W)
    assert rows.reads == {28: 1, 20_011: 2}.get(d, rows.reads)  # between them it depends on the device
    true_loss, true_gradient = reference.loss_grad(W)
    np.testing.assert_allclose(loss, true_loss, rtol=1e-12)
    np.testing.assert_allclose(gradient, true_gradient, rtol=1e-9, atol=1e-13)
    product = rows.hessian_product(W, V)
    np.testing.assert_allclose(product, reference.hessian_product(W, V), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gpu.logits(X, W), load_backend("numpy").logits(X, W), rtol=1e-11, atol=1e-11)
    assert rows.largest_entry() == reference.largest_entry()


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(100_003, 28), (57, 20_011)], ids=str)
def test_answers_are_bitwise_reproducible(
    gpu: Engine, dtype: Any, rng: np.random.Generator, shape: tuple[int, int]
) -> None:
    X = rng.normal(size=shape).astype(dtype)
    y = (rng.random(shape[0]) < 0.5).astype(np.float64)
    W = rng.normal(size=shape[1] + 1) / np.sqrt(shape[1])
    answers = set()
    for rows in (gpu.place(X, y, None), gpu.place(X, y, None)):
        for _ in range(3):
            loss, gradient = rows.loss_grad(W)
            descent = rows.descend(W, 0.1, 0.01, 3, True)
            answers.add((loss, gradient.tobytes(), descent.W.tobytes(), descent.costs.tobytes()))
    assert len(answers) == 1


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(209, 12288), (20_000, 100), (100, 30), (1, 1), (300_000, 28)], ids=str)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_descent_on_the_device(
    gpu: Engine, dtype: Any, rng: np.random.Generator, shape: tuple[int, int], fit_intercept: bool
) -> None:
    """Slices of columns, of rows, one block, and what no multiprocessors can hold."""
    n, d = shape
    X = rng.normal(size=shape).astype(dtype)
    y, s = (rng.random(n) < 0.5).astype(np.float64), rng.random(n) + 0.5
    rows, reference = gpu.place(X, y, s), load_backend("numpy").place(X, y, s)
    W = rng.normal(size=d + 1) / np.sqrt(d)
    found = rows.descend(W, 0.1 / np.sqrt(d), 0.01, 50, fit_intercept)
    true = reference.descend(W, 0.1 / np.sqrt(d), 0.01, 50, fit_intercept)
    np.testing.assert_allclose(found.costs, true.costs, rtol=1e-9)
    np.testing.assert_allclose(found.gradient_norms, true.gradient_norms, rtol=1e-8)
    np.testing.assert_allclose(found.W, true.W, rtol=1e-8, atol=1e-11)
    again = rows.descend(W, 0.1 / np.sqrt(d), 0.01, 50, fit_intercept)
    assert found.W.tobytes() == again.W.tobytes()
    assert found.costs.tobytes() == again.costs.tobytes()


@pytest.mark.gpu
@pytest.mark.parametrize("precise", [False, True], ids=["rounded", "precise"])
@pytest.mark.parametrize("shape", [(100_003, 28), (5001, 301), (1501, 1100)], ids=str)
def test_hessians_on_the_device(
    gpu: Engine, dtype: Any, rng: np.random.Generator, shape: tuple[int, int], precise: bool
) -> None:
    """Every shape of tile, with slices enough to fill a device and spans enough to be added up."""
    n, d = shape
    X = (rng.normal(size=shape) + 3.0).astype(dtype)
    y, s = (rng.random(n) < 0.5).astype(np.float64), rng.random(n) + 0.5
    W, centre, scale = rng.normal(size=d + 1) / np.sqrt(d), np.full(d, 3.0), 0.5 + rng.random(d)
    W[-1] = -3.0 * W[:-1].sum()
    picked = RowSample(rng.integers(0, n, n // 3), rng.random(n // 3))
    rows, reference = gpu.place(X, y, s), load_backend("numpy").place(X, y, s)
    for which in (None, picked):
        H = rows.hessian(W, centre, scale, sample=which, precision=precision_of(precise))
        expected = reference.hessian(W, centre, scale, sample=which, precision="float64")
        np.testing.assert_array_equal(H, H.T)
        np.testing.assert_array_equal(
            H, rows.hessian(W, centre, scale, sample=which, precision=precision_of(precise))
        )
        # Wide Hessians have TF32 factors from compute capability 8.0; their sums may be truncated.
        tolerance = 1e-11 if precise else 2.0**-10 + 1e-4 if d > 60 else 3e-6
        np.testing.assert_allclose(H, expected, rtol=0, atol=tolerance * np.diag(expected).max())


@pytest.mark.gpu
def test_gram_and_samples_on_the_device(gpu: Engine, dtype: Any, rng: np.random.Generator) -> None:
    X = rng.normal(size=(1003, 2050)).astype(dtype)
    y, centre = (rng.random(1003) < 0.5).astype(np.float64), rng.normal(size=2050)
    rows, reference = gpu.place(X, y, None), load_backend("numpy").place(X, y, None)
    G = rows.gram(centre)
    np.testing.assert_array_equal(G, rows.gram(centre))
    np.testing.assert_allclose(G, reference.gram(centre), rtol=0, atol=1e-9)
    a = rng.normal(size=1003)
    np.testing.assert_allclose(rows.combination(a), reference.combination(a), rtol=0, atol=1e-10)
    picked = RowSample(rng.integers(0, 1003, 700), rng.random(700))
    W = rng.normal(size=2051) / 45
    loss, gradient = rows.sample(picked).loss_grad(W)
    true_loss, true_gradient = reference.sample(picked).loss_grad(W)
    np.testing.assert_allclose(loss, true_loss, rtol=1e-12)
    np.testing.assert_allclose(gradient, true_gradient, rtol=1e-9, atol=1e-13)


@pytest.mark.gpu
def test_device_memory_is_not_held_after_the_rows_are_gone(gpu: Engine) -> None:
    memory = gpu._device.memory  # type: ignore[attr-defined]
    before = memory.used_bytes()
    rows = gpu.place(np.ones((1000, 100)), np.ones(1000), None)
    assert memory.used_bytes() > before
    del rows
    assert memory.used_bytes() == before
