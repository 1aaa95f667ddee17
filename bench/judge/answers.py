"""Independent answers to check an engine's with: whole arrays, NumPy and SciPy, float64; nothing of ours.

The gradient and descents are beside their problems, in bench/problems/.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit

from bench.judge import optimum, score
from bench.judge.score import Data
from bench.problems.dense import Float64, Problem
from bench.problems.sparse import SparseProblem

# An independent optimum is itself rounded; a fit below it by more would mean that it is no optimum.
BELOW = 1e-11
_ROWS = 20_000  # in a block of a Hessian: its scaled copy stays small


def close(expected: Any, relative: float = 1e-8, of_largest: float = 1e-11) -> Callable[[Any], None]:
    """A check: every number of an answer is right, but for ``relative`` and a share of the largest."""
    within = of_largest * np.abs(expected).max()
    return lambda answer: np.testing.assert_allclose(answer, expected, rtol=relative, atol=within)


def close_gradient(loss: Any, gradient: Float64) -> Callable[[tuple[Any, Float64]], None]:
    """A check of a (loss, gradient) pair."""
    near = close(gradient)

    def check(answer: tuple[Any, Float64]) -> None:
        np.testing.assert_allclose(answer[0], loss, rtol=1e-11)
        near(answer[1])

    return check


def curvatures(problem: Problem, W: Float64) -> Float64:
    """a(1 - a)/n of every row, (n,)."""
    a = expit(problem.X.astype(np.float64) @ W[:-1] + W[-1])
    h: Float64 = a * (1.0 - a) / len(problem.y)
    return h


def hessian(problem: Problem, W: Float64, centre: Float64, scale: Float64) -> Float64:
    """The Hessian of the mean loss at W in the coordinates ((x - centre)/scale, 1): (p, p)."""
    h = curvatures(problem, W)
    d = problem.X.shape[1]
    H = np.zeros((d + 1, d + 1))
    for start in range(0, len(h), _ROWS):
        rows = slice(start, start + _ROWS)
        Z = np.ones((len(h[rows]), d + 1))
        Z[:, :d] = (problem.X[rows].astype(np.float64) - centre) / scale
        H += (Z * h[rows, None]).T @ Z
    return H


def hessian_product(problem: Problem, W: Float64, V: Float64) -> Float64:
    """The Hessian of the mean loss at W times V, (p,)."""
    X = problem.X.astype(np.float64)
    scaled = curvatures(problem, W) * (X @ V[:-1] + V[-1])
    return np.append(scaled @ X, scaled.sum())


def data_of(problem: Problem | SparseProblem) -> Data:
    """The problem as the evaluator takes it."""
    if isinstance(problem, Problem):
        return Data(problem.X, problem.y)
    X = problem.X
    return Data(csr_matrix((X.data, X.indices, X.indptr), shape=X.shape), problem.y)


class Judge:
    """``judge(w, b)``: the relative suboptimality, from J* of a Newton's method in float64 at C = 1.

    bound : how far J* may be off, relative; it must be certified to be within BELOW
    """

    def __init__(self, problem: Problem | SparseProblem) -> None:
        self._data = data_of(problem)
        best = optimum.solve(self._data)
        self._least, self.bound = best.value, best.bound
        assert best.bound <= BELOW, f"J* is only known within {best.bound:.1e}: too little to judge by"

    def __call__(self, w: Any, b: float) -> float:
        value = score.objective(self._data, np.append(np.asarray(w, dtype=np.float64), b))
        return (value - self._least) / self._least
