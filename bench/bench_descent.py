"""The lesson's training: 100 steps of plain gradient descent, the loop inside the engine."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from accel_logreg.backends.base import Backend
from bench.problems import Problem, correlated, descend, pixels

STEPS = 100
RATES = {"209x12288": 5e-4, "20000x100": 0.1}


@cache
def build(shape: str, dtype: str) -> Problem:
    return pixels(209, dtype) if shape == "209x12288" else correlated(20_000, 100, dtype)


@cache
def expected(shape: str, dtype: str) -> tuple[Any, Any]:
    return descend(build(shape, dtype), RATES[shape], STEPS)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", RATES)
def bench_descent(measure: Any, engine: Backend, shape: str, dtype: str) -> None:
    if engine.name == "python" and dtype == "float32":
        pytest.skip("the Python loop computes in float64 whatever the storage; timed once, as float64")
    problem = build(shape, dtype)
    W, costs = expected(shape, dtype)

    def check(answer: Any) -> None:
        np.testing.assert_allclose(answer.costs, costs, rtol=1e-9)
        np.testing.assert_allclose(answer.W, W, rtol=1e-6, atol=1e-9 * np.abs(W).max())

    with engine.threads(None):
        rows = engine.rows(problem.X, problem.y, None)
        measure(
            lambda: rows.descend(np.zeros_like(W), RATES[shape], 0.0, STEPS, True),
            check,
            engine=engine,
            X=problem.X,
            group=f"{STEPS} descent steps {problem.shape} {dtype}",
            reads=STEPS,
            steps=STEPS,
        )
