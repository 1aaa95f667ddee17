"""C += TᵀT for narrow float32 T, in registers: what BLAS's packing and calls cost too much for.

LLVM does not keep a block of a matrix in vector registers by itself, so the inner loop is written in
its own language: eight rows of C by sixteen columns are eight vectors that a loop over the rows of T
adds to, one load and eight broadcasts a row.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.llvm import Code, emitting, untyped_intrinsic, use_wide_vectors

ROWS = 8
COLUMNS = 16


@untyped_intrinsic
def _add_block(_typing_context: Any, T: Any, _m: Any, _i: Any, _j: Any, C: Any) -> Any:
    """C[i : i + 8, j : j + 16] += T[:m, i : i + 8]ᵀ T[:m, j : j + 16]; both C-contiguous, of one dtype."""

    def emit(code: Code) -> None:
        T, C, (_, m, i, j, _) = code.data(0), code.data(4), code.args
        vector = ir.VectorType(T.type.pointee, COLUMNS)
        width, stride = code.columns(0), code.columns(4)
        sums = code.variables(vector, ROWS)

        def step(k: Any) -> None:
            row = code.at(T, k, width)
            right = code.load(row, j, vector)
            for r, total in enumerate(sums):
                left = code.spread(code.entry(row, code.plus(i, r)), vector)
                code.builder.store(code.add_product(code.builder.load(total), left, right), total)

        code.steps(m, 1, step)
        for r, total in enumerate(sums):
            row = code.at(C, code.plus(i, r), stride)
            code.store(code.add(code.load(row, j, vector), code.builder.load(total)), row, j)

    return emitting(types.void(T, types.intp, types.intp, types.intp, C), emit)


@jit()
def add_outer_products_small(T: Any, m: int, p: int, C: Any) -> None:
    """C += Σ tᵢ tᵢᵀ over the first m rows of T (m, P), P a multiple of 16: its first p rows, at least
    the upper triangle.
    """
    use_wide_vectors()
    width = T.shape[1]
    for i in range(0, p, ROWS):
        for j in range(i // COLUMNS * COLUMNS, width, COLUMNS):
            _add_block(T, m, i, j, C)
