"""How near does a gradient of an X on the GPU come to the bandwidth of a copy? Ours, and plain expressions.

X is made on the device. ``kernel_seconds`` are our kernels by device events, ``percent_of_copy`` is X once,
divided by that and by what a large copy within the device moved just before and just after.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from bench.harness.gpu_place import Place, check_gradient, problem_at
from bench.harness.work import Work
from bench.rivals import RivalUnavailableError, expressions, require_right

pytest_plugins = ["bench.harness.gpu_fixture"]

# 1 GB of X or more in float32, but for the first, which says what a launch costs.
SHAPES = ("1000000x28", "10000000x28", "10000000x50", "1000000x300", "100000x3072", "25000x12288")
RIVALS = ("ours", "CuPy expressions")
OURS_WITHIN = 1e-9
EXPRESSIONS_WITHIN = {"float32": 2e-3, "float64": 1e-9}  # they add up float32 in float32


def prepare(place: Place, rival: str, shape: str, dtype: str) -> Work:
    """The work of one of RIVALS."""
    problem, judge = problem_at(place, shape, dtype)
    W = problem.weights
    truth = judge.loss_grad(W)
    info: dict[str, Any] = {"version": rival, "problem": problem.name}
    if rival == "ours":
        rows = place.rows(problem)
        before = place.copy_bandwidth()
        kernels = place.kernel_seconds(problem, lambda rows: rows.loss_grad(W))
        copy = max(before, place.copy_bandwidth())
        start = rows.reads
        rows.loss_grad(W)
        info |= {
            "kernel_seconds": kernels,
            "device_copy_bytes_per_second": copy,
            "percent_of_copy": 100.0 * problem.X.nbytes / kernels / copy,
        }
        return Work(
            lambda: rows.loss_grad(W),
            lambda answer: check_gradient(answer, truth, OURS_WITHIN),
            place.engine,
            problem.X,
            f"gradient on the device {problem.shape} {dtype}",
            rows.reads - start,
            info=info,
        )
    call = partial(expressions.loss_grad, place.xp, problem.X, problem.labels_there(), W)

    def check(answer: Any) -> None:
        check_gradient(answer, truth, EXPRESSIONS_WITHIN[dtype])

    try:
        require_right(rival, call, check)
    except RivalUnavailableError as reason:
        pytest.skip(str(reason))
    return Work(
        call,
        check,
        place.engine,
        problem.X,
        f"gradient on the device {problem.shape} {dtype}",
        2,
        info=info,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rival", RIVALS)
def bench_gpu_gradient(contest: Any, place: Place, rival: str, shape: str, dtype: str) -> None:
    contest(lambda rival: prepare(place, rival, shape, dtype), rival=rival)
