"""The steps from logits to the softmax's gradient and curvature, loop and vectorised, to the last digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from accel_logreg.kernels.numpy_vectorised import classes as numpy_vectorised
from accel_logreg.kernels.python_loop import classes as python_loop
from accel_logreg.kernels.python_loop import csr
from accel_logreg.kernels.python_loop.dense import sigmoid

mpmath = pytest.importorskip("mpmath", reason="mpmath is not installed")

LOGITS = [
    [0.0, 0.0, 0.0],
    [0.3, -2.0, 1.1],
    [5.0, 5.0, -5.0],
    [41.0, 0.0, -1.0],
    [-1.0, 41.0, 0.5, 0.0],
    [1e-17, 0.0, -40.0],
    [800.0, -800.0, 0.0],
    [-800.0, 800.0, 790.0, 12.0],
    [3000.0, 3.0, 0.0],
    np.linspace(-3.0, 9.0, 11).round(2).tolist(),
]


def exact(z: list[float], u: list[float], y: int) -> tuple[float, list[float], list[float], list[float]]:
    """ℓ, a, a − e_y and (diag(a) − a aᵀ) u, with more digits than anything here can cancel."""
    with mpmath.workdps(60 + int(max(z) - min(z))):
        e = [mpmath.exp(mpmath.mpf(value)) for value in z]
        total = mpmath.fsum(e)
        a = [value / total for value in e]
        mean = mpmath.fsum(p * q for p, q in zip(a, u, strict=True))
        dz = [float(p - (k == y)) for k, p in enumerate(a)]
        du = [float(p * (q - mean)) for p, q in zip(a, u, strict=True)]
        return float(-mpmath.log(a[y])), [float(p) for p in a], dz, du


@pytest.mark.parametrize("z", LOGITS, ids=str)
def test_every_step_to_full_precision(z: list[float]) -> None:
    K, u = len(z), [((7 * k + 3) % 5) / 4.0 - 0.5 for k in range(len(z))]
    whole, classes = np.array([z]), np.arange(K)
    e = numpy_vectorised.exponentials(whole)
    for y in range(K):
        loss, a, dz, du = exact(z, u, y)
        Y = numpy_vectorised.one_hot(np.array([y]), classes)
        for found in (python_loop.loss(z, y), numpy_vectorised.loss(whole, e, Y)[0]):
            assert found == pytest.approx(loss, rel=4e-15, abs=0.0)
        for rows in (python_loop.residual(z, y), numpy_vectorised.residual(e, Y)[0]):
            np.testing.assert_allclose(rows, dz, rtol=4e-15, atol=1e-300)
    for rows in (python_loop.softmax(z), numpy_vectorised.softmax(whole)[0]):
        np.testing.assert_allclose(rows, a, rtol=4e-15, atol=1e-300)
    for rows in (
        python_loop.curvature_product(z, u),
        numpy_vectorised.curvature_product(whole, np.array([u]))[0],
    ):
        np.testing.assert_allclose(rows, du, rtol=1e-14, atol=1e-17 * max(map(abs, du)) + 1e-300)


def test_values_worked_by_hand() -> None:
    z = [math.log(2.0), 0.0, math.log(5.0)]
    assert python_loop.softmax(z) == pytest.approx([0.25, 0.125, 0.625], rel=1e-15)
    assert python_loop.loss(z, 1) == pytest.approx(math.log(8.0), rel=1e-15)
    assert python_loop.residual(z, 0) == pytest.approx([-0.75, 0.125, 0.625], rel=1e-15)
    assert python_loop.curvature_product(z, [1.0, 0.0, 0.0]) == pytest.approx(
        [0.25 * 0.75, -0.25 * 0.125, -0.25 * 0.625], rel=1e-15
    )
    assert python_loop.rest([1.0, 2.0, 4.0], 1) == 5.0


@pytest.mark.parametrize("z", [-800.0, -3.0, 0.0, 0.7, 40.0])
def test_with_two_classes_it_is_the_sigmoid(z: float) -> None:
    assert python_loop.softmax([0.0, z]) == pytest.approx([sigmoid(-z), sigmoid(z)], rel=1e-15)


def test_sums_over_rows_worked_by_hand() -> None:
    """Two rows at zero weights: every a is 1/3. Sparse rows with the functions of csr.py say the same."""
    X, y, s = [[1.0, 0.0], [0.0, -2.0]], [2, 0], [1.0, 3.0]
    zeros, b = [[0.0, 0.0] for _ in range(3)], [0.0, 0.0, 0.0]
    cost, dw, db = python_loop.loss_grad(X, y, s, zeros, b)
    third = 1.0 / 3.0
    assert cost == pytest.approx(math.log(3.0))
    np.testing.assert_allclose(dw, [[third / 4, 1.0], [third / 4, -0.5], [-2 * third / 4, -0.5]])
    np.testing.assert_allclose(db, [third / 4 - 0.5, third / 4 + 0.25, -2 * third / 4 + 0.25])
    v = [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]  # u = (1, 0, 0) for the first row, 0 for the second
    product, last = python_loop.hessian_product(X, s, zeros, b, v, b)
    np.testing.assert_allclose(product, np.c_[[2 / 9 / 4, -1 / 9 / 4, -1 / 9 / 4], np.zeros(3)])
    np.testing.assert_allclose(last, [2 / 9 / 4, -1 / 9 / 4, -1 / 9 / 4])
    rows: list[Any] = [([0], [1.0]), ([1], [-2.0])]
    look = csr.linear, csr.add_scaled_row
    assert python_loop.loss_grad(rows, y, s, zeros, b, *look) == (cost, dw, db)
    assert python_loop.hessian_product(rows, s, zeros, b, v, b, *look) == (product, last)


def test_ties_for_the_likeliest_class_do_not_matter() -> None:
    z, u = [2.0, 2.0, 0.0], [3.0, -1.0, 0.5]
    swapped = python_loop.curvature_product(z, [u[1], u[0], u[2]])
    assert [swapped[1], swapped[0], swapped[2]] == pytest.approx(
        python_loop.curvature_product(z, u), rel=1e-14
    )


def test_both_files_name_every_step_alike() -> None:
    steps = ["exponentials", "softmax", "rest", "loss", "residual", "curvature_product", "loss_grad"]
    for module in (python_loop, numpy_vectorised):
        assert [name for name in [*steps, "hessian_product"] if not hasattr(module, name)] == []


def test_chain_rule_da_times_the_softmax_is_dz() -> None:
    """By hand: a = (1/2, 1/3, 1/6), da = (0, −3, 0), Σ a da = −1. And vectorised."""
    a = [1 / 2, 1 / 3, 1 / 6]
    np.testing.assert_allclose(python_loop.softmax([math.log(3.0), math.log(2.0), 0.0]), a, rtol=1e-15)
    for y in range(3):
        da = python_loop.backward_da(a, y)
        dz = python_loop.backward_softmax(a, da)
        np.testing.assert_allclose(dz, python_loop.backward_dz(a, y), atol=1e-15)
        whole, Y = np.array([a]), numpy_vectorised.one_hot(np.array([y]), np.arange(3))
        np.testing.assert_allclose(numpy_vectorised.backward_da(whole, Y)[0], da)
        np.testing.assert_allclose(
            numpy_vectorised.backward_softmax(whole, np.array([da]))[0], dz, atol=1e-15
        )
        np.testing.assert_allclose(numpy_vectorised.backward_dz(whole, Y)[0], dz, atol=1e-15)
    assert python_loop.backward_da(a, 1) == [0.0, -3.0, 0.0]
    np.testing.assert_allclose(python_loop.backward_softmax([0.5, 0.5], [1.0, -2.0]), [0.75, -0.75])


def test_shapes_are_asserted() -> None:
    with pytest.raises(AssertionError):
        python_loop.loss_grad([[1.0]], [0, 1], [1.0], [[0.0]] * 3, [0.0] * 3)
    with pytest.raises(AssertionError):
        python_loop.logits([1.0], [[0.0]] * 3, [0.0] * 2)
    with pytest.raises(AssertionError):
        numpy_vectorised.linear(np.ones((4, 2)), np.ones((3, 3)), np.ones(3))
    with pytest.raises(AssertionError):
        numpy_vectorised.loss(np.ones((4, 3)), np.ones((4, 3)), np.ones((4, 2), bool))
