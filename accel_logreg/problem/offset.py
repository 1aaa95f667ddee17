"""An offset: z = X w + b + o, with o (n,) given, as one more column of X whose weight is 1.

On the subspace where that weight is 1, J is as convex as it was and its derivatives are those of the wider
problem without the column: every bound that holds for z = X w + b holds here. What a direction does to the
logits is asked with a weight of 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import Descent, RowSample
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.rows import Precision, Rows
from accel_logreg.problem.objective import Objective

_OUT_OF_SIGHT = 1e30  # the column's scale where rows are measured: it takes no part in their lengths


def with_column(X: Matrix | Csr, offset: Float64) -> Matrix | Csr:
    """A copy of X (n, d) with offset (n,) as its last column."""
    if not isinstance(X, Csr):
        wide: Matrix = np.column_stack([X, offset.astype(X.dtype)])
        return wide
    n, d = X.shape
    kind = np.int64 if len(X.data) + n > np.iinfo(X.indptr.dtype).max else X.indptr.dtype
    ends = X.indptr[1:]
    data: Any = np.insert(X.data, ends, offset)
    indices: Any = np.insert(X.indices.astype(kind, copy=False), ends, d)
    indptr: Any = (X.indptr + np.arange(n + 1)).astype(kind)
    return Csr(data, indices, indptr, (n, d + 1))


class OffsetRows(Rows):
    """The rows of ``wide``, whose last column has the weight ``pinned``; answers are for the others."""

    def __init__(self, wide: Rows, pinned: float = 1.0) -> None:
        super().__init__((wide.n_rows, wide.n_features - 1), wide.dtype, wide.weight_sum)
        self.wide, self.pinned = wide, pinned
        self.sparse, self.pairs = wide.sparse, wide.pairs
        self.entries = wide.entries - wide.n_rows
        self.nbytes = wide.nbytes - wide.n_rows * wide.dtype.itemsize
        self._tally, self._share = wide._tally, wide._share
        self._at: tuple[Float64, Float64, Float64, Float64] | None = None
        if hasattr(wide, "rates"):
            self.placed(wide.targets, wide.rates)

    def without(self) -> OffsetRows:
        """The same rows without their offset."""
        return OffsetRows(self.wide, 0.0)

    def _wider(self, W: Float64, pinned: float) -> Float64:
        return np.concatenate([W[:-1], [pinned], W[-1:]])

    def _coordinates(self, centre: Float64, scale: Float64) -> tuple[Float64, Float64]:
        """Of the wider X; the same arrays for the same, for engines know theirs again."""
        if self._at is None or self._at[0] is not centre or self._at[1] is not scale:
            self._at = centre, scale, np.append(centre, 0.0), np.append(scale, _OUT_OF_SIGHT)
        return self._at[2:]

    def loss_grad(self, W: Float64) -> tuple[Any, Float64]:
        value, gradient = self.wide.loss_grad(self._wider(W, self.pinned))
        return value, np.delete(gradient, -2)

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        return np.delete(self.wide.hessian_product(self._wider(W, self.pinned), self._wider(V, 0.0)), -2)

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",
    ) -> Float64:
        at = self._coordinates(centre, scale)
        H = self.wide.hessian(self._wider(W, self.pinned), *at, sample=sample, precision=precision)
        return np.delete(np.delete(H, -2, axis=0), -2, axis=1)

    def hessian_diagonal(self, W: Float64) -> Float64:
        return np.delete(self.wide.hessian_diagonal(self._wider(W, self.pinned)), -2)

    def _largest_entry(self) -> float:
        return self.wide.largest_entry()  # or the offset's: a bound all the same

    def longest_row(self, centre: Float64, scale: Float64) -> float:
        return self.wide.longest_row(*self._coordinates(centre, scale))

    def logits(self, W: Float64) -> Float64:
        return self.wide.logits(self._wider(W, self.pinned))

    def take(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        return self.wide.take(rows, slice(*columns.indices(self.n_features)))

    def descend(
        self, W: Float64, learning_rate: float, shrink: float, steps: int, fit_intercept: bool
    ) -> Descent:
        raise NotImplementedError("gradient descent runs inside the engines, which know of no offset")

    def sample(self, picked: RowSample) -> OffsetRows:
        return OffsetRows(self.wide.sample(picked), self.pinned)

    def _restricted(self, columns: NDArray[np.intp]) -> OffsetRows:
        return OffsetRows(self.wide._restricted(np.append(columns, self.n_features)), self.pinned)


class OffsetObjective(Objective):
    """J over rows with an offset."""

    rows: OffsetRows
    _start: tuple[Float64, float] | None = None

    def trivial(self) -> tuple[Float64, float]:
        """As in ``Objective``; the cost there is not known without a read."""
        if self._start is None:
            W = super().trivial()[0]
            self._start = W, self.value_grad(W)[0]
        return self._start[0].copy(), self._start[1]

    def lipschitz(self, random_state: int | np.random.RandomState = 0) -> float:
        return Objective(self.rows.without(), l2=self.l2, fit_intercept=self.fit_intercept).lipschitz(
            random_state
        )

    def separates(self, value: float) -> bool:  # noqa: ARG002
        """A small cost proves nothing: the offset may have put the rows on their sides."""
        return False

    def margins(self, V: Float64) -> Float64:
        targets = self.rows.targets
        margins = (2.0 * targets.y - 1.0) * self.rows.without().logits(V)
        return margins if targets.s is None else margins[targets.s > 0.0]


def null_loss(y: NDArray[Any], s: Float64 | None, offset: Float64, *, fit_intercept: bool) -> float:
    """Mean loss in nats where all weights but the best intercept's are 0, by Newton's method on n numbers."""
    s = np.ones(len(y)) if s is None else s
    sign, b = 1.0 - 2.0 * y, 0.0
    if fit_intercept:
        share = float(s @ y) / float(s.sum())
        b = math.log(share / (1.0 - share)) - float(s @ offset) / float(s.sum())
        low, high = -math.inf, math.inf  # a bracket, where Newton's steps run away
        for _ in range(200):
            a = 1.0 / (1.0 + np.exp(-np.clip(b + offset, -700.0, 700.0)))
            slope = float(s @ (a - y))
            low, high = (b, high) if slope < 0.0 else (low, b)
            curvature = float(s @ (a * (1.0 - a)))
            step = -slope / curvature if curvature > 0.0 else -math.copysign(1.0, slope)
            step = math.copysign(min(abs(step), 4.0), step)
            if abs(step) <= 1e-14 * max(1.0, abs(b)):
                break
            following = b + step
            b = following if low < following < high else 0.5 * (low + high)
    return float(s @ np.logaddexp(0.0, sign * (b + offset)) / s.sum())
