"""J as a function of the rows' coefficients, and Newton's steps on it, from the rows' inner products alone.

With w = (X − c)ᵀa, K = (X − c)(X − c)ᵀ and b = c₀ − cᵀw the logits are z = K a + c₀ and ‖w‖² = aᵀK a. Let
q = ∂(mean loss)/∂z. Then ∇J is (X − c)ᵀr along w, r = q + λa, and Σ qᵢ along the intercept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.targets import Targets

_FLATTER = 0.03  # a line search ends where the slope is at most this share of the first
_WORTH_FLOAT32 = 256  # rows from which factors are float32 where that will do
_RESIDUAL = 1e-3  # it will do where this share of the right-hand side is left at most, after
_CORRECTIONS = 3  # so many corrections
_EPSILON = float(np.finfo(np.float64).eps)
_BLOCK = 32_768  # entries of K that stay in the cache


@dataclass(frozen=True)
class Point:
    """(a, c₀), J there, and what follows from it. ``a`` and ``Ka`` are counted from the space's anchor."""

    a: Float64
    Ka: Float64
    c0: float
    all_a: Float64  # the anchor included
    cost: float
    r: Float64
    Kr: Float64
    slope: float  # ∂J/∂c₀
    curvature: float  # ∂²J/∂c₀²
    root: Float64  # √h, h = σ(1 − σ)

    @property
    def norm(self) -> float:
        """‖(X − c)ᵀr‖, the gradient's along w."""
        return math.sqrt(max(float(self.r @ self.Kr), 0.0))


@dataclass(frozen=True)
class Step:
    """A direction from a point, and J's slope along it."""

    a: Float64
    Ka: Float64
    c0: float
    slope: float

    @property
    def decrement(self) -> float:
        """½ gᵀH⁻¹g: the slope is −gᵀH⁻¹g, but for rounding."""
        return 0.5 * abs(self.slope)


