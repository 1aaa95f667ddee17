"""One compressed sparse row times several columns, in LLVM's language: eight columns are a vector.

W (p, width) has the weights of 8, 16 or 32 columns of a feature side by side, so that a nonzero's are one to
four cache lines, and a row's sums stay in registers: a load for eight multiply-adds, no gather and no sum
across a vector. Sums are made of every second nonzero each, so that one does not wait for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from accel_logreg.kernels.numba_jit.llvm import DOUBLE, I64, LANES, Code, emitting, untyped_intrinsic

_VECTOR = ir.VectorType(DOUBLE, LANES)


def _row_dots(vectors: int) -> Any:
    @untyped_intrinsic
    def dots(_typing_context: Any, data: Any, indices: Any, lo: Any, hi: Any, W: Any, z: Any, at: Any) -> Any:
        """z[at : at + width] ← W[−1] + Σ data[k] W[indices[k]] for lo ≤ k < hi, width = 8 vectors."""

        def emit(code: Code) -> None:
            weights, z, at = code.data(4), code.data(5), code.args[6]
            sums = code.variables(_VECTOR, 2, vectors)
            last = _last(code, vectors)
            for i, total in enumerate(sums[0]):
                code.builder.store(code.load(weights, code.plus(last, LANES * i), _VECTOR), total)

            def step(parity: int, place: Any, x: Any) -> None:
                for i, total in enumerate(sums[parity]):
                    w = code.load(weights, code.plus(place, LANES * i), _VECTOR)
                    code.builder.store(code.add_product(code.builder.load(total), x, w), total)

            _each_nonzero(code, vectors, step)
            for i in range(vectors):
                total = code.add(code.builder.load(sums[0][i]), code.builder.load(sums[1][i]))
                code.store(total, z, code.plus(at, LANES * i))

        return emitting(types.void(data, indices, lo, hi, W, z, at), emit)

    return dots


def _add_row(vectors: int) -> Any:
    @untyped_intrinsic
    def add(_typing_context: Any, data: Any, indices: Any, lo: Any, hi: Any, G: Any, z: Any, at: Any) -> Any:
        """G[indices[k]] += data[k] z[at : at + width] for lo ≤ k < hi, and G[−1] += z[at : at + width]."""

        def emit(code: Code) -> None:
            sums, z, at = code.data(4), code.data(5), code.args[6]
            factors = [code.load(z, code.plus(at, LANES * i), _VECTOR) for i in range(vectors)]

            def step(_parity: int, place: Any, x: Any) -> None:
                for i, factor in enumerate(factors):
                    there = code.plus(place, LANES * i)
                    code.store(code.add_product(code.load(sums, there, _VECTOR), x, factor), sums, there)

            _each_nonzero(code, vectors, step)
            for i, factor in enumerate(factors):
                there = code.plus(_last(code, vectors), LANES * i)
                code.store(code.add(code.load(sums, there, _VECTOR), factor), sums, there)

        return emitting(types.void(data, indices, lo, hi, G, z, at), emit)

    return add


def _last(code: Code, vectors: int) -> Any:
    """Where the matrix's last row begins, the intercepts'."""
    return code.times(code.plus(code.rows(4), -1), LANES * vectors)


def _each_nonzero(code: Code, vectors: int, step: Callable[[int, Any, Any], None]) -> None:
    """step(0 or 1 in turns, where the nonzero's row of the matrix begins, its value in all lanes)."""
    builder, data, indices = code.builder, code.data(0), code.data(1)
    lo, hi = code.args[2], code.args[3]

    def one(parity: int, k: Any) -> None:
        column = code.entry(indices, k)
        column = column if column.type == I64 else builder.zext(column, I64)
        x = code.entry(data, k)
        x = x if x.type == DOUBLE else builder.fpext(x, DOUBLE)
        step(parity, code.times(column, LANES * vectors), code.spread(x, _VECTOR))

    pairs = builder.ashr(builder.sub(hi, lo), I64(1))
    with cgutils.for_range(builder, pairs, intp=I64) as loop:
        k = builder.add(lo, code.times(loop.index, 2))
        one(0, k)
        one(1, code.plus(k, 1))
    last = builder.add(lo, code.times(pairs, 2))
    with builder.if_then(builder.icmp_signed("<", last, hi)):
        one(0, last)


row_dots_4, row_dots_2, row_dots_1 = (_row_dots(vectors) for vectors in (4, 2, 1))
add_row_4, add_row_2, add_row_1 = (_add_row(vectors) for vectors in (4, 2, 1))
