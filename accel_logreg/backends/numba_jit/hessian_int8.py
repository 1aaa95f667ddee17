"""The Hessian from products of 8 bits, on processors that have an instruction for them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import LowPrecisionHessian
from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.kernels.numba_jit.blocks.int8_products import LANES, MOST_ROWS, TOGETHER
from accel_logreg.kernels.numba_jit.hessian_int8 import byte_hessian, width_for

# What is weighed in a round is read again from the cache, to be rounded.
_ROUND_BYTES = 1 << 22
_LEAST_ROUND = 1024  # for products of 8 bits to run at their pace


def int8_hessian(
    X: Matrix,
    s: Float64,
    rows: NDArray[np.intp],
    factors: Float64,
    W: Float64,
    centre: Float64,
    scale: Float64,
    chunks: int,
) -> LowPrecisionHessian | None:
    """See ``Rows.low_precision_hessian``; ``rows`` and ``factors`` are (m,), or (0,) for all rows."""
    n, d = X.shape
    m = len(rows) if len(rows) else n
    weights = factors * s[rows] if len(rows) and s.size else factors if len(rows) else s
    total = float(weights.sum()) if weights.size else float(n)
    width = width_for(d + 1)
    groups = -(-min(m, MOST_ROWS, max(_LEAST_ROUND, _ROUND_BYTES // (4 * width))) // TOGETHER)
    scratch = np.empty((TOGETHER + 1) * groups * width, dtype=np.float32)
    V, rest = scratch[: TOGETHER * groups * width], scratch[TOGETHER * groups * width :]
    matrix, noise = byte_hessian(
        X,
        s,
        rows,
        factors,
        total,
        W.copy(),
        centre.copy(),
        scale.copy(),
        V.reshape(TOGETHER * groups, width),
        rest.view(np.int32).reshape(width // LANES, groups, LANES),
        np.zeros((width, width), dtype=np.float32),
        chunks,
    )
    return LowPrecisionHessian(matrix, noise) if math.isfinite(noise) else None
