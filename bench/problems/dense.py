"""Seeded problems, and independent answers to check an engine's with: plain NumPy and SciPy, float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

SEED = 20261123

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """X (n, d) float32 or float64; y (n,) 0.0 or 1.0."""

    name: str
    X: NDArray[np.float32] | NDArray[np.float64]
    y: Float64

    @property
    def shape(self) -> str:
        return f"{self.X.shape[0]}x{self.X.shape[1]}"

    @property
    def weights(self) -> Float64:
        return point(self.X.shape[1])


def point(d: int) -> Float64:
    """Weights (p,) away from zero, with logits of about 1."""
    W: Float64 = np.random.default_rng(SEED + 1).standard_normal(d + 1) / np.sqrt(d)
    return W


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


def loss_grad(problem: Problem, W: Float64) -> tuple[float, Float64]:
    """Mean loss and its gradient, whole arrays in float64."""
    X = problem.X.astype(np.float64, copy=False)
    z = X @ W[:-1] + W[-1]
    residual = (expit(z) - problem.y) / len(z)
    loss = float(np.mean(np.logaddexp(0.0, z) - problem.y * z))
    return loss, np.append(residual @ X, residual.sum())


def descend(problem: Problem, learning_rate: float, steps: int) -> tuple[Float64, Float64]:
    """Gradient descent on the mean loss from zero: weights, and the cost before each step."""
    W = np.zeros(problem.X.shape[1] + 1)
    costs = np.empty(steps)
    for k in range(steps):
        costs[k], gradient = loss_grad(problem, W)
        W -= learning_rate * gradient
    return W, costs
