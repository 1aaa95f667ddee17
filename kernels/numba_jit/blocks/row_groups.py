"""Eight neighbouring rows of a dense matrix and a dense vector: their products, their weighted sum.

Written in LLVM's language for the sake of memory, not of arithmetic: while eight rows are multiplied,
the lines that come after them are asked for, a few a step. Asked for all at once they fill the
processor's buffers for cache misses, and it waits; and it follows eight rows at a time too late by itself.

Entries are float32 or float64 and widened to float64, or int8 and widened to float32: the vector's type
decides, and 512 bits of it are a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from accel_logreg.kernels.numba_jit.compile import untyped_intrinsic

GROUP = 8
_LINE = 64  # bytes
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()
_FAST = ("contract", "reassoc", "nsz", "arcp")
_declared: Any = cgutils.get_or_insert_function
_variable: Any = cgutils.alloca_once


@untyped_intrinsic
def group_dots(
    _typing_context: Any, X: Any, _width: Any, w: Any, _b: Any, _first: Any, z: Any, ahead: Any
) -> Any:
    """(X, width, w, b, first, z, ahead): z[i] = b + Σ X[first + i, j] w[j] over j < width, for eight rows.

    ``width`` is whole steps of 512 bits of w. Where X has fewer columns, w is zero, and what is read is the
    next row. Meanwhile the lines from byte ``ahead`` of X on are asked for, half of what eight rows have:
    a dot product and a sum bring the next eight. Past X's end that does no harm. None asks for nothing.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        parts = _Parts(context, builder, signature, args[0], args[4], args[6])
        w = _data(context, builder, signature, args, 2)
        z = _data(context, builder, signature, args, 5)
        lane = w.type.pointee
        vector = ir.VectorType(lane, _LINE // _bytes(lane))
        sums = [_variable(builder, vector) for _ in range(GROUP)]
        for total in sums:
            builder.store(ir.Constant(vector, None), total)

        def step(j: Any) -> None:
            parts.prefetch(j, vector.count)
            weights = _load(builder, w, j, vector)
            for row, total in zip(parts.rows, sums, strict=True):
                product = builder.fmul(parts.widened(row, j, vector), weights, flags=_FAST)
                builder.store(builder.fadd(builder.load(total), product, flags=_FAST), total)

        _steps(builder, args[1], vector.count, step)
        kind = ir.FunctionType(lane, [lane, vector])
        name = f"llvm.vector.reduce.fadd.v{vector.count}f{8 * _bytes(lane)}"
        add = _declared(builder.module, kind, name)
        for i, total in enumerate(sums):
            value = builder.call(add, [args[3], builder.load(total)], fastmath=_FAST)
            builder.store(value, builder.gep(z, [_I64(i)]))
        return context.get_dummy_value()

    return types.void(X, types.intp, w, w.dtype, types.intp, z, _offset(ahead)), codegen


@untyped_intrinsic
def add_group(_typing_context: Any, X: Any, _width: Any, r: Any, _first: Any, g: Any, ahead: Any) -> Any:
    """(X, width, r, first, g, ahead): g[j] += Σ r[i] X[first + i, j] for j < width, as ``group_dots``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        parts = _Parts(context, builder, signature, args[0], args[3], args[5])
        r = _data(context, builder, signature, args, 2)
        g = _data(context, builder, signature, args, 4)
        vector = ir.VectorType(g.type.pointee, _LINE // _bytes(g.type.pointee))
        factors = [_spread(builder, builder.load(builder.gep(r, [_I64(i)])), vector) for i in range(GROUP)]

        def step(j: Any) -> None:
            parts.prefetch(j, vector.count)
            total = _load(builder, g, j, vector)
            for row, factor in zip(parts.rows, factors, strict=True):
                product = builder.fmul(parts.widened(row, j, vector), factor, flags=_FAST)
                total = builder.fadd(total, product, flags=_FAST)
            place = builder.bitcast(builder.gep(g, [j]), vector.as_pointer())
            builder.store(total, place, align=_bytes(g.type.pointee))

        _steps(builder, args[1], vector.count, step)
        return context.get_dummy_value()

    return types.void(X, types.intp, r, types.intp, g, _offset(ahead)), codegen


class _Parts:
    """Where the group's rows begin, and how their entries are read."""

    def __init__(self, context: Any, builder: Any, signature: Any, X: Any, first: Any, ahead: Any) -> None:
        matrix = context.make_array(signature.args[0])(context, builder, X)
        d = builder.extract_value(matrix.shape, 1)
        self._builder = builder
        self.rows = [
            builder.gep(matrix.data, [builder.mul(builder.add(first, _I64(i)), d)]) for i in range(GROUP)
        ]
        self._entry = matrix.data.type.pointee
        self._ahead = None
        if signature.args[-1] != types.none:
            self._ahead = builder.gep(builder.bitcast(matrix.data, _BYTES), [ahead])

    def widened(self, row: Any, j: Any, vector: Any) -> Any:
        """The row's entries from j on, as ``vector``."""
        builder, entry = self._builder, self._entry
        x = _load(builder, row, j, ir.VectorType(entry, vector.count))
        if entry == vector.element:
            return x
        return builder.sitofp(x, vector) if isinstance(entry, ir.IntType) else builder.fpext(x, vector)

    def prefetch(self, j: Any, lanes: int) -> None:
        """Half as many bytes as the step at j reads, from where the step before it left off."""
        if self._ahead is None:
            return
        builder = self._builder
        half = GROUP * _bytes(self._entry) // 2  # bytes a column
        kind = ir.FunctionType(ir.VoidType(), [_BYTES, _I32, _I32, _I32])
        ask = _declared(builder.module, kind, "llvm.prefetch.p0")
        for line in range(half * lanes // _LINE):
            offset = builder.add(builder.mul(j, _I64(half)), _I64(line * _LINE))
            builder.call(ask, [builder.gep(self._ahead, [offset]), _I32(0), _I32(3), _I32(1)])


def _offset(ahead: Any) -> Any:
    return ahead if ahead == types.none else types.intp


def _steps(builder: Any, stop: Any, size: int, step: Callable[[Any], None]) -> None:
    """step(j) for j = 0, size, … below ``stop``."""
    count = builder.sdiv(stop, _I64(size))
    with cgutils.for_range(builder, count, intp=_I64) as loop:
        step(builder.mul(loop.index, _I64(size)))


def _data(context: Any, builder: Any, signature: Any, args: Any, i: int) -> Any:
    return context.make_array(signature.args[i])(context, builder, args[i]).data


def _bytes(kind: Any) -> int:
    return kind.width // 8 if isinstance(kind, ir.IntType) else 4 if kind == ir.FloatType() else 8


def _load(builder: Any, pointer: Any, j: Any, vector: Any) -> Any:
    place = builder.bitcast(builder.gep(pointer, [j]), vector.as_pointer())
    return builder.load(place, align=_bytes(vector.element))


def _spread(builder: Any, value: Any, vector: Any) -> Any:
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, _I32(0))
    zeros = ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)
