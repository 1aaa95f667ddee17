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
from numba.core import cgutils

from accel_logreg.kernels.numba_jit.compile import untyped_intrinsic

LANES = 8  # float64 in 512 bits; shorter vectors take two steps or four
SLACK = LANES  # an empty row's one step starts at its end
_AHEAD = 256  # entries

_I32, _I64, _F64 = ir.IntType(32), ir.IntType(64), ir.DoubleType()
_FLOATS, _INTEGERS = ir.VectorType(_F64, LANES), ir.VectorType(_I64, LANES)
_BITS = ir.VectorType(ir.IntType(1), LANES)
_FAST = ("contract", "reassoc")
_declared: Any = cgutils.get_or_insert_function


@untyped_intrinsic
def row_dot(_typing_context: Any, data: Any, indices: Any, lo: Any, hi: Any, w: Any) -> Any:
    """Σ data[k] w[indices[k]] for lo ≤ k < hi, both int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data, indices, w = (_start(context, builder, signature, args, i) for i in (0, 1, 4))
        lo, hi = args[2], args[3]

        def step(k: Any, sums: Any) -> Any:
            _prefetch(builder, data, k)
            _prefetch(builder, indices, k)
            x = _entries(builder, data, k, hi)
            weights = _gather(builder, w, _columns(builder, indices, k))
            return builder.fadd(sums, builder.fmul(x, weights, flags=_FAST), flags=_FAST)

        sums = _for_each_eight(builder, lo, hi, ir.Constant(_FLOATS, None), step)
        kind = ir.FunctionType(_F64, [_F64, _FLOATS])
        add = _declared(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f64")
        return builder.call(add, [_F64(0.0), sums], fastmath=_FAST)

    return types.float64(data, indices, lo, hi, w), codegen


@untyped_intrinsic
def add_row(_typing_context: Any, data: Any, indices: Any, lo: Any, hi: Any, r: Any, g: Any) -> Any:
    """g[indices[k]] += r data[k] for lo ≤ k < hi, r float64; adds 0.0 where the entries past hi belong."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data, indices, g = (_start(context, builder, signature, args, i) for i in (0, 1, 5))
        lo, hi = args[2], args[3]
        factor = _spread(builder, args[4], _FLOATS)

        def step(k: Any, nothing: Any) -> Any:
            products = builder.fmul(factor, _entries(builder, data, k, hi))
            for lane in range(LANES):
                column = builder.load(builder.gep(indices, [builder.add(k, _I64(lane))]))
                place = builder.gep(g, [_widened(builder, column, _I64)])
                product = builder.extract_element(products, _I32(lane))
                builder.store(builder.fadd(builder.load(place), product), place)
            return nothing

        _for_each_eight(builder, lo, hi, _I64(0), step)
        return context.get_dummy_value()

    return types.void(data, indices, lo, hi, r, g), codegen


def _for_each_eight(builder: Any, lo: Any, hi: Any, start: Any, step: Callable[[Any, Any], Any]) -> Any:
    """value = step(k, value) for k = lo, lo + 8, … below hi, and at least once; the last value."""
    before = builder.block
    loop, after = builder.append_basic_block("entries"), builder.append_basic_block("row_end")
    builder.branch(loop)
    builder.position_at_end(loop)
    k, value = builder.phi(_I64), builder.phi(start.type)
    k.add_incoming(lo, before)
    value.add_incoming(start, before)
    result = step(k, value)
    following = builder.add(k, _I64(LANES))
    k.add_incoming(following, loop)
    value.add_incoming(result, loop)
    builder.cbranch(builder.icmp_signed("<", following, hi), loop, after)
    builder.position_at_end(after)
    return result


def _start(context: Any, builder: Any, signature: Any, args: Any, i: int) -> Any:
    """The pointer to the i-th argument's first entry."""
    return context.make_array(signature.args[i])(context, builder, args[i]).data


def _eight(builder: Any, pointer: Any, k: Any) -> Any:
    """Eight entries from the k-th, as they are."""
    entry = pointer.type.pointee
    size = entry.width // 8 if isinstance(entry, ir.IntType) else 4 if entry == ir.FloatType() else 8
    vectors = ir.VectorType(entry, LANES).as_pointer()
    return builder.load(builder.bitcast(builder.gep(pointer, [k]), vectors), align=size)


def _entries(builder: Any, data: Any, k: Any, hi: Any) -> Any:
    """data[k : k + 8] as float64, 0.0 from hi on."""
    x = _eight(builder, data, k)
    if x.type != _FLOATS:
        x = builder.fpext(x, _FLOATS)
    lanes = ir.Constant(_INTEGERS, list(range(LANES)))
    left = _spread(builder, builder.sub(hi, k), _INTEGERS)
    return builder.select(builder.icmp_signed("<", lanes, left), x, ir.Constant(_FLOATS, None))


def _columns(builder: Any, indices: Any, k: Any) -> Any:
    """indices[k : k + 8] as 64-bit integers."""
    return _widened(builder, _eight(builder, indices, k), _INTEGERS)


def _widened(builder: Any, value: Any, kind: Any) -> Any:
    return value if value.type == kind else builder.zext(value, kind)


def _spread(builder: Any, value: Any, kind: Any) -> Any:
    """A vector with ``value`` in every lane."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, _I32(0))
    zeros = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)


def _gather(builder: Any, w: Any, columns: Any) -> Any:
    """w at eight columns. llvmlite's gep takes no vector of indices, so addresses are added up here."""
    eighths = ir.Constant(_INTEGERS, [3] * LANES)
    start = _spread(builder, builder.ptrtoint(w, _I64), _INTEGERS)
    pointers = ir.VectorType(_F64.as_pointer(), LANES)
    places = builder.inttoptr(builder.add(start, builder.shl(columns, eighths)), pointers)
    kind = ir.FunctionType(_FLOATS, [pointers, _I32, _BITS, _FLOATS])
    gather = _declared(builder.module, kind, f"llvm.masked.gather.v{LANES}f64.v{LANES}p0")
    every = ir.Constant(_BITS, [1] * LANES)
    return builder.call(gather, [places, _I32(8), every, ir.Constant(_FLOATS, ir.Undefined)])


def _prefetch(builder: Any, pointer: Any, k: Any) -> None:
    """Ask for the cache line _AHEAD entries after the k-th; past the array's end is harmless."""
    bytes_ = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [bytes_, _I32, _I32, _I32])
    prefetch = _declared(builder.module, kind, "llvm.prefetch.p0")
    address = builder.bitcast(builder.gep(pointer, [builder.add(k, _I64(_AHEAD))]), bytes_)
    builder.call(prefetch, [address, _I32(0), _I32(3), _I32(1)])  # read, keep close, data
