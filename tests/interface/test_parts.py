"""Columns over parts of the rows: the same answers as from the weights of every row and column."""

from __future__ import annotations

import numpy as np
import pytest
from support.column_problems import assert_close
from support.csr_problems import sparse

from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.columns import ColumnRows
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parts import Parts, PartTargets


@pytest.mark.parametrize("K", [2, 11])
@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("weights", [False, True])
def test_parts_are_weights(
    backend: Engine, rng: np.random.Generator, dtype: type[np.floating], layout: str, K: int, weights: bool
) -> None:
    n, d = 60, 5
    X = rng.standard_normal((n, d)).astype(dtype)
    given = sparse(X) if layout == "csr" else X
    Y = rng.integers(0, 2, (n, K)).astype(np.int8)
    of_rows = rng.random(n) + 0.5 if weights else None
    parts = Parts(rng.integers(0, 4, n), rng.integers(0, 3, (4, K)) + np.eye(4, K))
    s = parts.times[parts.of_row] * (1.0 if of_rows is None else of_rows[:, np.newaxis])
    expected = backend.place(given, Y, s)
    first = backend.place(given, Y[:, :1], of_rows)
    assert isinstance(first, ColumnRows)
    targets = PartTargets(Y, of_rows, parts)
    found = first.around(targets)
    assert found.n_columns == K
    assert found.reads == first.reads
    W, V = rng.standard_normal((2, d + 1, K))
    picked = RowSample(np.arange(0, n, 2), rng.random(n // 2) + 0.5)
    for ours, theirs in ((found, expected), (found.sample(picked), expected.sample(picked))):
        np.testing.assert_allclose(ours.weight_sum, theirs.weight_sum)
        np.testing.assert_allclose(ours.loss_grad(W)[0], theirs.loss_grad(W)[0], rtol=1e-11)
        assert_close(ours.loss_grad(W)[1], theirs.loss_grad(W)[1], 1e-11)
        assert_close(ours.hessian_product(W, V), theirs.hessian_product(W, V), 1e-11)
    np.testing.assert_allclose(found.logits(W), X.astype(np.float64) @ W[:-1] + W[-1], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(targets.weights_of(np.arange(n)), s.sum(axis=1))
    np.testing.assert_allclose(targets.s, s)
    one, rest = found.problem(K - 1), targets.column(K - 1)
    assert rest.s is not None
    np.testing.assert_allclose(rest.s, s[:, K - 1])
    assert one.loss_grad(W[:, 0].copy())[0] == pytest.approx(
        backend.place(given, Y[:, K - 1].copy(), s[:, K - 1].copy()).loss_grad(W[:, 0].copy())[0], rel=1e-11
    )


def test_reads_of_other_problems_count_in_one_tally(backend: Engine, rng: np.random.Generator) -> None:
    X, Y = rng.standard_normal((30, 3)), rng.integers(0, 2, (30, 2)).astype(np.int8)
    first = backend.place(X, Y[:, :1])
    assert isinstance(first, ColumnRows)
    other = first.around(PartTargets(Y, None, Parts(np.arange(30) % 2, 1.0 - np.eye(2))))
    other.loss_grad(np.zeros((4, 2)))
    other.problem(1).loss_grad(np.zeros(4))
    assert first.reads == other.reads >= 2.0
