"""J over X rounded to a few bits: a model of J that costs a fraction of a read of X to ask.

Solvers go by it as far as it leads and correct their course by gradients of J itself: iterative refinement
(Wilkinson 1963), where the inner solve is a minimisation in low precision.
"""

from __future__ import annotations

from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.rows import Quantised
from accel_logreg.problem.objective import Objective


class QuantisedObjective:
    """See solvers/problem.py for what it answers; U as in coordinates.py, for the same penalty as J."""

    def __init__(self, rows: Quantised, objective: Objective, scale: Float64) -> None:
        self._rows = rows
        self._objective = objective
        self._l2 = objective.l2 / scale / scale  # along each axis of U
        self.size = objective.size

    @property
    def reads(self) -> float:
        """Reads of X so far, of the objective that this is a model of."""
        return self._objective.reads

    def value_grad(self, U: Float64) -> tuple[float, Float64]:
        value, gradient = self._rows.loss_grad(U)
        pull = self._l2 * U[:-1]
        gradient[:-1] += pull
        if not self._objective.fit_intercept:
            gradient[-1] = 0.0
        return value + 0.5 * float(pull @ U[:-1]), gradient

    def hessian_product(self, U: Float64, V: Float64) -> Float64:
        product = self._rows.hessian_product(U, V)
        product[:-1] += self._l2 * V[:-1]
        if not self._objective.fit_intercept:
            product[-1] = 0.0
        return product
