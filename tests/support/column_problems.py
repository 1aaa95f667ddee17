"""Problems of K columns, and what it means that an engine answers for every column."""

from __future__ import annotations

import numpy as np
import pytest
from support.csr_problems import sparse

from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Rows

WEIGHTS = ["none", "shared", "own"]


def column_problem(
    rng: np.random.Generator, n: int, d: int, K: int, dtype: type[np.floating], weights: str
) -> tuple[Matrix, Float64, Float64 | None]:
    X = rng.standard_normal((n, d)).astype(dtype)
    Y = (rng.random((n, K)) < 0.5).astype(np.float64)
    if weights == "none":
        return X, Y, None
    if weights == "shared":
        return X, Y, rng.integers(0, 3, n) + rng.random(n)
    s = rng.random((n, K)) * rng.integers(0, 2, (n, K))  # half of the rows are in no column's problem
    s[rng.integers(0, n, K), np.arange(K)] = 1.0
    return X, Y, s


def assert_close(found: Float64, expected: Float64, rtol: float = 1e-12) -> None:
    """Column by column, relative to the column's largest entry."""
    assert found.dtype == np.float64
    assert found.shape == expected.shape
    size = np.abs(expected).max(axis=0) + 1e-300
    assert (np.abs(found - expected) <= rtol * size).all(), np.max(np.abs(found - expected) / size)


def assert_same_answers(columns: Rows, loop: Rows, W: Float64, V: Float64, rtol: float = 1e-12) -> None:
    losses, gradient = columns.loss_grad(W)
    expected_losses, expected = loop.loss_grad(W)
    assert losses.shape == (W.shape[1],)
    np.testing.assert_allclose(losses, expected_losses, rtol=rtol, atol=1e-300)
    assert_close(gradient, expected, rtol)
    assert_close(columns.hessian_product(W, V), loop.hessian_product(W, V), rtol)


def check_every_question(
    backend: Engine, layout: str, weights: str, K: int, dtype: type[np.floating], rng: np.random.Generator
) -> None:
    """Hessians, diagonals, descents, logits and samples are those of the columns as problems of their own."""
    n, d = 40, 6
    dense, Y, s = column_problem(rng, n, d, K, dtype, weights)
    W = rng.standard_normal((d + 1, K))
    X = dense if layout == "dense" else sparse(dense)
    centre = np.zeros(d) if layout == "csr" else rng.standard_normal(d)
    scale, picked = rng.random(d) + 0.5, RowSample(np.arange(0, n, 3), rng.random(14) + 0.5)
    rows = backend.place(X, Y, s)
    assert rows.n_columns == K
    H = rows.hessian(W, centre, scale, precision="float64")
    of_some = rows.hessian(W, centre, scale, sample=RowSample(np.arange(n), np.ones(n)), precision="float64")
    diagonal, z, descent = rows.hessian_diagonal(W), rows.logits(W), rows.descend(W, 0.1, 0.01, 3, True)
    sample = rows.sample(picked)
    losses, gradient = sample.loss_grad(W)
    assert (H.shape, diagonal.shape, z.shape) == ((d + 1, d + 1, K), (d + 1, K), (n, K))
    assert descent.costs.shape == (3, K)
    assert rows.largest_entry() == pytest.approx(float(np.abs(dense).max()))
    for k in range(K):
        own = s if s is None or s.ndim == 1 else s[:, k].copy()
        loop, w = PythonRows(dense, Y[:, k], own), W[:, k].copy()
        expected = loop.hessian(w, centre, scale)
        np.testing.assert_allclose(H[..., k], expected, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(of_some[..., k], expected, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(diagonal[:, k], loop.hessian_diagonal(w), rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(z[:, k], loop.logits(w), rtol=1e-11, atol=1e-11)
        steps = loop.descend(w, 0.1, 0.01, 3, True)
        np.testing.assert_allclose(descent.W[:, k], steps.W, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(descent.costs[:, k], steps.costs, rtol=1e-10)
        if own is None or (own[picked.rows] > 0).any():
            loss, expected = loop.sample(picked).loss_grad(w)
            assert losses[k] == pytest.approx(loss, rel=1e-10)
            np.testing.assert_allclose(gradient[:, k], expected, rtol=1e-9, atol=1e-12)
