"""J in coordinates in which its curvature is about the same along every axis.

A change of variables, not of the problem: X, the penalty and the optimum stay what they are. With
column means μ and scales σ,

    w = u / σ,   b = c − μᵀ(u / σ)   so that   z = X w + b = ((X − μ)/σ) u + c,

and the gradient in (u, c) is ((g_w − μ g_b)/σ, g_b). At z = 0 the curvature along wⱼ is a quarter of the
column's variance plus λ, so σⱼ² = varianceⱼ + 4λ. Quasi-Newton steps depend on the coordinates: L-BFGS
needs tens of iterations here where raw columns of different scale take thousands. Without an intercept
there is nothing to take μ up: it is 0, and the mean square stands for the variance.
"""

from __future__ import annotations

import numpy as np

from accel_logreg.interface.answers import LowPrecisionHessian, RowSample
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.rows import Precision
from accel_logreg.problem.objective import Objective
from accel_logreg.problem.quantised import QuantisedObjective


def standardised(objective: Objective) -> Coordinates:
    """J in coordinates of about equal curvature: at most one read of X, to find them."""
    return Coordinates(objective, *(_curvature_scales if objective.sparse else column_scales)(objective))


def column_scales(objective: Objective) -> tuple[Float64, Float64]:
    """μ and σ, each (d,); σ is 1 where there is no curvature."""
    moments = objective.rows.column_moments(centred=objective.fit_intercept)
    mean, deviation = moments.means, moments.deviations
    deviation[deviation <= 1e-12 * np.abs(mean)] = 0.0  # a constant column, but for rounding
    scale = np.hypot(deviation, 2.0 * np.sqrt(objective.l2))
    return mean, np.where(scale > 0.0, scale, 1.0)


def _curvature_scales(objective: Objective) -> tuple[Float64, Float64]:
    """μ = 0 and σⱼ² = 4 ∂²J/∂wⱼ² at the trivial W, for sparse rows, which a mean would fill. One read of X.

    At z = 0 that is the column's mean square plus 4λ: the same convention as above.
    """
    curvature = objective.rows.hessian_diagonal(objective.trivial()[0])[:-1] + objective.l2
    scale = 2.0 * np.sqrt(curvature)
    return np.zeros(len(scale)), np.where(scale > 0.0, scale, 1.0)


class Coordinates:
    """An Objective seen through U = (u, c), (p,); see solvers/problem.py for what it answers."""

    def __init__(self, objective: Objective, mean: Float64, scale: Float64) -> None:
        self._objective = objective
        self._mean = mean
        self._scale = scale
        self.size = objective.size
        self.n_rows = objective.n_rows
        self.sparse = objective.sparse
        self.separation = objective.separation

    @property
    def reads(self) -> float:
        return self._objective.reads

    def trivial(self) -> tuple[Float64, float]:
        W, value = self._objective.trivial()
        return self.coordinates(W), value

    def pick(self, size: int, random: np.random.RandomState) -> RowSample:
        return self._objective.pick(size, random)

    def sample(self, picked: RowSample) -> Coordinates:
        """The same coordinates over the picked rows alone."""
        return Coordinates(self._objective.sample(picked), self._mean, self._scale)

    def quantised(self) -> QuantisedObjective | None:
        """A model of J in these coordinates, where the engine has one."""
        rows = self._objective.rows.quantised(self._mean, self._scale)
        return None if rows is None else QuantisedObjective(rows, self._objective, self._scale)

    def original(self, U: Float64) -> Float64:
        """W of U."""
        w = U[:-1] / self._scale
        return np.append(w, U[-1] - self._mean @ w)

    def coordinates(self, W: Float64) -> Float64:
        """U of W."""
        return np.append(W[:-1] * self._scale, W[-1] + self._mean @ W[:-1])

    def value_grad(self, U: Float64) -> tuple[float, Float64]:
        value, gradient = self._objective.value_grad(self.original(U))
        return value, self._pulled_back(gradient)

    def hessian_product(self, U: Float64, V: Float64) -> Float64:
        return self._pulled_back(self._objective.hessian_product(self.original(U), self.original(V)))

    def hessian(
        self, U: Float64, *, sample: RowSample | None = None, precision: Precision = "float32"
    ) -> Float64:
        W = self.original(U)
        return self._objective.hessian(W, self._mean, self._scale, sample=sample, precision=precision)

    def low_precision_hessian(
        self, U: Float64, *, sample: RowSample | None = None
    ) -> LowPrecisionHessian | None:
        return self._objective.low_precision_hessian(self.original(U), self._mean, self._scale, sample=sample)

    def gradient_norm(self, gradient: Float64) -> float:
        return self._objective.gradient_norm(self._original_gradient(gradient))

    def separates(self, value: float) -> bool:
        return self._objective.separates(value)

    def certified_gap(self, U: Float64, gradient: Float64) -> float:
        return self._objective.certified_gap(self.original(U), self._original_gradient(gradient))

    def _pulled_back(self, gradient: Float64) -> Float64:
        last = gradient[-1]
        return np.append((gradient[:-1] - self._mean * last) / self._scale, last)

    def _original_gradient(self, gradient: Float64) -> Float64:
        last = gradient[-1]
        return np.append(gradient[:-1] * self._scale + self._mean * last, last)
