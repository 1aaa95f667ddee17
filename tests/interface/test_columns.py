"""K columns in one read: every engine compared with the loop, and with K rows asked one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import random as csr_random
from support.column_problems import (
    WEIGHTS,
    assert_close,
    assert_same_answers,
    check_every_question,
    column_problem,
)
from support.csr_problems import sparse

from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.backends.python_loop.engine import PythonEngine
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Csr
from accel_logreg.interface.columns import ColumnRows
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parts import Parts, PartTargets

# One row, one feature, one column; one below, at and above a panel of eight; several panels.
SHAPES = [
    (1, 1, 1),
    (1, 5, 9),
    (2, 1, 3),
    (7, 3, 2),
    (8, 8, 8),
    (9, 7, 7),
    (17, 28, 1),
    (33, 31, 9),
    (100, 2, 33),
    (19, 517, 3),
    (70, 65, 8),
]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_answers_equal_the_loop(
    backend: Engine,
    shape: tuple[int, int, int],
    dtype: type[np.floating],
    weights: str,
    rng: np.random.Generator,
) -> None:
    n, d, K = shape
    X, Y, s = column_problem(rng, n, d, K, dtype, weights)
    W, V = rng.standard_normal((2, d + 1, K)) / np.sqrt(d)
    columns, loop = backend.place(X, Y, s), PythonEngine().place(X, Y, s)
    assert (columns.n_rows, columns.n_features, columns.n_columns) == shape
    assert columns.dtype == X.dtype
    np.testing.assert_allclose(columns.weight_sum, loop.weight_sum, rtol=1e-14)
    assert_same_answers(columns, loop, W, V)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_every_column_is_a_problem_of_its_own(
    backend: Engine, dtype: type[np.floating], weights: str, rng: np.random.Generator
) -> None:
    """What ``Rows`` say of one column after the other, which have another loop for an oracle."""
    n, d, K = 61, 13, 11
    X, Y, s = column_problem(rng, n, d, K, dtype, weights)
    W, V = rng.standard_normal((2, d + 1, K))
    columns = backend.place(X, Y, s)
    losses, gradient = columns.loss_grad(W)
    product = columns.hessian_product(W, V)
    for k in range(K):
        own = s if s is None or s.ndim == 1 else s[:, k].copy()
        for rows in (backend.place(X, Y[:, k].copy(), own), PythonRows(X, Y[:, k], own)):
            loss, expected = rows.loss_grad(W[:, k].copy())
            assert losses[k] == pytest.approx(loss, rel=1e-12)
            assert_close(gradient[:, k], expected)
            assert_close(product[:, k], rows.hessian_product(W[:, k].copy(), V[:, k].copy()))
            assert columns.weight_sum[k] == pytest.approx(rows.weight_sum, rel=1e-14)


def test_the_order_of_the_columns_does_not_matter(
    backend: Engine, dtype: type[np.floating], rng: np.random.Generator
) -> None:
    X, Y, s = column_problem(rng, 41, 6, 19, dtype, "own")
    assert s is not None
    W, V = rng.standard_normal((2, 7, 19))
    order = rng.permutation(19)
    columns, permuted = backend.place(X, Y, s), backend.place(X, Y[:, order], s[:, order])
    losses, gradient = columns.loss_grad(W)
    permuted_losses, permuted_gradient = permuted.loss_grad(W[:, order])
    np.testing.assert_allclose(permuted_losses, losses[order], rtol=1e-14)
    assert_close(permuted_gradient, gradient[:, order], 1e-13)
    assert_close(
        permuted.hessian_product(W[:, order], V[:, order]), columns.hessian_product(W, V)[:, order], 1e-13
    )


def test_folds_are_the_rows_left_in(
    backend: Engine, dtype: type[np.floating], rng: np.random.Generator
) -> None:
    """A weight of 0 takes a row out of one column's problem and leaves it in the others'."""
    X, Y, _ = column_problem(rng, 50, 5, 1, dtype, "none")
    fold = rng.permutation(50) % 5
    weights = (fold[:, np.newaxis] != np.arange(5)).astype(np.float64)
    W = rng.standard_normal((6, 5))
    losses, gradient = backend.place(X, np.repeat(Y, 5, axis=1), weights).loss_grad(W)
    for k in range(5):
        left = fold != k
        loss, expected = PythonRows(X[left], Y[left, 0], None).loss_grad(W[:, k])
        assert losses[k] == pytest.approx(loss, rel=1e-12)
        assert_close(gradient[:, k], expected)


@pytest.mark.parametrize("K", [1, 3, 8, 9])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_logits_of_800_do_not_overflow(
    backend: Engine, dtype: type[np.floating], label: float, K: int
) -> None:
    logits = np.array([0.0, 1e-9, 30.0, 709.5, 745.2, 800.0, 1e5])
    X = np.r_[logits, -logits][:, np.newaxis].astype(dtype)
    Y = np.full((14, K), label)
    W, V = np.tile([[1.0], [0.0]], K), np.tile([[1.0], [-0.5]], K)
    for i in range(14):  # a row at a time: beside a loss of 1e5 the others would not show
        weights = np.zeros(14)
        weights[i] = 1.0
        columns, loop = backend.place(X, Y, weights), PythonEngine().place(X, Y, weights)
        for found, expected in zip(columns.loss_grad(W), loop.loss_grad(W), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-300)
        np.testing.assert_allclose(
            columns.hessian_product(W, V), loop.hessian_product(W, V), rtol=1e-13, atol=1e-290
        )


def test_a_column_of_nan_keeps_it_to_itself(backend: Engine, rng: np.random.Generator) -> None:
    X, Y, _ = column_problem(rng, 20, 3, 5, np.float64, "none")
    W = rng.standard_normal((4, 5))
    W[0, 2] = np.nan
    losses, gradient = backend.place(X, Y, None).loss_grad(W)
    others = [0, 1, 3, 4]
    assert np.isnan(losses[2])
    assert np.isnan(gradient[:, 2]).all()
    assert np.isfinite(losses[others]).all()
    assert np.isfinite(gradient[:, others]).all()


def test_same_data_same_bits(backend: Engine, dtype: type[np.floating], rng: np.random.Generator) -> None:
    n = 50 if backend.name == "python" else 5000
    X, Y, s = column_problem(rng, n, 30, 11, dtype, "shared")
    W = rng.standard_normal((31, 11))
    first, second = backend.place(X, Y, s), backend.place(X, Y, s)
    for found, again in zip(first.loss_grad(W), second.loss_grad(W), strict=True):
        np.testing.assert_array_equal(found, again)
    np.testing.assert_array_equal(first.hessian_product(W, W), first.hessian_product(W, W))


@pytest.mark.parametrize("K", [2, 12])
def test_many_blocks_and_threads(
    backend: Engine, dtype: type[np.floating], K: int, rng: np.random.Generator
) -> None:
    """More rows than one thread's share and one block, compared with whole arrays in float64."""
    n = 1001 if backend.name == "python" else 30_011
    X, Y, s = column_problem(rng, n, 29, K, dtype, "own")
    assert s is not None
    W = rng.standard_normal((30, K))
    z = X.astype(np.float64) @ W[:-1] + W[-1]
    residual = s * (1.0 / (1.0 + np.exp(-z)) - Y) / s.sum(axis=0)
    losses, gradient = backend.place(X, Y, s).loss_grad(W)
    np.testing.assert_allclose(
        losses, (s * (np.logaddexp(0.0, z) - Y * z)).sum(axis=0) / s.sum(axis=0), rtol=1e-12
    )
    assert_close(gradient[:-1], X.T.astype(np.float64) @ residual, 1e-9)
    np.testing.assert_allclose(gradient[-1], residual.sum(axis=0), rtol=1e-9, atol=1e-13)


