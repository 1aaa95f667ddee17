"""One fit to a relative suboptimality of 1e-8, validation and all, beside scikit-learn's lbfgs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as ScikitLearn

from accel_logreg import LogisticRegression
from accel_logreg.backends.base import Backend
from bench.problems import Problem, breast_cancer, correlated, loss_grad


@cache
def build(name: str, dtype: str) -> Problem:
    return breast_cancer(dtype) if name == "569x30" else correlated(200_000, 28, dtype)


def objective(problem: Problem, model: Any) -> float:
    """J at C = 1, in float64."""
    W = np.append(model.coef_[0], model.intercept_)
    return loss_grad(problem, W.astype(np.float64))[0] + float(W[:-1] @ W[:-1]) / (2 * len(problem.y))


@cache
def best(name: str, dtype: str) -> float:
    """J at the optimum, from scikit-learn's newton-cholesky at tol 1e-12 in float64."""
    problem = build(name, dtype)
    reference = ScikitLearn(solver="newton-cholesky", tol=1e-12).fit(problem.X.astype(np.float64), problem.y)
    return objective(problem, reference)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["569x30", "200000x28"])
def bench_fit(measure: Any, engine: Backend, name: str, dtype: str) -> None:
    if engine.name == "python" and name != "569x30":
        pytest.skip("the Python loop would take minutes for this fit; it runs on 569x30")
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
        reads=int(model.fit(problem.X, problem.y).history_["reads"][-1]),
        solver=model.solver_,
        gap=model.gap_,
        gap_kind=model.gap_kind_,
    )
