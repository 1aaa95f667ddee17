"""The reference engine: lists of floats in host memory."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from accel_logreg.backends.blas_threads import blas_threads
from accel_logreg.backends.python_loop.classes import PythonClasses
from accel_logreg.backends.python_loop.columns import PythonColumns, split_columns
from accel_logreg.backends.python_loop.csr import PythonCsrRows, sparse_rows
from accel_logreg.backends.python_loop.dense import ListRows, PythonRows
from accel_logreg.interface.answers import Rates
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.targets import ClassTargets, Targets
from accel_logreg.kernels.python_loop import classes, csr, dense


class PythonEngine(Engine):
    name = "python"
    rates = Rates(0.0, 63e-9, 100e-9, 50e-9, 20e-6, pair=100e-9)

    def _place(self, X: Any, targets: Targets, max_memory: int | None) -> ListRows:  # noqa: ARG002
        if isinstance(X, Csr):
            return PythonCsrRows(X, targets.y, targets.s)
        return PythonRows(X, targets.y, targets.s)

    def _place_columns(self, X: Any, targets: Targets, max_memory: int | None) -> PythonColumns:
        return PythonColumns(self._place(X, targets.column(0), max_memory), targets)

    def _place_classes(self, X: Any, targets: ClassTargets, max_memory: int | None) -> PythonClasses:
        unlabelled = Targets(np.zeros(len(targets.y), dtype=np.int8), None)
        return PythonClasses(self._place(X, unlabelled, max_memory), targets)

    def logits(self, X: Matrix | Csr, W: Float64) -> Float64:
        rows, linear = (sparse_rows(X), csr.linear) if isinstance(X, Csr) else (X.tolist(), dense.linear)
        w, b = split_columns(W.reshape(len(W), -1))
        z = np.array([classes.logits(row, w, b, linear) for row in rows])
        return z.reshape(len(rows), *W.shape[1:])

    def threads(self, n_threads: int | None) -> AbstractContextManager[object]:
        return blas_threads(n_threads)
