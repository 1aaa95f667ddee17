"""Rows + penalty → J(W) and its derivatives; the only place that knows lambda.

J(W) = (1/S) Σ sᵢ ℓ(zᵢ, yᵢ) + λ/2 ‖W[:d]‖², z = X W[:d] + W[d], S = Σ sᵢ, λ = 1/(C S).

The intercept is never penalised; without one it stays at zero. C = inf gives λ = 0, the lesson's
cost. J is scikit-learn's objective divided by C S, so both have the same optimum.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from accel_logreg.interface.answers import Descent, LowPrecisionHessian, RowSample
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.rows import Precision, Rows

_SEPARATION = (
    "the classes are perfectly separated and C=inf: the cost falls towards 0 as the coefficients grow, so "
    "no finite optimum exists. Use a finite C, for example C=1.0"
)


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

    separation = _SEPARATION  # what to say where ``separates`` is true

    def __init__(
        self, rows: Rows, *, l2: float = 0.0, fit_intercept: bool = True, smallest_weight: float = 1.0
    ) -> None:
        self.rows = rows
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.size = rows.n_features + 1
        self.n_rows = rows.n_rows
        self.sparse = rows.sparse
        self._smallest_weight = smallest_weight
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
        a = self.rows.targets.label_share()
        W[-1] = math.log(a / (1.0 - a))
        return W, -(a * math.log(a) + (1.0 - a) * math.log1p(-a))

    def pick(self, size: int, random: np.random.RandomState) -> RowSample:
        """About ``size`` rows that stand for all."""
        return self.rows.pick(size, random)

    def sample(self, picked: RowSample) -> Objective:
        """J over the picked rows alone, with the same λ."""
        return Objective(
            self.rows.sample(picked),
            l2=self.l2,
            fit_intercept=self.fit_intercept,
            smallest_weight=self._smallest_weight * float(picked.factors.min()),
        )

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

    def certified_gap(self, W: Float64, gradient: Float64) -> float:
        """An upper bound on J(W) − min J in nats that holds for certain (up to rounding); inf if λ = 0.

        φ(w) = min over b of J(w, b) is λ-strongly convex, so φ(w) − φ* ≤ ‖∇φ(w)‖²/(2λ). Without an
        intercept ∇φ is the gradient at hand. With one, two more terms account for b not being at
        its best value b*, where ∇φ is the gradient's first part. Let H_b = ∂²J/∂b² and
        τ = −log(1 − |g_b|/H_b). Since h(z + t) ≥ h(z) e^−|t|, |b* − b| ≤ τ and

            J(w, b) − φ(w) ≤ |g_b| τ,
            ‖∇φ(w)‖ ≤ ‖g_w − H_wb g_b / H_b‖ + 2 R H_b (e^τ − 1 − τ),   R ≥ max ‖xᵢ‖.

        Costs one read of X when there is an intercept.
        """
        if self.l2 == 0.0:
            return math.inf
        if not self.fit_intercept:
            return float(gradient @ gradient) / (2.0 * self.l2)
        last = np.zeros(self.size)
        last[-1] = 1.0
        column = self.rows.hessian_product(W, last)
        curvature, slope = float(column[-1]), float(gradient[-1])
        if abs(slope) >= curvature:
            return math.inf
        tau = -math.log1p(-abs(slope) / curvature)
        radius = self.rows.largest_entry() * math.sqrt(self.size - 1)
        second_order = 2.0 * radius * curvature * (math.expm1(tau) - tau)
        norm = float(np.linalg.norm(gradient[:-1] - column[:-1] * (slope / curvature))) + second_order
        return abs(slope) * tau + norm * norm / (2.0 * self.l2)
