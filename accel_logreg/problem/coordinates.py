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

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import LowPrecisionHessian, RowSample, Separation
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.rows import Precision
from accel_logreg.problem.certificate import NOISE, Certificate, least_curvature, rounding_of
from accel_logreg.problem.objective import Objective
from accel_logreg.problem.penalty import ElasticNet
from accel_logreg.problem.quantised import QuantisedObjective

_FEW = 256  # unknowns of which exact products cost less than another read of X from a disk
ELIMINATED = 1e-12  # of a diagonal entry: what rounding leaves of it once a constant column is eliminated
_NOISE = 1e-12  # of a direction's largest coordinate: zero but for rounding
SAME = 1e-13  # of J: no change but for rounding
CONSTANT = 1e-8  # change of a logit along a direction of length 1: none but for rounding
SEPARATES = 1e-7  # of the largest margin along a direction: zero but for rounding
SLOWEST = 0.05  # of the largest margin: rows that gain less are left to further steps
NAMED = 0.01  # of the largest coordinate of a direction: columns above this share are named


def standardised(objective: Objective) -> Coordinates:
    """J in coordinates of about equal curvature: at most two reads of X, to find them."""
    if objective.sparse:
        held = objective.held()
        return Coordinates(objective, *sparse_scales(held, held.trivial()[0], objective.l2))
    return Coordinates(objective, *column_scales(objective))


def column_scales(objective: Objective) -> tuple[Float64, Float64]:
    """μ and σ, each (d,); σ is 1 where there is no curvature."""
    moments = objective.rows.column_moments(centred=objective.fit_intercept)
    mean, deviation = moments.means, moments.deviations
    constant = deviation <= 1e-12 * np.abs(mean)  # but for rounding
    deviation[constant] = 0.0
    if objective.fit_intercept:
        for j in np.flatnonzero(constant & (mean != 0.0)):  # so that nothing of it is left
            mean[j] = objective.rows.take(np.zeros(1, dtype=np.intp), slice(j, j + 1))[0, 0]
    scale = np.hypot(deviation, 2.0 * np.sqrt(objective.l2))
    return mean, np.where(scale > 0.0, scale, 1.0)


def root_mean_squares(objective: Objective) -> tuple[Float64, Float64]:
    """μ = 0 and σ² = the columns' mean squares, of all rows of sparse X: one read of it."""
    squares = objective.rows.hessian_diagonal(objective.trivial()[0])
    scale = np.sqrt(squares[:-1] / squares[-1])
    return np.zeros_like(scale), np.where(scale > 0.0, scale, 1.0)


def sparse_scales(objective: Objective, W: Float64, l2: float) -> tuple[Float64, Float64]:
    """μ and σ as above, of all rows, without touching a zero: two reads of X, one without an intercept.

    At W, 0 but for the intercept, every row has the same curvature, so that ∂²J/∂wⱼ² gives the columns' mean
    squares, and ∂²J/∂wⱼ∂b their means.
    """
    squares = objective.rows.hessian_diagonal(W)
    mean = np.zeros(objective.size - 1)
    if objective.fit_intercept:
        last = np.zeros(objective.size)
        last[-1] = 1.0
        mean = objective.rows.hessian_product(W, last)[:-1] / squares[-1]
    variance = squares[:-1] / squares[-1] - mean * mean
    variance[variance <= 1e-14 * mean * mean] = 0.0  # a constant column, but for rounding
    scale = np.sqrt(variance + 4.0 * l2)
    return mean, np.where(scale > 0.0, scale, 1.0)


@dataclass(frozen=True)
class Jacobi:
    """Inverse of diag(D, curvature) in the coordinates whose origin is the rows' weighted mean (d,)."""

    mean: Float64
    diagonal: Float64
    curvature: float

    @classmethod
    def of(
        cls, diagonal: Float64, last: Float64, origin: float | Float64 = 0.0, scale: float | Float64 = 1.0
    ) -> Jacobi:
        """Of a Hessian's diagonal and last column, each (p,), for coordinates (x − origin)/scale."""
        curvature = float(diagonal[-1])
        if not curvature > 0.0:
            return cls(np.zeros(len(last) - 1), np.ones(len(last) - 1), 1.0)
        eliminated = diagonal[:-1] - last[:-1] * (last[:-1] / curvature)
        eliminated = np.maximum(eliminated, ELIMINATED * diagonal[:-1]) / np.square(scale)
        eliminated[eliminated <= 0.0] = 1.0  # a column that curves nowhere
        mean = (last[:-1] / curvature - origin * (last[-1] / curvature)) / scale
        return cls(mean, eliminated, curvature)

    def solve(self, g: Float64) -> Float64:
        x = np.empty_like(g)
        np.divide(g[:-1] - self.mean * g[-1], self.diagonal, out=x[:-1])
        x[-1] = g[-1] / self.curvature - self.mean @ x[:-1]
        return x


