"""The lesson's training on a GPU: 2000 steps of plain gradient descent, and one step beside the Python loop.

209×12288 is the demo: crops of photographs where scikit-image is installed, else made pictures of that
shape. Ours is one launch, the rival's loop is Python's with a dozen kernels a step, and the Python loop is
the lesson's, number by number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest

from accel_logreg.backends import load_backend
from bench.harness.gpu_place import Place, skipped_with_reason
from bench.harness.questions import made
from bench.harness.work import Work
from bench.judge.score import descend
from bench.problems.real import pictures
from bench.rivals import expressions, require_right

ROWS = 209
RATE = 5e-4
STEPS = {"ours": 2000, "CuPy expressions": 2000, "python loop": 3}
WITHIN = {"ours": 1e-9, "CuPy expressions": 1e-9, "python loop": 1e-12}
FLOAT32_WITHIN = 1e-4  # of expressions, which add up float32 in float32


@lru_cache(maxsize=2)
def expected(dtype: str, steps: int, rows: int) -> tuple[Any, Any]:
    """Weights and the cost before each step, by NumPy in float64, X widened once."""
    problem = made(pictures, rows, dtype)
    return descend(replace(problem, X=problem.X.astype(np.float64)), RATE, steps)


def prepare(place: Place, rival: str, dtype: str, steps: int | None = None, rows: int = ROWS) -> Work:
    """The work of one of STEPS; ``steps`` and ``rows`` only for a trial."""
    problem, count = made(pictures, rows, dtype), STEPS[rival] if steps is None else steps
    most = max(STEPS.values()) if steps is None else steps
    W, costs = expected(dtype, most, rows)
    within = FLOAT32_WITHIN if rival == "CuPy expressions" and dtype == "float32" else WITHIN[rival]

    def check(answer: tuple[Any, Any]) -> None:
        np.testing.assert_allclose(answer[1], costs[:count], rtol=within)
        if count == most:
            np.testing.assert_allclose(answer[0], W, rtol=1e3 * within, atol=1e3 * within * np.abs(W).max())

    engine, reads = place.engine, float(count)
    call: Callable[[], tuple[Any, Any]]
    if rival == "CuPy expressions":
        there = replace(problem, X=place.xp.asarray(problem.X))
        call = partial(expressions.descend, place.xp, there.X, there.labels_there(), RATE, count)
        with skipped_with_reason(rival):
            require_right(call, check)
        reads = 2.0 * count
    else:
        engine = place.engine if rival == "ours" else load_backend("python")
        data = engine.place(problem.X, problem.y, None)

        def in_the_engine() -> tuple[Any, Any]:
            run = data.descend(np.zeros_like(W), RATE, 0.0, count, True)
            return run.W, run.costs

        call = in_the_engine

    return Work(
        call,
        check,
        engine,
        problem.X,
        f"descent {problem.shape} {dtype}",
        reads,
        info={"version": "" if rival == "python loop" else rival, "problem": problem.name, "steps": count},
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rival", STEPS)
def bench_gpu_descent(contest: Any, place: Place, rival: str, dtype: str) -> None:
    contest(lambda rival: prepare(place, rival, dtype), rival=rival)
