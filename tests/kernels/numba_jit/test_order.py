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
from accel_logreg.kernels.numba_jit.blocks.row_groups import GROUP
from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.dense import _gradient_chunk
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


def places(*arrays: Any) -> Iterator[list[Any]]:
    """The arrays in one piece of memory, in several orders and at several distances."""
    for gap in range(0, 264, 8):  # bytes between the end of one and the beginning of the next
        for order in ([0, 1, 2], [1, 0, 2], [2, 0, 1], [1, 2, 0]):
            memory = np.zeros(8192, dtype=np.uint8)
            placed: list[Any] = [None] * 3
            at = 0
            for k in order:
                array = arrays[k]
                placed[k] = memory[at : at + array.nbytes].view(array.dtype)
                placed[k][:] = array
                at += -(-array.nbytes // 8) * 8 + gap
            yield placed


@pytest.mark.parametrize("size", [8, 9, 15, 20, 31, 42, 64])
@pytest.mark.parametrize("kernel", [linked, curved])
def test_bits_do_not_depend_on_where_arrays_lie(kernel: Any, size: int) -> None:
    """``first`` comes at run time, as it does in a chunk: for a constant LLVM compiles another loop."""
    rng = np.random.default_rng(size)
    a, b, s = rng.normal(size=size), rng.normal(size=size), rng.random(size)
    if kernel is linked:
        b = (b > 0.0).astype(np.int8)
    seen = {(kernel(*placed, 0, size), placed[0].tobytes()) for placed in places(a, b, s)}
    assert len(seen) == 1


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("n", [8, 29, 150])
def test_bits_of_a_gradient_do_not_depend_on_where_labels_and_logits_lie(n: int, weighted: bool) -> None:
    """A question's own scratch is somewhere else at each call."""
    rng = np.random.default_rng(n)
    X, w = rng.normal(size=(n, 3)), rng.normal(size=(1, 8))
    y, s, z = (rng.random(n) < 0.5).astype(np.int8), rng.random(n * weighted), np.zeros(2 * GROUP)
    seen = set()
    for labels, weights, logits in places(y, s, z):
        G = np.zeros((1, 10))
        _gradient_chunk(X, labels[None], weights[None], w, np.zeros(1), 0, n, logits, G)
        seen.add(G.tobytes())
    assert len(seen) == 1
