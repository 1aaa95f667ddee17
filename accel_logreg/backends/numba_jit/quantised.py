"""A copy of X in 8 bits, and the two questions that Newton's method by products puts to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.rows import Quantised
from accel_logreg.kernels.numba_jit import quantised as kernels
from accel_logreg.kernels.numba_jit.threads import share

Bytes = NDArray[np.int8]

# How far a column reaches in scales, at first sight: one normally distributed entry in 5e9 goes further.
_REACH = 6.35
# Share of the columns up to which those that do are rounded again by themselves.
_FEW = 0.1


def round_off(
    X: Matrix,
    y: Bytes,
    s: Float64,
    centre: Float64,
    scale: Float64,
    chunks: int,
    count: Callable[[float], None],
) -> QuantisedRows | None:
    """The copy of X (n, d), or None where an entry is not finite or a scale beyond X's dtype.

    y (n,) 0 or 1; s (n,) float64, or (0,) for weights of one; ``count`` is told of reads of X.
    """
    n, d = X.shape
    Q = np.empty(kernels.shape_of_copy(n, d), dtype=np.int8)
    Q[n:] = 0
    step = np.full(d, _REACH / kernels.LARGEST)
    with np.errstate(over="ignore"):
        centre, inverse = centre.astype(X.dtype), (1.0 / (scale * step)).astype(X.dtype)
    reach = np.empty((chunks, d), dtype=X.dtype)
    share(chunks, kernels.round_rows, X, centre, inverse, Q, reach)
    count(1.0)
    furthest = reach.max(axis=0).astype(np.float64)
    if not np.isfinite(furthest).all():
        return None
    further = np.flatnonzero(furthest > kernels.LARGEST)
    if len(further):
        step[further] *= furthest[further] / kernels.LARGEST
        inverse = (1.0 / (scale * step)).astype(X.dtype)
        if len(further) <= _FEW * d:
            share(chunks, kernels.round_columns, X, further, centre, inverse, Q)
            count(len(further) / d)
        else:
            share(chunks, kernels.round_rows, X, centre, inverse, Q, reach)
            count(1.0)
    return QuantisedRows(Q, step, y, s, chunks, lambda: count(Q.nbytes / X.nbytes))


class QuantisedRows(Quantised):
    """X̂ᵢⱼ ≈ Qᵢⱼ stepⱼ; see kernels/numba_jit/quantised.py."""

    def __init__(
        self, Q: Bytes, step: Float64, y: Bytes, s: Float64, chunks: int, count: Callable[[], None]
    ) -> None:
        rows, width = Q.shape
        self._Q, self._step, self._count = Q, step, count
        self._y, self._s = np.zeros(rows, dtype=np.int8), np.zeros(rows)
        self._y[: len(y)] = y
        self._s[: len(y)] = s if s.size else 1.0
        self._weight_sum = float(self._s.sum())
        self._v = np.zeros(width, dtype=np.float32)
        self._curvature = np.empty(rows, dtype=np.float32)  # s h at the U asked about last
        self._at: Float64 | None = None
        self._partials = np.empty((chunks, width + 2))

    def loss_grad(self, U: Float64) -> tuple[float, Float64]:
        self._at = None  # should the call be interrupted
        of = self._Q, self._y, self._s, self._weights(U), float(U[-1]), self._curvature
        share(len(self._partials), kernels.gradient_part, *of, self._partials)
        self._at = U.copy()
        return float(self._partials[:, -1].sum()) / self._weight_sum, self._answer()

    def hessian_product(self, U: Float64, V: Float64) -> Float64:
        if self._at is None or not np.array_equal(self._at, U):
            self.loss_grad(U)
        of = self._Q, self._curvature, self._weights(V), np.float32(V[-1])
        share(len(self._partials), kernels.product_part, *of, self._partials)
        return self._answer()

    def _weights(self, V: Float64) -> NDArray[np.float32]:
        """What multiplies Q's columns, (width,)."""
        np.multiply(V[:-1], self._step, out=self._v[: len(self._step)], casting="same_kind")
        return self._v

    def _answer(self) -> Float64:
        """The chunks' sums, in their order, as (p,)."""
        self._count()
        d = len(self._step)
        total = self._partials.sum(axis=0) / self._weight_sum
        answer = np.empty(d + 1)
        np.multiply(total[:d], self._step, out=answer[:-1])
        answer[-1] = total[-2]
        return answer
