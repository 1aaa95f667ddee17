"""One fit to a relative suboptimality of 1e-8, validation and all: one problem for each way to solve one."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as ScikitLearn

from accel_logreg import LogisticRegression
from accel_logreg.backends.base import Backend
from bench.problems import Problem, breast_cancer, correlated, loss_grad, pixels

# Small, tall, taller, and wide; sparse fits are in bench/peers.
NAMES = ["569x30", "200000x28", "1000000x28", "209x12288"]
SECONDS_OF_THE_LOOP = "the Python loop would take minutes for this fit; it runs on 569x30"


@cache
def build(name: str, dtype: str) -> Problem:
    if name == "569x30":
        return breast_cancer(dtype)
    n, d = map(int, name.split("x"))
    return pixels(n, dtype) if d > n else correlated(n, d, dtype)


def objective(problem: Problem, model: Any) -> float:
    """J at C = 1, in float64."""
    W = np.append(model.coef_[0], model.intercept_)
    return loss_grad(problem, W.astype(np.float64))[0] + float(W[:-1] @ W[:-1]) / (2 * len(problem.y))


@cache
def best(name: str, dtype: str) -> float:
    """J at the optimum, from scikit-learn at a tight tolerance in float64."""
    problem = build(name, dtype)
    wide = problem.X.shape[1] > 5_000
    solver, tol = ("newton-cg", 1e-10) if wide else ("newton-cholesky", 1e-12)
    reference = ScikitLearn(solver=solver, tol=tol, max_iter=1_000)
    return objective(problem, reference.fit(problem.X.astype(np.float64), problem.y))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def bench_fit(measure: Any, engine: Backend, name: str, dtype: str) -> None:
    if engine.name == "python" and name != "569x30":
        pytest.skip(SECONDS_OF_THE_LOOP)
    problem = build(name, dtype)
    optimum = best(name, dtype)
    model = LogisticRegression(backend=engine.name)
    reached = {}

    def check(fitted: Any) -> None:
        reached["suboptimality"] = (objective(problem, fitted) - optimum) / optimum
        assert reached["suboptimality"] <= 1e-8, reached

    measure(
        lambda: model.fit(problem.X, problem.y),
        check,
        engine=engine,
        X=problem.X,
        group=f"fit {problem.shape} {dtype}",
        reads=float(model.fit(problem.X, problem.y).history_["reads"][-1]),
        solver=model.solver_,
        gap=model.gap_,
        gap_kind=model.gap_kind_,
    )
