"""One compressed sparse row and a dense vector, eight nonzeros at a time: their product, their sum.

LLVM's own loop over a row is three loops, of 32 entries, of 8 and of 1, and a processor that does not
foresee where each ends loses as much time there as 50 nonzeros take. These are written in LLVM's
language to be one loop: what its last eight entries have past the row's end counts as zero, so a row
is read up to SLACK entries past its end. Each step also asks for memory that later ones will need.

Sums are float64 for either dtype of data. indices are of any integer type and not negative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from accel_logreg.kernels.numba_jit.llvm import (
    DOUBLE,
    I32,
    I64,
    LANES,
    Code,
    declared,
    emitting,
    untyped_intrinsic,
)
from accel_logreg.kernels.numba_jit.tuning import CSR_AHEAD

SLACK = LANES  # an empty row's one step starts at its end
_FLOATS, _INTEGERS = ir.VectorType(DOUBLE, LANES), ir.VectorType(I64, LANES)
_ZEROS = ir.Constant(_FLOATS, None)


@untyped_intrinsic
def row_dot(_typing_context: Any, data: Any, indices: Any, lo: Any, hi: Any, w: Any) -> Any:
    """Σ data[k] w[indices[k]] for lo ≤ k < hi, both int64."""

    def emit(code: Code) -> Any:
        data, indices, w = code.data(0), code.data(1), code.data(4)

        def step(k: Any, sums: Any) -> Any:
            code.prefetch(data, code.plus(k, CSR_AHEAD))
            code.prefetch(indices, code.plus(k, CSR_AHEAD))
            columns = code.load(indices, k, ir.VectorType(indices.type.pointee, LANES))
            return code.add_product(sums, _entries(code, data, k), _gather(code, w, columns))

        return code.sum(DOUBLE(0.0), _for_each_eight(code, _ZEROS, step))

    return emitting(types.float64(data, indices, lo, hi, w), emit)


@untyped_intrinsic
def add_row(_typing_context: Any, data: Any, indices: Any, lo: Any, hi: Any, r: Any, g: Any) -> Any:
    """g[indices[k]] += r data[k] for lo ≤ k < hi, r float64; adds 0.0 where the entries past hi belong."""

    def emit(code: Code) -> None:
        builder, data, indices, g = code.builder, code.data(0), code.data(1), code.data(5)
        factor = code.spread(code.args[4], _FLOATS)

        def step(k: Any, nothing: Any) -> Any:
            products = builder.fmul(factor, _entries(code, data, k))
            for lane in range(LANES):
                column = _unsigned(code, code.entry(indices, code.plus(k, lane)), I64)
                place = builder.gep(g, [column])
                product = builder.extract_element(products, I32(lane))
                builder.store(builder.fadd(builder.load(place), product), place)
            return nothing

        _for_each_eight(code, I64(0), step)

    return emitting(types.void(data, indices, lo, hi, r, g), emit)


def _for_each_eight(code: Code, start: Any, step: Callable[[Any, Any], Any]) -> Any:
    """value = step(k, value) for k = lo, lo + 8, … below hi, and at least once; the last value."""
    builder, lo, hi = code.builder, code.args[2], code.args[3]
    before = builder.block
    loop, after = builder.append_basic_block("entries"), builder.append_basic_block("row_end")
    builder.branch(loop)
    builder.position_at_end(loop)
    k, value = builder.phi(I64), builder.phi(start.type)
    k.add_incoming(lo, before)
    value.add_incoming(start, before)
    result = step(k, value)
    following = code.plus(k, LANES)
    k.add_incoming(following, loop)
    value.add_incoming(result, loop)
    builder.cbranch(builder.icmp_signed("<", following, hi), loop, after)
    builder.position_at_end(after)
    return result


def _entries(code: Code, data: Any, k: Any) -> Any:
    """data[k : k + 8] as float64, 0.0 from hi on."""
    builder, hi = code.builder, code.args[3]
    x = code.widened(code.load(data, k, ir.VectorType(data.type.pointee, LANES)), _FLOATS)
    lanes = ir.Constant(_INTEGERS, list(range(LANES)))
    left = code.spread(builder.sub(hi, k), _INTEGERS)
    return builder.select(builder.icmp_signed("<", lanes, left), x, _ZEROS)


def _unsigned(code: Code, value: Any, kind: Any) -> Any:
    return value if value.type == kind else code.builder.zext(value, kind)


def _gather(code: Code, w: Any, columns: Any) -> Any:
    """w at eight columns. llvmlite's gep takes no vector of indices, so addresses are added up here."""
    builder = code.builder
    offsets = builder.shl(_unsigned(code, columns, _INTEGERS), ir.Constant(_INTEGERS, [3] * LANES))
    start = code.spread(builder.ptrtoint(w, I64), _INTEGERS)
    pointers, every = ir.VectorType(DOUBLE.as_pointer(), LANES), ir.VectorType(ir.IntType(1), LANES)
    places = builder.inttoptr(builder.add(start, offsets), pointers)
    kind = ir.FunctionType(_FLOATS, [pointers, I32, every, _FLOATS])
    gather = declared(builder.module, kind, f"llvm.masked.gather.v{LANES}f64.v{LANES}p0")
    undefined = ir.Constant(_FLOATS, ir.Undefined)
    return builder.call(gather, [places, I32(8), ir.Constant(every, [1] * LANES), undefined])
