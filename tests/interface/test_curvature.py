"""The Hessian, its diagonal, the Gram matrix and combinations of rows, on every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from support.interface_problems import SHAPES, assert_same_curvature, precision_of, problem

from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Csr, Float64
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Precision

ENTRIES_FOR_THE_LOOP = 60_000  # of products; it takes about 0.1 µs for each
SINGLE = 1e-5  # what products rounded to float32 may be off by, relative to the diagonal
DOUBLE = 1e-12

PRECISE = pytest.mark.parametrize("precise", [False, True], ids=["rounded", "precise"])
WEIGHTED = pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
SHAPE = pytest.mark.parametrize(
    "shape",
    [*(s for s in SHAPES if s[0] * (s[1] + 1) ** 2 <= ENTRIES_FOR_THE_LOOP), (61, 24), (40, 33)],
    ids=lambda shape: f"{shape[0]}x{shape[1]}",
)


def tolerance(precise: bool) -> float:
    return DOUBLE if precise else SINGLE


def dense_hessian(X: Float64, s: Float64, W: Float64, centre: Float64, scale: Float64) -> Float64:
    """Whole arrays in float64: an answer that owes nothing to the loop."""
    z = X.astype(np.float64) @ W[:-1] + W[-1]
    a = 1.0 / (1.0 + np.exp(-z))
    standardised = np.c_[(X - centre) / scale, np.ones(len(z))]
    H: Float64 = (standardised.T * (s * a * (1.0 - a))) @ standardised / s.sum()
    return H


@WEIGHTED
def test_the_loop_equals_whole_arrays(weighted: bool, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 23, 6, np.float64, weighted)
    s_or_ones = np.ones(23) if s is None else s
    W, centre, scale = rng.standard_normal(7), rng.standard_normal(6), 0.5 + rng.random(6)
    a = rng.standard_normal(23)
    loop = PythonRows(X, y, s)
    expected = dense_hessian(X, s_or_ones, W, centre, scale)
    assert_same_curvature(loop.hessian(W, centre, scale), expected, 1e-14)
    raw = dense_hessian(X, s_or_ones, W, np.zeros(6), np.ones(6))
    np.testing.assert_allclose(loop.hessian_diagonal(W), np.diag(raw), rtol=1e-13)
    np.testing.assert_allclose(loop.gram(centre), (X - centre) @ (X - centre).T, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(loop.combination(a), X.T @ a, rtol=1e-13, atol=1e-13)
    product = raw @ np.r_[centre, 2.0]
    np.testing.assert_allclose(loop.hessian_product(W, np.r_[centre, 2.0]), product, rtol=1e-12)


@PRECISE
@WEIGHTED
@SHAPE
def test_hessian_equals_the_loop(
    backend: Engine,
    shape: tuple[int, int],
    dtype: type[np.floating],
    weighted: bool,
    precise: bool,
    rng: np.random.Generator,
) -> None:
    n, d = shape
    X, y, s = problem(rng, n, d, dtype, weighted)
    W, centre, scale = rng.standard_normal(d + 1), rng.standard_normal(d), 0.5 + rng.random(d)
    rows, loop = backend.place(X, y, s), PythonRows(X, y, s)
    expected = loop.hessian(W, centre, scale)
    assert_same_curvature(
        rows.hessian(W, centre, scale, precision=precision_of(precise)),
        expected,
        tolerance(precise),
    )
    raw = loop.hessian(W, np.zeros(d), np.ones(d))
    assert_same_curvature(
        rows.hessian(W, np.zeros(d), np.ones(d), precision=precision_of(precise)),
        raw,
        tolerance(precise),
    )


@WEIGHTED
@SHAPE
def test_diagonal_gram_and_combination_equal_the_loop(
    backend: Engine,
    shape: tuple[int, int],
    dtype: type[np.floating],
    weighted: bool,
    rng: np.random.Generator,
) -> None:
    n, d = shape
    X, y, s = problem(rng, n, d, dtype, weighted)
    W, centre, a = rng.standard_normal(d + 1), rng.standard_normal(d), rng.standard_normal(n)
    rows, loop = backend.place(X, y, s), PythonRows(X, y, s)
    diagonal = rows.hessian_diagonal(W)
    assert diagonal.dtype == np.float64
    np.testing.assert_allclose(diagonal, loop.hessian_diagonal(W), rtol=DOUBLE, atol=1e-300)
    assert_same_curvature(rows.gram(centre), loop.gram(centre), DOUBLE)
    assert_same_curvature(rows.gram(centre, precise=False), loop.gram(centre), SINGLE)
    total, expected = rows.combination(a), loop.combination(a)
    assert total.dtype == np.float64
    np.testing.assert_allclose(total, expected, rtol=DOUBLE, atol=DOUBLE * np.abs(expected).max())


@PRECISE
@WEIGHTED
def test_picked_rows_may_repeat_and_have_factors(
    backend: Engine, dtype: type[np.floating], weighted: bool, precise: bool, rng: np.random.Generator
) -> None:
    X, y, s = problem(rng, 50, 9, dtype, weighted)
    W, centre, scale = rng.standard_normal(10), rng.standard_normal(9), 0.5 + rng.random(9)
    rows = backend.place(X, y, s)
    chosen = np.r_[rng.integers(0, 50, 37), 49, 49, 0]  # in no order
    factors = rng.random(40) * 3.0
    chosen_weights = factors if s is None else s[chosen] * factors
    for picked, weights in [
        (RowSample(chosen, factors), chosen_weights),
        (RowSample(chosen[:1], np.ones(1)), np.ones(1)),
    ]:
        expected = PythonRows(X[picked.rows], y[picked.rows], weights).hessian(W, centre, scale)
        H = rows.hessian(W, centre, scale, sample=picked, precision=precision_of(precise))
        assert_same_curvature(H, expected, tolerance(precise))


@PRECISE
def test_large_means_are_taken_off_first(
    backend: Engine, dtype: type[np.floating], precise: bool, rng: np.random.Generator
) -> None:
    """Columns of mean 1e4 and deviation 1: squares of raw float32 entries would lose every digit."""
    n = 120 if backend.name == "python" else 3000
    X = (rng.standard_normal((n, 12)) + 1e4).astype(dtype)
    y = (rng.random(n) < 0.5).astype(np.float64)
    W = rng.standard_normal(13) / 4.0
    W[-1] -= 1e4 * W[:-1].sum()
    centre = X.mean(axis=0, dtype=np.float64)
    scale = np.full(12, 1.25)
    expected = dense_hessian(X.astype(np.float64), np.ones(n), W, centre, scale)
    rows = backend.place(X, y, None)
    # z is a difference of numbers near 1e4 and known to about 1e-11.
    assert_same_curvature(
        rows.hessian(W, centre, scale, precision=precision_of(precise)),
        expected,
        1e-10 if precise else SINGLE,
    )
    if n == 120:
        G = (X - centre) @ (X - centre).T
        assert_same_curvature(rows.gram(centre), G, 1e-10)


@pytest.mark.parametrize("z", [30.0, 100.0, 300.0, 700.0, 800.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_extreme_logits(backend: Engine, dtype: type[np.floating], z: float, sign: float) -> None:
    X = np.full((17, 1), sign * z, dtype=dtype)
    W = np.array([1.0, 0.0])
    rows, loop = backend.place(X, np.ones(17), None), PythonRows(X, np.ones(17), None)
    centre, scale = np.array([1.0]), np.array([10.0])
    expected = loop.hessian(W, centre, scale)
    # Below 1e-36 there are no products of float32; e^-708 = 3e-308 is some engines' least exponential.
    for precise, smallest in ((False, 1e-36), (True, 1e-290)):
        H = rows.hessian(W, centre, scale, precision=precision_of(precise))
        np.testing.assert_allclose(H, expected, rtol=tolerance(precise), atol=smallest)
    np.testing.assert_allclose(rows.hessian_diagonal(W), loop.hessian_diagonal(W), rtol=DOUBLE, atol=1e-290)


def test_many_blocks_and_threads(backend: Engine, dtype: type[np.floating], rng: np.random.Generator) -> None:
    n = 301 if backend.name == "python" else 30_011
    X, y, s = problem(rng, n, 29, dtype, True)
    assert s is not None
    W, centre, scale = rng.standard_normal(30), rng.standard_normal(29), 0.5 + rng.random(29)
    rows = backend.place(X, y, s)
    expected = dense_hessian(X.astype(np.float64), s, W, centre, scale)
    assert_same_curvature(rows.hessian(W, centre, scale), expected, SINGLE)
    assert_same_curvature(rows.hessian(W, centre, scale, precision="float64"), expected, 1e-11)
    chosen = RowSample(rng.integers(0, n, n // 2), rng.random(n // 2))
    expected = dense_hessian(
        X[chosen.rows].astype(np.float64), s[chosen.rows] * chosen.factors, W, centre, scale
    )
    assert_same_curvature(rows.hessian(W, centre, scale, sample=chosen), expected, SINGLE)
    raw = dense_hessian(X.astype(np.float64), s, W, np.zeros(29), np.ones(29))
    np.testing.assert_allclose(rows.hessian_diagonal(W), np.diag(raw), rtol=1e-11)
    a = rng.standard_normal(n)
    np.testing.assert_allclose(rows.combination(a), X.T.astype(np.float64) @ a, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(130, 700), (3, 5001), (260, 33)])
def test_gram_of_wide_rows(
    backend: Engine, dtype: type[np.floating], shape: tuple[int, int], rng: np.random.Generator
) -> None:
    n, d = (shape[0] // 10 + 1, shape[1]) if backend.name == "python" else shape
    X, y, s = problem(rng, n, d, dtype, True)
    centre = rng.standard_normal(d)
    D = X.astype(np.float64) - centre
    rows = backend.place(X, y, s)
    assert_same_curvature(rows.gram(centre), D @ D.T, DOUBLE)
    assert_same_curvature(rows.gram(centre, precise=False), D @ D.T, SINGLE)


def test_weight_two_is_the_row_twice(
    backend: Engine, dtype: type[np.floating], rng: np.random.Generator
) -> None:
    X, y, _ = problem(rng, 25, 4, dtype, False)
    counts = rng.integers(0, 4, 25)
    W, centre, scale = rng.standard_normal(5), rng.standard_normal(4), 0.5 + rng.random(4)
    weighted = backend.place(X, y, counts.astype(np.float64))
    repeated = PythonRows(X.repeat(counts, axis=0), y.repeat(counts), None)
    picked = RowSample(np.arange(25).repeat(counts), np.ones(counts.sum()))
    expected = repeated.hessian(W, centre, scale)
    assert_same_curvature(weighted.hessian(W, centre, scale, precision="float64"), expected, DOUBLE)
    by_index = backend.place(X, y, None).hessian(W, centre, scale, sample=picked, precision="float64")
    assert_same_curvature(by_index, expected, DOUBLE)
    np.testing.assert_allclose(weighted.hessian_diagonal(W), repeated.hessian_diagonal(W), rtol=DOUBLE)


def test_same_data_same_bits(backend: Engine, dtype: type[np.floating], rng: np.random.Generator) -> None:
    n = 50 if backend.name == "python" else 5000
    X, y, s = problem(rng, n, 30, dtype, True)
    W, centre, scale, a = rng.standard_normal(31), np.zeros(30), np.ones(30), rng.standard_normal(n)
    first, second = backend.place(X, y, s), backend.place(X, y, s)
    np.testing.assert_array_equal(first.hessian(W, centre, scale), second.hessian(W, centre, scale))
    np.testing.assert_array_equal(first.hessian_diagonal(W), second.hessian_diagonal(W))
    np.testing.assert_array_equal(first.combination(a), second.combination(a))


@pytest.mark.parametrize("layout", ["dense", "CSR"])
def test_longest_row_bounds_every_row(
    backend: Engine, dtype: type[np.floating], layout: str, rng: np.random.Generator
) -> None:
    """The loop's is exact; an engine's is at least that, and not below it where a row has no weight."""
    X = (rng.standard_normal((37, 5)) * (rng.random((37, 5)) < 0.6)).astype(dtype)
    s = rng.random(37)
    X[3], s[3] = 100.0, 0.0
    centre, scale = rng.standard_normal(5), rng.random(5) + 0.5
    exact = np.sqrt(1.0 + np.square((X[s > 0].astype(float) - centre) / scale).sum(axis=1).max())
    placed = X
    if layout == "CSR":
        matrix = sparse.csr_matrix(X)
        placed = Csr(matrix.data, matrix.indices, matrix.indptr, matrix.shape)
    rows = backend.place(placed, np.arange(37) % 2.0, s)
    rows.hessian(np.zeros(6), np.zeros(5) if layout == "CSR" else centre, scale)
    found = rows.longest_row(centre, scale)
    assert found >= exact * (1 - 1e-9)
    if backend.name in ("python", "numpy", "numba"):
        assert found == pytest.approx(exact, rel=1e-6)


def test_columns_far_from_zero_are_moved_without_rounding(dtype: type[np.floating]) -> None:
    far = np.array([1e6, 1e6 + 64.0, 1e6 - 64.0], dtype=dtype)
    X = sparse.csr_matrix(np.c_[far, np.array([0, 5e6, 5e6]), np.full(3, 7.0), np.arange(3)].astype(dtype))
    csr = Csr(X.data, X.indices, X.indptr, X.shape)
    shift = csr.far_columns()
    assert shift is not None
    assert (shift != 0.0).tolist() == [True, False, True, False]  # the second does not store every row
    moved = csr.shifted(shift)
    dense = sparse.csr_matrix((moved.data, moved.indices, moved.indptr), shape=moved.shape).toarray()
    np.testing.assert_array_equal(dense.astype(float) + shift, X.toarray().astype(float))
    plain = sparse.csr_matrix(np.eye(3, dtype=dtype))
    assert Csr(plain.data, plain.indices, plain.indptr, plain.shape).far_columns() is None


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(300, 7), (1003, 130)], ids=str)
def test_a_hessian_that_is_expected_takes_no_read_of_its_own(
    backend: Engine,
    dtype: Any,
    shape: tuple[int, int],
    precision: Precision,
    weighted: bool,
    rng: np.random.Generator,
) -> None:
    """Where an engine says so; and on all of them gradient and Hessian are what they are one by one."""
    if backend.name == "python" and shape[1] > 100:
        pytest.skip("the loop takes long for so many rows")
    X = (rng.standard_normal(shape) + 1.0).astype(dtype)
    y = (rng.random(shape[0]) < 0.4).astype(float)
    s = rng.random(shape[0]) if weighted else None
    W, centre = rng.standard_normal(shape[1] + 1) / 9.0, np.full(shape[1], 1.0)
    scale = rng.random(shape[1]) + 0.5
    rows, plain = backend.place(X, y, s), backend.place(X, y, s)
    in_one_read = rows.expect_hessian(centre, scale, precision)
    loss, gradient = rows.loss_grad(W)
    reads = rows.reads
    H = rows.hessian(W, centre, scale, precision=precision)
    assert (rows.reads == reads) is in_one_read
    if in_one_read:
        assert reads == 1.0
    expected = plain.loss_grad(W)
    assert loss == pytest.approx(expected[0], rel=1e-13)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-14)
    np.testing.assert_array_equal(H, plain.hessian(W, centre, scale, precision=precision))
    assert rows.longest_row(centre, scale) == plain.longest_row(centre, scale)
    # Another point, other coordinates or another precision are made anew.
    rows.expect_hessian(centre, scale, precision)
    rows.loss_grad(W)
    there = rows.hessian(2.0 * W, centre, scale, precision=precision)
    np.testing.assert_array_equal(there, plain.hessian(2.0 * W, centre, scale, precision=precision))
    assert rows.loss_grad(W)[0] == pytest.approx(expected[0], rel=1e-13)
