"""Numba reductions: one pass over an array, one number out. Dot product, sum, largest entry."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from accel_logreg.kernels.numba_compile import jit


@jit(parallel=True)
def largest_entry(X: Any, n_chunks: int) -> float:
    """max |xᵢⱼ| of a finite X."""
    F = X.reshape(-1)
    partials = np.zeros(n_chunks)
    for chunk in prange(n_chunks):
        largest = 0.0
        for i in range(chunk * F.size // n_chunks, (chunk + 1) * F.size // n_chunks):
            largest = max(largest, abs(np.float64(F[i])))
        partials[chunk] = largest
    return partials.max()


@jit(parallel=True)
def array_sum(x: Any, n_chunks: int) -> float:
    """Σ xᵢ of a contiguous (n,) float64: reads x once and does nothing else worth naming."""
    partials = np.zeros(n_chunks)
    for chunk in prange(n_chunks):
        total = 0.0
        for i in range(chunk * x.size // n_chunks, (chunk + 1) * x.size // n_chunks):
            total += x[i]
        partials[chunk] = total
    return partials.sum()


@jit()
def dot(a: Any, b: Any) -> float:
    """Σ aᵢ bᵢ on one thread: the lesson's loop, compiled."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@jit(parallel=True)
def dot_parallel(a: Any, b: Any, n_chunks: int) -> float:
    """Σ aᵢ bᵢ on all threads."""
    partials = np.zeros(n_chunks)
    for chunk in prange(n_chunks):
        total = 0.0
        for i in range(chunk * a.size // n_chunks, (chunk + 1) * a.size // n_chunks):
            total += a[i] * b[i]
        partials[chunk] = total
    return partials.sum()
