"""Compressed sparse rows in the pure-Python engine: a list of columns and a list of values a row."""

from __future__ import annotations

from itertools import pairwise

from accel_logreg.backends.python_loop.dense import ListRows, floats, weights
from accel_logreg.interface.arrays import Csr, Float64, Labels
from accel_logreg.kernels.python_loop import csr as kernels


class PythonCsrRows(ListRows):
    def __init__(self, X: Csr, y: Labels, sample_weight: Float64 | None) -> None:
        n, d = X.shape
        super().__init__(kernels, sparse_rows(X), floats(y), weights(sample_weight, n), d, X.dtype)
        self.sparse, self.entries, self.nbytes = True, len(X.data), X.nbytes
        self.pairs = X.pairs


def sparse_rows(X: Csr) -> list[kernels.Row]:
    """Every row's columns and values."""
    columns, values, ends = X.indices.tolist(), X.data.tolist(), X.indptr.tolist()
    return [(columns[lo:hi], values[lo:hi]) for lo, hi in pairwise(ends)]
