"""The lesson's steps, loop and vectorised, against closed forms; and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from accel_logreg.kernels.numba_jit import reductions as numba_reductions
from accel_logreg.kernels.numpy_vectorised import dense as numpy_vectorised
from accel_logreg.kernels.python_loop import dense as python_loop

mpmath = pytest.importorskip("mpmath", reason="mpmath is not installed")


def test_values_worked_by_hand() -> None:
    assert python_loop.sigmoid(0.0) == 0.5
    assert python_loop.sigmoid(math.log(3.0)) == pytest.approx(0.75, rel=1e-15)
    assert python_loop.loss(0.0, 1.0) == pytest.approx(math.log(2.0), rel=1e-15)
    assert python_loop.loss(math.log(3.0), 1.0) == pytest.approx(-math.log(0.75), rel=1e-15)
    assert python_loop.loss(math.log(3.0), 0.0) == pytest.approx(-math.log(0.25), rel=1e-15)
    assert python_loop.cost([1.0, 4.0], [3.0, 1.0]) == 1.75
    assert python_loop.backward_da(0.75, 1.0) == pytest.approx(-4 / 3)
    assert python_loop.backward_da(0.75, 0.0) == pytest.approx(4.0)
    assert python_loop.backward_dz(0.75, 1.0) == -0.25
    assert python_loop.backward_dw([[1.0, 2.0], [3.0, -1.0]], [0.5, -0.25], [1.0, 1.0]) == [-0.125, 0.625]
    assert python_loop.backward_db([0.5, -0.25], [1.0, 3.0]) == -0.0625
    assert python_loop.gradient_descent_step([1.0, 2.0], 3.0, [4.0, -2.0], 1.0, 0.5) == ([-1.0, 3.0], 2.5)


@pytest.mark.parametrize("z", [-800.0, -40.0, -1e-8, 0.0, 0.3, 5.0, 36.0, 800.0])
def test_loss_and_sigmoid_to_full_precision(z: float) -> None:
    with mpmath.workdps(60):
        a = float(1 / (1 + mpmath.exp(-mpmath.mpf(z))))
        losses = [float(mpmath.log(1 + mpmath.exp(z))), float(mpmath.log(1 + mpmath.exp(-mpmath.mpf(z))))]
    assert python_loop.sigmoid(z) == pytest.approx(a, rel=1e-15, abs=0)
    assert numpy_vectorised.sigmoid(np.array([z]))[0] == pytest.approx(a, rel=1e-15, abs=0)
    for y in (0.0, 1.0):
        assert python_loop.loss(z, y) == pytest.approx(losses[int(y)], rel=1e-15, abs=0)
        assert numpy_vectorised.loss(np.array([z]), np.array([y]))[0] == pytest.approx(
            losses[int(y)], rel=1e-15
        )


def test_chain_rule_da_times_slope_is_dz() -> None:
    for z in np.linspace(-4, 4, 9):
        a = python_loop.sigmoid(z)
        for y in (0.0, 1.0):
            assert python_loop.backward_da(a, y) * a * (1 - a) == pytest.approx(
                python_loop.backward_dz(a, y), abs=1e-15
            )


def test_vectorised_steps_equal_the_loop(rng: np.random.Generator) -> None:
    m, d = 23, 5
    X, z, s = rng.standard_normal((m, d)), 3 * rng.standard_normal(m), rng.random(m)
    y = (rng.random(m) < 0.5).astype(float)
    a = numpy_vectorised.sigmoid(z)
    np.testing.assert_allclose(a, [python_loop.sigmoid(v) for v in z], rtol=1e-15)
    losses = numpy_vectorised.loss(z, y)
    np.testing.assert_allclose(
        losses, [python_loop.loss(v, t) for v, t in zip(z, y, strict=True)], rtol=1e-15
    )
    assert numpy_vectorised.cost(losses, s, s.sum()) == pytest.approx(
        python_loop.cost(losses.tolist(), s.tolist()), rel=1e-14
    )
    np.testing.assert_allclose(
        numpy_vectorised.backward_da(a, y),
        [python_loop.backward_da(*pair) for pair in zip(a, y, strict=True)],
        rtol=1e-14,
    )
    dz = numpy_vectorised.backward_dz(a, y)
    dw = python_loop.backward_dw(X.tolist(), dz.tolist(), s.tolist())
    np.testing.assert_allclose(numpy_vectorised.backward_dw(X, dz, s, s.sum()), dw, rtol=1e-12)
    assert numpy_vectorised.backward_db(dz, s, s.sum()) == pytest.approx(
        python_loop.backward_db(dz.tolist(), s.tolist()), rel=1e-13
    )


@pytest.mark.parametrize("module", [python_loop, numpy_vectorised], ids=["python", "numpy"])
def test_shapes_are_asserted(module: object) -> None:
    if module is python_loop:
        with pytest.raises(AssertionError):
            python_loop.loss_grad([[1.0, 2.0]], [1.0], [1.0], [1.0], 0.0)
        with pytest.raises(AssertionError):
            python_loop.cost([1.0], [1.0, 1.0])
    else:
        with pytest.raises(AssertionError):
            numpy_vectorised.linear(np.ones((3, 2)), np.ones(3), 0.0)
        with pytest.raises(AssertionError):
            numpy_vectorised.loss(np.ones(3), np.ones(2))


def test_both_files_name_every_step_alike() -> None:
    steps = [
        "sigmoid",
        "loss",
        "cost",
        "backward_da",
        "backward_dz",
        "backward_dw",
        "backward_db",
        "gradient_descent_step",
    ]
    for module in (python_loop, numpy_vectorised):
        assert [name for name in steps if not callable(getattr(module, name, None))] == []


@pytest.mark.parametrize("size", [1, 2, 7, 8, 1000, 100_003])
def test_dot_products_agree(size: int, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((2, size))
    expected = math.fsum((a * b).tolist())
    scale = float(np.abs(a) @ np.abs(b))
    for value in (
        python_loop.dot_zip(a.tolist(), b.tolist()),
        python_loop.dot_indexed(a.tolist(), b.tolist()),
        numpy_vectorised.dot(a, b),
        numba_reductions.dot(a, b),
        numba_reductions.dot_parallel(a, b, 3),
    ):
        assert value == pytest.approx(expected, abs=1e-13 * scale)
    assert numba_reductions.array_sum(a, 3) == pytest.approx(
        math.fsum(a.tolist()), abs=1e-13 * float(np.abs(a).sum())
    )
    for dtype in (np.float32, np.float64):
        entries = a.astype(dtype)
        assert numba_reductions.largest_entry(entries, 3) == np.abs(entries).max(initial=0.0)
