"""Memory of a GPU: estimated before it is taken, and given back, also by a fit that fails."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.cuda_host.play_engine import PlayedCupyBackend
from support.cuda_host.played_arrays import CupyLike

from accel_logreg import LogisticRegression, release_memory
from accel_logreg.backends.cupy_fused.streamed import StreamedRows

pytest_plugins = ["support.cuda_host.fixtures"]

EVERY_SOLVER = ["newton", "newton-cg", "newton-gram", "lbfgs", "gradient-descent"]


def test_memory_is_estimated_first(played_engine: PlayedCupyBackend, X: Any, y: Any) -> None:
    played_engine._device.memory = 100
    with pytest.raises(MemoryError, match=r"A fit of X of shape \(90, 4\).*beside X itself.*fewer rows"):
        LogisticRegression().fit(CupyLike(X), y)
    with pytest.raises(
        MemoryError, match=r"C-contiguous float\d\d copy of X of shape \(90, 4\).*C-contiguous"
    ):
        LogisticRegression().fit(CupyLike(np.asfortranarray(X)), y)
    assert played_engine._device.launched == []


def test_x_itself_is_not_counted(played_engine: PlayedCupyBackend, rng: np.random.Generator) -> None:
    X = rng.normal(size=(500, 100))
    played_engine._device.memory = X.nbytes // 2
    rows = played_engine.place(CupyLike(X), np.arange(500) % 2, None)
    assert rows.weight_sum == 500.0
    assert isinstance(played_engine.place(X, np.arange(500) % 2, None), StreamedRows)


@pytest.fixture
def held(played_engine: PlayedCupyBackend, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Bytes in use whenever a fit gives memory back; the garbage collector has no part in that."""
    device, seen = played_engine._device, []
    monkeypatch.setattr(device, "after_fit", lambda: seen.append(device.used))
    gc.disable()
    yield seen
    gc.enable()


def test_a_fit_leaves_nothing_on_the_device(
    played_engine: PlayedCupyBackend, X: Any, y: Any, held: list[int]
) -> None:
    for solver in EVERY_SOLVER:
        model = LogisticRegression(solver=solver, max_iter=3, tol=1.0).fit(CupyLike(X[:, ::-1]), y)
        assert played_engine._device.used == 0
    assert played_engine._device.most > X.nbytes
    assert held == [0] * len(EVERY_SOLVER)
    given = weakref.ref(played_engine.adopt(CupyLike(X)))
    assert given() is None
    assert model.coef_.shape == (1, 4)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, FloatingPointError])
def test_a_fit_that_fails_leaves_nothing_on_the_device(
    played_engine: PlayedCupyBackend,
    X: Any,
    y: Any,
    held: list[int],
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    """Also while the exception is at hand, as the last one is in a notebook."""
    launch, left = played_engine._device.launch, iter(range(9))

    def fails(*args: Any) -> None:
        if next(left, None) is None:
            monkeypatch.setattr(played_engine._device, "launch", launch)
            raise error
        launch(*args)

    monkeypatch.setattr(played_engine._device, "launch", fails)
    with pytest.raises((error, ValueError)) as caught:
        LogisticRegression(solver="newton").fit(CupyLike(X[:, ::-1]), y)
    assert played_engine._device.used == 0 < X.nbytes < played_engine._device.most
    assert caught.value.__traceback__ is not None
    assert held == [0]


def test_release_memory(played_engine: PlayedCupyBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    released = []
    for device in played_engine._played:
        monkeypatch.setattr(device, "release_memory", lambda: released.append(1))
    release_memory()
    assert len(released) == 2
