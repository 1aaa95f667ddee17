"""The reference engine: lists of floats in host memory."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from accel_logreg.backends.blas_threads import blas_threads
from accel_logreg.backends.python_loop.columns import PythonColumns
from accel_logreg.backends.python_loop.csr import PythonCsrRows
from accel_logreg.backends.python_loop.csr import logits as csr_logits
from accel_logreg.backends.python_loop.dense import ListRows, PythonRows, split
from accel_logreg.interface.answers import Rates
from accel_logreg.interface.arrays import Csr, Float64, Labels, Matrix
from accel_logreg.interface.columns import column_labels
from accel_logreg.interface.engine import Engine
from accel_logreg.kernels.python_loop import dense as python_loop


class PythonEngine(Engine):
    name = "python"
    rates = Rates(0.0, 63e-9, 100e-9, 50e-9, 20e-6)

    def rows(self, X: Matrix | Csr, y: Labels, sample_weight: Float64 | None) -> ListRows:
        if isinstance(X, Csr):
            return PythonCsrRows(X, y, sample_weight)
        return PythonRows(X, y, sample_weight)

    def columns(self, X: Matrix | Csr, Y: Any, weights: Any = None) -> PythonColumns:
        return PythonColumns(X, column_labels(X.shape[0], Y, weights))

    def logits(self, X: Matrix | Csr, W: Float64) -> Float64:
        if isinstance(X, Csr):
            return csr_logits(X, W)
        w, b = split(W)
        return np.array([python_loop.linear(row, w, b) for row in X.tolist()])

    def threads(self, n_threads: int | None) -> AbstractContextManager[object]:
        return blas_threads(n_threads)
