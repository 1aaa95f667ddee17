"""Numba reductions: one pass over an array, one number out. Dot product, sum, largest entry.

A thread reduces a slice of its own, counted from zero. An index that starts at a computed offset might be
negative for all LLVM knows, and Numba counts those from the end: the loop then gathers entry by entry, at
13 GB/s where this reads at 34 (2 cores of an AMD EPYC, znver5, a sum of 512 MB).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.llvm import use_wide_vectors
from accel_logreg.kernels.numba_jit.threads import share

_LANES = 64


def largest_entry(X: Any, n_chunks: int) -> float:
    """max |xᵢⱼ| of a finite X."""
    partials = np.zeros(n_chunks)
    share(n_chunks, _largest_part, X.reshape(-1), partials)
    return float(partials.max())


@jit()
def _largest_part(chunk: int, chunks: int, x: Any, partials: Any) -> None:
    partials[chunk] = largest_of(x[chunk * x.size // chunks : (chunk + 1) * x.size // chunks])


@jit()
def largest_of(x: Any) -> float:
    """max |xᵢ| of a finite (n,), on one thread; 0 of none.

    Of every _LANES-th entry apart, in vectors: LLVM knows of no single largest that NaN might not change.
    """
    use_wide_vectors()
    largest = np.zeros(_LANES, dtype=x.dtype)
    whole = x.size // _LANES * _LANES
    for start in range(0, whole, _LANES):
        for lane in range(_LANES):
            size = abs(x[start + lane])
            largest[lane] = size if size > largest[lane] else largest[lane]
    for i in range(whole, x.size):
        largest[0] = max(largest[0], abs(x[i]))
    return np.float64(largest.max())


def array_sum(x: Any, n_chunks: int) -> float:
    """Σ xᵢ of a contiguous (n,) float64: reads x once and does nothing else worth naming."""
    partials = np.zeros(n_chunks)
    share(n_chunks, _sum_part, x, partials)
    return float(partials.sum())


@jit()
def _sum_part(chunk: int, chunks: int, x: Any, partials: Any) -> None:
    partials[chunk] = sum_of(x[chunk * x.size // chunks : (chunk + 1) * x.size // chunks])


@jit()
def sum_of(x: Any) -> float:
    """Σ xᵢ on one thread."""
    use_wide_vectors()
    total = 0.0
    for i in range(x.size):
        total += x[i]
    return total


@jit()
def dot(a: Any, b: Any) -> float:
    """Σ aᵢ bᵢ on one thread: the lesson's loop, compiled."""
    use_wide_vectors()
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


def dot_parallel(a: Any, b: Any, n_chunks: int) -> float:
    """Σ aᵢ bᵢ on all threads."""
    partials = np.zeros(n_chunks)
    share(n_chunks, _dot_part, a, b, partials)
    return float(partials.sum())


@jit()
def _dot_part(chunk: int, chunks: int, a: Any, b: Any, partials: Any) -> None:
    start, stop = chunk * a.size // chunks, (chunk + 1) * a.size // chunks
    partials[chunk] = dot(a[start:stop], b[start:stop])
