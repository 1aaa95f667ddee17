"""Rows of the pure-Python engine: lists of floats outside, the lesson's loops inside."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import Descent, RowSample
from accel_logreg.interface.arrays import Float64, Labels, Matrix
from accel_logreg.interface.rows import AmongRows, Precision, Rows
from accel_logreg.kernels.python_loop import dense as python_loop


class ListRows(Rows, AmongRows):
    """Rows in lists, and the module whose functions know what one row looks like.

    X and y have n entries; s are the sample weights, ones where there are none.
    """

    def __init__(
        self,
        kernels: ModuleType,
        X: list[Any],
        y: list[float],
        s: list[float],
        n_features: int,
        dtype: np.dtype[np.float32] | np.dtype[np.float64],
    ) -> None:
        super().__init__((len(X), n_features), dtype, sum(s))
        self.kernels = kernels
        self.X, self._y, self._s = X, y, s

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        loss, dw, db = self.kernels.loss_grad(self.X, self._y, self._s, *split(W))
        self._count(2)
        return loss, np.array([*dw, db])

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        product, last = self.kernels.hessian_product(self.X, self._s, *split(W), *split(V))
        self._count(3)
        return np.array([*product, last])

    def descend(
        self, W: Float64, learning_rate: float, shrink: float, steps: int, fit_intercept: bool
    ) -> Descent:
        w, b, costs, norms = self.kernels.descend(
            self.X, self._y, self._s, *split(W), learning_rate, shrink, steps, fit_intercept
        )
        self._count(2 * steps)
        return Descent(np.array([*w, b]), np.array(costs), np.array(norms))

    def _largest_entry(self) -> float:
        largest = float(self.kernels.largest_entry(self.X))
        self._count(1)
        return largest

    def longest_row(self, centre: Float64, scale: Float64) -> float:
        self._count(1)
        return float(self.kernels.longest_row(self.X, self._s, centre.tolist(), scale.tolist()))

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",  # noqa: ARG002
    ) -> Float64:
        X, s = (self.X, self._s) if sample is None else self._picked(sample)
        H = self.kernels.hessian(X, s, *split(W), centre.tolist(), scale.tolist())
        self._count(2 * len(X) / self.n_rows)
        return np.array(H)

    def hessian_diagonal(self, W: Float64) -> Float64:
        diagonal, last = self.kernels.hessian_diagonal(self.X, self._s, *split(W))
        self._count(2)
        return np.array([*diagonal, last])

    def gram(self, centre: Float64, *, precise: bool = True) -> Float64:  # noqa: ARG002
        G = self.kernels.gram(self.X, centre.tolist())
        self._count(self.n_rows + 1)  # two rows for each of n(n + 1)/2 products
        return np.array(G)

    def combination(self, a: Float64) -> Float64:
        total = self.kernels.combination(self.X, a.tolist(), self.n_features)
        self._count(1)
        return np.array(total)

    def logits(self, W: Float64) -> Float64:
        w, b = split(W)
        self._count(1)
        return np.array([self.kernels.linear(row, w, b) for row in self.X])

    def take(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        if self.sparse:
            return super().take(rows, columns)
        return np.array([self.X[i][columns] for i in rows.tolist()])

    def among_rows(self) -> ListRows:
        return self

    def sample(self, picked: RowSample) -> ListRows:
        X, s = self._picked(picked)
        y = [self._y[i] for i in picked.rows.tolist()]
        # Nothing writes to a row's list, so the sample may hold the same one.
        sample = self._like(X, y, s, self.n_features)
        self._share_tally(sample)
        return sample

    def _restricted(self, columns: NDArray[np.intp]) -> ListRows:
        X = self.kernels.restricted(self.X, columns.tolist())
        return self._like(X, self._y, self._s, len(columns))

    def _like(self, X: list[Any], y: list[float], s: list[float], n_features: int) -> ListRows:
        """Rows that look like these."""
        rows = ListRows(self.kernels, X, y, s, n_features, self.dtype)
        if self.sparse:
            lengths = [len(values) for _, values in X]
            rows.sparse, rows.entries = True, sum(lengths)
            rows.pairs = float(sum(length * length for length in lengths))
            rows.nbytes = self._bytes_of(rows)
        return rows

    def _picked(self, picked: RowSample) -> tuple[list[Any], list[float]]:
        """The picked rows of X and their weights."""
        rows: list[int] = picked.rows.tolist()
        s = [self._s[i] * factor for i, factor in zip(rows, picked.factors.tolist(), strict=True)]
        return [self.X[i] for i in rows], s


class PythonRows(ListRows):
    """Dense rows in lists."""

    def __init__(self, X: Matrix, y: Labels, sample_weight: Float64 | None) -> None:
        n, d = X.shape
        # float32 values become the same float64 numbers
        super().__init__(python_loop, X.tolist(), floats(y), weights(sample_weight, n), d, X.dtype)


def floats(y: Labels) -> list[float]:
    """0.0 or 1.0 a row."""
    return [float(label) for label in y.tolist()]


def weights(sample_weight: Float64 | None, n: int) -> list[float]:
    """One weight a row."""
    return [1.0] * n if sample_weight is None else sample_weight.tolist()


def split(W: Float64) -> tuple[list[float], float]:
    """w and b."""
    *w, b = W.tolist()
    return w, b
