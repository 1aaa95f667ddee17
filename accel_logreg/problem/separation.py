"""A direction that separates the classes, perfectly or in part, by a linear program (Konis 2007).

Maximise Σ mᵢ over V, with mᵢ = ±x̃ᵢᵀV between 0 and 1 for every row: above 0 if and only if no finite optimum
exists without a penalty. Newton's steps show the same for less, where they can be told from rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, diags_array, hstack

from accel_logreg.interface.arrays import Csr, Float64, Matrix

MOST_ENTRIES = 4_000_000  # of X, for which a program is set up
_SECONDS = 20.0
_MOVED = 1e-3  # of 1: a margin that is no rounding
_REACH = 1e6  # of V, in columns scaled to 1


def separating_direction(
    X: Matrix | Csr, y: NDArray[Any], s: Float64 | None, fit_intercept: bool
) -> Float64 | None:
    """V (d + 1,), the intercept last; None where there is none, or none was found in time."""
    matrix: Any = (
        csr_array((X.data, X.indices, X.indptr), shape=X.shape) if isinstance(X, Csr) else csr_array(X)
    )
    matrix, y = (matrix, y) if s is None else (matrix[s > 0.0], y[s > 0.0])
    scale = np.asarray(abs(matrix).max(axis=0).todense(), dtype=np.float64).ravel()
    empty = scale == 0.0
    scale[empty] = 1.0
    last = csr_array(np.full((matrix.shape[0], 1), float(fit_intercept)))
    margins = diags_array(2.0 * y - 1.0) @ hstack([matrix @ diags_array(1.0 / scale), last], format="csr")
    found = linprog(
        -np.asarray(margins.sum(axis=0)).ravel(),
        A_ub=hstack([margins.T, -margins.T], format="csr").T,
        b_ub=np.r_[np.ones(len(y)), np.zeros(len(y))],
        bounds=(-_REACH, _REACH),
        method="highs",
        options={"time_limit": _SECONDS},
    )
    if found.x is None or not float(np.max(margins @ found.x)) > _MOVED:
        return None
    V: Float64 = np.append(found.x[:-1] / scale, found.x[-1] if fit_intercept else 0.0)
    V[:-1][empty] = 0.0
    return V
