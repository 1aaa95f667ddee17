"""C += TᵀT for narrow float32 T, in registers: what BLAS's packing and calls cost too much for.

LLVM does not keep a block of a matrix in vector registers by itself, so the inner loop is written in
its own language: eight rows of C by sixteen columns are eight vectors that a loop over the rows of T
adds to, one load and eight broadcasts a row.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from accel_logreg.kernels.numba_jit.compile import jit, untyped_intrinsic, use_wide_vectors

ROWS = 8
COLUMNS = 16


@untyped_intrinsic
def _add_block(_typing_context: Any, T: Any, _m: Any, _i: Any, _j: Any, C: Any) -> Any:
    """C[i : i + 8, j : j + 16] += T[:m, i : i + 8]ᵀ T[:m, j : j + 16]; both C-contiguous, of one dtype."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        single = signature.args[0].dtype == types.float32
        vector = ir.VectorType(ir.FloatType() if single else ir.DoubleType(), COLUMNS)
        index = ir.IntType(64)
        alignment = 4 if single else 8
        source = context.make_array(signature.args[0])(context, builder, args[0])
        target = context.make_array(signature.args[4])(context, builder, args[4])
        width = builder.extract_value(source.shape, 1)
        stride = builder.extract_value(target.shape, 1)
        _, rows, i, j, _ = args
        name = f"llvm.fma.v{COLUMNS}f{32 if single else 64}"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)

        def vector_at(pointer: Any) -> Any:
            return builder.bitcast(pointer, vector.as_pointer())

        sums = [cgutils.alloca_once(builder, vector) for _ in range(ROWS)]
        for block in sums:
            builder.store(ir.Constant(vector, [0.0] * COLUMNS), block)
        with cgutils.for_range(builder, rows) as loop:
            row = builder.gep(source.data, [builder.mul(loop.index, width)])
            right = builder.load(vector_at(builder.gep(row, [j])), align=alignment)
            for k, block in enumerate(sums):
                left = builder.load(builder.gep(row, [builder.add(i, index(k))]))
                first = builder.insert_element(ir.Constant(vector, ir.Undefined), left, ir.IntType(32)(0))
                spread = builder.shuffle_vector(
                    first,
                    ir.Constant(vector, ir.Undefined),
                    ir.Constant(ir.VectorType(ir.IntType(32), COLUMNS), [0] * COLUMNS),
                )
                builder.store(builder.call(fma, [spread, right, builder.load(block)]), block)
        for k, block in enumerate(sums):
            offset = builder.add(builder.mul(builder.add(i, index(k)), stride), j)
            place = vector_at(builder.gep(target.data, [offset]))
            total = builder.fadd(builder.load(place, align=alignment), builder.load(block))
            builder.store(total, place, align=alignment)
        return context.get_dummy_value()

    return types.void(T, types.intp, types.intp, types.intp, C), codegen


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
