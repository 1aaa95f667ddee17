"""Whole fits on the CuPy engine with little memory: the same optimum, few reads, and a clear refusal."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from support.cuda_host.play_engine import PlayedCupyBackend

from accel_logreg import LogisticRegression, backends
from accel_logreg.backends.cupy_fused.dense import CupyRows, upload_rows
from accel_logreg.backends.cupy_fused.device.budget import bounded_device
from accel_logreg.backends.cupy_fused.engine import CupyEngine
from accel_logreg.backends.cupy_fused.placement import OVERLAP_BYTES, OverlappedRows
from accel_logreg.backends.cupy_fused.streamed import StreamedRows
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Csr
from accel_logreg.interface.engine import Engine

pytest_plugins = ["support.cuda_host.fixtures"]


def correlated(rng: np.random.Generator, n: int, d: int, dtype: Any) -> tuple[Any, Any]:
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)) / np.sqrt(d)) + 0.5
    z = X @ rng.normal(size=d) / np.sqrt(d) - 0.3
    return X.astype(dtype), (rng.random(n) < 1.0 / (1.0 + np.exp(-z))).astype(np.int64)


def test_a_fit_that_streams_takes_few_reads(
    played_engine: PlayedCupyBackend, dtype: Any, rng: np.random.Generator
) -> None:
    """Nested samples first, then all rows: scales, Hessian and proof included, five reads and a bit."""
    X, y = correlated(rng, 40_000, 2, dtype)
    model = LogisticRegression(backend="cupy", solver="newton", max_memory=X.nbytes // 2).fit(X, y)
    assert played_engine._device.most <= X.nbytes // 2
    assert played_engine._device.idle
    assert model.gap_ <= 1e-8
    assert model.history_["reads"][-1] <= 5.5
    reference = LogisticRegression(backend="numpy", tol=1e-12).fit(X, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-3)
    assert _cost(model, X, y) <= _cost(reference, X, y) * (1 + 1e-8)
    again = LogisticRegression(backend="cupy", solver="newton", max_memory=X.nbytes // 2).fit(X, y)
    assert again.coef_.tobytes() == model.coef_.tobytes()


def _cost(model: LogisticRegression, X: Any, y: Any) -> float:
    z = model.decision_function(X)
    loss = np.logaddexp(0.0, z) - y * z
    return float(loss.mean() + 0.5 * np.sum(model.coef_**2) / len(y))


@pytest.mark.parametrize("solver", ["auto", "newton-cg", "lbfgs", "gradient-descent"])
def test_every_solver_streams(
    played_engine: PlayedCupyBackend, rng: np.random.Generator, solver: str
) -> None:
    X, y = correlated(rng, 700, 5, np.float64)
    s = rng.integers(1, 4, 700).astype(np.float64)
    options: dict[str, Any] = {"solver": solver, "class_weight": "balanced", "tol": 1e-5}
    if solver == "gradient-descent":
        options |= {"max_iter": 3, "learning_rate": 1.0}
    bounded = LogisticRegression(backend="cupy", max_memory=f"{X.nbytes}B", **options)
    free = LogisticRegression(backend="numpy", **options)
    with warnings.catch_warnings():  # three steps are not enough
        warnings.simplefilter("ignore", ConvergenceWarning)
        bounded.fit(X, y, s)
        free.fit(X, y, s)
    assert played_engine._device.most <= X.nbytes
    if solver == "gradient-descent":
        np.testing.assert_allclose(bounded.coef_, free.coef_, rtol=1e-12)
    else:
        assert bounded.gap_ <= 1e-5
        np.testing.assert_allclose(bounded.coef_, free.coef_, rtol=0, atol=0.02)


def test_among_few_rows(played_engine: PlayedCupyBackend, rng: np.random.Generator) -> None:
    X, y = correlated(rng, 24, 900, np.float32)
    model = LogisticRegression(backend="cupy", solver="newton-gram", max_memory="700 kB").fit(X, y)
    reference = LogisticRegression(backend="numpy", solver="newton-gram").fit(X, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-3, atol=1e-5)
    assert played_engine._device.most <= 700_000


def test_max_memory_that_is_enough_changes_nothing(
    played_engine: PlayedCupyBackend, rng: np.random.Generator
) -> None:
    X, y = correlated(rng, 300, 4, np.float64)
    free = LogisticRegression(backend="cupy").fit(X, y)
    bounded = LogisticRegression(backend="cupy", max_memory="1GB").fit(X, y)
    assert free.coef_.tobytes() == bounded.coef_.tobytes()
    assert isinstance(played_engine.place(X, y, None, max_memory=10**9), CupyRows)


def test_max_memory_too_small_for_anything(
    played_engine: PlayedCupyBackend, rng: np.random.Generator
) -> None:
    X, y = correlated(rng, 300, 4, np.float64)
    model = LogisticRegression(backend="cupy", max_memory="300B")
    with pytest.raises(MemoryError, match=r"One row at a time of X of shape \(300, 4\).*max_memory"):
        model.fit(X, y)
    assert not hasattr(model, "coef_")
    assert played_engine._device.most == 0


def test_a_bound_is_of_one_fit(played_engine: PlayedCupyBackend, rng: np.random.Generator) -> None:
    """What is taken while a bounded device lives counts; what was taken before, and by whom, does not."""
    X, y = correlated(rng, 400, 5, np.float64)
    before = played_engine._device.upload(np.ones(10_000))
    rows = played_engine.place(X, y, None, max_memory=9_000)
    assert isinstance(rows, StreamedRows)
    device = rows._device
    assert device is not played_engine._device
    assert 0 < device.free_bytes() < 9_000
    taken = 9_000 - device.free_bytes()
    assert played_engine._device.used == before.nbytes + taken
    del before
    assert device.free_bytes() == 9_000  # never more than was granted
    del rows
    assert device.free_bytes() == 9_000
    assert played_engine._device.free_bytes() > 1 << 39
    assert isinstance(played_engine.place(X, y, None), CupyRows)


def test_the_bound_is_never_above_what_is_free(played_engine: PlayedCupyBackend) -> None:
    played_engine._device.memory = 5_000
    device = bounded_device(played_engine._device, 9_000)
    assert device.free_bytes() == 5_000
    assert device.limits is played_engine._device.limits


@pytest.mark.parametrize("name", ["python", "numpy", "numba"])
def test_engines_without_a_device_bound_nothing(name: str, rng: np.random.Generator) -> None:
    X, y = correlated(rng, 30, 3, np.float64)
    engine: Engine = backends.load_backend(name)
    free, bounded = engine.place(X, y), engine.place(X, y, max_memory=1)
    assert bounded.loss_grad(np.zeros(4))[0] == free.loss_grad(np.zeros(4))[0]


def test_sparse_rows_do_not_stream(played_engine: PlayedCupyBackend) -> None:
    X = Csr(np.ones(2), np.array([0, 1], np.int32), np.array([0, 1, 2], np.int32), (2, 5))
    with pytest.raises(MemoryError, match=r"Sparse X of shape \(2, 5\)"):
        played_engine.place(X, np.ones(2), None, max_memory=10)


# ---- on the device itself ------------------------------------------------------------------------------


@pytest.mark.gpu
def test_a_fit_that_streams_on_the_device(gpu: Engine, dtype: Any, rng: np.random.Generator) -> None:
    assert isinstance(gpu, CupyEngine)
    X, y = correlated(rng, 400_000, 40, dtype)
    most = X.nbytes // 3
    rows = gpu.place(X, y, None, max_memory=most)
    assert isinstance(rows, StreamedRows)
    assert rows.n_rows - rows.kept > 2 * rows.part_rows
    whole, W = gpu.place(X, y, None), rng.normal(size=41) / 6
    for _ in range(3):  # the slots, and whatever an earlier pass left in them
        loss, gradient = rows.loss_grad(W)
        true_loss, true_gradient = whole.loss_grad(W)
        np.testing.assert_allclose(loss, true_loss, rtol=1e-13)
        np.testing.assert_allclose(gradient, true_gradient, rtol=1e-10, atol=1e-14)
    assert rows.loss_grad(W)[1].tobytes() == gradient.tobytes()
    model = LogisticRegression(backend="cupy", solver="newton", max_memory=most).fit(X, y)
    resident = LogisticRegression(backend="cupy", solver="newton").fit(X, y)
    assert model.gap_ <= 1e-8
    assert model.history_["reads"][-1] < 7
    np.testing.assert_allclose(model.coef_, resident.coef_, rtol=0, atol=2e-4 * np.abs(resident.coef_).max())


@pytest.mark.gpu
@pytest.mark.parametrize("weighted", [True, False], ids=["weights", "no weights"])
def test_rows_that_arrive_on_the_device(
    gpu: Engine, dtype: Any, rng: np.random.Generator, weighted: bool
) -> None:
    """Large enough for the thread and its pinned buffers; the copy, and what is asked meanwhile."""
    assert isinstance(gpu, CupyEngine)
    n = 2 * OVERLAP_BYTES // (57 * np.dtype(dtype).itemsize) + 1
    X = rng.random((n, 57), np.float64).astype(dtype)
    y, s = (rng.random(n) < 0.5).astype(np.float64), rng.random(n) + 0.5 if weighted else None
    W = rng.normal(size=58) / 6
    picked = RowSample(rng.integers(0, n, n // 50), np.ones(n // 50))
    there = upload_rows(gpu._device, X, y, s)
    expected, sample = there.loss_grad(W), there.sample(picked).loss_grad(W)
    for _ in range(3):
        arriving = gpu.place(X, y, s)
        assert isinstance(arriving, OverlappedRows)
        found = arriving.sample(picked).loss_grad(W)
        assert (found[0], found[1].tobytes()) == (sample[0], sample[1].tobytes())
        found = arriving.loss_grad(W)
        assert (found[0], found[1].tobytes()) == (expected[0], expected[1].tobytes())
        copied = gpu._device.download(arriving.data.X)
        assert copied.tobytes() == X.tobytes()
