"""A loss and an elastic net over the same coordinates, and how far a point is from their sum's minimum.

The bound is a duality gap (Fenchel 1949; Kim, Koh and Boyd 2007; Ndiaye, Fercoq, Gramfort and Salmon 2017).
With g = ∇loss(u), for any c in [0, 1] for which c g is feasible,

    P(u) − P* ≤ (1 − c) loss(u) + Σⱼ [pen(uⱼ) + c uⱼ gⱼ + pen*(−c gⱼ)],

since a row's conjugate loss is convex and 0 at slope 0. Where nothing is penalised, intercepts first of all,
g has to be 0 for that: but for rounding it is, at the end. Before, residuals v are mixed with those of the
trivial point, v' = (1 − τ) v + τ v₀, whose means of a class may be anything: for τ of the intercepts'
gradient over the classes' shares they sum to 0, and no gradient differs by more than max|x̂ⱼ| times that.

That bound is of the first order in what is left of the slopes, so that rounding shows in it. Where it is not
enough, it says which weights are 0 at the optimum: no slope differs from the optimum's by more than the root
mean square of its column times √(gap/2), as a row's conjugate loss has a curvature of 4 at least. Along the
others the bound by the exact Hessian holds (certificate.py), with the shortest subgradient in place of ∇J.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.rows import Precision
from accel_logreg.problem.coordinates import Coordinates
from accel_logreg.problem.penalty import ElasticNet

_MOST_COLUMNS = 512  # of an exact Hessian


class Composite:
    """loss(U) + penalty(U) for U (size,): the coordinates of problem/coordinates.py, class by class."""

    def __init__(
        self, smooth: Coordinates, penalty: ElasticNet, least_share: float, n_classes: int = 1
    ) -> None:
        """``least_share``: of the weight, that of the class that has least."""
        self.smooth, self.penalty, self.n_classes = smooth, penalty, n_classes
        self.least_share = least_share
        self.size, self.n_rows = smooth.size, smooth.n_rows
        self.n_features = smooth.size // n_classes - 1
        self.drawn = False
        self.by_columns = n_classes == 1 and smooth.by_columns
        self.stored = smooth.stored
        self._longest: float | None = None

    @property
    def reads(self) -> float:
        return self.smooth.reads

    def loss_grad(self, U: Float64) -> tuple[float, Float64]:
        """Mean loss in nats and its gradient. One read."""
        return self.smooth.value_grad(U)

    def hessian(self, U: Float64, *, sample: RowSample | None, precision: Precision) -> Float64:
        """The loss's, (size, size); over the rows of ``sample``, where given."""
        return np.asarray(self.smooth.hessian(U, sample=sample, precision=precision), dtype=np.float64)

    def hessian_product(self, U: Float64, V: Float64) -> Float64:
        return self.smooth.hessian_product(U, V)

    def descended(self, U: Float64, gradient: Float64, tol: float, sweeps: int) -> Float64:
        """About where the loss's quadratic model at U with the penalty is least, by coordinate descent."""
        return self.smooth.descended(U, gradient, self.penalty, tol, sweeps)

    def diagonal(self, U: Float64) -> Float64:
        """The loss's Hessian's, (size,), what the intercept would take up taken off."""
        jacobi = self.smooth.jacobi(U)
        by_class = np.atleast_2d(jacobi.diagonal)
        return np.column_stack([by_class, np.broadcast_to(jacobi.curvature, len(by_class))]).ravel()

    def entries(self, columns: NDArray[np.intp]) -> NDArray[np.intp]:
        """Where U has the weights of these columns of X, and the intercepts."""
        of_class = np.append(columns, self.n_features)
        entries = np.arange(self.n_classes)[:, np.newaxis] * (self.n_features + 1) + of_class
        return np.asarray(entries.ravel())

    def restricted(self, columns: NDArray[np.intp]) -> Composite:
        """The same problem where all other weights are 0, over a copy of these columns."""
        penalty = self.penalty.only(self.entries(columns))
        found = Composite(self.smooth.restricted(columns), penalty, self.least_share, self.n_classes)
        found.drawn = self.drawn
        return found

    def pick(self, size: int, random: np.random.RandomState) -> RowSample:
        return self.smooth.pick(size, random)

    def sample(self, picked: RowSample) -> Composite:
        """The same coordinates and penalty over the picked rows alone."""
        found = Composite(self.smooth.sample(picked), self.penalty, self.least_share, self.n_classes)
        found.drawn = True
        return found

    def second_gap(self, U: Float64, loss: float, gradient: Float64, gap: float) -> float:
        """The bound by the exact Hessian, in nats, where ``gap`` is one; inf where there is none."""
        if self.n_classes > 1:
            return math.inf
        entries = np.arange(self.size)
        if math.isfinite(gap):
            spread = self.smooth.mean_squares() ** 0.5 * math.sqrt(0.5 * gap)
            reach = self.penalty.excess(gradient) + self._errors(U, loss) + spread
            entries = np.flatnonzero((reach >= self.penalty.l1) | (U != 0.0) | self.penalty.free)
        columns = entries[entries < self.n_features]
        if not 0 < len(columns) <= _MOST_COLUMNS:
            return math.inf
        part = self if len(columns) == self.n_features else self.restricted(columns)
        entries = self.entries(columns)
        u, slope = U[entries], self.penalty.slope(U, gradient)[entries]
        rounding = part.smooth.rounding(u, loss)
        return part.smooth.certificate(u).bound(u, slope, rounding)

    def under(self, penalty: ElasticNet) -> Composite:
        """The same loss with another penalty."""
        return Composite(self.smooth, penalty, self.least_share, self.n_classes)

    def _errors(self, U: Float64, loss: float) -> Float64:
        """What rounding may do to the gradient, (size,)."""
        logits, error = self.smooth.rounding(U, loss)
        return np.asarray(error + math.sqrt(min(0.25, loss)) * logits)

    def balanced(self, U: Float64, loss: float, gradient: Float64) -> bool:
        """Whether the gradient is 0 but for rounding where nothing is penalised."""
        free = self.penalty.free
        return bool((np.abs(gradient[free]) <= self._errors(U, loss)[free]).all())

    def gap(self, U: Float64, loss: float, gradient: Float64, *, roughly: bool = False) -> float:
        """A bound on P(U) − min P in nats; a read, the first time that the intercepts are not at their best.

        ``roughly`` for the bound that would hold if they were.
        """
        penalty, error = self.penalty, self._errors(U, loss)
        more, tau = 0.0, 0.0
        if not roughly and not self.balanced(U, loss, gradient):
            intercepts = np.arange(1, self.n_classes + 1) * (self.n_features + 1) - 1
            if penalty.free.sum() > len(intercepts):
                return math.inf
            slopes = np.abs(gradient[intercepts])
            tau = float(slopes.max()) / self.least_share
            if self._longest is None:
                self._longest = self.smooth.longest_row()
            error = error + tau * np.abs(gradient) + (tau + float(slopes.max())) * self._longest
            more = float(slopes @ np.abs(U[intercepts]))
            if not tau < 1.0:
                return math.inf
        return more + min(
            (1.0 - c * (1.0 - tau)) * loss + penalty.dual_gap(U, gradient, error, c)
            for c in penalty.shrinkages(gradient, error)
        )
