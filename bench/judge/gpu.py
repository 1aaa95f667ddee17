"""Our own judge of answers on a large X: J and its derivatives in float64, by expressions where X lies.

J(W) = mean(log(1 + e^z) − y z) + λ/2 ‖w‖², z = X w + b. Rows are widened to float64 a block at a time.
Nothing of the trainer under test is used here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.problems.dense import Float64
from bench.problems.gpu import GpuProblem
from bench.rivals.expressions import to_host

BLOCK_ENTRIES = 1 << 25
CURVATURE_ROWS = 200_000  # whose Hessian conditions the steps to the optimum
SETTLED = 1e-13  # relative decrement, at which J is the optimum's to all digits that matter
MOST_STEPS = 30


class Judge:
    """One problem's evaluator, and its optimum, found once."""

    def __init__(self, problem: GpuProblem) -> None:
        self._problem = problem
        self._best: tuple[Float64, float] | None = None

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        """Mean loss, and its gradient (p,); no penalty."""
        xp, n = self._problem.xp, len(self._problem.y)
        w, loss, slope = xp.asarray(W[:-1]), 0.0, 0.0
        gradient = xp.zeros(len(W) - 1)
        for X, y in self._blocks(n):
            z = X @ w + W[-1]
            loss += float((xp.logaddexp(0.0, z) - y * z).sum())
            residual = 1.0 / (1.0 + xp.exp(-z)) - y
            gradient += X.T @ residual
            slope += float(residual.sum())
        return loss / n, np.append(to_host(gradient), slope) / n

    def objective(self, W: Float64) -> float:
        """J(W); NaN for weights that are not finite."""
        if not np.isfinite(W).all():
            return float("nan")
        return self.loss_grad(W)[0] + 0.5 * self._problem.l2 * float(W[:-1] @ W[:-1])

    def optimum(self, near: Float64) -> float:
        """J*, from Newton's method that starts at ``near`` and ends where rounding does.

        Raises
        ------
        ArithmeticError
            It did not get there.
        """
        if self._best is None:
            self._best = self._solve(near)
        return self._best[1]

    def suboptimality(self, W: Float64, near: Float64) -> float:
        """(J(W) − J*)/J*, at least 0."""
        best = self.optimum(near)
        return max(0.0, (self.objective(W) - best) / best)

    def _solve(self, near: Float64) -> tuple[Float64, float]:
        W, l2 = near.astype(np.float64), self._problem.l2
        for _ in range(MOST_STEPS):
            loss, gradient = self.loss_grad(W)
            value = loss + 0.5 * l2 * float(W[:-1] @ W[:-1])
            gradient[:-1] += l2 * W[:-1]
            step = np.linalg.solve(self._hessian(W), gradient)
            if 0.5 * float(gradient @ step) <= SETTLED * value:
                return W, value
            W = W - step
        raise ArithmeticError(
            f"the evaluator did not find the optimum of {self._problem.name} in {MOST_STEPS} steps from "
            "where the fit ended; nothing can be judged by it"
        )

    def _hessian(self, W: Float64) -> Float64:
        """Of the leading rows, which are as random as any."""
        rows = min(len(self._problem.y), CURVATURE_ROWS)
        xp, d = self._problem.xp, len(W) - 1
        w, H = xp.asarray(W[:-1]), np.zeros((d + 1, d + 1))
        for X, _ in self._blocks(rows):
            a = 1.0 / (1.0 + xp.exp(-(X @ w + W[-1])))
            h = a * (1.0 - a)
            scaled = X * h[:, None]
            H[:-1, :-1] += to_host(X.T @ scaled)
            H[:-1, -1] += to_host(scaled.sum(axis=0))
            H[-1, -1] += float(h.sum())
        H[-1, :-1] = H[:-1, -1]
        H /= rows
        H[np.arange(d), np.arange(d)] += self._problem.l2
        return H

    def _blocks(self, n: int) -> Iterator[tuple[Any, Any]]:
        X, xp = self._problem.X, self._problem.xp
        rows = max(1, BLOCK_ENTRIES // X.shape[1])
        for first in range(0, n, rows):
            some = slice(first, min(n, first + rows))
            yield X[some].astype(np.float64), xp.asarray(self._problem.y[some])
