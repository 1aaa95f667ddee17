"""A pass, a descent and the logits: every engine compared with the Python loop."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.interface_problems import SHAPES, assert_same_answers, problem

from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.interface.engine import Engine


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
def test_answers_equal_the_loop(
    backend: Engine,
    shape: tuple[int, int],
    dtype: type[np.floating],
    weighted: bool,
    rng: np.random.Generator,
) -> None:
    X, y, s = problem(rng, *shape, dtype, weighted)
    W, V = rng.standard_normal((2, shape[1] + 1))
    rows, loop = backend.place(X, y, s), PythonRows(X, y, s)
    assert rows.n_rows == shape[0]
    assert rows.n_features == shape[1]
    assert rows.weight_sum == pytest.approx(loop.weight_sum, rel=1e-14)
    assert rows.largest_entry() == loop.largest_entry()
    assert_same_answers(rows, loop, W, V)
    np.testing.assert_allclose(
        backend.logits(X, W), X.astype(np.float64) @ W[:-1] + W[-1], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_descent_equals_the_loop(
    backend: Engine, dtype: type[np.floating], fit_intercept: bool, rng: np.random.Generator
) -> None:
    X, y, s = problem(rng, 37, 11, dtype, True)
    W = rng.standard_normal(12)
    W[-1] *= fit_intercept
    start = W.copy()
    result = backend.place(X, y, s).descend(W, 0.3, 0.05, 7, fit_intercept)
    expected = PythonRows(X, y, s).descend(W, 0.3, 0.05, 7, fit_intercept)
    np.testing.assert_array_equal(W, start)  # the caller's weights are not written to
    np.testing.assert_allclose(result.W, expected.W, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(result.costs, expected.costs, rtol=1e-12)
    np.testing.assert_allclose(result.gradient_norms, expected.gradient_norms, rtol=1e-11)
    if not fit_intercept:
        assert result.W[-1] == 0.0


def test_descent_in_two_halves_is_one_descent(backend: Engine, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 40, 6, np.float64, False)
    rows = backend.place(X, y, s)
    whole = rows.descend(np.zeros(7), 0.5, 0.01, 10, True)
    half = rows.descend(np.zeros(7), 0.5, 0.01, 4, True)
    rest = rows.descend(half.W, 0.5, 0.01, 6, True)
    np.testing.assert_array_equal(whole.W, rest.W)
    np.testing.assert_array_equal(whole.costs, np.r_[half.costs, rest.costs])


@pytest.mark.parametrize("z", [0.0, 1e-9, 30.0, 36.9, 700.0, 709.5, 745.2, 800.0, 1e5])
def test_extreme_logits_do_not_overflow(backend: Engine, dtype: type[np.floating], z: float) -> None:
    W, V = np.array([1.0, 0.0]), np.array([1.0, -0.5])
    for sign, label in product((-1.0, 1.0), (0.0, 1.0)):
        X = np.full((17, 1), sign * z, dtype=dtype)
        y = np.full(17, label)
        rows, loop = backend.place(X, y, None), PythonRows(X, y, None)
        loss, gradient = rows.loss_grad(W)
        expected_loss, expected = loop.loss_grad(W)
        # e^-708 = 3e-308 is the smallest exponential of some engines: nothing beside a loss, but not zero.
        assert loss == pytest.approx(expected_loss, rel=1e-13, abs=1e-300)
        np.testing.assert_allclose(gradient, expected, rtol=1e-13, atol=1e-300)
        np.testing.assert_allclose(
            rows.hessian_product(W, V), loop.hessian_product(W, V), rtol=1e-13, atol=1e-290
        )


def test_nan_weights_are_not_hidden(backend: Engine) -> None:
    rows = backend.place(np.ones((20, 3)), np.ones(20), None)
    loss, gradient = rows.loss_grad(np.array([np.nan, 0.0, 0.0, 0.0]))
    assert np.isnan(loss)
    assert np.isnan(gradient).all()


def test_weight_two_is_the_row_twice(
    backend: Engine, dtype: type[np.floating], rng: np.random.Generator
) -> None:
    X, y, _ = problem(rng, 25, 4, dtype, False)
    counts = rng.integers(0, 4, 25)
    W, V = rng.standard_normal((2, 5))
    weighted = backend.place(X, y, counts.astype(np.float64))
    repeated = PythonRows(X.repeat(counts, axis=0), y.repeat(counts), None)
    assert_same_answers(weighted, repeated, W, V)


def test_same_data_same_bits(backend: Engine, dtype: type[np.floating], rng: np.random.Generator) -> None:
    X, y, s = (
        problem(rng, 5000, 30, dtype, True) if backend.name != "python" else problem(rng, 50, 30, dtype, True)
    )
    W = rng.standard_normal(31)
    first, second = backend.place(X, y, s).loss_grad(W), backend.place(X, y, s).loss_grad(W)
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])


def test_many_blocks_and_threads(backend: Engine, dtype: type[np.floating], rng: np.random.Generator) -> None:
    """More rows than one thread's share and one NumPy block, compared with NumPy in float64."""
    n = 1001 if backend.name == "python" else 30_011
    X, y, s = problem(rng, n, 29, dtype, True)
    W = rng.standard_normal(30)
    z = X.astype(np.float64) @ W[:-1] + W[-1]
    residual = s * (1.0 / (1.0 + np.exp(-z)) - y)
    loss, gradient = backend.place(X, y, s).loss_grad(W)
    assert loss == pytest.approx(float(s @ (np.logaddexp(0.0, z) - y * z)) / s.sum(), rel=1e-12)
    np.testing.assert_allclose(
        gradient[:-1], X.T.astype(np.float64) @ residual / s.sum(), rtol=1e-9, atol=1e-13
    )
    np.testing.assert_allclose(gradient[-1], residual.sum() / s.sum(), rtol=1e-9, atol=1e-13)


def test_reads_are_counted(backend: Engine, rng: np.random.Generator) -> None:
    rows = backend.place(*problem(rng, 12, 3, np.float64, False))
    assert rows.reads == 0
    rows.loss_grad(np.zeros(4))
    one = rows.reads
    assert one >= 1
    rows.descend(np.zeros(4), 0.1, 0.0, 5, True)
    assert rows.reads == 6 * one


def test_read_only_inputs(backend: Engine, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 20, 3, np.float64, True)
    W = rng.standard_normal(4)
    for array in (X, y, s, W):
        array.flags.writeable = False
    rows = backend.place(X, y, s)
    rows.loss_grad(W)
    rows.hessian_product(W, W)
    rows.descend(W, 0.1, 0.1, 2, True)
    backend.logits(X, W)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n=st.integers(1, 40),
    d=st.integers(1, 20),
    scale=st.sampled_from([1e-6, 1.0, 1e3]),
    offset=st.sampled_from([0.0, 1e4]),
    single=st.booleans(),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_problem_equals_the_loop(
    backend: Engine, n: int, d: int, scale: float, offset: float, single: bool, weighted: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    X, y, s = problem(rng, n, d, np.float64, weighted)
    X = (X * scale + offset).astype(np.float32 if single else np.float64)
    W, V = rng.standard_normal((2, d + 1)) / max(1.0, scale * d, offset * d)
    # Sums of terms near 1e4 d cancel: relative to the terms, not to the sum.
    assert_same_answers(backend.place(X, y, s), PythonRows(X, y, s), W, V, rtol=1e-10)
