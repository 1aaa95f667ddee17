"""Samples of rows, the count of reads they share, and arrays nobody may write to."""

from __future__ import annotations

import numpy as np
import pytest
from support.interface_problems import assert_same_answers, assert_same_curvature, problem

from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.engine import Engine


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("size", [1, 7, 45])
def test_a_sample_is_those_rows_with_those_weights(
    backend: Engine, dtype: type[np.floating], weighted: bool, size: int, rng: np.random.Generator
) -> None:
    X, y, s = problem(rng, 30, 5, dtype, weighted)
    picked = RowSample(rng.integers(0, 30, size), 0.5 + rng.random(size))
    weights = picked.factors if s is None else s[picked.rows] * picked.factors
    sample = backend.place(X, y, s).sample(picked)
    loop = PythonRows(X[picked.rows], y[picked.rows], weights)
    assert (sample.n_rows, sample.n_features, sample.dtype) == (size, 5, np.dtype(dtype))
    assert sample.weight_sum == pytest.approx(weights.sum(), rel=1e-14)
    W, V = rng.standard_normal((2, 6))
    assert_same_answers(sample, loop, W, V)
    assert sample.largest_entry() == loop.largest_entry()
    centre, scale = rng.standard_normal(5), 0.5 + rng.random(5)
    again = RowSample(rng.integers(0, size, 4), np.ones(4))
    for which in (None, again):
        assert_same_curvature(
            sample.hessian(W, centre, scale, sample=which, precision="float64"),
            loop.hessian(W, centre, scale, sample=which),
            1e-12,
        )
    assert_same_answers(sample.sample(again), loop.sample(again), W, V)


def test_a_sample_is_a_copy(backend: Engine, rng: np.random.Generator) -> None:
    X, y, _ = problem(rng, 12, 3, np.float64, False)
    sample = backend.place(X, y, None).sample(RowSample(np.arange(6), np.ones(6)))
    before = sample.loss_grad(np.ones(4))
    X += 1.0
    after = sample.loss_grad(np.ones(4))
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1], after[1])


def test_reads_of_the_other_questions(backend: Engine, rng: np.random.Generator) -> None:
    rows = backend.place(*problem(rng, 12, 3, np.float64, False))
    W, centre, scale = np.zeros(4), np.zeros(3), np.ones(3)
    questions = {
        "hessian": lambda: rows.hessian(W, centre, scale),
        "diagonal": lambda: rows.hessian_diagonal(W),
        "gram": lambda: rows.gram(centre),
        "combination": lambda: rows.combination(np.ones(12)),
    }
    cost = {}
    for name, ask in questions.items():
        before = rows.reads
        ask()
        cost[name] = rows.reads - before
        assert cost[name] >= 1, name
    before = rows.reads
    rows.hessian(W, centre, scale, sample=RowSample(np.arange(3), np.ones(3)))
    assert rows.reads - before == pytest.approx(cost["hessian"] / 4)


def test_a_sample_counts_into_the_same_reads(backend: Engine, rng: np.random.Generator) -> None:
    rows = backend.place(*problem(rng, 20, 3, np.float64, False))
    W = np.zeros(4)
    rows.loss_grad(W)
    one = rows.reads
    sample = rows.sample(RowSample(np.arange(5), np.ones(5)))
    assert rows.reads == sample.reads == pytest.approx(one + 0.25)
    sample.loss_grad(W)
    assert rows.reads == sample.reads == pytest.approx(1.25 * one + 0.25)
    small = sample.sample(RowSample(np.arange(2), np.ones(2)))
    assert small.reads == rows.reads == pytest.approx(1.25 * one + 0.25 + 0.1)
    rows.loss_grad(W)
    small.loss_grad(W)
    assert small.reads == pytest.approx(2.35 * one + 0.35)


def test_read_only_inputs(backend: Engine, dtype: type[np.floating], rng: np.random.Generator) -> None:
    X, y, s = problem(rng, 20, 3, dtype, True)
    W, centre, scale, a = rng.standard_normal(4), np.zeros(3), np.ones(3), np.ones(20)
    picked = RowSample(np.arange(0, 20, 3), np.ones(7))
    arrays = (X, y, s, W, centre, scale, a, picked.rows, picked.factors)
    copies = [array.copy() for array in arrays if array is not None]
    for array in arrays:
        assert array is not None
        array.flags.writeable = False
    rows = backend.place(X, y, s)
    rows.hessian(W, centre, scale)
    rows.hessian(W, centre, scale, sample=picked, precision="float64")
    rows.hessian_diagonal(W)
    rows.gram(centre)
    rows.combination(a)
    rows.sample(picked).loss_grad(W)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_answers_are_the_callers_to_change(backend: Engine, rng: np.random.Generator) -> None:
    rows = backend.place(*problem(rng, 20, 3, np.float64, True))
    W, centre, scale, a = np.ones(4), np.zeros(3), np.ones(3), np.ones(20)
    for ask in (
        lambda: rows.hessian(W, centre, scale),
        lambda: rows.hessian_diagonal(W),
        lambda: rows.gram(centre),
        lambda: rows.combination(a),
        lambda: rows.hessian_product(W, W),
        lambda: rows.loss_grad(W)[1],
    ):
        answer = ask()
        expected = answer.copy()
        answer *= 2.0
        np.testing.assert_array_equal(ask(), expected)
