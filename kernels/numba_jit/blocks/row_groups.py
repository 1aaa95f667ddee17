"""Eight neighbouring rows of a dense matrix and a dense vector: their products, their weighted sum.

Written in LLVM's language for the sake of memory, not of arithmetic: while eight rows are multiplied,
the lines that come after them are asked for, a few a step. Asked for all at once they fill the
processor's buffers for cache misses, and it waits; and it follows eight rows at a time too late by itself.

Entries are float32 or float64 and widened to float64, or int8 and widened to float32: the vector's type
decides, and 512 bits of it are a step.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from accel_logreg.kernels.numba_jit.llvm import BYTES, I64, LINE, Code, emitting, size_of, untyped_intrinsic

GROUP = 8


@untyped_intrinsic
def group_dots(
    _typing_context: Any, X: Any, _width: Any, w: Any, _b: Any, _first: Any, z: Any, ahead: Any
) -> Any:
    """(X, width, w, b, first, z, ahead): z[i] = b + Σ X[first + i, j] w[j] over j < width, for eight rows.

    ``width`` is whole steps of 512 bits of w. Where X has fewer columns, w is zero, and what is read is the
    next row. Meanwhile the lines from byte ``ahead`` of X on are asked for, half of what eight rows have:
    a dot product and a sum bring the next eight. Past X's end that does no harm. None asks for nothing.
    """

    def emit(code: Code) -> None:
        w, z = code.data(2), code.data(5)
        rows = _Rows(code, 4, 6, w.type.pointee)
        sums = code.variables(rows.vector, GROUP)

        def step(j: Any) -> None:
            rows.prefetch(j)
            weights = code.load(w, j, rows.vector)
            for i, total in enumerate(sums):
                code.builder.store(
                    code.add_product(code.builder.load(total), rows.load(i, j), weights), total
                )

        code.steps(code.args[1], rows.vector.count, step)
        for i, total in enumerate(sums):
            value = code.sum(code.args[3], code.builder.load(total))
            code.builder.store(value, code.builder.gep(z, [I64(i)]))

    return emitting(types.void(X, types.intp, w, w.dtype, types.intp, z, _offset(ahead)), emit)


@untyped_intrinsic
def add_group(_typing_context: Any, X: Any, _width: Any, r: Any, _first: Any, g: Any, ahead: Any) -> Any:
    """(X, width, r, first, g, ahead): g[j] += Σ r[i] X[first + i, j] for j < width, as ``group_dots``."""

    def emit(code: Code) -> None:
        r, g = code.data(2), code.data(4)
        rows = _Rows(code, 3, 5, g.type.pointee)
        factors = [code.spread(code.entry(r, I64(i)), rows.vector) for i in range(GROUP)]

        def step(j: Any) -> None:
            rows.prefetch(j)
            total = code.load(g, j, rows.vector)
            for i, factor in enumerate(factors):
                total = code.add_product(total, rows.load(i, j), factor)
            code.store(total, g, j)

        code.steps(code.args[1], rows.vector.count, step)

    return emitting(types.void(X, types.intp, r, types.intp, g, _offset(ahead)), emit)


class _Rows:
    """Eight rows of the first argument, as vectors of ``lane``; ``first`` and ``ahead``: which arguments."""

    def __init__(self, code: Code, first: int, ahead: int, lane: Any) -> None:
        X, d = code.data(0), code.columns(0)
        self.vector = ir.VectorType(lane, LINE // size_of(lane))
        self._code, self._entry = code, X.type.pointee
        self._rows = [code.at(X, code.plus(code.args[first], i), d) for i in range(GROUP)]
        self._ahead = None
        if code.given(ahead):
            self._ahead = code.builder.gep(code.builder.bitcast(X, BYTES), [code.args[ahead]])

    def load(self, i: int, j: Any) -> Any:
        """Row i's entries from j on."""
        entries = ir.VectorType(self._entry, self.vector.count)
        return self._code.widened(self._code.load(self._rows[i], j, entries), self.vector)

    def prefetch(self, j: Any) -> None:
        """Half as many bytes as the step at j reads, from where the step before it left off."""
        if self._ahead is None:
            return
        half = GROUP * size_of(self._entry) // 2  # bytes a column
        for line in range(half * self.vector.count // LINE):
            self._code.prefetch(self._ahead, self._code.plus(self._code.times(j, half), line * LINE))


def _offset(ahead: Any) -> Any:
    return ahead if ahead == types.none else types.intp