class SampleSpace:
    """J over (a, c₀) for K (n, n), the rows' labels and weights, and λ = l2 > 0.

    ``epsilon`` is the rounding unit of K's products.
    ``at_logits`` moves the anchor from a = 0 to other coefficients, whose logits were found to be other
    ones than K says: steps from there are small, and so are their errors.
    """

    def __init__(
        self,
        K: Float64,
        targets: Targets,
        l2: float,
        fit_intercept: bool,
        epsilon: float = _EPSILON,
    ) -> None:
        n = len(targets.y)
        self.K, self.l2, self.fit_intercept = K, l2, fit_intercept
        self.sign = 1.0 - 2.0 * targets.y.astype(np.float64)
        self.share = targets.shares()
        self.anchor, self.K_anchor, self.z_anchor = np.zeros((3, n))  # z = z_anchor + K a + c₀
        self.lengths = np.sqrt(K.diagonal())
        # R ≥ ‖xᵢ − c‖, rounding included: in sums of d ≤ 2²⁰ or so that are added in blocks.
        self.radius = float(self.lengths[self.share > 0.0].max()) * (1.0 + 1024.0 * epsilon)
        self.epsilon = epsilon
        if not math.isfinite(self.radius):
            raise FloatingPointError("the rows' inner products are not finite")
        self._root_share = np.sqrt(self.share / l2)
        self._float32 = n >= _WORTH_FLOAT32
        self._work: NDArray[np.float32] | Float64
        self._work = np.empty(K.shape, dtype=np.float32) if self._float32 else np.empty(K.shape)

    def trivial(self) -> Point:
        """a = 0, and the log-odds of the labels."""
        zero = np.zeros(len(self.sign))
        c0 = 0.0
        if self.fit_intercept:
            positive = float(self.share[self.sign < 0.0].sum())
            c0 = math.log(positive / (1.0 - positive))
        return self.at(zero, zero, c0)

    def at(self, a: Float64, Ka: Float64, c0: float) -> Point:
        """J and its gradient at (a, c₀)."""
        all_a = self.anchor + a
        m = self.sign * (self.z_anchor + Ka + c0)  # minus the margin: the loss is log(1 + e^m)
        size = np.abs(m)
        e = np.exp(-size)
        q = self.share * self.sign * np.where(m >= 0.0, 1.0, e) / (1.0 + e)
        squared = float(all_a @ (self.K_anchor + Ka))
        cost = float(self.share @ (np.maximum(m, 0.0) + np.log1p(e))) + 0.5 * self.l2 * squared
        # Beyond 700 the curvature is a stand-in that does not underflow: it steers, no more than that.
        root = np.exp(-0.5 * np.minimum(size, 700.0)) / (1.0 + e)
        r = q + self.l2 * all_a
        slope = float(q.sum()) if self.fit_intercept else 0.0
        curvature = float(self.share @ (root * root))
        return Point(a, Ka, c0, all_a, cost, r, self.K @ r, slope, curvature, root)

    def newton(self, point: Point) -> Step:
        """Newton's step: (λI + DK) δa + D1 δc₀ = −r and 1ᵀ(a + δa) = 0, with D = diag(s h/S).

        1ᵀa = 0 is what the first equation leaves of the slope along the intercept.
        """
        a, c0 = self._newton(point)
        return Step(a, self.K @ a, c0, float(a @ point.Kr) + c0 * point.slope)

    def from_logits(self, z: Float64) -> Point:
        """Where Newton's step from these logits ends, whatever coefficients they had."""
        a, c0 = self._newton(self.at(np.zeros(len(z)), z, 0.0), z)
        return self.at(a, self.K @ a, c0)

    def at_logits(self, point: Point, z: Float64) -> Point:
        """The same coefficients, whose logits were found to be these."""
        zero = np.zeros_like(z)
        self.anchor, self.K_anchor, self.z_anchor = point.all_a, self.K @ point.all_a, z - point.c0
        return self.at(zero, zero, point.c0)

    def _newton(self, point: Point, z: Float64 | float = 0.0) -> tuple[Float64, float]:
        """With R = √D/√λ and a = R x: B x = R z − r/(λR) − R1 c₀, where B = I + RKR.

        B is symmetric and has no eigenvalue below 1 (Rasmussen and Williams 2006, algorithm 3.1). r/R
        is finite: a row's q/√h is e^(|z|/2) at most.
        """
        R = self._root_share * point.root
        sides = np.zeros((len(R), 2), order="F")
        np.divide(point.r, -self.l2 * R, out=sides[:, 0], where=R > 0.0)
        sides[:, 0] += R * z
        sides[:, 1] = R
        x = self._solve(R, sides)
        c0 = 0.0
        if self.fit_intercept:
            c0 = (float(point.all_a.sum()) + float(R @ x[:, 0])) / float(R @ x[:, 1])
        return R * (x[:, 0] - c0 * x[:, 1]), c0

    def search(self, point: Point, step: Step) -> Point | None:
        """About where J stops falling along the step; None where rounding hides that it falls at all.

        Free, because z and aᵀKa are known along it. Where the classes are separable Newton's step is too
        short, since it moves down an exponential's tail by 1 at a time: then this goes on beyond it.
        """
        z = self.sign * (self.z_anchor + point.Ka + point.c0)
        dz = self.sign * (step.Ka + step.c0)
        weighted = self.share * dz
        linear, quadratic = self.l2 * float(point.all_a @ step.Ka), self.l2 * float(step.a @ step.Ka)
        # Rounding in K may hide both: then the step is taken as it is.
        moved = float(self.lengths @ np.abs(step.a))
        hidden = self.l2 * moved * (moved + float(self.lengths @ np.abs(point.all_a)))
        t, low, high = 1.0, 0.0, math.inf
        for _ in range(60):
            with np.errstate(over="ignore"):  # e^∞: such a row is far on its right side
                terms = weighted / (1.0 + np.exp(-z - t * dz))
            slope = float(terms.sum()) + linear + t * quadratic
            rounding = 4.0 * _EPSILON * (float(np.abs(terms).sum()) + hidden)
            if abs(slope) <= _FLATTER * abs(step.slope) + rounding:
                return self.at(point.a + t * step.a, point.Ka + t * step.Ka, point.c0 + t * step.c0)
            if slope < 0.0:
                low = t
            else:
                high = t
            t = 2.0 * t if math.isinf(high) else 0.5 * (low + high)
        return None

    def bound(self, point: Point, norm: float, slope: float, drift: float = 0.0) -> float:
        """``Objective.certified_gap`` in centred coordinates, for a gradient of this ‖g_w‖ and g_b.

        There H_wb/H_b is a weighted mean of centred rows, which R bounds as well. ``drift`` is how far
        the logits may be from those of the point: H_b is no smaller than e^−drift times the point's.
        """
        if not self.fit_intercept:
            return norm * norm / (2.0 * self.l2)
        curvature, slope = point.curvature * math.exp(-drift), abs(slope)
        if slope >= curvature:
            return math.inf
        tau = -math.log1p(-slope / curvature)
        norm += self.radius * (slope + 2.0 * curvature * (math.expm1(tau) - tau))
        return slope * tau + norm * norm / (2.0 * self.l2)

    def _solve(self, R: Float64, sides: Float64) -> Float64:
        """B⁻¹ sides, (n, 2), by a Cholesky factor of B = I + RKR.

        A float32 factor takes half the time. B times its answer tells how good that is; corrections
        make it better, and where they do not, factors are float64 from then on.
        """
        if self._float32:
            x = self._solve_in_float32(R, sides)
            if x is not None:
                return x
            self._float32 = False
            self._work = np.empty(self.K.shape)
        ridge, n = 0.0, len(R)
        while True:
            self._fill(R)
            largest = float(self._work.diagonal().max())
            if not math.isfinite(largest):
                raise FloatingPointError("the Hessian is not finite")
            self._work.flat[:: n + 1] += ridge
            factor, info = lapack.dpotrf(self._work.T, lower=1, clean=0, overwrite_a=1)
            if info == 0:
                solution: Float64 = lapack.dpotrs(factor, sides, lower=1)[0]
                return solution
            ridge = max(10.0 * ridge, n * _EPSILON * largest)  # rounding in K

    def _solve_in_float32(self, R: Float64, sides: Float64) -> Float64 | None:
        with np.errstate(over="ignore"):
            self._fill(R)
        factor, info = lapack.spotrf(self._work.T, lower=1, clean=0, overwrite_a=1)
        if info:
            return None
        scale = np.maximum(np.linalg.norm(sides, axis=0), np.finfo(np.float64).tiny)
        x = np.zeros_like(sides)
        left = sides / scale
        for _ in range(1 + _CORRECTIONS):
            x += lapack.spotrs(factor, left.astype(np.float32), lower=1)[0]
            left = sides / scale - x - R[:, np.newaxis] * (self.K @ (R[:, np.newaxis] * x))
            if np.linalg.norm(left, axis=0).max() <= _RESIDUAL:
                x *= scale
                return x
        return None

    def _fill(self, R: Float64) -> None:
        """Half of B into the work matrix: on and above its diagonal, LAPACK's lower half by columns."""
        n = len(R)
        rows = max(1, _BLOCK // n)
        for start in range(0, n, rows):
            stop = start + rows
            block = np.multiply(self.K[start:stop, start:], R[start:])
            block *= R[start:stop, np.newaxis]
            self._work[start:stop, start:] = block
        self._work.flat[:: n + 1] += 1.0
