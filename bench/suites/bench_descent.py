"""The lesson's training: plain gradient descent, the loop inside the engine, on pictures and on a tall X."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from accel_logreg.interface.answers import Descent
from accel_logreg.interface.engine import Engine
from accel_logreg.profile.rows import flops
from bench.harness.questions import ask, made
from bench.harness.work import Work
from bench.judge.score import descend
from bench.problems.dense import correlated, pixels
from bench.problems.problem import Float64, Problem
from bench.problems.real import crops

# Problem → learning rate. Crops are the demo's pictures; pixels have the same shape without photographs.
RATES = {"crops 208x12288": 5e-4, "pixels 209x12288": 5e-4, "correlated 20000x100": 0.1}
FOR_THE_LOOP = "crops 208x12288"
QUICK_STEPS, FULL_STEPS = 10, 100


def build(name: str, dtype: str) -> Problem:
    kind, _, shape = name.partition(" ")
    n, d = map(int, shape.split("x"))
    if kind == "correlated":
        return made(correlated, n, d, dtype)
    return made(crops if kind == "crops" else pixels, n, dtype)


@cache
def expected(name: str, dtype: str, steps: int) -> tuple[Float64, Float64]:
    return descend(build(name, dtype), RATES[name], steps)


def descent(engine: Engine, name: str, dtype: str, full: bool) -> Work:
    """Reads are counted: one a step, or fewer where X stays beside the arithmetic."""
    if engine.name == "python" and dtype == "float32":
        pytest.skip("the Python loop computes in float64 whatever the storage; timed once, as float64")
    if engine.name == "python" and name != FOR_THE_LOOP and not full:
        pytest.skip(f"the Python loop takes seconds here; it runs on {FOR_THE_LOOP}, with --full on all")
    steps = FULL_STEPS if full else QUICK_STEPS
    problem = build(name, dtype)
    n, d = problem.X.shape
    W, costs = expected(name, dtype, steps)

    def check(answer: Descent) -> None:
        np.testing.assert_allclose(answer.costs, costs, rtol=1e-9)
        np.testing.assert_allclose(answer.W, W, rtol=1e-6, atol=1e-9 * np.abs(W).max())

    return ask(
        engine,
        problem,
        lambda rows: rows.descend(np.zeros_like(W), RATES[name], 0.0, steps, True),
        check,
        f"{steps} descent steps {name} {dtype}",
        same=lambda answer: answer.costs,  # as many, and equal: the same steps
        problem=name.partition(" ")[0],
        steps=steps,
        flops=flops("descend", n, d, {"steps": steps}, None),
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("problem", RATES)
def bench_descent(contest: Any, engine: Engine, problem: str, dtype: str, full: bool) -> None:
    contest(partial(descent, name=problem, dtype=dtype, full=full), engine=engine)
