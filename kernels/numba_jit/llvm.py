"""What LLVM offers and Numba does not: wide vectors, prefetching, and code written in LLVM's language.

An intrinsic says what it is called with and emits its code: ``return emitting(types.void(x), emit)``, where
``emit(code)`` puts together what blocks/ needs from the operations of ``Code``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I32, I64 = ir.IntType(32), ir.IntType(64)
FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()
BYTES = ir.IntType(8).as_pointer()
LINE = 64  # bytes: of a cache line, and of the widest vector
LANES = LINE // 8  # float64 in 512 bits; shorter vectors take two steps or four
_FAST = ("contract", "reassoc", "nsz", "arcp")
declared: Any = cgutils.get_or_insert_function


def compiled_for(feature: str) -> bool:
    """Whether the processor that Numba compiles for has this feature, by LLVM's name: "avx2", "avx512f".

    That is the one at hand, unless NUMBA_CPU_NAME or NUMBA_CPU_FEATURES say something else.
    """
    settings = vars(numba.config)
    if settings["CPU_FEATURES"] is not None or settings["CPU_NAME"] is not None:
        return f"+{feature}" in (settings["CPU_FEATURES"] or "").split(",")
    return bool(llvmlite.binding.get_host_cpu_features().get(feature))


def untyped_intrinsic(function: Any) -> Any:
    """An intrinsic takes the typing context that its callers never pass; type checkers cannot know."""
    return intrinsic(function)


def emitting(signature: Any, emit: Callable[[Code], Any]) -> Any:
    """An intrinsic's answer: ``emit`` returns the call's value, or None for a call without one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = emit(Code(context, builder, signature, args))
        return context.get_dummy_value() if value is None else value

    return signature, codegen


def size_of(kind: Any) -> int:
    """Bytes of an entry."""
    return kind.width // 8 if isinstance(kind, ir.IntType) else 4 if kind == FLOAT else 8


