"""Eight rows times eight columns: the two products of a panel of weight vectors, in LLVM's language.

A panel is W (d + 1, 8), eight columns side by side and their intercepts last, so that the eight entries that
one x multiplies are one 512-bit vector. Eight rows share each load of it and keep their sums in registers:
nine loads for eight multiply-adds of eight columns, no sum across a vector, and no remainder whatever d is.

x are float64 rows (m, d) one after the other, z is (m, 8), and m is a multiple of eight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from accel_logreg.kernels.numba_jit.compile import untyped_intrinsic

GROUP = 8  # rows
PANEL = 8  # columns: float64 in 512 bits
_DOUBLE = ir.DoubleType()
_VECTOR = ir.VectorType(_DOUBLE, PANEL)
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()
_FAST = ("contract", "reassoc", "nsz", "arcp")
_variable: Any = cgutils.alloca_once
_declared: Any = cgutils.get_or_insert_function


@untyped_intrinsic
def panel_dots(_typing_context: Any, x: Any, _first: Any, _d: Any, W: Any, z: Any, X: Any, ahead: Any) -> Any:
    """(x, first, d, W, z, X, ahead): z[first + i] = W[d] + Σⱼ x[first + i, j] W[j] for eight rows i.

    Meanwhile half of the bytes of X that eight rows have, from byte ``ahead`` on, are asked for: this and
    ``add_panel`` bring eight rows. Past X's end that does no harm. None for both asks for nothing.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        parts = _Parts(context, builder, signature, args)
        weights, z = parts.data(3), parts.data(4)
        sums = [_variable(builder, _VECTOR) for _ in range(GROUP)]
        intercepts = parts.load(weights, args[2])
        for total in sums:
            builder.store(intercepts, total)

        def step(j: Any) -> None:
            parts.prefetch(j)
            w = parts.load(weights, j)
            for i, total in enumerate(sums):
                product = builder.fmul(parts.spread_x(i, j), w, flags=_FAST)
                builder.store(builder.fadd(builder.load(total), product, flags=_FAST), total)

        parts.steps(step)
        for i, total in enumerate(sums):
            parts.store(builder.load(total), z, builder.add(args[1], _I64(i)))
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp, W, z, X, ahead), codegen


@untyped_intrinsic
def add_panel(_typing_context: Any, x: Any, _first: Any, _d: Any, z: Any, G: Any, X: Any, ahead: Any) -> Any:
    """(x, first, d, z, G, X, ahead): G[j] += Σᵢ x[first + i, j] z[first + i] over eight rows i.

    G[d] += Σᵢ z[first + i], as if there were a column of ones. X and ``ahead`` are those of ``panel_dots``.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        parts = _Parts(context, builder, signature, args)
        factors_of, sums = parts.data(3), parts.data(4)
        factors = [parts.load(factors_of, builder.add(args[1], _I64(i))) for i in range(GROUP)]

        def step(j: Any) -> None:
            parts.prefetch(j)
            total = parts.load(sums, j)
            for i, factor in enumerate(factors):
                product = builder.fmul(parts.spread_x(i, j), factor, flags=_FAST)
                total = builder.fadd(total, product, flags=_FAST)
            parts.store(total, sums, j)

        parts.steps(step)
        total = parts.load(sums, args[2])
        for factor in factors:
            total = builder.fadd(total, factor, flags=_FAST)
        parts.store(total, sums, args[2])
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp, z, G, X, ahead), codegen


class _Parts:
    """The arrays of a call: x, first and d come first in its arguments."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self._context, self._builder, self._signature, self._args = context, builder, signature, args
        x, d = self.data(0), args[2]
        self._rows = [builder.gep(x, [builder.mul(builder.add(args[1], _I64(i)), d)]) for i in range(GROUP)]

    def data(self, argument: int) -> Any:
        """Where an array argument's entries begin."""
        kind = self._signature.args[argument]
        return self._context.make_array(kind)(self._context, self._builder, self._args[argument]).data

    def spread_x(self, i: int, j: Any) -> Any:
        """x[first + i, j] in all lanes."""
        builder = self._builder
        value = builder.load(builder.gep(self._rows[i], [j]))
        one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, _I32(0))
        zeros = ir.Constant(ir.VectorType(_I32, PANEL), [0] * PANEL)
        return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), zeros)

    def load(self, data: Any, row: Any) -> Any:
        """Row ``row`` of a matrix of eight columns."""
        return self._builder.load(self._place(data, row), align=8)

    def store(self, vector: Any, data: Any, row: Any) -> None:
        self._builder.store(vector, self._place(data, row), align=8)

    def _place(self, data: Any, row: Any) -> Any:
        place = self._builder.gep(data, [self._builder.mul(row, _I64(PANEL))])
        return self._builder.bitcast(place, _VECTOR.as_pointer())

    def prefetch(self, j: Any) -> None:
        """Half as many bytes of X, the sixth argument, as a step over eight rows has of it."""
        if self._signature.args[5] == types.none:
            return
        builder = self._builder
        X = self.data(5)
        half = GROUP * (8 if X.type.pointee == _DOUBLE else 4) // 2
        offset = builder.add(self._args[6], builder.mul(j, _I64(half)))
        kind = ir.FunctionType(ir.VoidType(), [_BYTES, _I32, _I32, _I32])
        ask = _declared(builder.module, kind, "llvm.prefetch.p0")
        address = builder.gep(builder.bitcast(X, _BYTES), [offset])
        builder.call(ask, [address, _I32(0), _I32(3), _I32(1)])

    def steps(self, step: Callable[[Any], None]) -> None:
        """step(j) for every j < d."""
        with cgutils.for_range(self._builder, self._args[2], intp=_I64) as loop:
            step(loop.index)
