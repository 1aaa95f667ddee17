"""How near does a gradient of an X on the GPU come to the bandwidth of a copy? Ours, and plain expressions.

X is made on the device. ``kernel_seconds`` are our kernels by device events, ``percent_of_copy`` is X once,
divided by that and by what a large copy within the device moved just before and just after.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from bench.harness.gpu_place import Place, problem_at, skipped_with_reason
from bench.harness.work import Work
from bench.judge.answers import close_gradient, loss_grad
from bench.rivals import expressions, require_right

# 1 GB of X or more in float32, but for the first, which says what a launch costs.
SHAPES = ("1000000x28", "10000000x28", "10000000x50", "1000000x300", "100000x3072", "25000x12288")
RIVALS = ("ours", "CuPy expressions")
OURS_WITHIN = 1e-9
EXPRESSIONS_WITHIN = {"float32": 2e-3, "float64": 1e-9}  # they add up float32 in float32


def prepare(place: Place, rival: str, shape: str, dtype: str) -> Work:
    """The work of one of RIVALS."""
    problem = problem_at(place, shape, dtype)
    W, group = problem.weights, f"gradient on the device {problem.shape} {dtype}"
    within = OURS_WITHIN if rival == "ours" else EXPRESSIONS_WITHIN[dtype]
    check = close_gradient(loss_grad(problem), within, within, within)
    info: dict[str, Any] = {"version": rival, "problem": problem.name}
    if rival != "ours":
        call = partial(expressions.loss_grad, place.xp, problem.X, problem.labels_there(), W)
        with skipped_with_reason(rival):
            require_right(call, check)
        return Work(call, check, place.engine, problem.X, group, 2, info=info)
    rows = place.rows(problem)
    before = place.copy_bandwidth()
    kernels = place.kernel_seconds(problem, lambda rows: rows.loss_grad(W))
    copy = max(before, place.copy_bandwidth())
    start = rows.reads
    rows.loss_grad(W)
    info |= {
        "kernel_seconds": kernels,
        "device_copy_bytes_per_second": copy,
        "percent_of_copy": 100.0 * problem.n_bytes / kernels / copy,
    }
    reads = rows.reads - start
    return Work(lambda: rows.loss_grad(W), check, place.engine, problem.X, group, reads, info=info)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rival", RIVALS)
def bench_gpu_gradient(contest: Any, place: Place, rival: str, shape: str, dtype: str) -> None:
    contest(lambda rival: prepare(place, rival, shape, dtype), rival=rival)
