"""L-BFGS's inverse Hessian on top of a factor (Nocedal 1980; Liu and Nocedal 1989).

Curvature pairs sₖ = Uₖ₊₁ − Uₖ, yₖ = ∇J(Uₖ₊₁) − ∇J(Uₖ) of the function being minimised correct the
inverse of a factor that was made from a sample of its rows, or at another point: where a fixed factor
shrinks the error by a constant, this shrinks it faster with every step, at no further read of X.
"""

from __future__ import annotations

from collections import deque

from scipy.linalg.blas import daxpy

from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.problem import Inverse


class Memory:
    """The last pairs, and the two-loop recursion through them."""

    def __init__(self, pairs: int = 30) -> None:
        self.most = pairs
        self._pairs: deque[tuple[Float64, Float64, float]] = deque(maxlen=pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def clear(self) -> None:
        self._pairs.clear()

    def append(self, step: Float64, change: Float64) -> None:
        """Take a pair, unless rounding has left it without curvature."""
        curvature = float(step @ change)
        if curvature > 0.0:
            self._pairs.append((step, change, 1.0 / curvature))

    def solve(self, factor: Inverse, g: Float64) -> Float64:
        """B g, with B the inverse Hessian that the pairs make of the factor's."""
        q = g.copy()
        shares = []
        for step, change, rho in reversed(self._pairs):
            share = rho * float(step @ q)
            daxpy(change, q, a=-share)  # q += a change, without a temporary
            shares.append(share)
        r = factor.solve(q)
        for (step, change, rho), share in zip(self._pairs, reversed(shares), strict=True):
            daxpy(step, r, a=share - rho * float(change @ r))
        return r
