"""Seeded sparse problems with columns as unequal as words in text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit

from bench.problems.problem import SEED, Problem


def sparse_zipf(n: int, d: int, nnz: int, dtype: str, seed: int = SEED) -> Problem:
    """Column k of d, in shuffled order, is drawn with probability ∝ 1/k (Zipf); labels from the model.

    Values are lognormal around 1, their sign is positive, like counts and tf-idf. Rows differ in
    length by a factor of several.
    """
    rng = np.random.default_rng(seed)
    cells = _distinct_cells(rng, n, d, nnz)
    indptr = np.searchsorted(cells, np.arange(n + 1, dtype=np.int64) * d).astype(np.int32)
    indices = (cells % d).astype(np.int32)
    data = np.exp(0.5 * rng.standard_normal(nnz))
    X = csr_matrix((data, indices, indptr), shape=(n, d))
    w = rng.standard_normal(d) / np.sqrt(nnz / n)
    z = X @ w
    y = (rng.random(n) < expit(z - z.mean())).astype(np.float64)
    return Problem(f"zipf {n}x{d}", X.astype(dtype), y)


def _distinct_cells(rng: np.random.Generator, n: int, d: int, nnz: int) -> NDArray[np.int64]:
    """nnz different cells row d + column, in increasing order."""
    cumulative = np.cumsum(1.0 / np.arange(1, d + 1))
    order = rng.permutation(d)
    length = rng.gamma(4.0, 1.0, n)
    rows_until = np.cumsum(length)
    cells = np.empty(0, dtype=np.int64)
    while cells.size < nnz:
        draws = int(1.5 * (nnz - cells.size)) + 16
        row = np.minimum(np.searchsorted(rows_until, np.sort(rng.random(draws)) * rows_until[-1]), n - 1)
        rank = np.minimum(np.searchsorted(cumulative, rng.random(draws) * cumulative[-1]), d - 1)
        cells = np.sort(np.concatenate([cells, row * np.int64(d) + order[rank]]))
        cells = cells[np.diff(cells, prepend=-1) > 0]  # np.unique takes ten times as long
    return np.delete(cells, rng.choice(cells.size, cells.size - nnz, replace=False))
