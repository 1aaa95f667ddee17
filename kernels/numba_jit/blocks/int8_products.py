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

from llvmlite import ir
from numba import types

from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.llvm import (
    FLOAT,
    I32,
    I64,
    Code,
    compiled_for,
    declared,
    emitting,
    untyped_intrinsic,
    use_wide_vectors,
)

LANES = 16
TOGETHER = 4  # rows in an int32
BLOCKS = 3
COLUMNS = BLOCKS * LANES  # a width is a multiple of this
AGAINST = 8
MOST_ROWS = 65_536  # of which 127 · 255 each add up in an int32
_WHOLE, _REAL = ir.VectorType(I32, LANES), ir.VectorType(FLOAT, LANES)


def available() -> bool:
    """Whether the processor that Numba compiles for has these instructions."""
    return compiled_for("avx512vnni")


@untyped_intrinsic
def _add_block(
    _typing_context: Any, packed: Any, _groups: Any, _b: Any, _j: Any, sums: Any, steps: Any, H: Any
) -> Any:
    """H[j : j + 8, 16 b : 16 b + 48] += steps² ∘ QᵀQ over the first groups; ``sums``: Q's columns'."""

    def emit(code: Code) -> None:
        builder, (_, groups, b, j, *_) = code.builder, code.args
        source, sums, steps, H = code.data(0), code.data(4), code.data(5), code.data(6)
        stride = code.times(code.columns(0), LANES)
        left = [code.at(source, code.plus(b, k), stride) for k in range(BLOCKS)]
        right = code.at(source, builder.sdiv(j, I64(LANES)), stride, builder.srem(j, I64(LANES)))
        products = code.variables(_WHOLE, AGAINST, BLOCKS)
        kind = ir.FunctionType(_WHOLE, [_WHOLE] * 3)
        multiply = declared(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
        turned = ir.Constant(_WHOLE, [ir.Constant(I32, 0x80808080)] * LANES)

        def step(group: Any) -> None:
            offset = code.times(group, LANES)
            unsigned = [builder.xor(code.load(start, offset, _WHOLE), turned) for start in left]
            for k, row in enumerate(products):
                four = code.spread(code.entry(right, code.plus(offset, k)), _WHOLE)
                for x, total in zip(unsigned, row, strict=True):
                    builder.store(builder.call(multiply, [builder.load(total), x, four]), total)

        code.steps(groups, 1, step)
        first = code.times(b, LANES)
        for k, row in enumerate(products):
            against = code.plus(j, k)
            step_there = code.spread(code.entry(steps, against), _REAL)
            bias = code.spread(builder.mul(code.entry(sums, against), I32(128)), _WHOLE)
            line = code.at(H, against, code.columns(6))
            for m, total in enumerate(row):
                column = code.plus(first, m * LANES)
                whole = builder.sitofp(builder.sub(builder.load(total), bias), _REAL)
                value = builder.fmul(whole, builder.fmul(code.load(steps, column, _REAL), step_there))
                code.store(builder.fadd(code.load(line, column, _REAL), value), line, column)

    return emitting(types.void(packed, types.intp, types.intp, types.intp, sums, steps, H), emit)


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
