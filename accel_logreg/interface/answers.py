"""What an engine's rows return where an answer has several parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Descent:
    """What ``Rows.descend`` returns.

    W : (p,) float64, the weights after the last step
    costs : (steps,) float64, J at the START of each step, in nats per unit weight
    gradient_norms : (steps,) float64, ‖∇J‖₂ at the start of each step
    """

    W: Float64
    costs: Float64
    gradient_norms: Float64


@dataclass(frozen=True)
class NewtonRun:
    """What ``Rows.newton`` returns.

    W : (p,) float64
    costs, gradient_norms : (steps + 1,) float64, J and ‖∇J‖₂ at the start and after each step
    decrement : an upper estimate of J(W) − min J in nats
    bound : a certified bound on the same, infinite where λ = 0
    """

    W: Float64
    costs: Float64
    gradient_norms: Float64
    decrement: float
    bound: float


@dataclass(frozen=True)
class RoughHessian:
    """What ``Rows.rough_hessian`` returns.

    matrix : (p, p) float32, symmetric, its diagonal as exact as that
    noise : what rounding adds to a column's square, as a share of it; the largest of all columns
    """

    matrix: NDArray[np.float32]
    noise: float
