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

from accel_logreg.kernels.numba_jit.blocks.row_groups import GROUP
from accel_logreg.kernels.numba_jit.llvm import (
    BYTES,
    DOUBLE,
    LANES,
    Code,
    emitting,
    size_of,
    untyped_intrinsic,
)

PANEL = LANES  # columns
_VECTOR = ir.VectorType(DOUBLE, PANEL)


@untyped_intrinsic
def panel_dots(_typing_context: Any, x: Any, _first: Any, _d: Any, W: Any, z: Any, X: Any, ahead: Any) -> Any:
    """(x, first, d, W, z, X, ahead): z[first + i] = W[d] + Σⱼ x[first + i, j] W[j] for eight rows i.

    Meanwhile half of the bytes of X that eight rows have, from byte ``ahead`` on, are asked for: this and
    ``add_panel`` bring eight rows. Past X's end that does no harm. None for both asks for nothing.
    """

    def emit(code: Code) -> None:
        weights, z = code.data(3), code.data(4)
        sums = code.variables(_VECTOR, GROUP)
        intercepts = _row(code, weights, code.args[2])
        for total in sums:
            code.builder.store(intercepts, total)

        def step(j: Any, x: list[Any]) -> None:
            w = _row(code, weights, j)
            for entry, total in zip(x, sums, strict=True):
                code.builder.store(code.add_product(code.builder.load(total), entry, w), total)

        _each_column(code, step)
        for i, total in enumerate(sums):
            row = code.plus(code.args[1], i)
            code.store(code.builder.load(total), z, code.times(row, PANEL))

    return emitting(types.void(x, types.intp, types.intp, W, z, X, ahead), emit)


@untyped_intrinsic
def add_panel(_typing_context: Any, x: Any, _first: Any, _d: Any, z: Any, G: Any, X: Any, ahead: Any) -> Any:
    """(x, first, d, z, G, X, ahead): G[j] += Σᵢ x[first + i, j] z[first + i] over eight rows i.

    G[d] += Σᵢ z[first + i], as if there were a column of ones. X and ``ahead`` are those of ``panel_dots``.
    """

    def emit(code: Code) -> None:
        z, sums = code.data(3), code.data(4)
        factors = [_row(code, z, code.plus(code.args[1], i)) for i in range(GROUP)]

        def step(j: Any, x: list[Any]) -> None:
            total = _row(code, sums, j)
            for entry, factor in zip(x, factors, strict=True):
                total = code.add_product(total, entry, factor)
            code.store(total, sums, code.times(j, PANEL))

        _each_column(code, step)
        total = _row(code, sums, code.args[2])
        for factor in factors:
            total = code.add(total, factor)
        code.store(total, sums, code.times(code.args[2], PANEL))

    return emitting(types.void(x, types.intp, types.intp, z, G, X, ahead), emit)


def _row(code: Code, matrix: Any, row: Any) -> Any:
    """A row of a matrix of eight columns."""
    return code.load(matrix, code.times(row, PANEL), _VECTOR)


def _each_column(code: Code, step: Callable[[Any, list[Any]], None]) -> None:
    """step(j, x[first : first + 8, j], each in all lanes) for every j < d, while more of X is asked for."""
    x, first, d = code.data(0), code.args[1], code.args[2]
    rows = [code.at(x, code.plus(first, i), d) for i in range(GROUP)]

    def prefetch_and_step(j: Any) -> None:
        if code.given(5):
            X = code.data(5)
            half = GROUP * size_of(X.type.pointee) // 2  # bytes that eight rows have at j
            ahead = code.builder.add(code.args[6], code.times(j, half))
            code.prefetch(code.builder.bitcast(X, BYTES), ahead)
        step(j, [code.spread(code.entry(row, j), _VECTOR) for row in rows])

    code.steps(d, 1, prefetch_and_step)
