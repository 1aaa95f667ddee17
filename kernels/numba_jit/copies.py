"""Copies of arrays by loops.

``a[:] = b`` of two arrays compiles Numba's message about their shapes as well, strings and all: 3.4 s in the
first function of a process that has one. So no kernel assigns an array to a slice.
"""

from __future__ import annotations

from typing import Any

from accel_logreg.kernels.numba_jit.compile import jit


@jit()
def copy(source: Any, target: Any) -> None:
    """target ← source, (m,) each."""
    for i in range(source.size):
        target[i] = source[i]


@jit()
def pack(z: Any, m: int, width: int, packed: Any) -> None:
    """packed (m width,) ← the first ``width`` columns of m rows of z."""
    for i in range(m):
        for j in range(width):
            packed[i * width + j] = z[i, j]


@jit()
def unpack(packed: Any, m: int, width: int, z: Any) -> None:
    """And back."""
    for i in range(m):
        for j in range(width):
            z[i, j] = packed[i * width + j]
