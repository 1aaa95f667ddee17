"""Numba kernels that copy compressed sparse rows: with renamed columns, or some of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from accel_logreg.kernels.numba_jit.compile import jit


@jit(parallel=True)
def count_columns(indices: Any, d: int, n_chunks: int) -> Any:
    """How many nonzeros each column has, (d,) int64."""
    partials = np.zeros((n_chunks, d), dtype=np.int64)
    for chunk in prange(n_chunks):
        counts = partials[chunk]
        for k in range(chunk * indices.size // n_chunks, (chunk + 1) * indices.size // n_chunks):
            counts[np.uintp(indices[np.uintp(k)])] += 1
    return partials.sum(axis=0)


@jit(parallel=True)
def rename_columns(indices: Any, names: Any, out: Any, n_chunks: int) -> None:
    """out[k] = names[indices[k]]."""
    for chunk in prange(n_chunks):
        for k in range(chunk * indices.size // n_chunks, (chunk + 1) * indices.size // n_chunks):
            out[np.uintp(k)] = names[np.uintp(indices[np.uintp(k)])]


@jit(parallel=True)
def gather(
    data: Any,
    indices: Any,
    indptr: Any,
    rows: Any,
    out: Any,
    out_indices: Any,
    out_indptr: Any,
    n_chunks: int,
) -> None:
    """Row i of ``out`` is row rows[i]; out_indptr says where it goes."""
    for chunk in prange(n_chunks):
        for i in range(chunk * rows.size // n_chunks, (chunk + 1) * rows.size // n_chunks):
            source = indptr[np.uintp(rows[np.uintp(i)])]
            target = out_indptr[np.uintp(i)]
            for k in range(out_indptr[np.uintp(i + 1)] - target):
                out[np.uintp(target + k)] = data[np.uintp(source + k)]
                out_indices[np.uintp(target + k)] = indices[np.uintp(source + k)]
