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
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.targets import Targets
from accel_logreg.kernels.python_loop import dense as python_loop


class PythonEngine(Engine):
    name = "python"
    rates = Rates(0.0, 63e-9, 100e-9, 50e-9, 20e-6, pair=100e-9)

    def _place(self, X: Any, targets: Targets, max_memory: int | None) -> ListRows:  # noqa: ARG002
        if isinstance(X, Csr):
            return PythonCsrRows(X, targets.y, targets.s)
        return PythonRows(X, targets.y, targets.s)

    def _place_columns(self, X: Any, targets: Targets, max_memory: int | None) -> PythonColumns:
        return PythonColumns(self._place(X, targets.column(0), max_memory), targets)

    def logits(self, X: Matrix | Csr, W: Float64) -> Float64:
        if isinstance(X, Csr):
            return csr_logits(X, W)
        w, b = split(W)
        return np.array([python_loop.linear(row, w, b) for row in X.tolist()])

    def threads(self, n_threads: int | None) -> AbstractContextManager[object]:
        return blas_threads(n_threads)
