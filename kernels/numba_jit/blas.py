"""BLAS called from inside a compiled, threaded region: the symmetric rank-k update, C += TᵀT, and products.

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

from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.llvm import BYTES, I64, Code, emitting, untyped_intrinsic

SSYRK: int = get_cython_function_address("scipy.linalg.cython_blas", "ssyrk")
DSYRK: int = get_cython_function_address("scipy.linalg.cython_blas", "dsyrk")
SGEMM: int = get_cython_function_address("scipy.linalg.cython_blas", "sgemm")
DGEMM: int = get_cython_function_address("scipy.linalg.cython_blas", "dgemm")


@untyped_intrinsic
def _call_syrk(_typing_context: Any, address: Any, letters: Any, sizes: Any, one: Any, A: Any, C: Any) -> Any:
    """BLAS's syrk(uplo, trans, n, k, alpha, A, lda, beta, C, ldc), each by its address: alpha and beta are 1.

    letters are uplo and trans, sizes are n, k, lda, ldc.
    """

    def emit(code: Code) -> None:
        def at(i: int, entry: int = 0) -> Any:
            return code.builder.bitcast(code.builder.gep(code.data(i), [I64(entry)]), BYTES)

        data = [at(1), at(1, 1), at(2), at(2, 1), at(3), at(4), at(2, 2), at(3), at(5), at(2, 3)]
        kind = ir.FunctionType(ir.VoidType(), [BYTES] * len(data))
        code.builder.call(code.builder.inttoptr(code.args[0], kind.as_pointer()), data)

    return emitting(types.void(address, letters, sizes, one, A, C), emit)


@jit()
def add_outer_products(syrk: int, T: Any, rows: int, C: Any) -> None:
    """C += Σ tᵢ tᵢᵀ over the first ``rows`` rows of T (m, p), in the upper triangle of C (p, p).

    T and C are C-contiguous and of the dtype of the routine at ``syrk``. BLAS sees both transposed:
    T as p × m, C's upper triangle as its lower one.
    """
    p = T.shape[1]
    letters = np.array([ord("L"), ord("N")], dtype=np.uint8)
    sizes = np.array([p, rows, p, p], dtype=np.int32)
    _call_syrk(syrk, letters, sizes, np.ones(1, dtype=T.dtype), T, C)


@jit()
def add_inner_products(syrk: int, T: Any, C: Any) -> None:
    """C += T Tᵀ for T (n, k), in the upper triangle of C (n, n); as above."""
    n, k = T.shape
    letters = np.array([ord("L"), ord("T")], dtype=np.uint8)
    sizes = np.array([n, k, k, n], dtype=np.int32)
    _call_syrk(syrk, letters, sizes, np.ones(1, dtype=T.dtype), T, C)


@untyped_intrinsic
def _call_gemm(
    _typing_context: Any, address: Any, letters: Any, sizes: Any, factors: Any, A: Any, B: Any, C: Any
) -> Any:
    """BLAS's gemm(transa, transb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc), each by its address.

    letters are transa and transb, sizes are m, n, k, lda, ldb, ldc, factors are alpha and beta.
    """

    def emit(code: Code) -> None:
        def at(i: int, entry: int = 0) -> Any:
            return code.builder.bitcast(code.builder.gep(code.data(i), [I64(entry)]), BYTES)

        data = [at(1), at(1, 1), at(2), at(2, 1), at(2, 2), at(3), at(4), at(2, 3), at(5), at(2, 4)]
        data += [at(3, 1), at(6), at(2, 5)]
        kind = ir.FunctionType(ir.VoidType(), [BYTES] * len(data))
        code.builder.call(code.builder.inttoptr(code.args[0], kind.as_pointer()), data)

    return emitting(types.void(address, letters, sizes, factors, A, B, C), emit)


@jit()
def add_logits(gemm: int, X: Any, W: Any, m: int, Z: Any) -> None:
    """Z += W Xᵀ: Z (K m,) class by class, W (K, d), m rows of X (m, d); all of the routine's dtype."""
    K, d = W.shape
    letters = np.array([ord("T"), ord("N")], dtype=np.uint8)
    sizes = np.array([m, K, d, d, d, m], dtype=np.int32)
    _call_gemm(gemm, letters, sizes, np.ones(2, dtype=W.dtype), X, W, Z)


@jit()
def combine_rows(gemm: int, X: Any, R: Any, m: int, G: Any) -> None:
    """G ← R X: R (K m,) class by class, m rows of X, G (K, d); as above."""
    K, d = G.shape
    letters = np.array([ord("N"), ord("N")], dtype=np.uint8)
    sizes = np.array([d, K, m, d, m, d], dtype=np.int32)
    factors = np.ones(2, dtype=G.dtype)
    factors[1] = 0.0
    _call_gemm(gemm, letters, sizes, factors, X, R, G)
