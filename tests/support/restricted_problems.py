"""What it means that an engine's rows of some columns answer like rows that were placed with these alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import class_problems, column_problems
from support.csr_problems import assert_same_rows, loop_over, problem, sparse
from support.interface_problems import assert_same_answers

from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Rows

LAYOUTS = ["dense", "int32", "int64"]  # or the type of a sparse X's numbers
N, D = 40, 9


def laid_out(X: Any, layout: str) -> Any:
    """X as what is placed."""
    return np.ascontiguousarray(X) if layout == "dense" else sparse(X, layout)


def some_columns(rng: np.random.Generator) -> list[Any]:
    """One, of which no entry is stored; several in any order; all."""
    return [np.array([D // 2]), np.array([7, 2, 4, 0]), rng.permutation(D)]


def check_figures(found: Rows, expected: Rows) -> None:
    """What is said of the rows without a look at them."""
    for name in ("n_rows", "n_features", "n_columns", "dtype", "sparse", "entries", "nbytes", "pairs"):
        assert getattr(found, name) == getattr(expected, name), name
    np.testing.assert_allclose(found.weight_sum, expected.weight_sum, rtol=1e-14)


def check_one_problem(engine: Engine, layout: str, dtype: Any, weighted: bool, rng: Any) -> None:
    X, y, s = problem(rng, N, D, 0.5, dtype, weighted)
    rows = engine.place(laid_out(X, layout), y, s)
    picked = RowSample(rng.integers(0, N, 23), 0.5 + rng.random(23))
    for columns in some_columns(rng):
        restricted, alone = rows.restricted(columns), engine.place(laid_out(X[:, columns], layout), y, s)
        check_figures(restricted, alone)
        assert restricted.targets is rows.targets
        assert restricted.rates == alone.rates
        assert_same_rows(restricted, loop_over(X[:, columns], y, s), rng)
        W, V = rng.standard_normal((2, len(columns) + 1))
        np.testing.assert_allclose(restricted.logits(W), alone.logits(W), rtol=1e-12, atol=1e-12)
        if layout == "dense":
            found, expected = (which.column_moments(centred=True) for which in (restricted, alone))
            np.testing.assert_array_equal(found.means, expected.means)
            np.testing.assert_array_equal(found.deviations, expected.deviations)
        loop = loop_over(X[:, columns], y, s).sample(picked)
        for sample in (restricted.sample(picked), rows.sample(picked).restricted(columns)):
            assert (sample.n_rows, sample.n_features, sample.dtype) == (23, len(columns), X.dtype)
            assert_same_answers(sample, loop, W, V)
        again = rng.permutation(len(columns))
        twice = restricted.restricted(again)
        check_figures(twice, engine.place(laid_out(X[:, columns[again]], layout), y, s))
        assert_same_rows(twice, loop_over(X[:, columns[again]], y, s), rng)


def check_several_columns(
    engine: Engine, layout: str, dtype: Any, weights: str, K: int, rng: np.random.Generator
) -> None:
    X, Y, s = column_problems.column_problem(rng, N, D, K, dtype, weights)
    X[rng.random(X.shape) < 0.5] = 0.0
    rows = engine.place(laid_out(X, layout), Y, s)
    picked = RowSample(np.arange(N), 0.5 + rng.random(N))
    for columns in some_columns(rng):
        restricted, alone = rows.restricted(columns), engine.place(laid_out(X[:, columns], layout), Y, s)
        check_figures(restricted, alone)
        assert type(restricted) is type(alone)
        assert restricted.targets is rows.targets
        assert restricted.rates == alone.rates
        W, V = rng.standard_normal((2, len(columns) + 1, K))
        column_problems.assert_same_answers(restricted, alone, W, V)
        zero, one = np.zeros(len(columns)), np.ones(len(columns))
        for ask in (
            lambda which, W=W: which.hessian_diagonal(W),
            lambda which, W=W: which.logits(W),
            lambda which, W=W: which.descend(W, 0.1, 0.01, 3, True).W,
            lambda which, W=W, zero=zero, one=one: which.hessian(W, zero, one, precision="float64"),
        ):
            np.testing.assert_allclose(ask(restricted), ask(alone), rtol=1e-11, atol=1e-12)
        assert restricted.largest_entry() == alone.largest_entry()
        loop = alone.sample(picked)
        for sample in (restricted.sample(picked), rows.sample(picked).restricted(columns)):
            column_problems.assert_same_answers(sample, loop, W, V)


def check_classes(
    engine: Engine, layout: str, dtype: Any, weights: str, K: int, rng: np.random.Generator
) -> None:
    X, y, s = class_problems.class_problem(rng, N, D, K, dtype, weights)
    rows = engine.place(laid_out(X, layout), y, s, n_classes=K)
    picked = RowSample(np.arange(N), 0.5 + rng.random(N))
    for columns in some_columns(rng):
        restricted: Any = rows.restricted(columns)
        alone: Any = engine.place(laid_out(X[:, columns], layout), y, s, n_classes=K)
        check_figures(restricted, alone)
        assert type(restricted) is type(alone)
        assert restricted.n_classes == K
        assert restricted.targets is rows.targets
        assert restricted.rates == alone.rates
        W, V = rng.standard_normal((2, len(columns) + 1, K))
        class_problems.assert_same_answers(restricted, alone, W, V)
        zero, one = np.zeros(len(columns)), np.ones(len(columns))
        for ask in (
            lambda which, W=W: which.hessian_diagonal(W),
            lambda which, W=W: which.curvature_sums(W)[1],
            lambda which, W=W: which.intercept_hessian(W),
            lambda which, W=W: which.logits(W),
            lambda which, W=W: which.descend(W, 0.1, 0.01, 3, True).W,
            lambda which, W=W, zero=zero, one=one: which.hessian(W, zero, one, precision="float64"),
        ):
            np.testing.assert_allclose(ask(restricted), ask(alone), rtol=1e-11, atol=1e-12)
        for found, expected in zip(
            restricted.kronecker_factors(W, zero, one), alone.kronecker_factors(W, zero, one), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        assert restricted.longest_row(zero, one) == pytest.approx(alone.longest_row(zero, one), rel=1e-12)
        for sample in (restricted.sample(picked), rows.sample(picked).restricted(columns)):
            class_problems.assert_same_answers(sample, alone.sample(picked), W, V)


def check_reads(engine: Engine, layout: str, of: str, rng: np.random.Generator) -> None:
    """A read for the copy, then of a pass the share that the columns have of X's entries."""
    X, y, _ = class_problems.class_problem(rng, N, D, 3, np.float64)
    Y: Any = {"problem": (y > 0) * 1.0, "columns": np.eye(3)[y], "classes": y}[of]
    rows = engine.place(laid_out(X, layout), Y, None, n_classes=3 if of == "classes" else None)
    W = np.zeros((D + 1,) if of == "problem" else (D + 1, 3))
    rows.loss_grad(W)
    one, columns = rows.reads, np.array([8, 1, 3])
    some = X[:, columns]
    share = 1 / 3 if layout == "dense" else np.count_nonzero(some) / np.count_nonzero(X)
    restricted = rows.restricted(columns)
    assert rows.reads == restricted.reads == pytest.approx(one + 1)
    restricted.loss_grad(W[:4])
    assert rows.reads == restricted.reads == pytest.approx((1 + share) * one + 1)
    before, last = rows.reads, np.array([2])
    of_last = 1 / 9 if layout == "dense" else np.count_nonzero(some[:, last]) / np.count_nonzero(X)
    again = restricted.restricted(last)
    assert rows.reads - before == pytest.approx(share)
    again.loss_grad(W[:2])
    assert rows.reads - before == pytest.approx(share + of_last * one)
    before = rows.reads
    sample = again.sample(RowSample(np.arange(N // 2), np.ones(N // 2)))
    copying = rows.reads - before
    assert 0.99 * of_last / 2 <= copying <= 1.01 * of_last  # sparse rows on a device are read twice
    sample.loss_grad(W[:2])
    assert rows.reads - before - copying == pytest.approx(of_last / 2 * one)
