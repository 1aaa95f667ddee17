"""Problems for the solvers in sample space, and whether a solution keeps its promise."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from support import reference

from accel_logreg.backends import load_backend
from accel_logreg.fitting.binary import costs_of
from accel_logreg.problem.objective import Objective
from accel_logreg.solvers.gradient_descent import gradient_descent
from accel_logreg.solvers.gram.descent import gram_descent
from accel_logreg.solvers.gram.newton import gram_newton
from accel_logreg.solvers.problem import Budget, Solution


@dataclass
class Problem:
    """Data and an engine."""

    X: Any
    y: Any
    C: float = 1.0
    s: Any = None
    fit_intercept: bool = True
    engine: str = "numba"
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.backend = load_backend(self.engine)
        self.reference = reference.Problem(self.X, self.y, self.s, self.C, self.fit_intercept)
        self.objective = Objective(
            self.backend.place(self.X, self.y, self.s),
            l2=float(self.reference.l2),
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

    def excess(self, solution: Solution) -> float:
        """How far it is above the optimum."""
        return self.reference.excess(solution.W[:-1], solution.W[-1])

    def promised(self, solution: Solution) -> float:
        """How far from the optimum a solution may be; rounding W to float64 alone moves J by 1e-13."""
        return solution.gap * (1 + 1e-6 if solution.gap_kind == "certified" else 2) + 1e-13

    def assert_solved(self, solution: Solution, tol: float, kind: str | None = "certified") -> None:
        assert self.excess(solution) <= self.promised(solution)
        assert solution.gap <= tol, solution
        assert not solution.trouble
        assert kind in (solution.gap_kind, None)
        w, b = self.reference.optimum
        np.testing.assert_allclose(
            self.logits(solution.W),
            (self.X @ w + b).astype(float),
            atol=1e-4 * math.sqrt(self.C) + 1e-9,
        )


def data(
    seed: int, n: int = 12, d: int = 40, dtype: type[np.floating] = np.float64, offset: float = 0.0
) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(np.float64)
    y[:2] = 0.0, 1.0
    return (rng.standard_normal((n, d)) + offset).astype(dtype), y
