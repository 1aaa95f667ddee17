"""J of K problems that share sparse X, a column each, in the coordinates of X.

Conjugate gradients that are preconditioned by the Hessian's diagonal do not depend on the scales of X's
columns, and the intercept is eliminated from it, so that they do not depend on the origin either: nothing is
standardised.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.columns import ColumnRows
from accel_logreg.problem.coordinates import Coordinates, Jacobi, standardised
from accel_logreg.problem.objective import Objective


class SparseColumnProblem:
    """J of every column over W (p, K): mean loss + λₖ/2 ‖w‖², l2 (K,) every column's λ."""

    def __init__(self, rows: ColumnRows, l2: Float64, *, fit_intercept: bool) -> None:
        self.rows, self.l2, self.fit_intercept = rows, l2, fit_intercept
        self.size, self.n_rows, self.n_columns = rows.n_features + 1, rows.n_rows, rows.n_columns

    @property
    def reads(self) -> float:
        return self.rows.reads

    def only(self, columns: NDArray[np.intp]) -> SparseColumnProblem:
        """These columns alone; what is known of the point that was asked about last stays known."""
        return SparseColumnProblem(
            self.rows.only(columns), self.l2[columns], fit_intercept=self.fit_intercept
        )

    def trivial(self) -> Float64:
        """(p, K): 0 but for the intercept, the log-odds of each column's labels."""
        W = np.zeros((self.size, self.n_columns), order="F")
        if self.fit_intercept:
            shares = self.rows.targets.label_shares()
            W[-1] = np.log(shares[1] / shares[0])
        return W

    def value_grad(self, W: Float64) -> tuple[Float64, Float64]:
        """Every column's J (K,) in nats, and its gradient (p, K). One read."""
        value, gradient = self.rows.loss_grad(W)
        return value + 0.5 * self.l2 * np.einsum("jk,jk->k", W[:-1], W[:-1]), self._whole(gradient, W)

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        """Every column's ∇²J at W[:, k] times V[:, k]: (p, K). One read."""
        return self._whole(self.rows.hessian_product(W, V), V)

    def _whole(self, sums: Float64, V: Float64) -> Float64:
        sums[:-1] += self.l2 * V[:-1]
        if not self.fit_intercept:
            sums[-1] = 0.0
        return sums

    def jacobi(self, W: Float64, columns: NDArray[np.intp]) -> list[Jacobi]:
        """The inverse of these columns' Hessians' diagonals, once the intercept is eliminated. Two reads."""
        diagonal = self.rows.hessian_diagonal(W)
        last = self.rows.hessian_last(W) if self.fit_intercept else np.zeros_like(diagonal)
        diagonal[:-1] += self.l2
        return [
            Jacobi.of(np.ascontiguousarray(diagonal[:, k]), np.ascontiguousarray(last[:, k])) for k in columns
        ]

    @cached_property
    def _scales(self) -> tuple[Float64, Float64]:
        """Means and scales of X's columns, by which rounding is judged."""
        everyone = Objective(self.rows.problem(0), l2=float(self.l2.min()), fit_intercept=self.fit_intercept)
        return standardised(everyone).scales

    def convex_gap(self, k: int, W: Float64, enough: float) -> float:
        """A bound on column k's J(W) − min J in nats by strong convexity (``Objective.certified_gap``); inf
        where it is beyond ``enough``. A gradient of its own, and two reads more where it is within.
        """
        objective = Objective(self.rows.problem(k), l2=float(self.l2[k]), fit_intercept=self.fit_intercept)
        problem = Coordinates(objective, *self._scales)
        U = problem.coordinates(W)
        value, gradient = problem.value_grad(U)
        return problem.convex_gap(U, value, gradient) if problem.residual_gap(gradient) <= enough else np.inf
