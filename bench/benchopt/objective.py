"""L2-penalised logistic regression in benchopt's format, with the keys of its public benchmark.

Everything here is float64 NumPy and SciPy; nothing of the trainer is used to judge it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from benchopt import BaseObjective


class Objective(BaseObjective):
    """f(beta) = Σ log(1 + exp(−yᵢ zᵢ)) + lmbd/2 ‖w‖², z = X w, or X w + c with beta = (w, c)."""

    name = "L2 logistic regression"
    min_benchopt_version = "1.7"
    requirements = ["pip::numpy", "pip::scipy", "pip::scikit-learn"]  # noqa: RUF012
    parameters = {"lmbd": [1.0, 0.1], "fit_intercept": [True, False]}  # noqa: RUF012

    lmbd: float
    fit_intercept: bool

    def skip(self, X: Any, y: Any, **_test: Any) -> tuple[bool, str | None]:  # noqa: ARG002
        if set(np.unique(y)) != {-1, 1}:
            return True, "the loss is written for labels −1 and 1"
        return False, None

    def set_data(self, X: Any, y: Any, X_test: Any = None, y_test: Any = None) -> None:
        """X (n, d) dense or sparse, y (n,) of −1 and 1; the same of a test set, which may be missing."""
        self.X, self.y = X, y
        self.X_test, self.y_test = X_test, y_test

    def get_objective(self) -> dict[str, Any]:
        return {"X": self.X, "y": self.y, "lmbd": self.lmbd, "fit_intercept": self.fit_intercept}

    def evaluate_result(self, beta: Any) -> dict[str, float]:
        """ "value": f(beta). "test_error": share of the test set on the wrong side, where there is one."""
        w, c = (beta[:-1], beta[-1]) if self.fit_intercept else (beta, 0.0)
        losses = np.logaddexp(0.0, -self.y * (self.X @ w + c))
        found = {"value": float(losses.sum() + 0.5 * self.lmbd * (w @ w))}
        if self.X_test is not None:
            found["test_error"] = float(np.mean(self.y_test * (self.X_test @ w + c) <= 0))
        return found

    def get_one_result(self) -> dict[str, Any]:
        return {"beta": np.zeros(self.X.shape[1] + self.fit_intercept)}
