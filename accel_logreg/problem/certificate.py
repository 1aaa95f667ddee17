"""A bound on J(U) − min J that holds without a penalty, from the exact Hessian over all rows.

|ℓ‴| ≤ ℓ″, so J is self-concordant in the sense of Bach (2010): along Δ its curvature falls by e^−r at most,
where r = maxᵢ |x̂ᵢᵀΔ| ≤ ρ ‖Δ‖_H and ρ = maxᵢ ‖x̂ᵢ‖ in the norm of H⁻¹. Integrate twice and minimise over
‖Δ‖_H: with λ = ‖∇J‖ in the norm of H⁻¹ and q = ρ λ < 1,

    J(U) − J* ≤ (q + (1 − q) log(1 − q))/ρ² = λ²/2 (1 + q/3 + …),

and a minimum exists. Any H₀ with H ⪰ c H₀ will do: λ² and ρ² grow by 1/c. Rounding in H₀ is such a c, and so
is e^−r where H₀ was made at a distance of r. What rounding does to ∇J is added to λ.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtri

from accel_logreg.interface.arrays import Float64

_EPSILON = float(np.finfo(np.float64).eps)
# Of a Hessian's trace: what rounding in its products and sums may add to an eigenvalue.
NOISE = {"float32": 2e-6, "float64": 2e-15}
_CERTAIN = 0.5  # of H must be left when its noise is taken off
_LARGEST_Q = 0.95
_FEW = 256  # unknowns up to which an eigenvalue costs next to nothing
_MOST_EIGENVECTORS = 1024  # unknowns up to which a singular Hessian is taken apart
_FLAT = 0.3  # of the noise: an eigenvalue that is 0 but for rounding
_SLOPE = 100.0  # roundings of the gradient that may lie along a flat direction


class Certificate:
    """The exact Hessian at ``U0``, factorised: Newton's steps, and bounds there and nearby.

    Parameters
    ----------
    H : (p, p) float64
        Of all rows, in the coordinates x̂.
    U0 : (p,) float64
    radius : float
        max ‖x̂ᵢ‖ of the rows that have weight.
    noise : float
        By how much rounding may have moved an eigenvalue of H.
    floor : float
        What the penalty makes of the smallest eigenvalue of J's Hessian at least; 0 without one.
    last : bool
        Whether no better H can be had: then one that rounding hides in part is taken apart.
    """

    def __init__(
        self, H: Float64, U0: Float64, radius: float, noise: float, floor: float, *, last: bool
    ) -> None:
        self.U0, self._radius, self._noise = U0, radius, noise
        self.flat: Float64 | None = None  # (p, k): an orthonormal basis of the directions of no curvature
        self._inverse = math.inf  # a bound on ‖H⁻¹‖₂
        self._values: Float64 | None = None
        trace = float(np.trace(H))
        if not (math.isfinite(trace) and math.isfinite(radius)):
            raise FloatingPointError("the Hessian is not finite")
        ridge = 0.0
        while True:
            self._L, info = dpotrf(H.T + ridge * np.eye(len(H)) if ridge else H.T, lower=1, clean=1)
            if info == 0:
                break
            ridge = max(10.0 * ridge, _EPSILON * trace, float(np.finfo(np.float64).tiny))
        if not ridge:
            self._inverse = _norm_of_inverse(H, self._L, trace)
        if last and not self.certain and len(H) <= _MOST_EIGENVECTORS:
            self._take_apart(H, floor)

    def _take_apart(self, H: Float64, floor: float) -> None:
        """Eigenvectors. With a penalty no eigenvalue is below ``floor``; without, tiny ones may be zero."""
        values, self._vectors = eigh(H)
        if floor > 0.0:
            self._values, self._noise = np.maximum(values - self._noise, floor), 0.0
            self._inverse = 1.0 / float(self._values.min())
            return
        flat = values <= _FLAT * self._noise
        self._values = np.maximum(values, _FLAT * self._noise)
        self._inverse = math.inf if flat.all() else 1.0 / float(values[~flat].min())
        if flat.any():
            self.flat = np.ascontiguousarray(self._vectors[:, flat])

    @property
    def certain(self) -> bool:
        """Whether H is known well enough for a bound: what rounding may have moved is small beside it."""
        return self._noise * self._inverse <= 1.0 - _CERTAIN

    def solve(self, g: Float64) -> Float64:
        """H⁻¹ g; directions that rounding hides have the curvature that it would hide."""
        if self._values is not None:
            x: Float64 = self._vectors @ ((self._vectors.T @ g) / self._values)
            return x
        x, _ = dpotrs(self._L, g, lower=1)
        return x

    def decrement(self, g: Float64) -> float:
        """½ gᵀH⁻¹g in nats."""
        return 0.5 * float(g @ self.solve(g))

    def hidden(self, rounding: tuple[float, Float64]) -> float:
        """What rounding alone may cost, in nats, along the directions of which H knows the curvature."""
        inverse = self._inverse if math.isfinite(self._inverse) else 0.0
        return 0.5 * (rounding[0] + math.sqrt(inverse) * float(np.linalg.norm(rounding[1]))) ** 2

    def bound(self, U: Float64, gradient: Float64, rounding: tuple[float, Float64]) -> float:
        """The bound at U in nats; inf where it does not exist, or is not certain.

        rounding : what ``rounding_of`` says
        """
        if not self.certain:
            return math.inf
        hidden = float(np.linalg.norm(rounding[1]))
        if self.flat is not None and np.linalg.norm(self.flat.T @ gradient) > _SLOPE * hidden:
            return math.inf  # not flat: curvature that rounding hides
        return self._bound(U, math.sqrt(2.0 * abs(self.decrement(gradient))), rounding[0], hidden)

    def step(self, U: Float64, gradient: Float64, rounding: tuple[float, Float64]) -> tuple[Float64, float]:
        """Where Newton's step from U leads, and the bound there, for which no row is looked at.

        The gradient there is ∫ (H(U + tΔ) − H₀) Δ dt. Within r of U₀ no Hessian differs from H₀ by more than
        e^r − 1 of it, so in the norm of H₀⁻¹ that is at most e^r − 1 of the gradient at U.
        """
        there = U - self.solve(gradient)
        if not self.certain or self.flat is not None:
            return there, math.inf
        change = math.expm1(min(700.0, max(self._distance(U), self._distance(there))))
        length = (change + self._noise * self._inverse) * math.sqrt(2.0 * abs(self.decrement(gradient)))
        return there, self._bound(there, length, rounding[0], float(np.linalg.norm(rounding[1])))

    def _bound(self, U: Float64, length: float, by_logits: float, hidden: float) -> float:
        """For a gradient at U of this length in the norm of H₀⁻¹, and what rounding adds."""
        growth = math.exp(min(700.0, self._distance(U))) / (1.0 - self._noise * self._inverse)
        root = math.sqrt(self._inverse * growth)
        return self_concordant_bound(
            length * math.sqrt(growth) + by_logits + root * hidden, self._radius * root
        )

    def _distance(self, U: Float64) -> float:
        """A bound on |x̂ᵀ(U − U₀)| for every row."""
        if U is self.U0:
            return 0.0
        step = U - self.U0
        if self.flat is not None:
            step -= self.flat @ (self.flat.T @ step)
        return self._radius * float(np.linalg.norm(step))


def _norm_of_inverse(H: Float64, L: Float64, trace: float) -> float:
    """A bound on ‖H⁻¹‖₂ = 1/λ_min: by the eigenvalue where that costs little, else by tr H⁻¹ = ‖L⁻¹‖²."""
    if len(H) <= _FEW:
        least = float(eigh(H, eigvals_only=True, subset_by_index=(0, 0))[0]) - len(H) * _EPSILON * trace
        return 1.0 / least if least > 0.0 else math.inf
    inverse, _ = dtrtri(L, lower=1)
    return float(np.vdot(inverse, inverse))


def least_curvature(H: Float64, penalty: float, p: int) -> float:
    """A bound below H's eigenvalues, of a penalty whose own are at least ``penalty``, but for intercepts.

    H (K p, K p) has an intercept last in every class. It is at least P + [C G]ᵀ G⁻¹ [C G], where P is the
    penalty, G (K, K) H's block of the intercepts and C (K, K d) their rows beside it: by its Schur complement
    the inverse of that has a norm of at most (1 + ‖G⁻¹C‖²)/penalty + ‖G⁻¹‖.
    """
    if penalty == 0.0:
        return 0.0
    last = np.arange(p - 1, len(H), p)
    try:
        inverse = np.linalg.inv(H[np.ix_(last, last)])
    except np.linalg.LinAlgError:
        return float(np.finfo(np.float64).tiny)
    beside = inverse @ np.delete(H[last], last, axis=1)
    return 1.0 / ((1.0 + float(np.square(beside).sum())) / penalty + float(np.linalg.norm(inverse, 2)))


def self_concordant_bound(length: float, rho: float) -> float:
    """(q + (1 − q) log(1 − q))/ρ² with q = ρλ, for λ = ``length``; inf for q near 1 or above."""
    q = rho * length
    if not q < _LARGEST_Q:
        return math.inf
    if q < 1e-2:  # the terms cancel: their series, the rest of which is below q²/11
        return length * length * (0.5 + q / 6.0 + q * q / 11.0)
    return length * length * (q + (1.0 - q) * math.log1p(-q)) / (q * q)


def rounding_of(U: Float64, mean: Float64, scale: Float64, value: float) -> tuple[float, Float64]:
    """What rounding may do to ‖∇J‖ in the norm of H⁻¹, by the logits of U as it is returned, and to ∇J, (p,).

    A logit is a sum of products xⱼwⱼ of about (|μⱼ| + 3σⱼ)|wⱼ| and of b, itself rounded; a gradient's entry
    is one of residuals times (|μⱼ| + 3σⱼ)/σⱼ. The residuals' mean is at most J, and so is that of the
    curvatures by which a logit's error η comes into ∇J: as Σ h η x̂, whose length in the norm of H⁻¹ is at
    most √(Σ h η²).
    """
    w = np.abs(U[:-1]) / scale
    far = np.abs(mean)
    logits = abs(float(U[-1])) + float((2.0 * far + 3.0 * scale) @ w)
    curvature = math.sqrt(min(0.25, value))
    return 6.0 * _EPSILON * logits * curvature, 64.0 * _EPSILON * value * np.append(far / scale + 3.0, 1.0)
