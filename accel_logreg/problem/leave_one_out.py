"""Every row's logit without the row, by one Newton step from the fit to all (Rad and Maleki 2020)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpotrf
from scipy.special import expit

from accel_logreg.interface.arrays import Float64
from accel_logreg.problem.coordinates import Coordinates
from accel_logreg.problem.objective import Objective

_ENTRIES = 1 << 18  # of X at a time
_LEAST = float(np.finfo(np.float64).eps)


def leave_one_out(
    objective: Objective, problem: Coordinates, W: Float64, some_rows: Callable[[int, int], Float64]
) -> Float64:
    """z + s ℓ′ a/(1 − s h a) with a = x̃ᵀ(S H)⁻¹x̃: (n,), at the optimum W (p,) of a penalised objective.

    H is J's Hessian, ℓ′ and h are the derivatives of the row's loss, s is its weight and S their sum.
    ``some_rows(start, stop)`` gives rows of X, dense float64. A read, a Hessian, a triangular solve a row.

    Raises numpy.linalg.LinAlgError where H is singular but for rounding.
    """
    rows, n = objective.rows, objective.n_rows
    L, info = dpotrf(problem.hessian(problem.coordinates(W), precision="float64"), lower=1)
    if info != 0:
        raise np.linalg.LinAlgError("the Hessian is singular but for rounding")
    z = rows.logits(W)
    a = expit(z)
    leverage = np.empty(n)
    step = max(1, _ENTRIES // objective.size)
    for start in range(0, n, step):
        stop = min(n, start + step)
        x = solve_triangular(L, problem.rows_of(some_rows(start, stop)).T, lower=True, check_finite=False)
        leverage[start:stop] = np.einsum("ji,ji->i", x, x)
    s = rows.targets.s
    leverage *= (1.0 if s is None else s) / rows.weight_sum
    moved: Float64 = z + (a - rows.targets.y) * leverage / np.maximum(1.0 - a * (1.0 - a) * leverage, _LEAST)
    return moved
