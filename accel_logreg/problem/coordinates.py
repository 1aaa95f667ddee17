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

from accel_logreg.interface.answers import RoughHessian, RowSample
from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.device_matrix import DeviceMatrix
from accel_logreg.problem.objective import Objective
from accel_logreg.problem.quantised import RoughProblem

# Scales only steer the iterations: a sample finds them, and only a small problem looks at all rows.
_MOST_ROWS = 4096
_MOST_ENTRIES = 1 << 18
_LEAST_ROWS = 256
_PIECE = 1 << 16  # entries looked at at a time: 512 KiB as float64, for which no new pages are needed
_SQUARES = 1e-140  # deviations from here to its reciprocal have squares that float64 holds


def column_scales(
    X: Matrix | DeviceMatrix, sample_weight: Float64 | None, *, l2: float, centred: bool
) -> tuple[Float64, Float64]:
    """μ and σ, each (d,), of evenly spaced rows of X (n, d); σ is 1 where there is no curvature.

    Weighted, so that a row of weight two steers like the row twice.
    """
    n, d = X.shape
    size = min(n, _MOST_ROWS, max(_LEAST_ROWS, _MOST_ENTRIES // d))
    rows = np.linspace(0, n - 1, size).astype(np.intp)
    s = np.ones(len(rows)) if sample_weight is None else sample_weight[rows]
    total = float(s.sum())
    if total == 0.0:  # all weight is on rows between the chosen ones
        s, total = np.ones(len(rows)), float(len(rows))
    s = s / total
    sample, rows = (X[rows], np.arange(size)) if isinstance(X, DeviceMatrix) else (X, rows)
    mean, deviation = np.zeros(d), np.empty(d)
    width = max(1, _PIECE // size)
    for a in range(0, d, width):
        columns = slice(a, a + width)
        piece = sample[rows, columns].astype(np.float64)
        if centred:
            mean[columns] = s @ piece
            piece -= mean[columns]
        deviation[columns] = _root_mean_square(piece, s)
    deviation[deviation <= 1e-12 * np.abs(mean)] = 0.0  # a constant column, but for rounding
    scale = np.hypot(deviation, 2.0 * np.sqrt(l2))
    return mean, np.where(scale > 0.0, scale, 1.0)


def _root_mean_square(piece: Float64, s: Float64) -> Float64:
    """√(Σ sᵢ xᵢⱼ²), (columns,); s sums to 1."""
    with np.errstate(over="ignore", under="ignore"):
        root: Float64 = np.sqrt(s @ np.square(piece))
    # The squares of 1e200 and of 1e-200 are beyond float64: such columns are scaled for it.
    far = np.flatnonzero(~((root > _SQUARES) & (root < 1.0 / _SQUARES)))
    if len(far):
        part = piece[:, far]
        largest = np.abs(part).max(axis=0)
        largest[largest == 0.0] = 1.0
        root[far] = largest * np.sqrt(s @ np.square(part / largest))
    return root


def curvature_scales(objective: Objective, W: Float64) -> tuple[Float64, Float64]:
    """μ = 0 and σⱼ² = 4 ∂²J/∂wⱼ² at W, for sparse rows, which a mean would fill. One read of X.

    At z = 0 that is the column's mean square plus 4λ: the same convention as above.
    """
    curvature = objective.rows.hessian_diagonal(W)[:-1] + objective.l2
    scale = 2.0 * np.sqrt(curvature)
    return np.zeros(len(scale)), np.where(scale > 0.0, scale, 1.0)


class Standardised:
    """An Objective seen through U = (u, c), (p,); see solvers/problem.py for what it answers."""

    def __init__(self, objective: Objective, mean: Float64, scale: Float64) -> None:
        self._objective = objective
        self._mean = mean
        self._scale = scale
        self.size = objective.size
        self.n_rows = objective.n_rows
        self.separation = objective.separation

    @property
    def reads(self) -> float:
        return self._objective.reads

    def sample(self, picked: RowSample) -> Standardised:
        """The same coordinates over the picked rows alone."""
        return Standardised(self._objective.sample(picked), self._mean, self._scale)

    def rough(self) -> RoughProblem | None:
        """A model of J in these coordinates, where the engine has one."""
        rough = self._objective.rows.rough(self._mean, self._scale)
        return None if rough is None else RoughProblem(rough, self._objective, self._scale)

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

    def hessian(self, U: Float64, *, picked: RowSample | None = None, precise: bool = False) -> Float64:
        return self._objective.hessian(
            self.original(U), self._mean, self._scale, picked=picked, precise=precise
        )

    def rough_hessian(self, U: Float64, *, picked: RowSample | None = None) -> RoughHessian | None:
        return self._objective.rough_hessian(self.original(U), self._mean, self._scale, picked=picked)

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
