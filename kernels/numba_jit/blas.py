"""BLAS called from inside a compiled, threaded region: the symmetric rank-k update, C += TᵀT.

SciPy exports the addresses of its BLAS routines for Cython. Compiled code that is given an address
calls BLAS without the interpreter; the caller bounds BLAS to one thread, since the region has threads
of its own. The address is an argument because it differs from process to process: compiled into the
code, it would keep the code out of Numba's cache on disk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import get_cython_function_address

from accel_logreg.kernels.numba_jit.compile import jit, untyped_intrinsic

SSYRK: int = get_cython_function_address("scipy.linalg.cython_blas", "ssyrk")
DSYRK: int = get_cython_function_address("scipy.linalg.cython_blas", "dsyrk")


@untyped_intrinsic
def _call_syrk(
    _typing_context: Any,
    address: Any,
    uplo: Any,
    trans: Any,
    n: Any,
    k: Any,
    alpha: Any,
    A: Any,
    lda: Any,
    beta: Any,
    C: Any,
    ldc: Any,
) -> Any:
    """Call BLAS's (uplo, trans, n, k, alpha, A, lda, beta, C, ldc), each by the address of its array."""
    signature = types.void(address, uplo, trans, n, k, alpha, A, lda, beta, C, ldc)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        data = [
            builder.bitcast(context.make_array(kind)(context, builder, value).data, pointer)
            for kind, value in zip(signature.args[1:], args[1:], strict=True)
        ]
        kind = ir.FunctionType(ir.VoidType(), [pointer] * len(data))
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), data)
        return context.get_dummy_value()

    return signature, codegen


@jit()
def add_outer_products(syrk: int, T: Any, rows: int, C: Any) -> None:
    """C += Σ tᵢ tᵢᵀ over the first ``rows`` rows of T (m, p), in the upper triangle of C (p, p).

    T and C are C-contiguous and of the dtype of the routine at ``syrk``. BLAS sees both transposed:
    T as p × m, C's upper triangle as its lower one.
    """
    shape = np.array([T.shape[1], rows], dtype=np.int32)
    letters = np.array([ord("L"), ord("N")], dtype=np.uint8)
    one = np.ones(1, dtype=T.dtype)
    _call_syrk(syrk, letters[:1], letters[1:], shape[:1], shape[1:], one, T, shape[:1], one, C, shape[:1])


@jit()
def add_inner_products(syrk: int, T: Any, C: Any) -> None:
    """C += T Tᵀ for T (n, k), in the upper triangle of C (n, n); as above."""
    shape = np.array([T.shape[0], T.shape[1]], dtype=np.int32)
    letters = np.array([ord("L"), ord("T")], dtype=np.uint8)
    one = np.ones(1, dtype=T.dtype)
    _call_syrk(syrk, letters[:1], letters[1:], shape[:1], shape[1:], one, T, shape[1:], one, C, shape[:1])
