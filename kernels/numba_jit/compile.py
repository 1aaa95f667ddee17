"""How kernels are compiled: flags, on-disk cache, and two LLVM features that Numba does not offer.

Numba's cache does not notice a change in this file: remove the __pycache__ folder beside it after one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Reordering and contraction only. "fast" would add nnan and ninf, which delete NaN checks.
FLAGS = frozenset({"reassoc", "contract", "arcp", "nsz"})
IN_ORDER = frozenset({"contract"})  # where reordering would undo a split constant


def jit(flags: frozenset[str] = FLAGS, **options: Any) -> Callable[[Any], Any]:
    """``njit`` with these flags; cached on disk where a cache can be written."""

    def decorate(function: Any) -> Any:
        try:
            return njit(fastmath=set(flags), error_model="numpy", nogil=True, cache=True, **options)(function)
        except RuntimeError:  # no writable place for the cache
            _warn_of_no_cache()
            return njit(fastmath=set(flags), error_model="numpy", nogil=True, **options)(function)

    return decorate


@cache
def _warn_of_no_cache() -> None:
    """Once, not for every kernel."""
    warnings.warn(
        "Numba finds no writable folder for compiled kernels, so they compile again in every process "
        "(about 20 s). Set NUMBA_CACHE_DIR to a folder that can be written to.",
        RuntimeWarning,
        stacklevel=2,
    )


def untyped_intrinsic(function: Any) -> Any:
    """An intrinsic takes the typing context that its callers never pass; type checkers cannot know."""
    return intrinsic(function)


@untyped_intrinsic
def use_wide_vectors(_typing_context: Any) -> Any:
    """Let LLVM use 512-bit vectors in the calling function; by default it stops at 256."""

    def codegen(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        # llvmlite's own add() accepts keyword attributes only; this one is a string attribute.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), codegen


@untyped_intrinsic
def prefetch(_typing_context: Any, array: Any, offset: Any) -> Any:
    """Ask for the cache line ``offset`` bytes into a contiguous array; past its end is harmless."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        i32, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        address = builder.gep(builder.bitcast(data, pointer), [args[1]])
        kind = ir.FunctionType(ir.VoidType(), [pointer, i32, i32, i32])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [address, i32(0), i32(3), i32(1)])  # read, keep close, data
        return context.get_dummy_value()

    return types.void(array, offset), codegen
