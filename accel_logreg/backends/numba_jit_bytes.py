"""The Hessian from products of 8 bits, on processors that have an instruction for them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.answers import RoughHessian
from accel_logreg.backends.base import Float64, Matrix
from accel_logreg.kernels.numba_byte_hessian import byte_hessian, width_for
from accel_logreg.kernels.numba_byte_products import LANES, MOST_ROWS, TOGETHER

# What is weighed in a round is read again from the cache, to be rounded.
_ROUND_BYTES = 1 << 22
_LEAST_ROUND = 512


def rough_hessian(
    X: Matrix,
    s: Float64,
    rows: NDArray[np.intp],
    factors: Float64,
    W: Float64,
    centre: Float64,
    scale: Float64,
    chunks: int,
) -> RoughHessian | None:
    """See backends/base.py; ``rows`` and ``factors`` are (m,), or (0,) both for all rows of X."""
    n, d = X.shape
    m = len(rows) if len(rows) else n
    width = width_for(d + 1)
    groups = -(-min(m, MOST_ROWS, max(_LEAST_ROUND, _ROUND_BYTES // (4 * width))) // TOGETHER)
    V = np.empty((groups * TOGETHER, width), dtype=np.float32)
    packed = np.empty((width // LANES, groups, LANES), dtype=np.int32)
    matrix, noise = byte_hessian(
        X, s, rows, factors, W.copy(), centre.copy(), scale.copy(), V, packed, chunks
    )
    return RoughHessian(matrix, noise) if math.isfinite(noise) else None
