"""The same data give the same bits, wherever in memory the arrays lie.

LLVM compiles a loop that reads one array and writes another twice, in vectors and one by one, and takes the
second where the arrays lie close together. With a sum in it that is another order of additions. So a function
with such a loop promises that its arrays lie apart (``llvm.arrays_lie_apart``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accel_logreg.kernels import numba_jit
from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.link import curvature_rows, link_rows
from accel_logreg.kernels.numba_jit.llvm import arrays_lie_apart, use_wide_vectors

KERNELS = sorted(Path(numba_jit.__file__).parent.rglob("*.py"))
PROMISE = "arrays_lie_apart"


def kernels(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and any("jit" in ast.unparse(x) for x in node.decorator_list):
            yield node


def names_called(function: ast.FunctionDef) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}


def sums_and_writes(function: ast.FunctionDef) -> bool:
    """Whether one of its innermost loops does both."""
    for loop in ast.walk(function):
        if not isinstance(loop, ast.For) or any(
            isinstance(x, ast.For) for b in loop.body for x in ast.walk(b)
        ):
            continue
        steps = [x for b in loop.body for x in ast.walk(b) if isinstance(x, ast.Assign | ast.AugAssign)]
        writes = any(
            isinstance(target, ast.Subscript)
            for step in steps
            for target in (step.targets if isinstance(step, ast.Assign) else [step.target])
        )
        sums = any(
            isinstance(step, ast.AugAssign)
            and isinstance(step.target, ast.Name)
            and isinstance(step.op, ast.Add | ast.Sub)
            for step in steps
        )
        if writes and sums:
            return True
    return False


def is_inlined(function: ast.FunctionDef) -> bool:
    return any("inline" in ast.unparse(x) for x in function.decorator_list)


def test_every_loop_that_sums_and_writes_has_the_promise() -> None:
    functions = [(path.name, function) for path in KERNELS for function in kernels(path)]
    inlined = {f.name for _, f in functions if is_inlined(f) and sums_and_writes(f)}
    assert {"link_rows", "curvature_rows"} <= inlined
    concerned = [
        (file, function)
        for file, function in functions
        if not is_inlined(function) and (sums_and_writes(function) or names_called(function) & inlined)
    ]
    assert {"_fill_tile", "_weigh", "_gradient_chunk", "residuals_and_roots"} <= {
        f.name for _, f in concerned
    }
    without = [(file, f.name) for file, f in concerned if PROMISE not in names_called(f)]
    assert not without, f"{without}: call llvm.{PROMISE}(), or give the sum a loop of its own"


@jit()
def linked(z: Any, y: Any, s: Any, first: int, m: int) -> tuple[float, float]:
    use_wide_vectors()
    arrays_lie_apart()
    return link_rows(z, y, s, first, m)


@jit()
def curved(z: Any, u: Any, s: Any, first: int, m: int) -> float:
    use_wide_vectors()
    arrays_lie_apart()
    return curvature_rows(z, u, s, first, m)


@pytest.mark.parametrize("size", [8, 9, 15, 20, 31, 42, 64])
@pytest.mark.parametrize("kernel", [linked, curved])
def test_bits_do_not_depend_on_where_arrays_lie(kernel: Any, size: int) -> None:
    """``first`` comes at run time, as it does in a chunk: for a constant LLVM compiles another loop."""
    rng = np.random.default_rng(size)
    a, b, s = rng.normal(size=size), rng.normal(size=size), rng.random(size)
    if kernel is linked:
        b = (b > 0.0).astype(np.int8)
    seen = set()
    for gap in range(0, 264, 8):  # bytes between the end of one and the beginning of the next
        for order in ([0, 1, 2], [1, 0, 2], [2, 0, 1], [1, 2, 0]):
            memory = np.zeros(4096, dtype=np.uint8)
            placed: list[Any] = [None] * 3
            at = 0
            for k in order:
                array = (a, b, s)[k]
                placed[k] = memory[at : at + array.nbytes].view(array.dtype)
                placed[k][:] = array
                at += -(-array.nbytes // 8) * 8 + gap
            seen.add((kernel(*placed, 0, size), placed[0].tobytes()))
    assert len(seen) == 1
