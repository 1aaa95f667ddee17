"""Half the squared Newton decrement, ½ gᵀH⁻¹g: an estimate of J(W) − min J near the minimum.

By conjugate gradients on H x = g (Hestenes and Stiefel 1952). The sums of its step lengths,
½ Σ α_k ‖r_k‖², grow towards the decrement from below; what is left is at most what the residual is worth
along the axis of least curvature that has been met.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh_tridiagonal

from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.problem import Problem

_SETTLED = 0.01  # of what has been gathered: what may be left


class Lanczos:
    """The tridiagonal matrix of conjugate gradients, whose eigenvalues are the Ritz values (Lanczos 1950)."""

    def __init__(self) -> None:
        self._diagonal: list[float] = []
        self._beside: list[float] = []
        self._carried = 0.0
        self.known = np.inf  # the smallest, some steps ago: it only falls

    @property
    def steps(self) -> int:
        return len(self._diagonal)

    def step(self, alpha: float) -> None:
        """A step of this length."""
        self._diagonal.append(1.0 / alpha + self._carried)

    def turn(self, alpha: float, beta: float) -> None:
        """The next direction is z + β times the last one."""
        self._beside.append(np.sqrt(beta) / alpha)
        self._carried = beta / alpha

    def left(self, squared: float, enough: float) -> float:
        """½ squared/λ, λ the least curvature that has been met; where it is above ``enough`` maybe too low.

        λ takes an eigenvalue problem, and what it was some steps ago often says enough.
        """
        left = 0.5 * squared / self.known
        return left if left > enough else 0.5 * squared / self.smallest()

    def smallest(self) -> float:
        """The least curvature that has been met, from above."""
        beside = self._beside[: self.steps - 1]
        if not np.isfinite(self._diagonal + beside).all():
            return float(np.finfo(np.float64).tiny)
        values = eigh_tridiagonal(self._diagonal, beside, eigvals_only=True, select="i", select_range=(0, 0))
        self.known = max(float(values[0]), float(np.finfo(np.float64).tiny))
        return self.known


def estimated_gap(problem: Problem, W: Float64, gradient: Float64, max_products: int) -> float:
    """½ gᵀH⁻¹g at W in nats, in at most ``max_products`` Hessian products, with what may be left of it."""
    residual = gradient.copy()
    direction = residual.copy()
    start = squared = float(residual @ residual)
    decrement = left = 0.0
    lanczos = Lanczos()
    for _ in range(max_products):
        if squared <= np.finfo(np.float64).eps * start:
            break
        product = problem.hessian_product(W, direction)
        curvature = float(direction @ product)
        if curvature <= 0.0:  # rounding, or a flat direction: nothing more to learn
            break
        alpha = squared / curvature
        decrement += 0.5 * alpha * squared
        lanczos.step(alpha)
        residual -= alpha * product
        before, squared = squared, float(residual @ residual)
        left = lanczos.left(squared, _SETTLED * decrement)
        if left <= _SETTLED * decrement:
            return decrement + left
        lanczos.turn(alpha, squared / before)
        direction = residual + (squared / before) * direction
    if lanczos.steps:
        left = 0.5 * squared / lanczos.smallest()
    return decrement + left
