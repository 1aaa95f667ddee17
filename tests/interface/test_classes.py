"""K classes by softmax: every engine against the loop, closed formulas and differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from support.class_problems import (
    LAYOUTS,
    SHAPES,
    WEIGHTS,
    Formulas,
    assert_near,
    assert_same_answers,
    check_every_question,
    class_problem,
    placed,
)

from accel_logreg.backends.python_loop.engine import PythonEngine
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.engine import Engine

LOOP = PythonEngine()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_answers_equal_the_loop_and_the_formulas(
    backend: Engine, shape: Any, weights: str, layout: str, dtype: Any, rng: np.random.Generator
) -> None:
    n, d, K = shape
    X, y, s = class_problem(rng, n, d, K, dtype, weights)
    W, V = rng.standard_normal((2, d + 1, K)) / np.sqrt(d)
    rows, loop = placed(backend, X, y, s, K, layout), placed(LOOP, X, y, s, K)
    assert (rows.n_rows, rows.n_features, rows.n_classes, rows.dtype) == (n, d, K, X.dtype)
    assert rows.sparse == (layout == "csr")
    assert rows.weight_sum == pytest.approx(n if s is None else s.sum(), rel=1e-14)
    assert_same_answers(rows, loop, W, V)
    assert_same_answers(rows, Formulas(X, y, s, K), W, V, 1e-11)
    assert_same_answers(rows, loop, np.asfortranarray(W), np.asfortranarray(V))  # solvers pass those


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("K", [3, 11])
def test_many_blocks_and_threads(
    backend: Engine, layout: str, K: int, dtype: Any, rng: np.random.Generator
) -> None:
    n = 300 if backend.name == "python" else 30_011
    X, y, s = class_problem(rng, n, 29, K, dtype, "some 0")
    W, V = rng.standard_normal((2, 30, K)) / 4
    x, formulas = np.c_[X.astype(np.float64), np.ones(n)], Formulas(X, y, s, K)
    rows = placed(backend, X, y, s, K, layout)
    loss, gradient = rows.loss_grad(W)
    expected_loss, expected = formulas.loss_grad(W)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert_near(gradient, expected, 1e-10)
    a, u = softmax(x @ W, axis=1), x @ V
    slopes = formulas.share[:, np.newaxis] * a * (u - (a * u).sum(axis=1, keepdims=True))
    assert_near(rows.hessian_product(W, V), x.T @ slopes, 1e-10)
    again = placed(backend, X, y, s, K, layout)
    np.testing.assert_array_equal(again.loss_grad(W)[1], gradient)
    np.testing.assert_array_equal(again.hessian_product(W, V), rows.hessian_product(W, V))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("K", [3, 11])
def test_every_question_is_the_formulas(
    backend: Engine, layout: str, weights: str, K: int, dtype: Any, rng: np.random.Generator
) -> None:
    check_every_question(backend, layout, weights, K, dtype, rng)


# ---- what the softmax is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_are_differences_of_losses_and_products_of_gradients(
    backend: Engine, layout: str, rng: np.random.Generator
) -> None:
    X, y, s = class_problem(rng, 30, 4, 3, np.float64, "some 0")
    W, V = rng.standard_normal((2, 5, 3))
    rows, h = placed(backend, X, y, s, 3, layout), 1e-5
    (up, up_gradient), (down, down_gradient) = (rows.loss_grad(W + step * V) for step in (h, -h))
    _, gradient = rows.loss_grad(W)
    assert np.vdot(gradient, V) == pytest.approx((up - down) / (2 * h), rel=1e-8)
    assert_near(rows.hessian_product(W, V), (up_gradient - down_gradient) / (2 * h), 1e-8)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("K", [3, 11])
def test_the_same_for_all_classes_changes_nothing(
    backend: Engine, layout: str, K: int, dtype: Any, rng: np.random.Generator
) -> None:
    X, y, s = class_problem(rng, 30, 4, K, dtype, "some 0")
    W, V = rng.standard_normal((2, 5, K))
    same, rows = rng.standard_normal((5, 1)), placed(backend, X, y, s, K, layout)
    loss, gradient = rows.loss_grad(W)
    moved_loss, moved_gradient = rows.loss_grad(W + same)
    assert moved_loss == pytest.approx(loss, rel=1e-12)
    assert_near(moved_gradient, gradient)
    product = rows.hessian_product(W, V)
    assert_near(rows.hessian_product(W + same, V - 3.0 * same), product)
    np.testing.assert_allclose(rows.hessian_product(W, np.repeat(same, K, axis=1)), 0.0, atol=1e-15)
    for of_classes in (gradient, product):  # what one class gains the others lose
        np.testing.assert_allclose(of_classes.sum(axis=1), 0.0, atol=1e-15)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_classes_are_the_sigmoid(
    backend: Engine, layout: str, dtype: Any, rng: np.random.Generator
) -> None:
    X, y, s = class_problem(rng, 30, 4, 2, dtype, "some 0")
    W, V = rng.standard_normal((2, 5, 2))
    rows, binary = placed(backend, X, y, s, 2, layout), backend.place(X, y.astype(np.float64), s)
    w, v = W[:, 1] - W[:, 0], V[:, 1] - V[:, 0]
    loss, gradient = rows.loss_grad(W)
    expected_loss, expected = binary.loss_grad(w)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert_near(gradient, np.stack([-expected, expected], axis=1))
    product = binary.hessian_product(w, v)
    assert_near(rows.hessian_product(W, V), np.stack([-product, product], axis=1))


# ---- extremes --------------------------------------------------------------------------------------------

EXTREMES = [
    [800.0, -800.0, 0.0],
    [-800.0, -800.0, 800.0],
    [800.0, 800.0, -1e5],
    [0.0, 1e-9, 709.5],
    [1e5, 745.2, 0.0],
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("label", [0, 1, 2])
def test_logits_of_800_do_not_overflow(backend: Engine, layout: str, label: int) -> None:
    X, y = np.eye(len(EXTREMES)), np.full(len(EXTREMES), label, dtype=np.int32)
    W = np.r_[np.array(EXTREMES), np.zeros((1, 3))]
    V = np.arange(18.0).reshape(6, 3) ** 2 % 7
    for i in range(len(X)):  # a row at a time: beside a loss of 1e5 the others would not show
        s = np.zeros(len(X))
        s[i] = 1.0
        rows, z = placed(backend, X, y, s, 3, layout), W[i] - W[i].max()
        total = np.exp(z).sum()
        loss, gradient = rows.loss_grad(W)
        assert loss == pytest.approx(-z[label] + math.log(total), rel=1e-13, abs=1e-300)
        loop = placed(LOOP, X, y, s, 3)
        np.testing.assert_allclose(gradient, loop.loss_grad(W)[1], rtol=1e-13, atol=1e-300)
        np.testing.assert_allclose(gradient[i], np.exp(z) / total - (np.arange(3) == label), atol=1e-15)
        np.testing.assert_allclose(
            rows.hessian_product(W, V), loop.hessian_product(W, V), rtol=1e-13, atol=1e-290
        )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize("z", [30.0, 41.0])
def test_a_tiny_loss_keeps_its_digits(
    backend: Engine, layout: str, z: float, label: int, dtype: Any, rng: np.random.Generator
) -> None:
    """Two other classes z below and z + 1 below: e^−z (1 + e^−1), 1.3e-13 or 2.1e-18, and its derivatives."""
    n = 37
    X, y = np.ones((n, 1), dtype=dtype), np.full(n, label, dtype=np.int32)
    W, V, first, second = np.zeros((2, 3)), np.zeros((2, 3)), (label + 1) % 3, (label + 2) % 3
    W[1, label], W[1, second], V[1] = z, -1.0, rng.standard_normal(3)
    rows, e = placed(backend, X, y, None, 3, layout), np.zeros(3)
    e[first], e[second] = math.exp(-z), math.exp(-z - 1.0)
    others = e.sum()
    loss, gradient = rows.loss_grad(W)
    assert loss == pytest.approx(math.log1p(others), rel=1e-12, abs=0.0)
    slopes = e / (1.0 + others)
    slopes[label] = -others / (1.0 + others)
    np.testing.assert_allclose(gradient, np.tile(slopes, (2, 1)), rtol=1e-12)
    a, u = e / (1.0 + others), V[1] - V[1, label]
    product = a * (u - a @ u)
    product[label] = -(a @ u) / (1.0 + others)
    np.testing.assert_allclose(rows.hessian_product(W, V), np.tile(product, (2, 1)), rtol=1e-11)
    curvatures = a * (1.0 - a)
    curvatures[label] = others / (1.0 + others) ** 2
    np.testing.assert_allclose(rows.hessian_diagonal(W), np.tile(curvatures, (2, 1)), rtol=1e-11)
    np.testing.assert_allclose(np.diag(rows.intercept_hessian(W)), curvatures, rtol=1e-11)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nan_shows(backend: Engine, layout: str) -> None:
    rows, W = placed(backend, np.ones((20, 3)), np.zeros(20, np.int32), None, 3, layout), np.zeros((4, 3))
    W[0, 1] = np.nan
    loss, gradient = rows.loss_grad(W)
    assert np.isnan(loss)
    assert np.isnan(gradient).all()
    assert np.isnan(rows.hessian_product(W, np.ones((4, 3)))).all()


# ---- descents, counts, and what belongs to the caller ----------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_descent_is_its_steps(
    backend: Engine, fit_intercept: bool, dtype: Any, rng: np.random.Generator
) -> None:
    X, y, s = class_problem(rng, 30, 4, 3, dtype, "some 0")
    W, formulas = rng.standard_normal((5, 3)), Formulas(X, y, s, 3)
    found, w = placed(backend, X, y, s, 3).descend(W, 0.3, 0.05, 4, fit_intercept), W.copy()
    for k in range(4):
        loss, gradient = formulas.loss_grad(w)
        gradient[:-1] += 0.05 * w[:-1]
        gradient[-1] *= fit_intercept
        assert found.costs[k] == pytest.approx(loss + 0.025 * np.square(w[:-1]).sum(), rel=1e-12)
        assert found.gradient_norms[k] == pytest.approx(np.sqrt(np.square(gradient).sum()), rel=1e-12)
        w -= 0.3 * gradient
    assert_near(found.W, w)


def test_reads_are_counted_in_one_tally(backend: Engine, rng: np.random.Generator) -> None:
    X, y, _ = class_problem(rng, 30, 4, 3, np.float64)
    rows, W = placed(backend, X, y, None, 3), np.zeros((5, 3))
    assert rows.reads == 0
    rows.loss_grad(W)
    one = rows.reads
    rows.hessian_product(W, W)
    assert one == rows.reads - one == (2 if backend.name == "cupy" else 1)
    before = rows.reads
    sample = rows.sample(RowSample(np.arange(10), np.ones(10)))
    assert rows.reads == sample.reads == pytest.approx(before + 1 / 3)
    sample.loss_grad(W)
    assert rows.reads == pytest.approx(before + (1 + one) / 3)
    before = rows.reads
    rows.hessian_diagonal(W)
    assert rows.reads >= before + 3


def test_what_is_passed_in_is_not_written_to(backend: Engine, rng: np.random.Generator) -> None:
    X, y, s = class_problem(rng, 20, 3, 4, np.float64, "some 0")
    assert s is not None
    W = rng.standard_normal((4, 4))
    arrays = X, y, s, W
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    rows = placed(backend, X, y, s, 4)
    loss, gradient = rows.loss_grad(W)
    rows.hessian_product(W, W)
    rows.hessian_diagonal(W)
    rows.descend(W, 0.1, 0.1, 2, True)
    rows.logits(W)[:] = 0.0
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert rows.loss_grad(W)[0] == loss
    np.testing.assert_array_equal(rows.loss_grad(W)[1], gradient)
