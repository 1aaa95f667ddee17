"""Problems for the solvers in sample space, and their optimum in extended precision."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from accel_logreg.backends import load_backend
from accel_logreg.fitting import costs_of
from accel_logreg.problem.objective import Objective
from accel_logreg.solvers.gradient_descent import gradient_descent
from accel_logreg.solvers.gram.descent import gram_descent
from accel_logreg.solvers.gram.newton import gram_newton
from accel_logreg.solvers.problem import Budget, Solution

Long = np.longdouble


def solve(H: Any, g: Any) -> Any:
    """H⁻¹ g for a positive definite H by elimination, in the precision it comes in."""
    H, x = H.copy(), g.copy()
    for k in range(len(x)):
        factor = H[k + 1 :, k] / H[k, k]
        H[k + 1 :, k:] -= np.outer(factor, H[k, k:])
        x[k + 1 :] -= factor * x[k]
    for k in reversed(range(len(x))):
        x[k] = (x[k] - H[k, k + 1 :] @ x[k + 1 :]) / H[k, k]
    return x


@dataclass
class Problem:
    """Data, an engine, and J in extended precision."""

    X: Any
    y: Any
    C: float = 1.0
    s: Any = None
    fit_intercept: bool = True
    engine: str = "numba"
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.backend = load_backend(self.engine)
        self.weights = np.ones(len(self.y)) if self.s is None else self.s
        self.objective = Objective(
            self.backend.place(self.X, self.y, self.s),
            l2=0.0 if math.isinf(self.C) else 1.0 / (self.C * float(self.weights.sum())),
            fit_intercept=self.fit_intercept,
        )

    def logits(self, W: Any) -> Any:
        return self.backend.logits(self.X, W)

    def newton(self, *, tol: float = 1e-10, far: float = 0.0, W: Any = None, max_iter: int = 200) -> Solution:
        centre = np.zeros(self.X.shape[1])
        if self.fit_intercept:
            centre = self.X.mean(axis=0, dtype=np.float64) + far
        with self.backend.threads(1):
            return gram_newton(self.objective, W, self._budget(tol, max_iter), centre=centre)

    def explicit_descent(self, W: Any, rate: float | None, steps: int) -> Solution:
        with self.backend.threads(1):
            return gradient_descent(self.objective, W, self._budget(1e-8, steps, rate))

    def descent(self, W: Any, rate: float | None, steps: int) -> Solution:
        with self.backend.threads(1):
            return gram_descent(self.objective, W, self._budget(1e-8, steps, rate))

    def _budget(self, tol: float, max_iter: int, rate: float | None = None) -> Budget:
        costs = costs_of(self.objective.rows)
        return Budget(tol, max_iter, costs, learning_rate=rate, report=self.lines.append)

    def J(self, w: Any, b: Any) -> Any:
        s, sign = self.weights.astype(Long), 1 - 2 * self.y.astype(Long)
        loss = s @ np.logaddexp(Long(0), sign * (self.X.astype(Long) @ w + b)) / s.sum()
        return loss if math.isinf(self.C) else loss + w @ w / (2 * Long(self.C) * s.sum())

    def optimum(self) -> tuple[Any, Any]:
        """W and J at the minimum, by damped Newton in extended precision."""
        X, s, sign = self.X.astype(Long), self.weights.astype(Long), 1 - 2 * self.y.astype(Long)
        S, centre = s.sum(), np.zeros(X.shape[1], dtype=Long)
        penalty = np.full(X.shape[1] + 1, 1 / (Long(self.C) * S))
        penalty[-1] = 0 if self.fit_intercept else 1
        if self.fit_intercept:
            centre = s @ X / S
        Z = np.c_[X - centre, np.full(len(X), float(self.fit_intercept))].astype(Long)
        u = np.zeros(Z.shape[1], dtype=Long)

        def value(u: Any) -> Any:
            return s @ np.logaddexp(Long(0), sign * (Z @ u)) / S + (penalty * u) @ u / 2

        for _ in range(200):
            a = 1 / (1 + np.exp(-sign * (Z @ u)))  # the wrong label's probability
            H = (Z * (s * a * (1 - a) / S)[:, np.newaxis]).T @ Z + np.diag(penalty)
            step = solve(H, Z.T @ (s * sign * a) / S + penalty * u)
            t = Long(1)
            while value(u - t * step) > value(u) and t > 1e-15:
                t /= 2
            if not value(u - t * step) < value(u):
                break
            u = u - t * step
        W = np.append(u[:-1], u[-1] - centre @ u[:-1] if self.fit_intercept else 0)
        return W, self.J(W[:-1], W[-1])

    def promised(self, solution: Solution) -> float:
        """How far from the optimum a solution may be; rounding W to float64 alone moves J by 1e-13."""
        return solution.gap * (1 + 1e-6 if solution.gap_kind == "certified" else 2) + 1e-13

    def assert_solved(self, solution: Solution, tol: float, kind: str | None = "certified") -> None:
        best, lowest = self.optimum()
        W = solution.W.astype(Long)
        true = float((self.J(W[:-1], W[-1]) - lowest) / lowest)
        assert true <= self.promised(solution)
        assert solution.gap <= tol, solution
        assert not solution.trouble
        assert kind in (solution.gap_kind, None)
        np.testing.assert_allclose(
            self.logits(solution.W),
            (self.X.astype(Long) @ best[:-1] + best[-1]).astype(float),
            atol=1e-4 * math.sqrt(self.C) + 1e-9,
        )


def data(
    seed: int, n: int = 12, d: int = 40, dtype: type[np.floating] = np.float64, offset: float = 0.0
) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(np.float64)
    y[:2] = 0.0, 1.0
    return (rng.standard_normal((n, d)) + offset).astype(dtype), y