def test_one_read_serves_all_columns(backend: Engine, rng: np.random.Generator) -> None:
    X, Y, s = column_problem(rng, 12, 3, 20, np.float64, "own")
    columns = backend.place(X, Y, s)
    assert columns.reads == 0
    columns.loss_grad(np.zeros((4, 20)))
    assert columns.reads == 1
    columns.hessian_product(np.zeros((4, 20)), np.zeros((4, 20)))
    assert columns.reads == 2


def test_what_is_passed_in_is_not_written_to(backend: Engine, rng: np.random.Generator) -> None:
    X, Y, s = column_problem(rng, 20, 3, 4, np.float64, "own")
    W = rng.standard_normal((4, 4))
    arrays = [array for array in (X, Y, s, W) if array is not None]
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    columns = backend.place(X, Y, s)
    columns.loss_grad(W)
    columns.hessian_product(W, W)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("kind", [bool, np.int64, np.float32])
def test_labels_and_weights_of_any_kind_and_order(
    backend: Engine, kind: Any, rng: np.random.Generator
) -> None:
    X, Y, s = column_problem(rng, 23, 4, 10, np.float64, "own")
    assert s is not None
    s = np.round(4.0 * s + 0.5)
    W = rng.standard_normal((5, 10))
    columns = backend.place(X, np.asfortranarray(Y.astype(kind)), np.asfortranarray(s.astype(np.int32)))
    expected_losses, expected = PythonEngine().place(X, Y, s).loss_grad(W)
    losses, gradient = columns.loss_grad(np.asfortranarray(W))
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-12)
    assert_close(gradient, expected)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n=st.integers(1, 40),
    d=st.integers(1, 20),
    K=st.integers(1, 20),
    scale=st.sampled_from([1e-6, 1.0, 1e3]),
    single=st.booleans(),
    weights=st.sampled_from(WEIGHTS),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_problem_equals_the_loop(
    backend: Engine, n: int, d: int, K: int, scale: float, single: bool, weights: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    X, Y, s = column_problem(rng, n, d, K, np.float64, weights)
    X = (X * scale).astype(np.float32 if single else np.float64)
    W, V = rng.standard_normal((2, d + 1, K)) / max(1.0, scale * d)
    assert_same_answers(backend.place(X, Y, s), PythonEngine().place(X, Y, s), W, V, rtol=1e-10)


# ---- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("Y", "message"),
    [
        (np.zeros((5, 2)), r"Y has shape \(5, 2\).*n = 6"),
        (np.zeros((6, 0)), r"Y has shape \(6, 0\).*K ≥ 1"),
        (np.array([[0, 1], [1, 1], [0, 2], [0, 1], [0, 1], [1, 0]]), r"Y\[2, 1\] is 2; labels are 0 and 1"),
        (np.full((6, 2), np.nan), r"Y\[0, 0\] is nan"),
        (np.full((6, 1), 0.5), r"Y\[0, 0\] is 0.5"),
    ],
    ids=["rows", "no column", "classes", "NaN", "halves"],
)
def test_labels_that_are_refused(backend: Engine, Y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        backend.place(np.ones((6, 3)), Y, None)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(5), r"weights have shape \(5,\); allowed: None, \(6,\) .* or \(6, 2\)"),
        (np.ones((6, 3)), r"weights have shape \(6, 3\)"),
        (np.ones((2, 6)), r"weights have shape \(2, 6\)"),
        (np.r_[1.0, -0.5, np.ones(4)], r"weights\[1\] is -0.5; weights are finite and not negative"),
        (np.c_[np.ones(6), np.r_[np.ones(5), np.inf]], r"weights\[5, 1\] is inf"),
        (np.c_[np.ones(6), np.full(6, np.nan)], r"weights\[0, 1\] is nan"),
        (np.zeros(6), r"the weights of column 0, 1 of Y are all 0"),
        (np.c_[np.ones(6), np.zeros(6)], r"the weights of column 1 of Y are all 0.*Leave the column out"),
        (np.full(6, 1e308), r"add up to infinity"),
    ],
    ids=["rows", "columns", "transposed", "negative", "infinite", "NaN", "no row", "empty column", "sum"],
)
def test_weights_that_are_refused(backend: Engine, weights: Any, message: str) -> None:
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=message):
        backend.place(np.ones((6, 3)), np.zeros((6, 2)), weights)


