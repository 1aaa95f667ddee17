"""Seeded dense problems, on the host, and large ones where X is to lie: on the host they take minutes."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

from bench.problems.problem import SEED, Float64, Problem, to_host

BLOCK_ENTRIES = 1 << 25  # of a large X made at a time


def correlated(n: int, d: int, dtype: str) -> Problem:
    """Neighbouring columns correlate at 0.5, scales run from 0.5 to 2; labels drawn from the model."""
    rng = np.random.default_rng(SEED)
    X = rng.standard_normal((n, d))
    X[:, 1:] = 0.5 * X[:, :-1] + np.sqrt(0.75) * X[:, 1:]
    X *= np.linspace(0.5, 2.0, d)
    z = X @ rng.standard_normal(d) / np.sqrt(d) - 0.5
    y = (rng.random(n) < expit(z)).astype(np.float64)
    return Problem(f"correlated {n}x{d}", X.astype(dtype), y)


def ill_conditioned(n: int, d: int, dtype: str) -> Problem:
    """Neighbouring columns correlate at 0.99 and scales run from 1e-4 to 1e4, in shuffled order."""
    rng = np.random.default_rng(SEED)
    X = rng.standard_normal((n, d))
    for j in range(1, d):
        X[:, j] = 0.99 * X[:, j - 1] + np.sqrt(1.0 - 0.99**2) * X[:, j]
    y = _labels(rng, X @ rng.standard_normal(d) / np.sqrt(d))
    X *= rng.permutation(np.logspace(-4.0, 4.0, d))
    return Problem(f"ill-conditioned {n}x{d}", X.astype(dtype), y)


def sorted_rows(n: int, d: int, dtype: str) -> Problem:
    """``correlated``, its rows ordered by label and then by the first column, as files often are."""
    problem = correlated(n, d, dtype)
    order = np.lexsort((problem.X[:, 0], problem.y))
    return Problem(f"sorted {n}x{d}", problem.X[order].astype(dtype), problem.y[order])


def rare_class(n: int, d: int, dtype: str, share: float = 1e-3) -> Problem:
    """``share`` of the rows are of class 1, which is moved by half a unit along every column."""
    rng = np.random.default_rng(SEED)
    X = rng.standard_normal((n, d))
    y = np.zeros(n)
    y[rng.choice(n, max(1, round(share * n)), replace=False)] = 1.0
    X[y == 1] += 0.5
    return Problem(f"rare class {n}x{d}", X.astype(dtype), y)


def pixels(n: int, dtype: str) -> Problem:
    """Values in [0, 1] of 64x64x3 entries, smooth along a row: the lesson's shape without its pictures."""
    rng = np.random.default_rng(SEED)
    X = np.clip(rng.random((n, 1)) + 0.1 * rng.standard_normal((n, 12_288)), 0.0, 1.0)
    y = (rng.random(n) < 0.5).astype(np.float64)
    X[y == 1, :4096] *= 0.9
    return Problem(f"pixels {n}x12288", X.astype(dtype), y)


def breast_cancer(dtype: str) -> Problem:
    """scikit-learn's 569 x 30, standardised."""
    X, y = load_breast_cancer(return_X_y=True)
    return Problem("breast cancer 569x30", scale(X).astype(dtype), y.astype(np.float64))


def _labels(rng: np.random.Generator, z: Float64) -> Float64:
    y: Float64 = (rng.random(len(z)) < expit(z)).astype(np.float64)
    return y


def correlated_on(xp: Any, n: int, d: int, dtype: str, seed: int = SEED) -> Problem:
    """As ``correlated``, by blocks of rows where ``xp`` has its arrays: CuPy's on a GPU, NumPy's on the host.

    Their streams of random numbers differ; a problem is the same from run to run with one of them.
    """
    rng, kind = xp.random.default_rng(seed), np.dtype(dtype).type
    truth = np.random.default_rng(seed + 2).standard_normal(d) / np.sqrt(d)
    scales, w = xp.asarray(np.linspace(0.5, 2.0, d).astype(dtype)), xp.asarray(truth.astype(dtype))
    X = xp.empty((n, d), dtype)
    y = np.empty(n)
    rows = max(1, BLOCK_ENTRIES // d)
    for first in range(0, n, rows):
        some = slice(first, min(n, first + rows))
        count = some.stop - first
        block = rng.standard_normal((count, d), dtype=kind)
        block[:, 1:] = 0.5 * block[:, :-1] + 0.75**0.5 * block[:, 1:]
        block *= scales
        z = block @ w - 0.5
        X[some] = block
        y[some] = to_host(rng.random(count, dtype=kind) < 1.0 / (1.0 + xp.exp(-z)))
    return Problem(f"correlated {n}x{d}", X, y)
