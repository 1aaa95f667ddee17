"""Half the squared Newton decrement, ½ gᵀH⁻¹g: an estimate of J(W) − min J near the minimum.

By conjugate gradients on H x = g (Hestenes and Stiefel 1952). The sums of its step lengths,
½ Σ α_k ‖r_k‖², grow towards the decrement from below, so it also knows when it is done.
"""

from __future__ import annotations

import numpy as np

from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.problem import Problem

_SETTLED = 0.01  # the last iterations may still add 1 %
_WINDOW = 5


def estimated_gap(problem: Problem, W: Float64, gradient: Float64, max_products: int) -> float:
    """½ gᵀH⁻¹g at W in nats, in at most ``max_products`` Hessian products.

    Returns what has been gathered when the budget ends: a lower estimate.
    """
    residual = gradient.copy()
    direction = residual.copy()
    squared = float(residual @ residual)
    decrement = 0.0
    gathered: list[float] = []
    for _ in range(max_products):
        if squared == 0.0:
            break
        product = problem.hessian_product(W, direction)
        curvature = float(direction @ product)
        if curvature <= 0.0:  # rounding, or a flat direction: nothing more to learn
            break
        step = squared / curvature
        decrement += 0.5 * step * squared
        gathered.append(decrement)
        if len(gathered) > _WINDOW and decrement <= (1.0 + _SETTLED) * gathered[-1 - _WINDOW]:
            break
        residual -= step * product
        previous, squared = squared, float(residual @ residual)
        if squared <= np.finfo(np.float64).eps * float(gradient @ gradient):
            break
        direction = residual + (squared / previous) * direction
    return decrement
