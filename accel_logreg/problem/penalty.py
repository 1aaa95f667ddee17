"""The elastic net: Σ l1ⱼ|uⱼ| + l2ⱼ/2 uⱼ², whose minima have zeros, and its part in a gradient and a gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Float64


@dataclass(frozen=True)
class ElasticNet:
    """Penalty of a vector u (p,), in nats.

    l1, l2 : (p,) float64, not negative; both 0 for intercepts and whatever else is free
    at_least_zero : (p,) of bool, where u may not be negative; None where it may be everywhere
    """

    l1: Float64
    l2: Float64
    at_least_zero: NDArray[np.bool_] | None = None

    def only(self, entries: NDArray[np.intp]) -> ElasticNet:
        """That of these entries of u."""
        bounded = None if self.at_least_zero is None else self.at_least_zero[entries]
        return ElasticNet(self.l1[entries], self.l2[entries], bounded)

    def linear(self) -> ElasticNet:
        """Its l1 and its bounds alone."""
        return ElasticNet(self.l1, np.zeros_like(self.l2), self.at_least_zero)

    @property
    def free(self) -> NDArray[np.bool_]:
        """(p,), where nothing is penalised or forbidden."""
        free = (self.l1 == 0.0) & (self.l2 == 0.0)
        return np.asarray(free if self.at_least_zero is None else free & ~self.at_least_zero)

    @property
    def kinked(self) -> NDArray[np.bool_]:
        """(p,), where u = 0 is held by more than curvature."""
        kinked = self.l1 > 0.0
        return np.asarray(kinked if self.at_least_zero is None else kinked | self.at_least_zero)

    def value(self, u: Float64) -> float:
        return float(self.l1 @ np.abs(u) + 0.5 * (self.l2 @ np.square(u)))

    def slope(self, u: Float64, gradient: Float64) -> Float64:
        """The shortest subgradient of loss + penalty at u, (p,), for the loss's gradient there: 0 at the
        optimum.
        """
        r = gradient + self.l2 * u
        down = np.maximum(r - self.l1, 0.0)
        if self.at_least_zero is not None:
            down[self.at_least_zero] = 0.0
        at_zero = down + np.minimum(r + self.l1, 0.0)
        return np.asarray(np.where(u == 0.0, at_zero, r + np.copysign(self.l1, u)))

    def excess(self, gradient: Float64) -> Float64:
        """|gradientⱼ| where it pulls uⱼ away from 0, (p,): above l1 it moves it."""
        pull = np.abs(gradient)
        if self.at_least_zero is not None:
            pull = np.where(self.at_least_zero, np.maximum(-gradient, 0.0), pull)
        return np.asarray(pull)

    def shrinkages(self, gradient: Float64, error: Float64) -> set[float]:
        """The largest c ≤ 1 by which c times this gradient, wrong by ``error`` at most, holds at 0 whatever
        has no curvature of its own; and everything.
        """
        pull = np.maximum(self.excess(gradient) + error, np.finfo(np.float64).tiny)
        ratio = np.minimum(self.l1 / pull, 1.0)
        penalised = ~self.free
        return {float(ratio[where].min(initial=1.0)) for where in (penalised & (self.l2 == 0.0), penalised)}

    def dual_gap(self, u: Float64, gradient: Float64, error: Float64, c: float) -> float:
        """Σ of penalty(uⱼ) + c uⱼ gradientⱼ + the penalty's conjugate at −c gradientⱼ, of penalised entries.

        By Fenchel and Young none is below 0. For a gradient that is wrong by ``error`` at most.
        """
        pull = c * (self.excess(gradient) + error)
        beyond = np.maximum(pull - self.l1, 0.0)
        size = np.abs(u)
        # l1|u| + c u g: where u has the sign of −g it is |u| (l1 − c|g|).
        linear = size * self.l1 + c * (u * gradient + size * error)
        with np.errstate(divide="ignore", invalid="ignore"):
            conjugate = np.where(self.l2 > 0.0, np.square(beyond) / (2.0 * self.l2), 0.0)
        each = linear + 0.5 * self.l2 * np.square(size) + conjugate
        return float(each[~self.free].sum())
