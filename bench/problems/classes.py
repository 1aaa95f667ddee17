"""Seeded problems of three and more classes, as people fit: tables, pictures, embeddings, text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits

from bench.problems.problem import SEED, Float64, Problem


def table(n: int, K: int = 7) -> Problem:
    """Ten correlated numbers and two one-hot groups, of 4 levels and of 40 that thin out: (n, 54) float64.

    Two classes are frequent and the others rare, as land cover is.
    """
    rng = np.random.default_rng(SEED)
    numbers = 0.5 * rng.standard_normal((n, 10)) @ rng.standard_normal((10, 10))
    numbers += rng.standard_normal((n, 10))
    X = np.hstack([numbers, _one_hot(rng, n, 4, 0.5), _one_hot(rng, n, 40, 1.0)])
    w = rng.standard_normal((54, K)) * np.where(np.arange(54) < 10, 0.4, 1.0)[:, np.newaxis]
    shares = np.append([10.0, 13.0], np.linspace(0.2, 2.0, K - 2))
    return Problem(f"table {n}x54, {K} classes", X, _drawn(rng, X @ w + np.log(shares)))


def pictures(n: int, K: int = 10) -> Problem:
    """28 x 28 grey pictures with values of 0 to 255 over 255, six prototypes a class: (n, 784) float32."""
    rng = np.random.default_rng(SEED)
    y = rng.integers(0, K, n)
    place = np.arange(28) - 13.5
    middle = np.exp(-(place[:, np.newaxis] ** 2 + place**2) / 90.0)
    spots = [gaussian_filter((rng.random((28, 28)) < 0.12) * 1.0, 1.5) * middle for _ in range(6 * K)]
    bends = [gaussian_filter(rng.standard_normal((28, 28)), 2.0) * middle for _ in range(60)]
    prototypes = np.array([spot / spot.max() for spot in spots]).reshape(-1, 784)
    directions = np.array([bend / np.abs(bend).max() for bend in bends]).reshape(-1, 784)
    X = prototypes[6 * y + rng.integers(0, 6, n)] + 0.15 * rng.standard_normal((n, 60)) @ directions
    X += 0.03 * rng.standard_normal((n, 784))
    X = np.round(np.clip(X - 0.08, 0.0, 1.0) * 255.0) / 255.0
    return Problem(f"pictures {n}x784, {K} classes", X.astype(np.float32), _noisy(rng, y, K, 0.05))


def embeddings(n: int, d: int, K: int) -> Problem:
    """Classes around centres, in a basis of falling variances that is turned: (n, d) float32."""
    rng = np.random.default_rng(SEED)
    spread = 1.0 / np.sqrt(np.arange(1.0, d + 1.0))
    turned = np.linalg.qr(rng.standard_normal((d, d)))[0].astype(np.float32)
    centres = (spread * rng.standard_normal((K, d))).astype(np.float32)
    y = rng.integers(0, K, n)
    X = (1.5 * spread).astype(np.float32) * rng.standard_normal((n, d), dtype=np.float32)
    X += centres[y]
    return Problem(f"embeddings {n}x{d}, {K} classes", X @ turned, _noisy(rng, y, K, 0.1))


def topics(n: int, d: int, nonzeros: int, K: int) -> Problem:
    """Rows like tf-idf vectors; a seventh of the words are those of the row's class: (n, d) CSR float64."""
    rng = np.random.default_rng(SEED)
    y = rng.integers(0, K, n)
    cumulative = np.cumsum(1.0 / (np.arange(d) + 2.7))
    rows = np.repeat(np.arange(n), rng.poisson(rng.lognormal(0.0, 0.5, n) * nonzeros / n / 1.13) + 1)
    words = np.searchsorted(cumulative, rng.random(rows.size) * cumulative[-1])
    own = rng.random(rows.size) < 0.15
    words[own] = (20 * rng.pareto(1.0, int(own.sum()))).astype(np.int64) % (d // K) * K + y[rows[own]]
    words = rng.permutation(d)[np.minimum(words, d - 1)]
    X = sparse.csr_matrix((np.ones(rows.size), (rows, words)), shape=(n, d))
    used = np.bincount(X.indices, minlength=d)
    X.data = (1.0 + np.log(X.data)) * np.log((1.0 + n) / (1.0 + used))[X.indices]
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    X.data /= np.repeat(np.maximum(norms, 1e-300), np.diff(X.indptr))
    return Problem(f"topics {n}x{d}, {K} classes", X, _noisy(rng, y, K, 0.05))


def digits() -> Problem:
    """scikit-learn's 1797 x 64, from 0 to 1."""
    X, y = load_digits(return_X_y=True)
    return Problem("digits 1797x64, 10 classes", X / 16.0, y.astype(np.float64))


def _one_hot(rng: np.random.Generator, n: int, levels: int, thinning: float) -> Float64:
    chances = np.arange(1.0, levels + 1.0) ** -thinning
    return np.eye(levels)[rng.choice(levels, n, p=chances / chances.sum())]


def _drawn(rng: np.random.Generator, z: Float64) -> Float64:
    y: Float64 = (z + rng.gumbel(size=z.shape)).argmax(axis=1).astype(np.float64)
    return y


def _noisy(rng: np.random.Generator, y: NDArray[Any], K: int, share: float) -> Float64:
    """Labels of which a share is drawn anew."""
    return np.where(rng.random(len(y)) < share, rng.integers(0, K, len(y)), y).astype(np.float64)
