"""Are the compiled kernels what we think they are? Counts the vector instructions of each.

    python -m bench.kernels_report.assembly

On a processor with AVX-512 every kernel must multiply in 512-bit registers and call no exponential from
a library: LLVM falls back to narrower vectors, or to scalar code, without a word, for a changed index
type or a store that may alias a load. Elsewhere the widest registers that the processor has are counted.
A reduction only adds or compares, and products of bytes are an instruction of their own; neither may
gather. A sum that gathered measured the memory's pace at a third, and every share of it was too good.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from accel_logreg.backends import load_backend

_FMA = re.compile(r"\bvf(?:n?m(?:add|sub))\d*([ps])([sd])\b.*%([xyz])mm")
_PLAIN = re.compile(r"\bv(?:add|max|cmp\w*)(p)([sd])\b.*%([xyz])mm")
_BYTES = re.compile(r"\bv(p)(d)pbusd\b.*%([xyz])mm")
_GATHER = re.compile(r"\bvp?gather")
_LIBRARY = re.compile(r"\bcall\S*\s+.*\b(expf?|logf?|log1pf?)\b")


@dataclass(frozen=True)
class Kernel:
    """One compiled function: its multiply-adds by width of register, and calls to a math library.

    ``gathers`` is the number of gather instructions of a reduction, whose additions and comparisons count
    as well; None for the others, which may gather what they read beside X.
    """

    name: str
    signature: str
    by_width: dict[str, int]
    math_calls: int
    gathers: int | None = None

    def widest(self) -> str:
        return max(self.by_width, key=lambda width: "xyz".index(width[0]), default="none")


def count(assembly: str, *, plain: bool = False) -> tuple[dict[str, int], int]:
    """Packed multiply-adds by register ("zmm", "ymm", "xmm"), and calls to exp or log.

    ``plain`` counts additions, comparisons and products of bytes as well.
    """
    by_width: dict[str, int] = {}
    calls = 0
    for line in assembly.splitlines():
        found = _FMA.search(line) or ((_PLAIN.search(line) or _BYTES.search(line)) if plain else None)
        if found and found[1] == "p":
            width = f"{found[3]}mm"
            by_width[width] = by_width.get(width, 0) + 1
        calls += bool(_LIBRARY.search(line))
    return by_width, calls


def compiled() -> list[Kernel]:
    """The hot kernels, for both dtypes of X, in the order of a fit."""
    from accel_logreg.kernels.numba_jit import (
        columns,
        dense,
        hessian,
        hessian_int8,
        quantised,
        reductions,
        small,
    )
    from accel_logreg.kernels.numba_jit.blocks import int8_products, rank_update

    backend = load_backend("numba")
    y = np.tile([0.0, 1.0], 1000)
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        X: Any = rng.standard_normal((2000, 20)).astype(dtype)
        rows = backend.place(X, y, None)
        rows.loss_grad(np.zeros(21))
        rows.hessian_product(np.zeros(21), np.ones(21))
        rows.hessian(np.zeros(21), np.zeros(20), np.ones(20))
        backend.small_fit(rows, 0.1, True, 1e-6, 20)
        for K in (1, 8):
            several = backend.place(X, np.repeat(y[:, np.newaxis], K, axis=1))
            several.loss_grad(np.zeros((21, K)))
            several.hessian_product(np.zeros((21, K)), np.ones((21, K)))
        large: Any = rng.standard_normal((2000, 512)).astype(dtype)
        wide = backend.place(large, y, None)
        wide.low_precision_hessian(np.zeros(513), np.zeros(512), np.ones(512))
        rough = wide.quantised(np.zeros(512), np.ones(512))
        assert rough is not None
        rough.hessian_product(np.zeros(513), np.ones(513))
        reductions.largest_entry(X, 2)
    reductions.array_sum(y, 2)
    reductions.dot_parallel(y, y, 2)
    functions: list[Any] = [
        dense._gradient_chunk,
        dense._product_chunk,
        columns._gradient_chunk,
        columns._product_chunk,
        quantised._gradient_chunk,
        quantised._product_chunk,
        hessian._fill_tile,
        small.logits,
        small.residuals_and_roots,
        small._along,
        small.gradient,
        rank_update.add_outer_products_small,
    ]
    plain: list[Any] = [reductions.sum_of, reductions.dot, reductions.largest_of]
    if int8_products.available():
        # Not _pack: half the width, which LLVM takes for float64, is the faster there.
        plain += [hessian_int8._weigh, int8_products.add_products]
    kernels = []
    for dispatcher in [*functions, *plain]:
        for signature, assembly in dispatcher.inspect_asm().items():
            dtypes = "/".join(dict.fromkeys(re.findall(r"float\d\d", str(signature))))
            counts = count(assembly, plain=dispatcher in plain)
            gathers = len(_GATHER.findall(assembly)) if dispatcher in plain else None
            kernels.append(Kernel(dispatcher.__name__, dtypes, *counts, gathers))
    return kernels


def main() -> int:
    # Kernels that come from the cache on disk bring no assembly with them.
    with tempfile.TemporaryDirectory() as empty:
        os.environ["NUMBA_CACHE_DIR"] = empty
        return report(compiled())


def report(kernels: list[Kernel]) -> int:
    """Print a line a kernel; 1 if one of them is not what it should be."""
    features = llvm.get_host_cpu_features()
    expected = "zmm" if features.get("avx512f") else "ymm" if features.get("avx2") else "xmm"
    print(f"{llvm.get_host_cpu_name()}: multiply-adds in {expected} expected; of reductions, additions too\n")
    failed = 0
    for kernel in kernels:
        good = kernel.widest() == expected and kernel.math_calls == 0 and not kernel.gathers
        failed += not good
        counts = ", ".join(
            f"{count} {width}" for width, count in sorted(kernel.by_width.items(), reverse=True)
        )
        calls = f", {kernel.math_calls} calls to a math library" if kernel.math_calls else ""
        calls += f", {kernel.gathers} gathers" if kernel.gathers else ""
        print(
            f"{'ok  ' if good else 'FAIL'}  {kernel.name:28} {kernel.signature:18} {counts or 'none'}{calls}"
        )
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