class Coordinates:
    """An Objective seen through U = (u, c), (p,); see solvers/problem.py for what it answers."""

    def __init__(self, objective: Objective, mean: Float64, scale: Float64) -> None:
        self._objective = objective
        self._mean = mean
        self._scale = scale
        self._zero = np.zeros_like(mean)
        self.size = objective.size
        self.n_rows = objective.n_rows
        self.sparse = objective.sparse
        self.penalised = objective.l2 > 0.0
        self.rank = objective.rank

    @property
    def reads(self) -> float:
        return self._objective.reads

    @property
    def scales(self) -> tuple[Float64, Float64]:
        """Means and scales, (d,) each."""
        return self._mean, self._scale

    def trivial(self) -> tuple[Float64, float]:
        W, value = self._objective.trivial()
        return self.coordinates(W), value

    @property
    def most_picked(self) -> int:
        return self._objective.most_picked

    def expect_certificate(self) -> bool:
        """Say that where ``value_grad`` is asked next, ``certificate`` will be as well.

        True where both then take one read.
        """
        centre = self._centre()
        return self._objective.rows.expect_hessian(centre, self._scale, self._precisions()[0])

    def _precisions(self) -> tuple[Precision, ...]:
        """Of a certificate's Hessian: what costs least first, where it is the products that cost."""
        away = self._objective.rows.held is not None and self.size <= _FEW
        return ("float64",) if away else ("float32", "float64")

    def _centre(self) -> Float64:
        """Of the coordinates that rows are asked for a Hessian in."""
        return self._zero if self.sparse else self._mean

    def pick(self, size: int, random: np.random.RandomState) -> RowSample:
        return self._objective.pick(size, random)

    def sample(self, picked: RowSample) -> Coordinates:
        """The same coordinates over the picked rows alone."""
        return Coordinates(self._objective.sample(picked), self._mean, self._scale)

    def restricted(self, columns: NDArray[np.intp]) -> Coordinates:
        """The same coordinates over these columns of X alone."""
        return type(self)(self._objective.restricted(columns), self._mean[columns], self._scale[columns])

    @property
    def by_columns(self) -> bool:
        """Whether ``descended`` answers: X keeps its origin here, and its rows know columns."""
        return not self._mean.any() and self._objective.rows.column_descent() is not None

    @property
    def stored(self) -> int:
        """What X stores."""
        return self._objective.rows.entries

    def descended(
        self, U: Float64, gradient: Float64, penalty: ElasticNet, tol: float, sweeps: int
    ) -> Float64:
        """About where the loss's model at U with a penalty is least, by coordinate descent."""
        descent = self._objective.rows.column_descent()
        assert descent is not None
        scale = self._scale
        W = descent.minimise_model(
            self.original(U),
            self._original_gradient(gradient),
            penalty.l1[:-1] * scale,
            penalty.l2[:-1] * scale * scale,
            at_least_zero=penalty.at_least_zero is not None,
            fit_intercept=self._objective.fit_intercept,
            tol=tol,
            sweeps=sweeps,
        )
        return self.coordinates(W)

    def longest_row(self) -> float:
        """A bound on the length of every x̂; at most one read."""
        return self._objective.rows.longest_row(self._mean, self._scale)

    def mean_squares(self) -> Float64:
        """The weighted mean square of every x̂ⱼ, (p,). Two reads."""
        W = self._objective.trivial()[0]
        diagonal = self._objective.rows.hessian_diagonal(W)
        last = np.zeros(self.size)
        last[-1] = 1.0
        mean = self._objective.rows.hessian_product(W, last)[:-1] / diagonal[-1]
        squares = diagonal[:-1] / diagonal[-1] - 2.0 * self._mean * mean + np.square(self._mean)
        spread = 1e-14 * (diagonal[:-1] / diagonal[-1] + np.square(self._mean))  # rounding
        return np.append((np.maximum(squares, 0.0) + spread) / np.square(self._scale), 1.0)

    def smoothed(self, share: float) -> None:
        """See problem/multiclass.py: of two classes, samples are taken as they are."""

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

    def rows_of(self, X: Float64) -> Float64:
        """x̂ of rows of X (m, d): (m, p), the last 0 without an intercept."""
        last = np.full((len(X), 1), float(self._objective.fit_intercept))
        return np.hstack([(X - self._mean) / self._scale, last])

    def value_grad(self, U: Float64) -> tuple[float, Float64]:
        value, gradient = self._objective.value_grad(self.original(U))
        return value, self.pulled_back(gradient)

    def hessian_product(self, U: Float64, V: Float64) -> Float64:
        return self.pulled_back(self._objective.hessian_product(self.original(U), self.original(V)))

    def hessian(
        self, U: Float64, *, sample: RowSample | None = None, precision: Precision = "float32"
    ) -> Float64:
        W = self.original(U)
        if not self.sparse:
            return self._objective.hessian(W, self._mean, self._scale, sample=sample, precision=precision)
        H = self._objective.hessian(W, self._zero, self._scale, sample=sample, precision=precision)
        return _centred(H, self._mean / self._scale)

    def jacobi(self, U: Float64) -> Jacobi:
        """The inverse of the Hessian's diagonal at U, once its column of the intercept is eliminated."""
        return Jacobi.of(*self._objective.hessian_border(self.original(U)), self._mean, self._scale)

    def certificate(self, U: Float64) -> Certificate:
        """The Hessian over all rows at U, factorised: from float32 products where these are enough."""
        return self._certificate(U, 1.0)

    def _certificate(self, U: Float64, spread: float) -> Certificate:
        """``spread``: what a row's logits may move by together, in lengths of the row."""
        penalty = self._objective.l2 / float(self._scale.max()) / float(self._scale.max())
        for precision in self._precisions():
            H = np.asarray(self.hessian(U, precision=precision), dtype=np.float64)
            noise = NOISE[precision] * float(np.trace(H))
            if self.sparse:
                noise *= 1.0 + float(np.square(self._mean / self._scale).max(initial=0.0))
            radius = spread * self._objective.rows.longest_row(self._mean, self._scale)
            floor = least_curvature(H, penalty, len(self._mean) + 1)
            found = Certificate(H, U, radius, noise, floor, last=precision == "float64")
            if found.certain:
                break
        return found

    def rounding(self, U: Float64, value: float) -> tuple[float, Float64]:
        """What rounding may do to the gradient, see ``rounding_of``."""
        return rounding_of(U, self._mean, self._scale, value)

    def convex_gap(self, U: Float64, value: float, gradient: Float64) -> float:
        """The bound by strong convexity (``Objective.certified_gap``), in nats; inf if λ = 0."""
        logits, entries = rounding_of(U, self._mean, self._scale, value)
        entries += math.sqrt(min(0.25, value)) * logits
        W, g = self.original(U), self._original_gradient(gradient)
        rounding = float(entries[-1]), entries[:-1] * self._scale
        return self._objective.certified_gap(W, g, self._mean, rounding)

    def residual_gap(self, residual: Float64) -> float:
        """‖r‖²/(2λ) in the coordinates of X: what a gradient like this is worth by strong convexity."""
        if not self.penalised:
            return math.inf
        r = residual[:-1] * self._scale
        return float(r @ r) / (2.0 * self._objective.l2)

    def separating(self, V: Float64) -> Separation | None:
        """V as a direction along which no row's loss grows and some fall for ever, if it is one. One read."""
        margins = self._objective.margins(self.original(V))
        largest = float(np.abs(margins).max())
        if not (largest > 0.0 and margins.min() >= -SEPARATES * largest):
            return None
        apart = margins > SEPARATES * largest
        columns = np.flatnonzero(np.abs(V[:-1]) >= NAMED * np.abs(V).max())
        least = max(float(margins[apart].min()), SLOWEST * largest)
        return Separation(self.original(V), columns, int(np.count_nonzero(apart)), len(margins), least)

    def constant_along(self, flat: Float64) -> bool:
        """Whether no logit changes along these directions (p, k), each of length 1. One read."""
        some = flat @ np.cos(np.arange(1.0, flat.shape[1] + 1.0))  # all at once
        return float(np.abs(self._objective.margins(self.original(some))).max()) <= CONSTANT

    def low_precision_hessian(
        self, U: Float64, *, sample: RowSample | None = None
    ) -> LowPrecisionHessian | None:
        return self._objective.low_precision_hessian(self.original(U), self._mean, self._scale, sample=sample)

    def gradient_norm(self, gradient: Float64) -> float:
        return self._objective.gradient_norm(self._original_gradient(gradient))

    def separates(self, value: float) -> bool:
        return self._objective.separates(value)

    def least_norm(self, U: Float64, flat: Float64, value: float) -> Float64:
        """The shortest w with the logits of U, along the directions flat (p, k) that do not change them.

        One read, for J is ``value`` at U and has to be that there.
        """
        flat = np.where(np.abs(flat) > _NOISE * np.abs(flat).max(axis=0), flat, 0.0)
        directions = flat[:-1] / self._scale[:, np.newaxis]
        size = np.linalg.norm(directions, axis=0)
        size[size == 0.0] = 1.0
        steps = np.linalg.lstsq(directions / size, U[:-1] / self._scale, rcond=1e-10)[0]
        moved: Float64 = U - flat @ (steps / size)
        return moved if self.value_grad(moved)[0] <= value * (1.0 + SAME) else U

    def pulled_back(self, gradient: Float64) -> Float64:
        last = gradient[-1]
        return np.append((gradient[:-1] - self._mean * last) / self._scale, last)

    def _original_gradient(self, gradient: Float64) -> Float64:
        last = gradient[-1]
        return np.append(gradient[:-1] * self._scale + self._mean * last, last)


def _centred(H: Float64, shift: Float64) -> Float64:
    """The Hessian in x̂ − (shift, 0) from the one in x̂, whose last row and column are sums of h x̂: (p, p)."""
    last = H[:-1, -1] - H[-1, -1] * shift
    H = H.copy()
    H[:-1, :-1] -= np.outer(shift, last) + np.outer(H[:-1, -1], shift)
    H[:-1, -1] = H[-1, :-1] = last
    return H
