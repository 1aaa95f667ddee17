"""Sparse rows on the CUDA kernels, compiled for the host, against the Python loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from support.csr_problems import assert_same_rows, problem, sparse
from support.cuda_host.host_device import ONE_MULTIPROCESSOR, Driver, HostDevice
from support.cuda_host.play_engine import PlayedCupyBackend
from support.interface_problems import (
    assert_same_answers,
    assert_same_curvature,
    assert_same_descent,
    precision_of,
)

from accel_logreg import LogisticRegression, backends
from accel_logreg.backends.cupy_fused.csr import csr_logits, upload_csr_rows
from accel_logreg.backends.python_loop.csr import PythonCsrRows
from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.backends.python_loop.engine import PythonEngine
from accel_logreg.interface.answers import RowSample
from accel_logreg.kernels.cupy_fused.csr import launch as cupy_fused_csr
from accel_logreg.kernels.cupy_fused.csr import plan as cupy_fused_csr_plan

pytest_plugins = ["support.cuda_host.fixtures"]

SHAPES = [  # n, d, share of nonzeros
    (1, 1, 1.0),
    (1, 9, 0.5),
    (7, 1, 0.6),
    (5, 4, 0.0),
    (6, 5, 1.0),
    (65, 40, 0.1),
    (20, 300, 0.02),
]


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of four nonzeros a thread at most, so that small problems have long rows and columns."""
    monkeypatch.setattr(cupy_fused_csr_plan, "STEPS", 1)
    monkeypatch.setattr(cupy_fused_csr_plan, "WAVES", 1 << 20)