@pytest.mark.parametrize("shape", [(4,), (2, 4), (3, 2), (4, 3), (4, 2, 1)], ids=str)
def test_points_that_are_refused(backend: Engine, shape: tuple[int, ...]) -> None:
    columns = backend.place(np.ones((6, 3)), np.zeros((6, 2)), None)
    good, bad = np.zeros((4, 2)), np.zeros(shape)
    with pytest.raises(ValueError, match=r"W has shape .*; it must be \(p, K\) = \(4, 2\)"):
        columns.loss_grad(bad)
    with pytest.raises(ValueError, match="W has shape"):
        columns.hessian_product(bad, good)
    with pytest.raises(ValueError, match="V has shape"):
        columns.hessian_product(good, bad)
    assert columns.reads == 0


# ---- sparse rows, and what is asked column by column ------------------------------------------------------


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("K", [1, 8, 9, 17, 33])  # one below, at and above a panel of 8, 16 and 32
def test_sparse_rows_answer_like_dense_ones(
    backend: Engine, dtype: type[np.floating], weights: str, K: int, rng: np.random.Generator
) -> None:
    dense, Y, s = column_problem(rng, 41, 7, K, dtype, weights)
    dense[rng.random((41, 7)) < 0.6] = 0.0
    dense[3] = 0.0
    W, V = rng.standard_normal((2, 8, K))
    columns, loop = backend.place(sparse(dense), Y, s), PythonEngine().place(dense, Y, s)
    assert columns.sparse
    assert_same_answers(columns, loop, W, V)
    assert isinstance(columns, ColumnRows)
    assert isinstance(loop, ColumnRows)
    for question in ("hessian_diagonal", "hessian_last", "logits"):
        assert_close(getattr(columns, question)(W), getattr(loop, question)(W))


