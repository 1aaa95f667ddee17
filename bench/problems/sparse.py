"""Seeded sparse problems with columns as unequal as words in text, and answers to check an engine's with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

from accel_logreg.interface.arrays import Csr
from bench.problems.dense import SEED, Float64


@dataclass(frozen=True)
class SparseProblem:
    """X (n, d) in compressed sparse rows, float32 or float64; y (n,) 0.0 or 1.0."""

    name: str
    X: Csr
    y: Float64

    @property
    def shape(self) -> str:
        return f"{self.X.shape[0]}x{self.X.shape[1]}, {self.X.data.size} nonzeros"

    @property
    def weights(self) -> Float64:
        """A point (p,) away from zero, with logits of about 1."""
        n, d = self.X.shape
        length = np.sqrt(self.X.data.size / n)
        W: Float64 = np.random.default_rng(SEED + 1).standard_normal(d + 1) / length
        return W


@cache
def sparse_zipf(n: int, d: int, nnz: int, dtype: str, seed: int = SEED) -> SparseProblem:
    """Column k of d, in shuffled order, is drawn with probability ∝ 1/k (Zipf); labels from the model.

    Values are lognormal around 1, their sign is positive, like counts and tf-idf. Rows differ in
    length by a factor of several.
    """
    rng = np.random.default_rng(seed)
    cells = _distinct_cells(rng, n, d, nnz)
    indptr = np.searchsorted(cells, np.arange(n + 1, dtype=np.int64) * d).astype(np.int32)
    indices = (cells % d).astype(np.int32)
    data = np.exp(0.5 * rng.standard_normal(nnz))
    X = csr_array((data, indices, indptr), shape=(n, d))
    w = rng.standard_normal(d) / np.sqrt(nnz / n)
    z = X @ w
    y = (rng.random(n) < expit(z - z.mean())).astype(np.float64)
    return SparseProblem(f"zipf {n}x{d}", Csr(data.astype(dtype), indices, indptr, (n, d)), y)


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


def loss_grad(problem: SparseProblem, W: Float64) -> tuple[float, Float64]:
    """Mean loss and its gradient by SciPy, in float64."""
    X = _scipy(problem)
    z = X @ W[:-1] + W[-1]
    residual = (expit(z) - problem.y) / z.size
    loss = float(np.mean(np.logaddexp(0.0, z) - problem.y * z))
    return loss, np.append(X.T @ residual, residual.sum())


def hessian_product(problem: SparseProblem, W: Float64, V: Float64) -> Float64:
    """The Hessian of the mean loss at W times V by SciPy, in float64."""
    X = _scipy(problem)
    a = expit(X @ W[:-1] + W[-1])
    scaled = a * (1.0 - a) * (X @ V[:-1] + V[-1]) / a.size
    return np.append(X.T @ scaled, scaled.sum())


def _scipy(problem: SparseProblem) -> csr_array:
    X = problem.X
    return csr_array((X.data.astype(np.float64), X.indices, X.indptr), shape=X.shape)
