"""Problems of K classes, their answers by closed formulas, and what it means that rows give those."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from support.csr_problems import sparse

from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.classes import ClassRows
from accel_logreg.interface.engine import Engine

# One row, one feature, a class without rows; K of odd and even size; n and d around blocks of 8 and 16.
SHAPES = [(1, 1, 3), (5, 1, 11), (9, 7, 3), (17, 16, 4), (33, 31, 11), (100, 2, 3), (19, 130, 5)]
LAYOUTS = ["dense", "csr"]
WEIGHTS = ["none", "some 0"]


def class_problem(
    rng: np.random.Generator, n: int, d: int, K: int, dtype: Any, weights: str = "none"
) -> tuple[Matrix, Any, Float64 | None]:
    """Dense X (n, d) with zeros, y (n,) int32, s: half of its weights are 0."""
    X = (rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.6)).astype(dtype)
    y = rng.integers(0, K, n).astype(np.int32)
    if weights == "none":
        return X, y, None
    s = rng.random(n) * rng.integers(0, 2, n)
    s[rng.integers(n)] = 1.5
    return X, y, s


def placed(engine: Engine, X: Matrix, y: Any, s: Float64 | None, K: int, layout: str = "dense") -> ClassRows:
    rows = engine.place(X if layout == "dense" else sparse(X), y, s, n_classes=K)
    assert isinstance(rows, ClassRows)
    return rows


class Formulas:
    """A problem's answers, as the formulas in interface/classes.py have them, from whole float64 arrays."""

    def __init__(self, X: Matrix, y: Any, s: Float64 | None, K: int) -> None:
        self.x = np.c_[X.astype(np.float64), np.ones(len(X))]
        self.share = np.full(len(X), 1.0 / len(X)) if s is None else s / s.sum()
        self.Y = np.eye(K)[y]

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        z = self.x @ W
        losses = logsumexp(z, axis=1) - (z * self.Y).sum(axis=1)
        slopes = self.share[:, np.newaxis] * (softmax(z, axis=1) - self.Y)
        return float(self.share @ losses), self.x.T @ slopes

    def hessian(self, W: Float64, centre: Any = 0.0, scale: Any = 1.0) -> Float64:
        """(K, p, K, p)."""
        a = softmax(self.x @ W, axis=1)
        x = np.c_[(self.x[:, :-1] - centre) / scale, self.x[:, -1]]
        C = a[:, :, np.newaxis] * (np.eye(a.shape[1]) - a[:, np.newaxis, :])
        return np.einsum("i,ikm,ij,il->kjml", self.share, C, x, x, optimize=True)

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        return np.einsum("kjml,lm->jk", self.hessian(W), V)


def assert_near(found: Any, expected: Any, rtol: float = 1e-12) -> None:
    """Relative to the largest entry."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * (np.abs(expected).max() + 1e-300))


def assert_same_answers(rows: Any, expected: Any, W: Float64, V: Float64, rtol: float = 1e-12) -> None:
    """Both questions that an engine has its own kernels for; ``expected`` are rows or formulas."""
    loss, gradient = rows.loss_grad(W)
    expected_loss, expected_gradient = expected.loss_grad(W)
    assert loss == pytest.approx(expected_loss, rel=rtol, abs=1e-300)
    assert gradient.dtype == np.float64
    assert_near(gradient, expected_gradient, rtol)
    assert_near(rows.hessian_product(W, V), expected.hessian_product(W, V), rtol)


def check_every_question(
    backend: Engine, layout: str, weights: str, K: int, dtype: Any, rng: np.random.Generator
) -> None:
    """The questions that are put to rows of two classes, logits and samples, against the formulas."""
    n, d = 40, 6
    X, y, s = class_problem(rng, n, d, K, dtype, weights)
    W = rng.standard_normal((d + 1, K))
    centre = np.zeros(d) if layout == "csr" else rng.standard_normal(d)
    scale = rng.random(d) + 0.5
    rows, formulas = placed(backend, X, y, s, K, layout), Formulas(X, y, s, K)
    every = np.arange(K)

    def check_matrices(sample: RowSample | None, of: Formulas) -> None:
        H = of.hessian(W, centre, scale)
        size = K * (d + 1)
        for precision, rtol in (("float64", 1e-11), ("float32", 1e-5)):
            found = rows.hessian(W, centre, scale, sample=sample, precision=precision)
            assert_near(found, H.reshape(size, size), rtol)
            np.testing.assert_array_equal(found, found.T)
        own = H[every, :, every]
        A, G = rows.kronecker_factors(W, centre, scale, sample=sample)
        assert_near(G, own.sum(axis=0), 1e-5)
        of_intercepts = H[:, -1, :, -1]
        assert_near(A, of_intercepts / np.trace(of_intercepts), 1e-12)

    check_matrices(None, formulas)
    rows_picked, factors = np.r_[np.arange(0, n, 3), np.flatnonzero(formulas.share)[:1]], rng.random(15) + 0.5
    picked = RowSample(rows_picked, factors)
    of_sample = factors * (1.0 if s is None else s[rows_picked])
    formulas_of_sample = Formulas(X[rows_picked], y[rows_picked], of_sample, K)
    check_matrices(picked, formulas_of_sample)
    V = rng.standard_normal(W.shape)
    assert_same_answers(rows.sample(picked), formulas_of_sample, W, V, 1e-11)
    again = RowSample(np.arange(14, -1, -1), np.ones(15))
    assert_same_answers(rows.sample(picked).sample(again), formulas_of_sample, W, V, 1e-11)

    H = formulas.hessian(W)
    assert_near(rows.hessian_diagonal(W), np.einsum("kjkj->jk", H), 1e-11)
    sums = rows.curvature_sums(W)[1]
    assert_near(sums, np.einsum("kjk->jk", H[..., -1])[:-1], 1e-11)
    assert_near(rows.intercept_hessian(W), H[:, -1, :, -1], 1e-11)
    z = formulas.x @ W
    assert_near(rows.logits(W), z)
    assert_near(rows.probabilities(W), softmax(z, axis=1))
    for at in (X, X[:1]):
        assert_near(backend.logits(at if layout == "dense" else sparse(at), W), z[: len(at)])
    with_weight = X[formulas.share > 0.0].astype(np.float64)
    longest = np.sqrt(np.square((with_weight - centre) / scale).sum(axis=1).max() + 1.0)
    bound = rows.longest_row(centre, scale)
    entries = (np.abs(X).max() + np.abs(centre)) / scale
    assert longest <= bound * (1.0 + 1e-14) <= np.sqrt(entries @ entries + 1.0) * (1.0 + 1e-13)
    if backend.name in ("python", "numpy"):  # others may know the largest entry alone
        assert bound == pytest.approx(longest, rel=1e-12)
    assert rows.largest_entry() == float(np.abs(X).max())
