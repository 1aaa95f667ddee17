"""Rows + penalty → J(W) and its derivatives; the only place that knows lambda.

J(W) = (1/S) Σ sᵢ ℓ(zᵢ, yᵢ) + λ/2 ‖W[:d]‖², z = X W[:d] + W[d], S = Σ sᵢ, λ = 1/(C S).

The intercept is never penalised; without one it stays at zero. C = inf gives λ = 0, the lesson's
cost. J is scikit-learn's objective divided by C S, so both have the same optimum.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from accel_logreg.interface.answers import Descent, LowPrecisionHessian, RowSample
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.rows import Precision, Rows


class Objective:
    """J over one engine's rows: what a solver may ask, see solvers/problem.py.

    Parameters
    ----------
    rows : Rows
    l2 : float
        λ ≥ 0.
    fit_intercept : bool
    smallest_weight : float
        The smallest positive sample weight, for ``separates``.
    """

    def __init__(
        self, rows: Rows, *, l2: float = 0.0, fit_intercept: bool = True, smallest_weight: float = 1.0
    ) -> None:
        self.rows = rows
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.size = rows.n_features + 1
        self.n_rows = rows.n_rows
        self.sparse = rows.sparse
        self.penalised = l2 > 0.0
        self.rank = 1
        self._smallest_weight = smallest_weight
        self._radius: tuple[Float64, float] | None = None
        self._log2_of_one_row = math.log(2.0) * smallest_weight / rows.weight_sum

    @property
    def reads(self) -> float:
        """Reads of X so far."""
        return self.rows.reads

    def trivial(self) -> tuple[Float64, float]:
        """W = 0 but for the intercept, the log-odds of the labels; and J there, without a read of X."""
        W = np.zeros(self.size)
        if not self.fit_intercept:
            return W, math.log(2.0)
        shares = self.rows.targets.label_shares()
        W[-1] = math.log(shares[1] / shares[0])
        return W, -sum(share * math.log(share) for share in shares)

    @property
    def most_picked(self) -> int:
        """Rows that a sample can have."""
        return self.rows.most_picked

    def pick(self, size: int, random: np.random.RandomState) -> RowSample:
        """About ``size`` rows that stand for all."""
        return self.rows.pick(size, random)

    def _over(self, rows: Rows, smallest_weight: float) -> Self:
        """J over other rows, with the same λ."""
        return type(self)(rows, l2=self.l2, fit_intercept=self.fit_intercept, smallest_weight=smallest_weight)

    def sample(self, picked: RowSample) -> Self:
        """J over the picked rows alone, with the same λ."""
        return self._over(self.rows.sample(picked), self._smallest_weight * float(picked.factors.min()))

    def held(self) -> Self:
        """J over the sample that is in memory, where X is not; else this."""
        return self if self.rows.held is None else self._over(self.rows.held, self._smallest_weight)

    def restricted(self, columns: NDArray[np.intp]) -> Self:
        """J over these columns of X alone."""
        return self._over(self.rows.restricted(columns), self._smallest_weight)

    def value_grad(self, W: Float64) -> tuple[float, Float64]:
        """J(W) in nats and ∇J(W), (p,)."""
        value, gradient = self.rows.loss_grad(W)
        w = W[:-1]
        gradient[:-1] += self.l2 * w
        if not self.fit_intercept:
            gradient[-1] = 0.0
        penalty = 0.5 * self.l2 * float(w @ w) if self.l2 else 0.0  # 0 times infinity is not a number
        return value + penalty, gradient

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        """∇²J(W) V, (p,)."""
        product = self.rows.hessian_product(W, V)
        product[:-1] += self.l2 * V[:-1]
        if not self.fit_intercept:
            product[-1] = 0.0
        return product

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",
    ) -> Float64:
        """∇²J at W, (p, p), in the coordinates (u, c) of coordinates.py: w = u/scale.

        From the rows of ``sample`` only, where given. Without an intercept the last axis, along which J does
        not change, has curvature 1.
        """
        H = self.rows.hessian(W, centre, scale, sample=sample, precision=precision)
        self._penalise(H, scale)
        return H

    def low_precision_hessian(
        self, W: Float64, centre: Float64, scale: Float64, *, sample: RowSample | None = None
    ) -> LowPrecisionHessian | None:
        """``hessian`` from products of few bits, where the engine has them."""
        found = self.rows.low_precision_hessian(W, centre, scale, sample=sample)
        if found is not None:
            self._penalise(found.matrix, scale)
        return found

    def _penalise(self, H: NDArray[Any], scale: Float64) -> None:
        with np.errstate(over="ignore"):  # of float32, where it is asked for roughly
            H.flat[: -1 : self.size + 1] += self.l2 / scale / scale
        if not self.fit_intercept:
            H[-1] = H[:, -1] = 0.0
            H[-1, -1] = 1.0

    def hessian_border(self, W: Float64) -> tuple[Float64, Float64]:
        """The diagonal of ∇²J at W and its last column, each (p,); the column 0 without an intercept."""
        diagonal, last = self.rows.hessian_diagonal(W), np.zeros(self.size)
        if self.fit_intercept:
            last[-1] = 1.0
            last = self.rows.hessian_product(W, last)
        diagonal[:-1] += self.l2
        return diagonal, last

    def gradient_norm(self, gradient: Float64) -> float:
        """‖∇J‖₂."""
        return float(np.linalg.norm(gradient))

    def descend(self, W: Float64, learning_rate: float, steps: int) -> Descent:
        """``steps`` steps of gradient descent on J from W."""
        return self.rows.descend(W, learning_rate, self.l2, steps, self.fit_intercept)

    def lipschitz(self, random_state: int | np.random.RandomState = 0) -> float:
        """L, the largest eigenvalue of ∇²J(0), by power iteration; it bounds ∇²J everywhere.

        h = a(1 − a) is largest, 1/4, at z = 0. Descent with a fixed learning rate decreases J for
        any rate below 2/L. Power iteration approaches L from below; it stops when a step adds less
        than a thousandth.

        Raises
        ------
        FloatingPointError
            X has a NaN or an infinity, or is too large.
        """
        origin = np.zeros(self.size)
        direction = check_random_state(random_state).standard_normal(self.size)
        if not self.fit_intercept:
            direction[-1] = 0.0
        direction /= np.linalg.norm(direction)
        largest = 0.0
        for _ in range(100):
            product = self.hessian_product(origin, direction)
            length = float(np.linalg.norm(product))
            if not math.isfinite(length):
                raise FloatingPointError("a Hessian product is not finite")
            if length == 0.0:  # X and λ are zero and there is no intercept: J is flat
                return 1.0
            direction = product / length
            if length <= 1.001 * largest:
                return length
            largest = length
        return largest

    def separates(self, value: float) -> bool:
        """Whether a loss this small proves that every row is on its own side of the boundary.

        A row on the wrong side costs at least sᵢ log 2 / S. With λ = 0 such data have no finite
        optimum: multiplying W by any factor above 1 lowers J further, towards 0.
        """
        return self.l2 == 0.0 and value < self._log2_of_one_row

    def margins(self, V: Float64) -> Float64:
        """±x̃ᵢᵀV of the rows that have weight, positive where V moves a row to its own side. One read."""
        targets = self.rows.targets
        margins = (2.0 * targets.y - 1.0) * self.rows.logits(V)
        return margins if targets.s is None else margins[targets.s > 0.0]

    def certified_gap(
        self, W: Float64, gradient: Float64, centre: Float64, rounding: tuple[float, Float64]
    ) -> float:
        """An upper bound on J(W) − min J in nats that holds for certain; inf if λ = 0.

        φ(w) = min over b of J(w, b) is λ-strongly convex, so φ(w) − φ* ≤ ‖∇φ(w)‖²/(2λ). Without an
        intercept ∇φ is the gradient at hand. With one, two more terms account for b not being at
        its best value b*, where ∇φ is the gradient's first part. Let H_b = ∂²J/∂b² and
        τ = −log(1 − |g_b|/H_b). Since h(z + t) ≥ h(z) e^−|t|, |b* − b| ≤ τ and

            J(w, b) − φ(w) ≤ |g_b| τ,
            ‖∇φ(w)‖ ≤ ‖g_w − H_wb g_b / H_b‖ + R H_b (e^τ − 1 − τ),   R ≥ max ‖xᵢ − H_wb/H_b‖.

        Costs one read of X when there is an intercept, and one more the first time.

        centre : (d,), what the rows' lengths are counted from
        rounding : what it may have done to ∂J/∂b, and to ∇J along w, (d,)
        """
        if self.l2 == 0.0:
            return math.inf
        hidden = float(np.linalg.norm(rounding[1]))
        if not self.fit_intercept:
            return (float(np.linalg.norm(gradient[:-1])) + hidden) ** 2 / (2.0 * self.l2)
        last = np.zeros(self.size)
        last[-1] = 1.0
        column = self.rows.hessian_product(W, last)
        curvature, slope = float(column[-1]), abs(float(gradient[-1])) + rounding[0]
        if not slope < curvature:
            return math.inf
        tau = -math.log1p(-slope / curvature)
        mean = column[:-1] / curvature
        norm = float(np.linalg.norm(gradient[:-1] - mean * gradient[-1])) + hidden
        second_order = curvature * (math.expm1(tau) - tau)
        if second_order > 0.0:
            if self._radius is None or self._radius[0] is not centre:
                self._radius = centre, self.rows.longest_row(centre, np.ones(self.size - 1))
            radius = self._radius[1] + float(np.linalg.norm(mean - centre))
            norm += radius * (rounding[0] + second_order)
        return slope * tau + norm * norm / (2.0 * self.l2)
