"""Predictions for host X through the double buffer: the same bits by pieces, and no wait can be left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.cuda_host.host_device import ONE_MULTIPROCESSOR, Driver
from support.cuda_host.play_engine import PlayedCupyBackend
from support.cuda_host.queues import LAGGING, PlayedCopies, QueueingDevice

from accel_logreg import LogisticRegression, prediction
from accel_logreg.backends.cupy_fused.device import logits as cupy_fused_logits
from accel_logreg.backends.cupy_fused.device.logits import logits, piece_rows
from accel_logreg.backends.python_loop.engine import PythonEngine

pytest_plugins = ["support.cuda_host.fixtures"]

SHAPES = [(1, 1), (1000, 3), (37, 31), (5, 1001), (96, 4)]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every X goes through the buffers, a third of it or so at a time."""
    monkeypatch.setattr(cupy_fused_logits, "AT_ONCE_BYTES", 1)


def problem(rng: np.random.Generator, m: int, d: int, dtype: Any) -> tuple[Any, Any]:
    return rng.normal(size=(m, d)).astype(dtype), rng.normal(size=d + 1)


@pytest.mark.parametrize("lagging", LAGGING)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pieces_give_the_bits_of_the_whole(
    driver: Driver,
    dtype: Any,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    lagging: str,
    shape: tuple[int, int],
) -> None:
    X, W = problem(rng, *shape, dtype)
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR, lagging=lagging)
    monkeypatch.setattr(cupy_fused_logits, "PIECE_BYTES", X.nbytes * 2 // 7)
    z = logits(device, X, W)
    np.testing.assert_allclose(z, PythonEngine().logits(X, W), rtol=1e-12, atol=1e-12)
    rows = max(1, X.nbytes * 2 // 7 // (X.shape[1] * X.itemsize))
    assert len(device.launched) == -(-len(X) // rows)
    assert device.idle
    monkeypatch.setattr(cupy_fused_logits, "AT_ONCE_BYTES", X.nbytes + 1)
    monkeypatch.setattr(cupy_fused_logits, "PIECE_BYTES", X.nbytes)
    assert logits(device, X, W).tobytes() == z.tobytes()
    assert device.made[1:] == []  # no queue for an X that goes at once


def test_the_check_notices_a_missing_wait(
    driver: Driver, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other two of ``Slots`` are made up for here, as every z comes back; test_cupy_parts.py has them."""
    X, W = problem(rng, 96, 4, np.float64)
    monkeypatch.setattr(cupy_fused_logits, "PIECE_BYTES", X.nbytes // 6)
    monkeypatch.setattr(PlayedCopies, "before_kernels", lambda *_: None)
    z = logits(QueueingDevice(driver, ONE_MULTIPROCESSOR), X, W)
    assert not np.allclose(z, PythonEngine().logits(X, W))


def test_a_piece_is_sent_before_the_one_before_is_worked_on(
    driver: Driver, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, W = problem(rng, 95, 4, np.float64)
    monkeypatch.setattr(cupy_fused_logits, "PIECE_BYTES", 19 * 4 * 8)
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR)
    sent: list[int] = []
    launch = device.launch

    def launched(*args: Any) -> None:
        sent.append(device.made[0].queue.added // 2)  # a copy is two pieces of work: wait, then copy
        launch(*args)

    device.launch = launched  # type: ignore[method-assign]
    logits(device, X, W)
    assert sent == [2, 3, 4, 5, 5]


def test_an_exception_leaves_no_copy_under_way(
    driver: Driver, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, W = problem(rng, 95, 4, np.float64)
    monkeypatch.setattr(cupy_fused_logits, "PIECE_BYTES", 19 * 4 * 8)
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR)

    def interrupted(_array: Any) -> Any:
        raise KeyboardInterrupt

    device.download = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        logits(device, X, W)
    assert device.idle
    assert device.used == 0


def test_pieces_fit_into_half_of_what_is_free() -> None:
    assert piece_rows(112, 1 << 40) == (32 << 20) // 112
    rows = piece_rows(112, 100_000)
    assert 2 * (2 * rows * 112 + 8 * rows) <= 100_000 < 2 * (2 * (rows + 1) * 112 + 8 * (rows + 1))
    assert piece_rows(1 << 30, 1000) == 1


def test_little_memory(driver: Driver, rng: np.random.Generator) -> None:
    X, W = problem(rng, 500, 6, np.float64)
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR, memory=6_000)
    np.testing.assert_allclose(logits(device, X, W), X @ W[:-1] + W[-1], rtol=1e-12, atol=1e-12)
    assert device.most <= 6_000
    assert device.used == 0


def test_a_large_host_x_is_predicted_by_the_engine_that_fitted(
    played_engine: PlayedCupyBackend, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small one is not worth the bus, and is answered by NumPy; both say the same."""
    X, _ = problem(rng, 200, 3, np.float32)
    model = LogisticRegression(backend="cupy").fit(X, X[:, 0] + rng.normal(size=200) > 0)
    before = len(played_engine._device.launched)
    small = model.decision_function(X)
    assert len(played_engine._device.launched) == before
    monkeypatch.setattr(prediction, "WORTH_THE_BUS", X.nbytes)
    large = model.decision_function(X)
    assert played_engine._device.launched[before:] == ["logits_float32"]
    np.testing.assert_allclose(large, small, rtol=1e-12, atol=1e-13)
