"""What is profiled: a made problem of any size, or data that were read; and the memory that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Matrix
from accel_logreg.measure.machine import free_memory
from accel_logreg.measure.words import in_bytes

_BLOCK_BYTES = 16 << 20
_LIST_ENTRY_BYTES = 8 + 24  # a pointer, and a float of its own
_ROW_BYTES = 48  # labels, indices and weights of samples, and what a fit keeps of each row
_SAMPLES = 0.25  # of X, that samples and blocks of it take at most


@dataclass(frozen=True)
class Problem:
    """X (n, d), float32 or float64, C-contiguous; y (n,) of two classes or more; where they are from."""

    X: Matrix
    y: NDArray[Any]
    source: str


def made_problem(n: int, d: int, dtype: str, seed: int) -> Problem:
    """Columns whose scales run from ½ to 2, labels drawn from a logistic model; both classes occur.

    Made a block of rows at a time: beside X it takes some megabytes.
    """
    check_shape(n, d)
    rng = np.random.default_rng(seed)
    X: Any = np.empty((n, d), dtype)
    y = np.empty(n, np.int8)
    scales = np.linspace(0.5, 2.0, d).astype(dtype)
    w = (rng.standard_normal(d) / np.sqrt(d)).astype(dtype)
    step = max(1, _BLOCK_BYTES // (d * X.itemsize))
    for start in range(0, n, step):
        block = X[start : start + step]
        rng.standard_normal(out=block, dtype=X.dtype)
        block *= scales
        z = (block @ w).astype(np.float64) - 0.5
        y[start : start + step] = rng.random(len(z)) < 1.0 / (1.0 + np.exp(-z))
    y[:2] = 0, 1
    return Problem(X, y, f"made, seed {seed}")


def check_shape(n: int, d: int) -> None:
    """Refuse what is no problem of two classes."""
    if n < 2:
        raise ValueError(f"rows={n} must be at least 2, one of each class")
    if d < 1:
        raise ValueError(f"features={d} must be at least 1")


def bytes_needed(n: int, d: int, dtype: str, backend: str, solver: str) -> int:
    """An estimate of the host memory that X, y and the fits take, from above."""
    itemsize = np.dtype(dtype).itemsize
    matrix = n * d * itemsize
    total = matrix + int(_SAMPLES * matrix) + n * _ROW_BYTES
    if backend == "python":
        total += n * d * _LIST_ENTRY_BYTES
    side = n if solver == "newton-gram" else d + 1 if solver == "newton" else min(n, d + 1)
    return total + 3 * 8 * side**2  # a matrix, its copy and its factor


def require_memory(n: int, d: int, dtype: str, backend: str, solver: str) -> None:
    """Refuse a problem that would not fit into the host's memory, before anything is taken.

    Raises
    ------
    MemoryError
        More is needed than is free.
    """
    need, free = bytes_needed(n, d, dtype, backend, solver), free_memory()
    if free is not None and need > free:
        narrower = "--dtype float32, " if dtype == "float64" else ""
        raise MemoryError(
            f"{n:,} rows of {d:,} features in {dtype} need about {in_bytes(need)} with {backend} and "
            f"solver={solver}, and {in_bytes(free)} of memory are free. Use {narrower}fewer --rows or "
            "fewer --features"
        )
