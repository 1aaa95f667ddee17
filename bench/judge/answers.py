"""Independent answers to check an engine's with: whole arrays, NumPy and SciPy, float64; nothing of ours.

The gradient and descents are beside their problems, in problems.py and problems_sparse.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit

from bench.judge import optimum, score
from bench.judge.data import Data
from bench.problems.dense import Float64, Problem
from bench.problems.sparse import SparseProblem

_ROWS = 20_000  # in a block of a Hessian: its scaled copy stays small


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
    """The problem as the evaluator of bench/peers takes it."""
    if isinstance(problem, Problem):
        return Data(problem.X, problem.y)
    X = problem.X
    return Data(csr_matrix((X.data, X.indices, X.indptr), shape=X.shape), problem.y)


def best(problem: Problem | SparseProblem) -> optimum.Optimum:
    """J* at C = 1, by Newton's method in float64, with a bound on how far it may be off."""
    return optimum.solve(data_of(problem))


def value(problem: Problem | SparseProblem, w: Any, b: float) -> float:
    """J(w, b) at C = 1, in float64."""
    return score.objective(data_of(problem), np.asarray(w, dtype=np.float64), b)


def objective(problem: Problem | SparseProblem, model: Any) -> float:
    """J of a fitted estimator."""
    return value(problem, model.coef_[0], float(model.intercept_[0]))
