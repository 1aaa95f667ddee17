"""Some columns of X as rows of their own: every engine, dense and sparse, one problem, several, classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from support.class_problems import WEIGHTS as CLASS_WEIGHTS
from support.column_problems import WEIGHTS
from support.interface_problems import assert_same_answers, problem
from support.restricted_problems import (
    LAYOUTS,
    check_classes,
    check_one_problem,
    check_reads,
    check_several_columns,
    laid_out,
)

from accel_logreg.backends import load_backend
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Csr
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parts import Parts, PartTargets


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_one_problem(
    backend: Engine, layout: str, dtype: Any, weighted: bool, rng: np.random.Generator
) -> None:
    check_one_problem(backend, layout, dtype, weighted, rng)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("K", [2, 11])
def test_several_columns(
    backend: Engine, layout: str, dtype: Any, weights: str, K: int, rng: np.random.Generator
) -> None:
    check_several_columns(backend, layout, dtype, weights, K, rng)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weights", CLASS_WEIGHTS)
def test_classes(backend: Engine, layout: str, dtype: Any, weights: str, rng: np.random.Generator) -> None:
    check_classes(backend, layout, dtype, weights, 3, rng)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("of", ["problem", "columns", "classes"])
def test_reads(backend: Engine, layout: str, of: str, rng: np.random.Generator) -> None:
    check_reads(backend, layout, of, rng)


@pytest.mark.parametrize(("d", "k"), [(3000, 2500), (70_000, 3), (70_000, 66_000)])
@pytest.mark.parametrize("index", ["int32", "int64"])
def test_columns_that_an_engine_may_have_renamed(
    backend: Engine, d: int, k: int, index: str, dtype: Any, rng: np.random.Generator
) -> None:
    """Columns by their frequency, and more of them than two bytes can number; some rows are empty."""
    i = np.r_[rng.integers(0, 60, 1200), np.arange(60)]
    j = np.r_[rng.integers(0, d, 1200), np.full(60, d // 3)]
    stored = ~np.isin(i, (5, 59))
    X = csr_array((rng.standard_normal(1260)[stored], (i[stored], j[stored])), shape=(60, d)).astype(dtype)
    X.sum_duplicates()
    columns = rng.permutation(d)[:k]
    if d // 3 not in columns:
        columns[k // 2] = d // 3
    some = X[:, columns].sorted_indices()

    def csr(matrix: Any) -> Csr:
        arrays = matrix.data, matrix.indices.astype(index), matrix.indptr.astype(index)
        return Csr(*arrays, matrix.shape)

    y, s = (rng.random(60) < 0.5).astype(np.float64), rng.random(60)
    rows = backend.place(csr(X), y, s)
    restricted, alone = rows.restricted(columns), load_backend("python").place(csr(some), y, s)
    assert (restricted.entries, restricted.nbytes) == (alone.entries, alone.nbytes)
    W, V = rng.standard_normal((2, len(columns) + 1))
    assert_same_answers(restricted, alone, W, V)
    np.testing.assert_allclose(restricted.hessian_diagonal(W), alone.hessian_diagonal(W), rtol=1e-12)
    picked = RowSample(rng.integers(0, 60, 20), np.ones(20))
    assert_same_answers(restricted.sample(picked), alone.sample(picked), W, V)
    assert_same_answers(rows.sample(picked).restricted(columns), alone.sample(picked), W, V)


def test_many_rows(backend: Engine, dtype: Any, rng: np.random.Generator) -> None:
    """More than one thread has to do with."""
    n = 300 if backend.name == "python" else 40_011
    X, y, _ = problem(rng, n, 31, dtype, False)
    X[rng.random(X.shape) < 0.4] = 0.0
    columns, (W, V) = rng.permutation(31)[:17], rng.standard_normal((2, 18)) / 4
    alone = backend.place(X[:, columns].copy(), y, None)
    for layout in ("dense", "int32"):
        assert_same_answers(
            backend.place(laid_out(X, layout), y, None).restricted(columns), alone, W, V, 1e-11
        )


def test_folds(backend: Engine, dtype: Any, rng: np.random.Generator) -> None:
    """Columns whose weights are made of the rows' and of parts."""
    X, y, s = problem(rng, 40, 9, dtype, True)
    targets = PartTargets(
        np.tile(y[:, np.newaxis], 3).astype(np.int8), s, Parts(rng.integers(0, 3, 40), 1.0 - np.eye(3))
    )
    columns, W = np.array([7, 0, 3]), rng.standard_normal((4, 3))
    for layout in LAYOUTS:
        rows: Any = backend.place(laid_out(X, layout), np.ones((40, 3)), None)
        restricted = rows.around(targets).restricted(columns)
        own = targets.parts.weights(s)
        loss, gradient = load_backend("python").place(X[:, columns], targets.y, own).loss_grad(W)
        assert isinstance(restricted.targets, PartTargets)
        np.testing.assert_allclose(restricted.loss_grad(W)[0], loss, rtol=1e-12)
        np.testing.assert_allclose(restricted.loss_grad(W)[1], gradient, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_copy(backend: Engine, layout: str, dtype: Any, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 12, 3, dtype, True)
    placed = laid_out(X.copy(), layout)
    restricted = backend.place(placed, y, s).restricted(np.arange(3))
    before = restricted.loss_grad(np.ones(4))
    stored = placed if layout == "dense" else placed.data
    stored += 1.0
    after = restricted.loss_grad(np.ones(4))
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1], after[1])


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_rows_lie_one_after_the_other(name: str, dtype: Any, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 12, 5, dtype, True)
    restricted: Any = load_backend(name).place(X, y, s).restricted(np.array([3, 1]))
    matrix = restricted.X if name == "numba" else restricted._X
    assert matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix, X[:, [3, 1]])


def test_arrays_nobody_may_write_to(backend: Engine, dtype: Any, rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 12, 5, dtype, True)
    columns = np.array([4, 0])
    for array in (X, y, s, columns):
        assert array is not None
        array.flags.writeable = False
    for layout in LAYOUTS:
        backend.place(laid_out(X, layout), y, s).restricted(columns).loss_grad(np.zeros(3))
    for unusual in (np.array([4, 0], np.uint8), np.arange(4, -1, -4), [4, 0]):
        restricted = backend.place(X, y, s).restricted(unusual)  # type: ignore[arg-type]
        assert restricted.n_features == 2


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (np.empty(0, np.intp), r"columns has shape \(0,\) and dtype int64; .* with k ≥ 1"),
        (np.zeros((1, 1), np.intp), r"shape \(1, 1\)"),
        (np.array([0.0, 1.0]), "dtype float64; it must be .* integers"),
        (np.array([True, False, True]), "dtype bool"),
        (np.array([0, 3]), "numbered from 0 to 3; X's are from 0 to 2"),
        (np.array([-1, 2]), "numbered from -1 to 2"),
        (np.array([2, 0, 2]), "has 2 more than once"),
    ],
)
def test_columns_that_are_not_there(
    backend: Engine, layout: str, columns: Any, message: str, rng: np.random.Generator
) -> None:
    X, y, s = problem(rng, 12, 3, np.float64, True)
    for Y, K in ((y, None), (np.c_[y, 1.0 - y], None), (y.astype(np.int32), 3)):
        rows = backend.place(laid_out(X, layout), Y, s, n_classes=K)
        with pytest.raises(ValueError, match=message):
            rows.restricted(columns)
        assert rows.reads == 0