def test_sparse_columns_by_their_frequency_and_on_threads(
    backend: Engine, dtype: type[np.floating], rng: np.random.Generator
) -> None:
    """More features than are kept in their own order, and more nonzeros than one thread takes."""
    n, d, K = (30, 2100, 3) if backend.name == "python" else (6000, 2100, 35)
    X = csr_random(n, d, density=0.01, format="csr", random_state=np.random.default_rng(0), dtype=dtype)
    Y, W, V = rng.random((n, K)) < 0.5, *rng.standard_normal((2, d + 1, K))
    s = rng.random((n, K))
    columns = backend.place(Csr(X.data, X.indices, X.indptr, X.shape), Y, s)
    z, wide = X @ W[:-1] + W[-1], X.astype(np.float64)
    a, weights = 1.0 / (1.0 + np.exp(-z)), s / s.sum(axis=0)
    losses, gradient = columns.loss_grad(W)
    np.testing.assert_allclose(losses, (weights * (np.logaddexp(0.0, z) - Y * z)).sum(axis=0), rtol=1e-5)
    assert_close(gradient[:-1], wide.T @ (weights * (a - Y)), 1e-5)
    product = columns.hessian_product(W, V)
    assert_close(product[:-1], wide.T @ (weights * a * (1.0 - a) * (X @ V[:-1] + V[-1])), 1e-5)


@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_some_columns_of_folds_answer_like_all(
    backend: Engine, layout: str, dtype: type[np.floating], rng: np.random.Generator
) -> None:
    """Rows by parts that the columns are made of, and some of these columns at a point that is known."""
    dense, Y, s = column_problem(rng, 50, 5, 20, dtype, "shared")
    of_row, times = rng.integers(0, 3, 50), rng.integers(0, 3, (3, 20)).astype(np.float64) + 0.5
    parts = Parts(of_row, times)
    W, V = rng.standard_normal((2, 6, 20))
    rows = backend.place(dense if layout == "dense" else sparse(dense), Y, s)
    assert isinstance(rows, ColumnRows)
    folds = rows.around(PartTargets(rows.targets.y, s, parts))
    loop = PythonEngine().place(dense, Y, parts.weights(s))
    assert_same_answers(folds, loop, W, V)
    columns = np.array([2, 17, 18, 5])
    some = folds.only(columns)
    assert some.n_columns == 4
    before = some.reads
    assert_close(some.hessian_product(W[:, columns], V[:, columns]), loop.hessian_product(W, V)[:, columns])
    assert some.reads == before + (1 if rows.shared_reads else 4) == folds.reads
    assert_close(some.loss_grad(V[:, columns])[1], loop.loss_grad(V)[1][:, columns])


def test_a_point_that_changes_in_place_is_another(backend: Engine, rng: np.random.Generator) -> None:
    dense, Y, _ = column_problem(rng, 30, 4, 3, np.float64, "none")
    W = np.asfortranarray(rng.standard_normal((5, 3)))
    columns, loop = backend.place(sparse(dense), Y, None), PythonEngine().place(dense, Y, None)
    columns.loss_grad(W)
    W *= 2.0
    assert_close(columns.hessian_product(W, W), loop.hessian_product(W, W))


@pytest.mark.parametrize("K", [1, 2, 5])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_every_question_is_answered_for_every_column(
    backend: Engine, layout: str, weights: str, K: int, dtype: type[np.floating], rng: np.random.Generator
) -> None:
    check_every_question(backend, layout, weights, K, dtype, rng)


def test_columns_count_their_reads_into_one_tally(backend: Engine, rng: np.random.Generator) -> None:
    X, Y, _ = column_problem(rng, 30, 4, 3, np.float64, "none")
    rows = backend.place(X, Y, None)
    rows.hessian_diagonal(np.zeros((5, 3)))
    before = rows.reads
    assert before >= 1
    sample = rows.sample(RowSample(np.arange(10), np.ones(10)))
    assert rows.reads == sample.reads == pytest.approx(before + 1 / 3)
    sample.loss_grad(np.zeros((5, 3)))
    assert rows.reads == pytest.approx(before + 2 / 3)
    assert rows.pick(12, np.random.RandomState(0)).rows.max() < 30
    assert rows.column_moments(centred=True).means == pytest.approx(X.mean(axis=0))
