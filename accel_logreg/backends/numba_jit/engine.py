"""The Numba engine: host arrays, compiled kernels, one thread pool bounded around each fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from accel_logreg.backends.blas_threads import blas_threads
from accel_logreg.interface.answers import SmallFit
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.engine import BackendUnavailableError, Engine
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import ClassTargets, Targets

try:
    from accel_logreg.backends.numba_jit import tuning
    from accel_logreg.backends.numba_jit.dense import NumbaRows
    from accel_logreg.backends.numba_jit.sharing import chunks_for, chunks_of, read_only
    from accel_logreg.kernels.numba_jit import dense as kernels
    from accel_logreg.kernels.numba_jit.link import probabilities_part
    from accel_logreg.kernels.numba_jit.threads import MOST, bounded, share
except Exception as error:  # a NumPy that Numba refuses, a missing llvmlite, a broken install
    raise BackendUnavailableError(
        "numba",
        f"importing Numba failed ({type(error).__name__}: {error}).",
        'Install a version that fits with: pip install "accel_logreg[numba]"',
    ) from error


class NumbaEngine(Engine):
    name = "numba"
    rates = tuning.RATES

    def _place(self, X: Any, targets: Targets, max_memory: int | None) -> Rows:  # noqa: ARG002
        if isinstance(X, Csr):
            from accel_logreg.backends.numba_jit.csr import NumbaCsrRows

            return NumbaCsrRows(X, targets.y, targets.s)
        return NumbaRows(X, targets.y, targets.s)

    def _place_columns(self, X: Any, targets: Targets, max_memory: int | None) -> Rows:
        from accel_logreg.backends.numba_jit.columns import columns_over

        return columns_over(self._place(X, targets.column(0), max_memory), targets)

    def _place_classes(self, X: Any, targets: ClassTargets, max_memory: int | None) -> Rows:
        from accel_logreg.backends.numba_jit.classes import classes_over

        one = Targets(np.zeros(X.shape[0], dtype=np.int8), None)
        return classes_over(self._place(X, one, max_memory), targets)

    def small_fit(
        self, rows: Rows, shrink: float, fit_intercept: bool, tol: float, steps: int
    ) -> SmallFit | None:
        if isinstance(rows, NumbaRows):
            return rows.small_fit(shrink, fit_intercept, tol, steps)
        if rows.sparse:
            from accel_logreg.backends.numba_jit.csr import NumbaCsrRows

            if isinstance(rows, NumbaCsrRows):
                return rows.small_fit(shrink, fit_intercept, tol, steps)
        return None

    def small_sparse_fit(
        self,
        rows: Rows,
        start: Float64,
        l1: Float64,
        l2: Float64,
        fit_intercept: bool,
        tol: float,
        steps: int,
        *,
        at_least_zero: bool = False,
    ) -> SmallFit | None:
        of = start, l1, l2, at_least_zero, fit_intercept, tol, steps
        if isinstance(rows, NumbaRows):
            return rows.small_sparse_fit(*of)
        if rows.sparse:
            from accel_logreg.backends.numba_jit.csr import NumbaCsrRows

            if isinstance(rows, NumbaCsrRows):
                return rows.small_sparse_fit(*of)
        return None

    def logits(self, X: Matrix | Csr, W: Float64) -> Float64:
        if W.ndim == 2:
            from accel_logreg.backends.numba_jit.classes import class_logits

            return class_logits(X, W)
        if isinstance(X, Csr):
            from accel_logreg.backends.numba_jit.csr import csr_logits

            return csr_logits(X, W)
        z: Float64 = kernels.logits(read_only(X), W.copy(), chunks_of(X))
        return z

    def probabilities(self, z: Float64, *, logarithm: bool) -> Float64:
        out = np.empty((len(z), 2))
        share(chunks_for(len(z), len(z), 4), probabilities_part, z, logarithm, out)
        return out

    def n_threads(self, n_threads: int | None) -> int:
        return MOST if n_threads is None else min(n_threads, MOST)

    @contextmanager
    def threads(self, n_threads: int | None) -> Iterator[None]:
        """The kernels get the threads and BLAS one: BLAS workers spin after a call and slow ours."""
        with blas_threads(1), bounded(n_threads):
            yield
