"""One fit of K classes by a softmax: what differs from a fit of two (fitting.py)."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from accel_logreg.fitting import Fit, Solver, costs_of
from accel_logreg.inputs.training import TrainingData
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.classes import ClassRows
from accel_logreg.problem.multiclass import SoftmaxCoordinates, SoftmaxObjective, standardised_classes
from accel_logreg.solvers.choose import Choice, choose_for_classes
from accel_logreg.solvers.costs import ClassCosts
from accel_logreg.solvers.gradient_descent import gradient_descent
from accel_logreg.solvers.lbfgs import lbfgs
from accel_logreg.solvers.newton import newton
from accel_logreg.solvers.newton_cg_classes import newton_cg_classes
from accel_logreg.solvers.problem import Budget, Solution

_SOLVERS: dict[str, Solver] = {"newton": newton, "newton-cg": newton_cg_classes, "lbfgs": lbfgs}


class SoftmaxFit(Fit):
    """One fit of K classes; W is (K p,), class by class."""

    objective: SoftmaxObjective
    costs: ClassCosts

    def _objective(self, data: TrainingData) -> SoftmaxObjective:
        rows = self._place(data, data.n_classes)
        assert isinstance(rows, ClassRows)
        return SoftmaxObjective(rows, **self._penalty(data, rows))

    def _costs(self) -> ClassCosts:
        of_two = costs_of(self.rows)
        return ClassCosts(**{**asdict(of_two), "rates": of_two.rates}, n_classes=self.objective.n_classes)

    def _standardised(self) -> SoftmaxCoordinates:
        return standardised_classes(self.objective)

    def _solvers(self) -> dict[str, Solver]:
        return _SOLVERS

    def _choice(self) -> Choice:
        return choose_for_classes(self.rows.n_rows, self.costs, sparse=self.rows.sparse, tol=self.tol)

    def _separating_direction(self) -> Float64 | None:
        return None  # the directions that the solver's own steps take are looked at

    def _small_fit(self, max_iter: int) -> Solution | None:  # noqa: ARG002
        return None

    def _by_class(self, W: Float64, move: Any) -> Float64:
        return np.concatenate([move(w) for w in W.reshape(self.objective.n_classes, -1)])

    def _inward(self, W: Float64) -> Float64:
        return W if self.columns is None else self._by_class(W, self.columns.inward)

    def _outward(self, W: Float64) -> Float64:
        assert self.columns is not None
        return self._by_class(W, self.columns.outward)

    def _unused(self, W: Float64) -> Float64:
        assert self.columns is not None
        return self._by_class(W, self.columns.unused)

    def _rounding(self, W: Float64) -> float:
        assert self.columns is not None
        return max(self.columns.rounding(w) for w in W.reshape(self.objective.n_classes, -1))

    def _descent(self, budget: Budget) -> Solution:
        return gradient_descent(self.objective, self.start, budget)

    def gap_of(self, W: Float64) -> float:
        """As in ``Fit``. What all classes' weights have in common changes no probability: it costs its
        penalty alone, and is judged apart, for the bounds are of vectors that sum to 0 over the classes.
        """
        by_class = W.reshape(self.objective.n_classes, -1)
        mean = by_class.mean(axis=0)
        centred = (by_class - mean).ravel()
        gap = super().gap_of(centred)
        penalty = 0.5 * self.objective.l2 * len(by_class) * float(mean[:-1] @ mean[:-1])
        if penalty == 0.0 or not math.isfinite(gap):
            return gap
        return gap + penalty / self.objective.value_grad(self._inward(centred))[0] * (1.0 + gap)
