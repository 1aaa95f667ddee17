"""check_gradient finds a right gradient right and a wrong one wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accel_logreg import available_backends, check_gradient
from accel_logreg.interface.engine import Engine


def data(rng: np.random.Generator, scale: float, offset: float, dtype: Any, K: int = 2) -> tuple[Any, Any]:
    X = (rng.standard_normal((30, 70)) * scale + offset).astype(dtype)
    return X, np.arange(30) % K


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1e-6, 0.0), (1e5, 0.0), (1.0, 1e4)])
@pytest.mark.parametrize(("K", "weighted"), [(2, False), (2, True), (3, True), (7, False)])
def test_right_gradients_pass(
    backend: Engine, dtype: Any, scale: float, offset: float, weighted: bool, K: int, rng: np.random.Generator
) -> None:
    X, y = data(rng, scale, offset, dtype, K)
    X = X[:, :12] if backend.name == "python" else X  # the loop is slow
    s = rng.random(30) if weighted else None
    result = check_gradient(X, y, backend=backend.name, sample_weight=s, verbose=False)
    (engine,) = result.engines
    assert (engine.backend, engine.dtype) == (backend.name, np.dtype(dtype).name)
    assert engine.error_backward_graph < 1e-11
    assert engine.error_central_differences < 1e-8
    assert result.largest == max(engine.error_backward_graph, engine.error_central_differences)


def test_every_engine_and_a_printed_table(
    rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    X, y = data(rng, 1.0, 0.0, np.float64)
    result = check_gradient(X, y)
    assert [engine.backend for engine in result.engines] == available_backends()
    assert capsys.readouterr().out == f"{result}\n"
    assert "largest relative error of the gradient, X (30, 70)" in str(result)


def test_classes_without_weight_are_left_out(rng: np.random.Generator) -> None:
    """Of three, then of four: two are left, which still are a softmax, and three."""
    for K in (3, 4):
        X, y = data(rng, 1.0, 0.0, np.float64, K)
        assert check_gradient(X, y, sample_weight=y != 1, backend="numpy", verbose=False).largest < 1e-8


@pytest.mark.parametrize("entry", [0, -1])
@pytest.mark.parametrize("K", [2, 3])
def test_a_wrong_gradient_is_found(
    backend: Engine, entry: int, K: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = data(rng, 1.0, 0.0, np.float64, K)
    X = X[:, :8]
    rows_type = type(backend.place(X, y, None, n_classes=None if K == 2 else K))
    right = rows_type.loss_grad

    def wrong(self: Any, W: Any) -> Any:
        loss, gradient = right(self, W)
        gradient = gradient.copy()
        gradient.ravel()[entry] *= 1.001
        return loss, gradient

    monkeypatch.setattr(rows_type, "loss_grad", wrong)
    (engine,) = check_gradient(X, y, backend=backend.name, verbose=False).engines
    assert engine.error_backward_graph > 1e-6
    assert engine.error_central_differences > 1e-6
