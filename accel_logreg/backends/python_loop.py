"""The pure-Python engine: lists of floats outside, the lesson's loops inside."""

from __future__ import annotations

import numpy as np

from accel_logreg.backends.base import Backend, Descent, Float64, Matrix, Rows
from accel_logreg.kernels import python_loop as kernels


class PythonRows(Rows):
    def __init__(self, X: Matrix, y: Float64, sample_weight: Float64 | None) -> None:
        self.n_rows, self.n_features = X.shape
        self.dtype = X.dtype
        self._X: list[list[float]] = X.tolist()  # float32 values become the same float64 numbers
        self._y: list[float] = y.tolist()
        self._s: list[float] = [1.0] * self.n_rows if sample_weight is None else sample_weight.tolist()
        self.weight_sum = sum(self._s)
        self.reads = 0
        self._largest: float | None = None

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        w, b = _split(W)
        loss, dw, db = kernels.loss_grad(self._X, self._y, self._s, w, b)
        self.reads += 2
        return loss, np.array([*dw, db])

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        product, last = kernels.hessian_product(self._X, self._s, *_split(W), *_split(V))
        self.reads += 3
        return np.array([*product, last])

    def descend(
        self, W: Float64, learning_rate: float, l2: float, steps: int, fit_intercept: bool
    ) -> Descent:
        w, b, costs, norms = kernels.descend(
            self._X, self._y, self._s, *_split(W), learning_rate, l2, steps, fit_intercept
        )
        self.reads += 2 * steps
        return Descent(np.array([*w, b]), np.array(costs), np.array(norms))

    def largest_entry(self) -> float:
        if self._largest is None:
            self._largest = kernels.largest_entry(self._X)
            self.reads += 1
        return self._largest


class PythonBackend(Backend):
    name = "python"

    def rows(self, X: Matrix, y: Float64, sample_weight: Float64 | None) -> PythonRows:
        return PythonRows(X, y, sample_weight)

    def logits(self, X: Matrix, W: Float64) -> Float64:
        w, b = _split(W)
        return np.array([kernels.linear(row, w, b) for row in X.tolist()])


def _split(W: Float64) -> tuple[list[float], float]:
    *w, b = W.tolist()
    return w, b