class Code:
    """Code that is being emitted, and the arguments of the call."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.builder, self.args, self._context, self._kinds = builder, args, context, signature.args

    def given(self, i: int) -> bool:
        """Whether the i-th argument is not None."""
        return bool(self._kinds[i] != types.none)

    def data(self, i: int) -> Any:
        """Where the entries of the i-th argument begin, a C-contiguous array."""
        return self._array(i).data

    def rows(self, i: int) -> Any:
        """The first length of the i-th argument."""
        return self.builder.extract_value(self._array(i).shape, 0)

    def columns(self, i: int) -> Any:
        """The second length of the i-th argument."""
        return self.builder.extract_value(self._array(i).shape, 1)

    def _array(self, i: int) -> Any:
        return self._context.make_array(self._kinds[i])(self._context, self.builder, self.args[i])

    def plus(self, a: Any, b: int) -> Any:
        return self.builder.add(a, I64(b))

    def times(self, a: Any, b: int) -> Any:
        return self.builder.mul(a, I64(b))

    def at(self, pointer: Any, row: Any, stride: Any, column: Any = None) -> Any:
        """Where row ``row``, and in it entry ``column``, of a matrix of that stride is."""
        place = self.builder.mul(row, stride)
        return self.builder.gep(pointer, [place if column is None else self.builder.add(place, column)])

    def entry(self, pointer: Any, j: Any) -> Any:
        return self.builder.load(self.builder.gep(pointer, [j]))

    def load(self, pointer: Any, j: Any, vector: Any) -> Any:
        """The entries from the j-th on, as many as the vector has."""
        place = self.builder.bitcast(self.builder.gep(pointer, [j]), vector.as_pointer())
        return self.builder.load(place, align=size_of(vector.element))

    def store(self, value: Any, pointer: Any, j: Any) -> None:
        place = self.builder.bitcast(self.builder.gep(pointer, [j]), value.type.as_pointer())
        self.builder.store(value, place, align=size_of(value.type.element))

    def spread(self, value: Any, vector: Any) -> Any:
        """A vector with ``value`` in every lane."""
        undefined = ir.Constant(vector, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(I32, vector.count), [0] * vector.count)
        return self.builder.shuffle_vector(
            self.builder.insert_element(undefined, value, I32(0)), undefined, zeros
        )

    def widened(self, x: Any, vector: Any) -> Any:
        """The entries of x, integers or floats, as those of ``vector``."""
        if x.type == vector:
            return x
        whole = isinstance(x.type.element, ir.IntType)
        return self.builder.sitofp(x, vector) if whole else self.builder.fpext(x, vector)

    def variables(self, kind: Any, *counts: int) -> Any:
        """Registers that hold zero at first: a list of them, or a list of lists."""
        if counts:
            return [self.variables(kind, *counts[1:]) for _ in range(counts[0])]
        variable: Any = cgutils.alloca_once(self.builder, kind)
        self.builder.store(ir.Constant(kind, None), variable)
        return variable

    def add(self, total: Any, x: Any) -> Any:
        return self.builder.fadd(total, x, flags=_FAST)

    def add_product(self, total: Any, x: Any, y: Any) -> Any:
        """total + x y, in one instruction where there is one."""
        return self.add(total, self.builder.fmul(x, y, flags=_FAST))

    def sum(self, start: Any, x: Any) -> Any:
        """start + Σ over the lanes of x."""
        kind = ir.FunctionType(start.type, [start.type, x.type])
        name = f"llvm.vector.reduce.fadd.v{x.type.count}f{8 * size_of(start.type)}"
        return self.builder.call(declared(self.builder.module, kind, name), [start, x], fastmath=_FAST)

    def steps(self, stop: Any, size: int, step: Callable[[Any], None]) -> None:
        """step(j) for j = 0, size, … below ``stop``."""
        with cgutils.for_range(self.builder, self.builder.sdiv(stop, I64(size)), intp=I64) as loop:
            step(self.times(loop.index, size))

    def prefetch(self, pointer: Any, offset: Any) -> None:
        """Ask for the cache line ``offset`` entries on; past the end of memory that does no harm."""
        kind = ir.FunctionType(ir.VoidType(), [BYTES, I32, I32, I32])
        ask = declared(self.builder.module, kind, "llvm.prefetch.p0")
        address = self.builder.bitcast(self.builder.gep(pointer, [offset]), BYTES)
        self.builder.call(ask, [address, I32(0), I32(3), I32(1)])  # read, keep close, data


@untyped_intrinsic
def use_wide_vectors(_typing_context: Any) -> Any:
    """Let LLVM use 512-bit vectors in the calling function; by default it stops at 256."""

    def emit(code: Code) -> None:
        # llvmlite's own add() accepts keyword attributes only; this one is a string attribute.
        set.add(code.builder.function.attributes, '"prefer-vector-width"="512"')

    return emitting(types.void(), emit)


_NUMBERS = 4  # the field of an array, as Numba hands it over, that points to its numbers


@untyped_intrinsic
def arrays_lie_apart(_typing_context: Any) -> Any:
    """Promise LLVM that no array that the calling function is given and writes to overlaps another.

    A loop that reads one array and writes another is otherwise compiled twice, in vectors and one by one, and
    one of them chosen by where the arrays lie in memory. With a sum in it, the same data would now and then
    give other bits. Every function with such a loop makes this promise. Of two arrays that the function makes
    itself it says nothing: there the sum takes a loop of its own.
    """

    def emit(code: Code) -> None:
        for argument in code.builder.function.args[2:]:  # after the answer and the error
            # Of the fields of an array two are owners of memory, which may be the same; both are pointers
            # to bytes, as are the numbers of an array of int8.
            numbers = argument.type != BYTES or argument.name.endswith(f".{_NUMBERS}")
            if isinstance(argument.type, ir.PointerType) and numbers:
                argument.add_attribute("noalias")

    return emitting(types.void(), emit)


@untyped_intrinsic
def prefetch(_typing_context: Any, array: Any, offset: Any) -> Any:
    """Ask for the cache line ``offset`` bytes into a contiguous array; past its end is harmless."""

    def emit(code: Code) -> None:
        code.prefetch(code.builder.bitcast(code.data(0), BYTES), code.args[1])

    return emitting(types.void(array, offset), emit)
