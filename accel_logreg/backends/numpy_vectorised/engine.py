"""The NumPy engine: host arrays read where they are, BLAS on as many threads as it is given."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from accel_logreg.backends.blas_threads import blas_threads, blas_threads_now
from accel_logreg.backends.numpy_vectorised.classes import NumpyClasses
from accel_logreg.backends.numpy_vectorised.columns import NumpyColumns
from accel_logreg.backends.numpy_vectorised.csr import NumpyCsrRows
from accel_logreg.backends.numpy_vectorised.csr import logits as csr_logits
from accel_logreg.backends.numpy_vectorised.dense import NumpyRows, blocks
from accel_logreg.interface.answers import Rates
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.targets import ClassTargets, Targets
from accel_logreg.kernels.numpy_vectorised.columns import linear


class NumpyEngine(Engine):
    name = "numpy"
    # Two cores, 28 to 300 features; a Hessian's block goes through a full matrix product.
    rates = Rates(1 / 26e9, 0.8e-9, 2e-9, 1 / 17e9, 60e-6, pair=10e-9)

    def _place(self, X: Any, targets: Targets, max_memory: int | None) -> NumpyRows:  # noqa: ARG002
        if isinstance(X, Csr):
            return NumpyCsrRows(X, targets.y, targets.s)
        return NumpyRows(X, targets.y, targets.s)

    def _place_columns(self, X: Any, targets: Targets, max_memory: int | None) -> NumpyColumns:
        return NumpyColumns(self._place(X, targets.column(0), max_memory), targets)

    def _place_classes(self, X: Any, targets: ClassTargets, max_memory: int | None) -> NumpyClasses:
        unlabelled = Targets(np.zeros(len(targets.y), dtype=np.int8), None)
        return NumpyClasses(self._place(X, unlabelled, max_memory), targets)

    def n_threads(self, n_threads: int | None) -> int:
        """Those of BLAS, which is where the two products of a pass run."""
        available = blas_threads_now()
        return available if n_threads is None else min(n_threads, available)

    def logits(self, X: Matrix | Csr, W: Float64) -> Float64:
        if isinstance(X, Csr):
            return csr_logits(X, W)
        z = np.empty((X.shape[0], *W.shape[1:]))
        for rows, block in blocks(X, W[0].size):
            z[rows] = linear(block, W[:-1], W[-1])
        return z

    def threads(self, n_threads: int | None) -> AbstractContextManager[object]:
        return blas_threads(n_threads)
