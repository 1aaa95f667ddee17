"""The reference: scikit-learn's LogisticRegression, sampled by tolerance as ours is.

Its ``tol`` bounds the largest entry of the mean loss's gradient, not a gap: points of two curves with the
same tolerance are not to be compared, points with the same objective value are.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from benchopt import BaseSolver
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression


class Solver(BaseSolver):
    name = "scikit-learn"
    sampling_strategy = "tolerance"
    requirements = ["pip::scikit-learn"]  # noqa: RUF012
    parameters = {"solver": ["newton-cholesky"]}  # noqa: RUF012  # also "lbfgs", which takes its time

    solver: str

    def skip(self, X: Any, y: Any, lmbd: float, fit_intercept: bool = False) -> tuple[bool, str | None]:  # noqa: ARG002
        """A Hessian of many features is no fair contest."""
        if self.solver == "newton-cholesky" and X.shape[1] > 5_000:
            return True, f"newton-cholesky would need a Hessian of {X.shape[1]}² entries"
        return False, None

    def set_objective(self, X: Any, y: Any, lmbd: float, fit_intercept: bool = False) -> None:
        self.X, self.y = X, y
        self.model = LogisticRegression(
            solver=self.solver,
            C=1.0 / lmbd if lmbd > 0 else float("inf"),
            fit_intercept=fit_intercept,
            max_iter=10_000,
        )
        self.origin = np.zeros(X.shape[1] + bool(fit_intercept))
        self.beta = self.origin

    @staticmethod
    def get_next(tolerance: float) -> float:
        return max(min(tolerance, 1.0) / 100.0, 1e-14)

    def run(self, tolerance: float) -> None:
        if tolerance >= 1.0:
            self.beta = self.origin
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.set_params(tol=tolerance).fit(self.X, self.y)
        self.beta = self.model.coef_.ravel()
        if self.model.fit_intercept:
            self.beta = np.append(self.beta, self.model.intercept_)

    def get_result(self) -> dict[str, Any]:
        return {"beta": self.beta}