@pytest.mark.parametrize(
    ("index", "weighted"), [("int32", False), ("int64", True)], ids=["int32, unweighted", "int64, weighted"]
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_answers_equal_the_loop(
    one_device: HostDevice,
    shape: tuple[int, int, float],
    dtype: type[np.floating],
    index: str,
    weighted: bool,
    rng: np.random.Generator,
) -> None:
    one_device.misaligned = shape[0] % 2
    X, y, s = problem(rng, *shape, dtype, weighted)
    rows, loop = upload_csr_rows(one_device, sparse(X, index), y, s), PythonCsrRows(sparse(X), y, s)
    assert_same_rows(rows, loop, rng)
    W = rng.standard_normal(shape[1] + 1)
    z = X.astype(np.float64) @ W[:-1] + W[-1]
    np.testing.assert_allclose(csr_logits(one_device, sparse(X, index), W), z, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("short_segments")
def test_long_rows_and_columns(device: HostDevice, dtype: Any, rng: np.random.Generator) -> None:
    """One column in every row, one row with every column, and both cut into many segments."""
    X, y, s = problem(rng, 301, 90, 0.05, dtype, True)
    X[:, 7] = rng.standard_normal(301)
    X[150] = rng.standard_normal(90)
    rows, loop = upload_csr_rows(device, sparse(X), y, s), PythonRows(X, y, s)
    for runs, most in ((rows.data.by_rows, 91), (rows.data.by_columns, 301)):
        assert runs._targets is not None
        assert np.diff(runs._starts).max() <= runs._lanes < most
    W, V = rng.standard_normal((2, 91))
    assert_same_answers(rows, loop, W, V)
    np.testing.assert_allclose(rows.hessian_diagonal(W), loop.hessian_diagonal(W), rtol=1e-12, atol=1e-300)
    a = rng.standard_normal(301)
    np.testing.assert_allclose(rows.combination(a), loop.combination(a), rtol=1e-12, atol=1e-12)
    assert_same_descent(*(which.descend(W, 0.2, 0.05, 3, True) for which in (rows, loop)))


@pytest.mark.usefixtures("short_segments")
def test_order_of_threads_changes_no_bit(driver: Driver, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 211, 60, 0.1, np.float32, True)
    X[:, 3] = 1.5
    W, V = rng.standard_normal((2, 61))
    picked = RowSample(rng.integers(0, 211, 50), rng.random(50))
    answers = set()
    for descending in (False, True, False):
        device = HostDevice(driver, ONE_MULTIPROCESSOR, descending=descending)
        rows = upload_csr_rows(device, sparse(X), y, s)
        loss, gradient = rows.loss_grad(W)
        matrices = rows.hessian(W, np.zeros(60), np.ones(60)), rows.gram(np.zeros(60))
        vectors = gradient, rows.hessian_product(W, V), rows.hessian_diagonal(V), rows.combination(y)
        sampled = rows.sample(picked).loss_grad(W)[1]
        answers.add((loss, *(array.tobytes() for array in (*vectors, *matrices, sampled))))
    assert len(answers) == 1


@pytest.mark.parametrize("precise", [False, True], ids=["rounded", "precise"])
def test_hessians_of_several_batches(
    one_device: HostDevice,
    dtype: Any,
    precise: bool,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dense rows a few at a time, and a last batch of one, which fills fewer slices than the others."""
    monkeypatch.setattr(cupy_fused_csr_plan, "TILE_BYTES", 40 * 35 * np.dtype(dtype).itemsize)
    X, y, s = problem(rng, 121, 35, 0.2, dtype, True)
    rows, loop = upload_csr_rows(one_device, sparse(X), y, s), PythonCsrRows(sparse(X), y, s)
    W, scale = rng.standard_normal(36), 0.5 + rng.random(35)
    rtol = 1e-12 if precise else 2e-6
    for picked in (None, RowSample(rng.integers(0, 121, 81), 0.5 + rng.random(81))):
        H = rows.hessian(W, np.zeros(35), scale, sample=picked, precision=precision_of(precise))
        assert_same_curvature(H, loop.hessian(W, np.zeros(35), scale, sample=picked), rtol)
    assert one_device.launched.count("add_slices") == 4 + 3


@pytest.mark.parametrize("n", [1, 32, 33, 70])
def test_gram_matrices_of_several_batches(
    device: HostDevice, dtype: Any, n: int, rng: np.random.Generator
) -> None:
    X, y, _ = problem(rng, n, 17, 0.3, dtype, False)
    rows = upload_csr_rows(device, sparse(X), y, None)
    exact = X.astype(np.float64)
    K = rows.gram(np.zeros(17))
    np.testing.assert_array_equal(K, K.T)
    np.testing.assert_allclose(K, exact @ exact.T, rtol=1e-12, atol=1e-13)
    assert rows.reads == 1


def test_samples(device: HostDevice, dtype: Any, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 30, 12, 0.3, dtype, True)
    rows, loop = upload_csr_rows(device, sparse(X), y, s), PythonCsrRows(sparse(X), y, s)
    picked = RowSample(rng.integers(0, 30, 41), 0.5 + rng.random(41))
    sample = rows.sample(picked)
    assert rows.reads == sample.reads == pytest.approx(2 * 41 / 30)
    assert_same_rows(sample, loop.sample(picked), rng)
    again = RowSample(np.array([4, 4, 15]), np.ones(3))
    assert_same_rows(sample.sample(again), loop.sample(picked).sample(again), rng)


def test_a_sample_of_empty_rows(one_device: HostDevice, dtype: Any) -> None:
    X = np.zeros((9, 4), dtype)
    X[0, 1] = 2.0
    rows = upload_csr_rows(one_device, sparse(X), np.ones(9), None)
    sample = rows.sample(RowSample(np.array([3, 5]), np.ones(2)))
    assert sample.data.s is None
    assert sample.largest_entry() == 0.0
    loss, gradient = sample.loss_grad(np.zeros(5))
    assert loss == pytest.approx(np.log(2.0))
    np.testing.assert_array_equal(gradient, [0.0, 0.0, 0.0, 0.0, -0.5])


@pytest.mark.parametrize("z", [30.0, 700.0, 800.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_extreme_logits(one_device: HostDevice, dtype: Any, z: float, sign: float) -> None:
    X = np.zeros((5, 3), dtype)
    X[:, 1] = sign * z
    W, V = np.array([0.0, 1.0, 0.0, 0.0]), np.array([0.0, 1.0, 2.0, -0.5])
    for label in (0.0, 1.0):
        y = np.full(5, label)
        rows, loop = upload_csr_rows(one_device, sparse(X), y, None), PythonRows(X, y, None)
        assert_same_answers(rows, loop, W, V, 1e-13)
        scale = np.full(3, 10.0)
        H, expected = rows.hessian(W, np.zeros(3), scale), loop.hessian(W, np.zeros(3), scale)
        assert_same_curvature(H, expected, 2e-6)


def test_reads_are_counted_as_they_happen(one_device: HostDevice, rng: np.random.Generator) -> None:
    """By rows and by columns are a read each; the curvatures at the last W are known."""
    rows = upload_csr_rows(one_device, sparse(np.eye(6, 4)), np.ones(6), None)
    W, V, scale = rng.standard_normal(5), np.ones(5), np.ones(4)

    def reads(ask: Any) -> float:
        before = rows.reads
        ask()
        return rows.reads - before

    assert reads(lambda: rows.hessian_product(W, V)) == 3
    assert reads(lambda: rows.hessian_product(W, V)) == 2
    assert reads(lambda: rows.loss_grad(2 * W)) == 2
    assert reads(lambda: rows.hessian_diagonal(2 * W)) == 1
    assert reads(lambda: rows.hessian_diagonal(W)) == 2
    assert reads(lambda: rows.hessian(W, np.zeros(4), scale)) == 1
    half = RowSample(np.arange(3), np.ones(3))
    assert reads(lambda: rows.hessian(W, np.zeros(4), scale, sample=half)) == 0.5
    assert reads(lambda: rows.descend(W, 0.1, 0.0, 3, True)) == 6
    assert reads(lambda: rows.hessian(W, np.zeros(4), scale)) == 2
    assert reads(lambda: rows.combination(np.ones(6))) == 1
    assert [reads(rows.largest_entry) for _ in range(2)] == [1, 0]


@pytest.mark.parametrize("shape", [(1, 1, 1.0), (200, 3, 0.6), (5, 101, 0.3), (9, 4, 0.0)], ids=str)
def test_logits_in_pieces(
    device: HostDevice,
    dtype: Any,
    shape: tuple[int, int, float],
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, _, _ = problem(rng, *shape, dtype, False)
    W = rng.standard_normal(shape[1] + 1)
    monkeypatch.setattr(cupy_fused_csr, "LOGITS_BYTES", 300)
    z = csr_logits(device, sparse(X, "int64"), W)
    np.testing.assert_allclose(z, PythonEngine().logits(X, W), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("solver", ["auto", "newton", "newton-cg", "newton-gram", "lbfgs"])
@pytest.mark.parametrize("shape", [(90, 12), (25, 60)], ids=str)
def test_whole_fits(
    driver: Driver,
    solver: str,
    shape: tuple[int, int],
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(backends._loaded, "cupy", PlayedCupyBackend(driver))
    X, y, s = problem(rng, *shape, 0.3, np.float64, True)
    found = LogisticRegression(backend="cupy", solver=solver, tol=1e-10).fit(csr_array(X), y, s)
    expected = LogisticRegression(backend="numpy", solver="newton", tol=1e-12).fit(X, y, s)
    assert found.backend_ == "cupy"
    assert found.gap_ <= 1e-10
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-4)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, atol=1e-4)
