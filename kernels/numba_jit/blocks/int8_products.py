"""H += QᵀQ for Q of 8 bits: four times as many products an instruction as float32 has.

AVX-512 VNNI multiplies 64 pairs of bytes, one side without a sign, and adds four neighbouring products to
each of 16 whole numbers (vpdpbusd). So four rows of Q lie side by side: ``packed[b, g, l]`` holds, as the
bytes of one int32, column 16 b + l of rows 4 g to 4 g + 3. The other side takes the same bytes plus 128,
which is one bit turned round; 128 Σ q comes off at the end.

The inner loop is written in LLVM's language, as in rank_update.py: 48 columns against eight are 24
vectors of sums, eleven loads for 24 products. Whole numbers round nothing: sums do not depend on their order.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils

from accel_logreg.kernels.numba_jit.compile import jit, untyped_intrinsic, use_wide_vectors

LANES = 16
TOGETHER = 4  # rows in an int32
BLOCKS = 3
COLUMNS = BLOCKS * LANES  # a width is a multiple of this
AGAINST = 8
MOST_ROWS = 65_536  # of which 127 · 255 each add up in an int32
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_WHOLE, _REAL = ir.VectorType(_I32, LANES), ir.VectorType(ir.FloatType(), LANES)
_declared: Any = cgutils.get_or_insert_function
_variable: Any = cgutils.alloca_once


def available() -> bool:
    """Whether the processor that Numba compiles for has these instructions."""
    asked = vars(numba.config)["CPU_FEATURES"]
    if asked is not None or vars(numba.config)["CPU_NAME"] is not None:
        return "+avx512vnni" in (asked or "")
    return bool(llvm.get_host_cpu_features().get("avx512vnni"))


@untyped_intrinsic
def _add_block(
    _typing_context: Any, packed: Any, _groups: Any, _b: Any, _j: Any, sums: Any, steps: Any, H: Any
) -> Any:
    """H[j : j + 8, 16 b : 16 b + 48] += steps² ∘ QᵀQ over the first groups; ``sums``: Q's columns'."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def data(i: int) -> Any:
            return context.make_array(signature.args[i])(context, builder, args[i])

        source, sums, steps, target = data(0), data(4).data, data(5).data, data(6)
        _, groups, b, j, *_ = args
        stride = builder.mul(builder.extract_value(source.shape, 1), _I64(LANES))
        width = builder.extract_value(target.shape, 1)

        def block(number: Any) -> Any:
            return builder.gep(source.data, [builder.mul(number, stride)])

        left = [block(builder.add(b, _I64(k))) for k in range(BLOCKS)]
        column = builder.srem(j, _I64(LANES))
        right = builder.gep(block(builder.sdiv(j, _I64(LANES))), [column])
        products = [[_variable(builder, _WHOLE) for _ in range(BLOCKS)] for _ in range(AGAINST)]
        for row in products:
            for total in row:
                builder.store(ir.Constant(_WHOLE, None), total)
        kind = ir.FunctionType(_WHOLE, [_WHOLE] * 3)
        multiply = _declared(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
        turned = ir.Constant(_WHOLE, [ir.Constant(_I32, 0x80808080)] * LANES)
        with cgutils.for_range(builder, groups) as loop:
            offset = builder.mul(loop.index, _I64(LANES))
            unsigned = [
                builder.xor(_load(builder, builder.gep(start, [offset]), _WHOLE), turned) for start in left
            ]
            for k, row in enumerate(products):
                place = builder.gep(right, [builder.add(offset, _I64(k))])
                four = _spread(builder, builder.load(place), _WHOLE)
                for x, total in zip(unsigned, row, strict=True):
                    builder.store(builder.call(multiply, [builder.load(total), x, four]), total)
        first = builder.mul(b, _I64(LANES))
        for k, row in enumerate(products):
            against = builder.add(j, _I64(k))
            step = _spread(builder, builder.load(builder.gep(steps, [against])), _REAL)
            bias = builder.mul(builder.load(builder.gep(sums, [against])), _I32(128))
            line = builder.gep(target.data, [builder.add(builder.mul(against, width), first)])
            for m, total in enumerate(row):
                whole = builder.sub(builder.load(total), _spread(builder, bias, _WHOLE))
                steps_here = _load(builder, builder.gep(steps, [builder.add(first, _I64(m * LANES))]), _REAL)
                value = builder.fmul(builder.sitofp(whole, _REAL), builder.fmul(steps_here, step))
                place = builder.gep(line, [_I64(m * LANES)])
                after = builder.fadd(_load(builder, place, _REAL), value)
                builder.store(after, builder.bitcast(place, _REAL.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(packed, types.intp, types.intp, types.intp, sums, steps, H), codegen


def _load(builder: Any, place: Any, vector: Any) -> Any:
    return builder.load(builder.bitcast(place, vector.as_pointer()), align=4)


def _spread(builder: Any, value: Any, vector: Any) -> Any:
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, _I32(0))
    zeros = ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)


@jit()
def add_products(packed: Any, groups: int, sums: Any, steps: Any, first: int, every: int, H: Any) -> None:
    """H[i, j] += stepsᵢ stepsⱼ Σ qᵢ qⱼ for j ≥ i, of every ``every``-th 48 columns, forth and back.

    packed (width / 16, groups or more, 16) int32; sums (width,) int32, Σ q of each column; steps (width,)
    and H (width, width) float32. What is below the diagonal is left undefined.
    """
    use_wide_vectors()
    panels = H.shape[0] // COLUMNS
    for start in range(0, panels, every):
        # Later panels have more above the diagonal: who has the first of these has the last of the next.
        panel = start + (first if start // every % 2 == 0 else every - 1 - first)
        if panel < panels:
            for j in range(0, (panel + 1) * COLUMNS, AGAINST):
                _add_block(packed, groups, panel * BLOCKS, j, sums, steps, H)
