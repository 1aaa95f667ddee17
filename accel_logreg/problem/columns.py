"""J of K problems that share X, a column each, in coordinates that they share too.

Columns differ in their labels, in their penalty, and in which parts of the rows they are made of:
one-vs-rest, a path over C, the folds of a cross-validation. What they share is a row's weight. So a Hessian
is made part by part, at one point for all columns whose curvature is much the same there, and each column
adds up its own.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dtrtri
from scipy.special import expit

from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.columns import ColumnRows
from accel_logreg.interface.parts import Parts
from accel_logreg.interface.rows import Precision, Rows
from accel_logreg.interface.sampling import Sampler
from accel_logreg.interface.targets import Targets
from accel_logreg.problem.certificate import NOISE, rounding_of, self_concordant_bound
from accel_logreg.problem.coordinates import Coordinates, column_scales
from accel_logreg.problem.objective import Objective

_PROBES = 256  # rows that tell whether two columns have the same curvature
_ALIKE = 0.15  # mean difference of their rows' curvatures, as a share
_NOWHERE_FAR = 1.0  # and of the logarithm of any row's: the few rows of a rare category are all that it has
_CERTAIN = 0.5  # of the curvature must be left when rounding is taken off


class ColumnProblem:
    """J of every column over U (p, K): the coordinates of problem/coordinates.py, alike for all columns.

    Parameters
    ----------
    rows : ColumnRows
        Dense; the weights of a column are s, in its parts.
    l2 : (K,) float64
        Every column's λ.
    s : (n,) float64 or None
        The rows' weights.
    parts : Parts or None
        None where every column is made of all rows.
    sampler : Sampler
        Draws rows that stand for all in every column.
    """

    def __init__(
        self,
        rows: ColumnRows,
        l2: Float64,
        *,
        fit_intercept: bool,
        s: Float64 | None,
        parts: Parts | None,
        sampler: Sampler,
        shared: tuple[Rows, Coordinates, tuple[Float64, Float64]] | None = None,
    ) -> None:
        self.rows, self.l2, self.s, self.parts, self.sampler = rows, l2, s, parts, sampler
        self.fit_intercept = fit_intercept
        self.size, self.n_rows, self.n_columns = rows.n_features + 1, rows.n_rows, rows.n_columns
        if shared is None:
            # All rows with their weights, whatever the labels: Hessians do not look at these.
            everyone = rows.around(Targets(np.ascontiguousarray(rows.targets.y[:, :1]), s)).problem(0)
            least = Objective(everyone, l2=float(l2.min()), fit_intercept=fit_intercept)
            scales = column_scales(least)
            pooled = Coordinates(Objective(everyone, fit_intercept=fit_intercept), *scales)
            shared = everyone, pooled, scales
        self._everyone, self._pooled, self._scales = shared
        self._mean, self._scale = self._scales[0], self._scales[1][:, np.newaxis]
        self._longest: float | None = None

    @property
    def reads(self) -> float:
        return self.rows.reads

    def only(self, columns: NDArray[np.intp]) -> ColumnProblem:
        """These columns alone, over the same rows."""
        parts = self.parts and self.parts.only(columns)
        return self._like(self.rows.only(columns), self.l2[columns], self.s, parts, self._pooled)

    def sample(self, picked: RowSample) -> ColumnProblem:
        """The same columns over the picked rows, with the same λ."""
        of_all = self._in_all(picked)
        s = of_all.factors if self.s is None else self.s[of_all.rows] * of_all.factors
        parts = self.parts and self.parts.of_rows(of_all.rows)
        return self._like(self.rows.sample(picked), self.l2, s, parts, self._pooled.sample(picked))

    def _like(
        self, rows: ColumnRows, l2: Float64, s: Float64 | None, parts: Parts | None, pooled: Coordinates
    ) -> ColumnProblem:
        return ColumnProblem(
            rows, l2, fit_intercept=self.fit_intercept, s=s, parts=parts, sampler=self.sampler,
            shared=(self._everyone, pooled, self._scales),
        )  # fmt: skip

    def pick(self, size: int, random: np.random.RandomState) -> RowSample:
        """About ``size`` rows that stand for all."""
        return self.sampler.pick(size, random) if self.rows.held is None else self.rows.pick(size, random)

    @property
    def most_picked(self) -> int:
        """Rows that a sample can have."""
        return self.rows.most_picked

    @property
    def exact(self) -> bool:
        """Whether Hessians may be made of all rows: not part by part of what is not in memory."""
        return self.rows.held is None or self.parts is None

    def _in_all(self, picked: RowSample) -> RowSample:
        """Picked rows by their numbers among all rows, where they were picked from a sample."""
        held = self.rows.held_rows
        if held is None:
            return picked
        return RowSample(held.rows[picked.rows], held.factors[picked.rows] * picked.factors)

    def trivial(self) -> Float64:
        """(p, K): 0 but for the intercept, the log-odds of each column's labels."""
        U = np.zeros((self.size, self.n_columns))
        if self.fit_intercept:
            shares = self.rows.targets.label_shares()
            U[-1] = np.log(shares[1] / shares[0])
        return U

    def original(self, U: Float64) -> Float64:
        """W (p, K) of U."""
        w = U[:-1] / self._scale
        return np.vstack([w, U[-1] - self._mean @ w])

    def coordinates(self, W: Float64) -> Float64:
        """U (p, K) of W."""
        return np.vstack([W[:-1] * self._scale, W[-1] + self._mean @ W[:-1]])

    def value_grad(self, U: Float64) -> tuple[Float64, Float64]:
        """Every column's J (K,) in nats, and its gradient (p, K). One read."""
        W = self.original(U)
        value, g = self.rows.loss_grad(W)
        w = W[:-1]
        g[:-1] += self.l2 * w
        if not self.fit_intercept:
            g[-1] = 0.0
        g[:-1] = (g[:-1] - np.multiply.outer(self._mean, g[-1])) / self._scale
        return value + 0.5 * self.l2 * np.einsum("jk,jk->k", w, w), g

    def alike(self, U: Float64, columns: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """The columns in groups whose rows have about the same curvature h = a(1 − a) at U, by a few rows."""
        n = self.n_rows
        probes = np.linspace(0, n - 1, min(n, _PROBES)).astype(np.intp)
        X = self.rows.take(probes, slice(0, self.size - 1))
        W = self.original(U[:, columns])
        z = X @ W[:-1] + W[-1]
        a = expit(z)
        h, log = a * (1.0 - a), -np.abs(z)
        total, groups, left = h.sum(axis=0), [], np.arange(len(columns))
        while len(left):
            first = left[0]
            near = np.abs(h[:, left] - h[:, [first]]).sum(axis=0) <= _ALIKE * total[first]
            near &= np.abs(log[:, left] - log[:, [first]]).max(axis=0) <= _NOWHERE_FAR
            near[0] = True  # NaN is unlike itself
            groups.append(columns[left[near]])
            left = left[~near]
        return groups

    def hessians(
        self, U: Float64, columns: NDArray[np.intp], sample: RowSample | None, precision: Precision
    ) -> list[tuple[Float64, NDArray[np.intp]]]:
        """The loss Hessian at one U (p,), (p, p) float64, and the columns that it is of: one for every set of
        parts that some of ``columns`` are made of.
        """
        if self.parts is None:
            return [(self._hessian(U, sample, precision), columns)]
        rows = np.arange(self.n_rows) if sample is None else sample.rows
        factors = np.ones(len(rows)) if sample is None else sample.factors
        of_all = self._in_all(RowSample(rows, factors))
        weights = of_all.factors if self.s is None else of_all.factors * self.s[of_all.rows]
        part = self.parts.of_row[of_all.rows]
        sums = np.bincount(part, weights, minlength=len(self.parts.times))
        sets, of = np.unique(self.parts.times[:, columns], axis=1, return_inverse=True)
        of = of.ravel()
        H = np.zeros((sets.shape[1], self.size, self.size))
        for q in np.flatnonzero(sums):
            mine = part == q
            if sets[q].any():
                of_part = self._hessian(U, RowSample(rows[mine], factors[mine]), precision)
                for i in np.flatnonzero(sets[q]):
                    H[i] += (sums[q] * sets[q, i]) * of_part
        H /= np.maximum(sums @ sets, np.finfo(np.float64).tiny)[:, np.newaxis, np.newaxis]
        return [(H[i], columns[of == i]) for i in range(len(H))]

    def _hessian(self, U: Float64, sample: RowSample | None, precision: Precision) -> Float64:
        return np.asarray(self._pooled.hessian(U, sample=sample, precision=precision), dtype=np.float64)

    def penalty(self, l2: float) -> Float64:
        """What λ adds to a Hessian's diagonal, (p,)."""
        return np.append(l2 / self._scales[1] / self._scales[1], 0.0)

    def bound(
        self, L: Float64, precision: Precision, U0: Float64, U: Float64, gradient: Float64, value: float
    ) -> float:
        """A bound on a column's J(U) − min J in nats, from its exact Hessian L Lᵀ at U0 (certificate.py)."""
        inverse, info = dtrtri(L, lower=1)
        if info != 0:
            return math.inf
        if self._longest is None:
            self._longest = self._everyone.longest_row(*self._scales)
        squared = float(np.vdot(inverse, inverse))
        lost = NOISE[precision] * float(np.vdot(L, L)) * squared
        if not lost <= _CERTAIN:
            return math.inf
        step = U - U0
        radius = self._longest * math.sqrt(squared)
        distance = min(
            self._longest * float(np.linalg.norm(step)),
            radius * float(np.linalg.norm(L.T @ step)) / math.sqrt(1.0 - lost),
        )
        growth = math.exp(min(700.0, distance)) / (1.0 - lost)
        by_logits, entries = rounding_of(U, *self._scales, value)
        length = float(np.linalg.norm(inverse @ gradient)) * math.sqrt(growth) + by_logits
        length += math.sqrt(squared * growth) * float(np.linalg.norm(entries))
        return self_concordant_bound(length, radius * math.sqrt(growth))
