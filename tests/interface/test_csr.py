"""Compressed sparse rows answer every question like the Python loop over the dense matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.csr_problems import SHAPES, assert_same_rows, loop_over, problem, sparse
from support.interface_problems import assert_same_answers

from accel_logreg.backends import load_backend
from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Csr
from accel_logreg.interface.engine import Engine


@pytest.mark.parametrize(
    ("index", "weighted"), [("int32", False), ("int64", True)], ids=["int32, unweighted", "int64, weighted"]
)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_answers_equal_the_dense_loop(
    backend: Engine,
    shape: tuple[int, int, float],
    dtype: type[np.floating],
    index: str,
    weighted: bool,
    rng: np.random.Generator,
) -> None:
    X, y, s = problem(rng, *shape, dtype, weighted)
    rows, loop = backend.place(sparse(X, index), y, s), loop_over(X, y, s)
    assert_same_rows(rows, loop, rng)
    W = rng.standard_normal(shape[1] + 1)
    z = X.astype(np.float64) @ W[:-1] + W[-1]
    np.testing.assert_allclose(backend.logits(sparse(X, index), W), z, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("d", "index"), [(3000, "int64"), (70_000, "int32")])
def test_many_columns(
    backend: Engine, dtype: type[np.floating], d: int, index: str, rng: np.random.Generator
) -> None:
    """More columns than the L1 cache holds weights of, and more than uint16 can number."""
    X, y, s = problem(rng, 9, d, 0.01, dtype, True)
    X[:, [0, d - 1]] = 1.5
    rows, loop = backend.place(sparse(X, index), y, s), loop_over(X, y, s)
    W, V = rng.standard_normal((2, d + 1))
    assert_same_answers(rows, loop, W, V)
    np.testing.assert_allclose(rows.hessian_diagonal(W), loop.hessian_diagonal(W), rtol=1e-12, atol=1e-300)
    picked = RowSample(rng.integers(0, 9, 6), rng.random(6))
    sample, expected = rows.sample(picked), loop.sample(picked)
    assert_same_answers(sample, expected, W, V)
    np.testing.assert_allclose(sample.combination(np.ones(6)), expected.combination(np.ones(6)), rtol=1e-6)
    np.testing.assert_allclose(backend.logits(sparse(X, index), W), X @ W[:-1] + W[-1], rtol=1e-5)


def test_a_sample_is_those_rows(backend: Engine, dtype: type[np.floating], rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 30, 12, 0.3, dtype, True)
    rows, loop = backend.place(sparse(X), y, s), PythonRows(X, y, s)
    picked = RowSample(rng.integers(0, 30, 41), 0.5 + rng.random(41))
    sample = rows.sample(picked)
    assert_same_rows(sample, loop.sample(picked), rng)
    again = RowSample(rng.integers(0, 41, 5), np.ones(5))
    assert_same_rows(sample.sample(again), loop.sample(picked).sample(again), rng)


def test_a_sample_shares_the_count_of_reads(backend: Engine, rng: np.random.Generator) -> None:
    X, y, _ = problem(rng, 20, 6, 0.4, np.float64, False)
    rows = backend.place(sparse(X), y, None)
    W = np.zeros(7)
    rows.loss_grad(W)
    one = rows.reads
    assert one >= 1
    sample = rows.sample(RowSample(np.arange(5), np.ones(5)))
    copied = rows.reads - one
    assert copied >= 0.25
    sample.loss_grad(W)
    assert rows.reads == sample.reads == pytest.approx(1.25 * one + copied)


@pytest.mark.parametrize("z", [30.0, 700.0, 800.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_extreme_logits(backend: Engine, dtype: type[np.floating], z: float, sign: float) -> None:
    X = np.zeros((17, 3), dtype=dtype)
    X[:, 1] = sign * z
    W, V = np.array([0.0, 1.0, 0.0, 0.0]), np.array([0.0, 1.0, 2.0, -0.5])
    for label in (0.0, 1.0):
        y = np.full(17, label)
        rows, loop = backend.place(sparse(X), y, None), PythonRows(X, y, None)
        loss, gradient = rows.loss_grad(W)
        expected_loss, expected = loop.loss_grad(W)
        # e^-708 = 3e-308 is the smallest exponential of some engines.
        assert loss == pytest.approx(expected_loss, rel=1e-13, abs=1e-300)
        np.testing.assert_allclose(gradient, expected, rtol=1e-13, atol=1e-300)
        np.testing.assert_allclose(
            rows.hessian_product(W, V), loop.hessian_product(W, V), rtol=1e-13, atol=1e-290
        )


def test_nan_weights_are_not_hidden(backend: Engine) -> None:
    rows = backend.place(sparse(np.ones((20, 3))), np.ones(20), None)
    W = np.array([np.nan, 0.0, 0.0, 0.0])
    loss, gradient = rows.loss_grad(W)
    assert np.isnan(loss)
    assert np.isnan(gradient).all()
    assert np.isnan(rows.hessian_product(W, np.ones(4))).all()


def test_a_centre_is_refused(backend: Engine, rng: np.random.Generator) -> None:
    X, y, _ = problem(rng, 12, 3, 0.5, np.float64, False)
    rows = backend.place(sparse(X), y, None)
    for each in (rows, rows.sample(RowSample(np.arange(4), np.ones(4)))):
        with pytest.raises(ValueError, match=r"centre must be zero for sparse X.* 2 of its 3 entries"):
            each.hessian(np.zeros(4), np.array([1.0, 0.0, 2.0]), np.ones(3))
        with pytest.raises(ValueError, match="centre must be zero"):
            each.gram(np.ones(3))


def test_products_follow_their_weights(backend: Engine, rng: np.random.Generator) -> None:
    """Whatever an engine keeps from the last W, an answer is for the W that it is asked at."""
    X, y, s = problem(rng, 40, 6, 0.5, np.float64, True)
    rows, loop = backend.place(sparse(X), y, s), PythonRows(X, y, s)
    W, U, V = rng.standard_normal((3, 7))

    def check(at: Any) -> None:
        np.testing.assert_allclose(rows.hessian_product(at, V), loop.hessian_product(at, V), rtol=1e-11)
        np.testing.assert_allclose(rows.hessian_diagonal(at), loop.hessian_diagonal(at), rtol=1e-11)

    rows.loss_grad(W)
    check(W)
    check(U)
    rows.descend(W, 0.1, 0.0, 3, True)
    check(U)
    W += 1.0  # the caller's array is the caller's
    rows.loss_grad(W)
    W += 1.0
    check(W)


@pytest.mark.parametrize("d", [50, 5000])
def test_same_data_same_bits(
    backend: Engine, dtype: type[np.floating], d: int, rng: np.random.Generator
) -> None:
    X, y, s = problem(rng, 50 if backend.name == "python" else 1500, d, 0.05, dtype, True)
    W, V = rng.standard_normal((2, d + 1))
    first, second = backend.place(sparse(X), y, s), backend.place(sparse(X), y, s)
    for ask in (
        lambda rows: rows.loss_grad(W)[1],
        lambda rows: rows.hessian_product(W, V),
        lambda rows: rows.hessian_diagonal(V),
        lambda rows: rows.combination(y),
    ):
        np.testing.assert_array_equal(ask(first), ask(second))


def test_many_blocks_and_threads(backend: Engine, dtype: type[np.floating], rng: np.random.Generator) -> None:
    """Rows of very different lengths, more than one thread's share, compared with dense NumPy."""
    n = 301 if backend.name == "python" else 20_011
    d = 40
    share = np.where(np.arange(n) % 50 == 0, 1.0, 0.2)[:, np.newaxis]
    X = (rng.standard_normal((n, d)) * (rng.random((n, d)) < share)).astype(dtype)
    X[: n // 3] = 0.0
    y, s = (rng.random(n) < 0.5).astype(np.float64), rng.random(n)
    W, V = rng.standard_normal((2, d + 1))
    dense = np.c_[X.astype(np.float64), np.ones(n)]
    a = 1.0 / (1.0 + np.exp(-dense @ W))
    sh = s * a * (1.0 - a) / s.sum()
    for index in ("int32", "int64"):
        rows = backend.place(sparse(X, index), y, s)
        gradient = rows.loss_grad(W)[1]
        np.testing.assert_allclose(gradient, (s * (a - y)) @ dense / s.sum(), rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(
            rows.hessian_product(W, V), (sh * (dense @ V)) @ dense, rtol=1e-9, atol=1e-13
        )
        H = rows.hessian(W, np.zeros(d), np.ones(d), precision="float64")
        np.testing.assert_allclose(H, (dense.T * sh) @ dense, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(rows.hessian_diagonal(W), np.diag(H), rtol=1e-9)
        np.testing.assert_allclose(rows.combination(s), s @ dense[:, :-1], rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(backend.logits(sparse(X, index), W), dense @ W, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("d", [6, 3000])
def test_inputs_are_read_and_not_written(
    backend: Engine, dtype: type[np.floating], d: int, rng: np.random.Generator
) -> None:
    dense, y, s = problem(rng, 20, d, 0.3, dtype, True)
    assert s is not None
    X = sparse(dense)
    arrays = (X.data, X.indices, X.indptr, y, s)
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    rows = backend.place(Csr(X.data, X.indices, X.indptr, X.shape), y, s)
    W, centre, scale = np.ones(d + 1), np.zeros(d), np.full(d, 2.0)
    for array in (W, centre, scale):
        array.flags.writeable = False
    rows.loss_grad(W)
    rows.hessian_product(W, W)
    rows.descend(W, 0.1, 0.1, 2, True)
    rows.hessian_diagonal(W)
    rows.combination(s)
    rows.sample(RowSample(np.arange(3), np.ones(3))).loss_grad(W)
    if d == 6:
        rows.hessian(W, centre, scale)
        rows.hessian(W, centre, scale, sample=RowSample(np.arange(20), np.ones(20)))
        rows.gram(centre)
    backend.logits(X, W)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_values_are_not_copied(rng: np.random.Generator) -> None:
    X = sparse(problem(rng, 20, 6, 0.5, np.float64, False)[0])
    numba, numpy = (load_backend(name).place(X, np.ones(20), None) for name in ("numba", "numpy"))
    assert np.shares_memory(numba._data, X.data)
    assert all(np.shares_memory(part.data, X.data) for _, part in numpy._parts)
    assert all(np.shares_memory(part.indices, X.indices) for _, part in numpy._parts)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n=st.integers(1, 70),
    d=st.integers(1, 30),
    share=st.sampled_from([0.0, 0.03, 0.2, 0.7, 1.0]),
    index=st.sampled_from(["int32", "int64"]),
    single=st.booleans(),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_sparse_problem_equals_the_dense_loop(
    backend: Engine, n: int, d: int, share: float, index: str, single: bool, weighted: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    X, y, s = problem(rng, n, d, share, np.float32 if single else np.float64, weighted)
    if X.any():
        X[X != 0] *= np.float32(3.0)
    W, V = rng.standard_normal((2, d + 1))
    rows, loop = backend.place(sparse(X, index), y, s), PythonRows(X, y, s)
    assert_same_answers(rows, loop, W, V, rtol=1e-11)
    np.testing.assert_allclose(rows.hessian_diagonal(W), loop.hessian_diagonal(W), rtol=1e-11, atol=1e-300)
