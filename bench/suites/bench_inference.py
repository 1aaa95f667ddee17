"""Standard errors: a fit without a penalty, the same with its summary, and statsmodels' Logit.

    python -m bench.run -k bench_statistics

Standard errors have to be those of an information and of scores that NumPy adds up at the same coefficients.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from accel_logreg import LogisticRegression
from accel_logreg.backends import load_backend
from accel_logreg.interface.engine import Engine
from bench.harness.questions import TOL, made
from bench.harness.work import Work
from bench.problems.dense import correlated
from bench.problems.problem import Float64, Problem

SHAPES = {"2000x10": (2_000, 10), "100000x28": (100_000, 28), "1000000x28": (1_000_000, 28)}
FOR_THE_LOOP = "2000x10"
COVARIANCES = {"fit": None, "fit and summary": "classical", "fit and HC0": "HC0"}
_WITHIN = 1e-5  # relative, of a standard error


@lru_cache(maxsize=4)
def errors(shape: str, covariance: str) -> Float64:
    """(d + 1,), the intercept's first, by NumPy at a maximum found to rounding."""
    problem = problem_of(shape)
    model = LogisticRegression(C=float("inf"), tol=1e-16).fit(problem.X, problem.y)
    x = np.column_stack([np.ones(len(problem.y)), problem.X])
    a = expit(x @ np.append(model.intercept_, model.coef_[0]))
    V = np.linalg.inv((x.T * (a * (1.0 - a))) @ x)
    if covariance == "HC0":
        V = V @ (x.T * np.square(a - problem.y)) @ x @ V
    return np.asarray(np.sqrt(np.diag(V)))


def problem_of(shape: str) -> Problem:
    return made(correlated, *SHAPES[shape], "float64")


def statistics(engine: Engine, shape: str, way: str) -> Work:
    problem, covariance = problem_of(shape), COVARIANCES[way]
    model = LogisticRegression(C=float("inf"), backend=engine.name, tol=TOL)

    def call() -> Any:
        model.fit(problem.X, problem.y)
        return covariance and model.summary(covariance=covariance).standard_errors  # type: ignore[arg-type]

    def check(answer: Any) -> None:
        assert model.gap_ <= TOL
        if covariance:
            np.testing.assert_allclose(answer, errors(shape, covariance), rtol=_WITHIN)

    return Work(call, check, engine, problem.matrix, f"standard errors {shape}", 0, info={"version": way})


def statistics_of_statsmodels(shape: str) -> Work:
    models = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    problem = problem_of(shape)

    def call() -> Any:
        return models.Logit(problem.y, models.add_constant(problem.X)).fit(method="newton", disp=0).bse

    def check(answer: Any) -> None:
        np.testing.assert_allclose(answer, errors(shape, "classical"), rtol=_WITHIN)

    info = {"version": "statsmodels"}
    return Work(call, check, load_backend("numpy"), problem.matrix, f"standard errors {shape}", 0, info=info)


SHAPE = pytest.mark.parametrize(
    "shape", [FOR_THE_LOOP, "100000x28", pytest.param("1000000x28", marks=pytest.mark.full)]
)


@SHAPE
@pytest.mark.parametrize("way", COVARIANCES)
def bench_statistics(contest: Any, engine: Engine, shape: str, way: str) -> None:
    if engine.name == "python" and shape != FOR_THE_LOOP:
        pytest.skip("the loop takes minutes for so many rows")
    contest(partial(statistics, shape=shape), engine=engine, way=way)


@SHAPE
def bench_statistics_by_statsmodels(contest: Any, shape: str) -> None:
    contest(partial(statistics_of_statsmodels, shape))
