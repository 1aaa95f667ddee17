"""Backtracking from the full step, the natural length of a Newton step (Nocedal and Wright 2006, ch. 3)."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.problem import Smooth, answered

_ROUNDING = 1e-14  # relative decrease of J that rounding hides
_DECREASE = 1e-4
_ATTEMPTS = 40


@dataclass(frozen=True)
class Found:
    """An acceptable point, its value and gradient."""

    U: Float64
    value: float
    gradient: Float64


def search(problem: Smooth, *of: Any) -> Found | None:
    """``searching`` with the values and gradients of ``problem``."""
    return answered(searching(*of), problem.value_grad)


def searching(
    U: Float64, value: float, gradient: Float64, direction: Float64
) -> Generator[Float64, tuple[float, Float64], Found | None]:
    """A point on the way down from U, where J and its gradient are given; None where rounding hides it.

    Asks for J and its gradient at the points that it yields.

    A step is taken if J falls by a ten-thousandth of what the slope promises (Armijo 1966) or, where
    rounding hides so small a change, if the slope has flattened. Else the minimum of the parabola
    through both values and the slope is tried, within a tenth and a half of the step.
    """
    slope = float(gradient @ direction)
    hidden = _ROUNDING * abs(value)
    length = 1.0
    for _ in range(_ATTEMPTS):
        new = U + length * direction
        new_value, new_gradient = yield new
        if new_value <= value + _DECREASE * length * slope or (
            new_value <= value + hidden and abs(float(new_gradient @ direction)) <= -0.9 * slope
        ):
            return Found(new, new_value, new_gradient)
        if -slope * length <= hidden:
            return None
        curve = new_value - value - length * slope
        parabola = -slope * length * length / (2.0 * curve) if math.isfinite(curve) else 0.0
        length = min(0.5 * length, max(0.1 * length, parabola))
    return None
