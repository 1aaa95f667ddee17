"""Predictions: a row at a time, as services are asked, and a million rows at once."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression as ScikitLearn

from accel_logreg import LogisticRegression
from accel_logreg.backends import load_backend
from accel_logreg.interface.engine import Engine
from bench.harness import questions
from bench.harness.work import Work
from bench.problems.dense import correlated
from bench.problems.problem import Problem

ROWS = {"1 row": 1, "1000 rows": 1_000, "1e6 rows": 1_000_000}
FOR_THE_LOOP = "1 row"


def fitted_to(problem: Problem) -> Problem:
    return questions.made(correlated, 5_000, problem.X.shape[1], str(problem.X.dtype))


def predict(engine: Engine | None, rows: str, dtype: str) -> Work:
    """``predict_proba`` by an engine's model, or by scikit-learn's with the same coefficients."""
    problem = questions.made(correlated, max(2, ROWS[rows]), 28, dtype)
    X, training = problem.X[: ROWS[rows]], fitted_to(problem)
    model: Any = LogisticRegression(backend="numpy").fit(training.X, training.y)
    W = np.append(model.coef_[0], model.intercept_)
    if engine is None:
        model = ScikitLearn().fit(training.X, training.y)
        model.coef_, model.intercept_ = W[np.newaxis, :-1], W[-1:]
    else:
        model.backend_ = engine.name
    expected = expit(X.astype(np.float64) @ W[:-1] + W[-1])

    def check(answer: Any) -> None:
        # scikit-learn answers float32 in float32.
        np.testing.assert_allclose(answer[:, 1], expected, atol=1e-5 if engine is None else 1e-13)
        np.testing.assert_allclose(answer.sum(axis=1), 1.0, atol=1e-6)

    return Work(
        lambda: model.predict_proba(X),
        check,
        engine or load_backend("numpy"),
        X,
        f"predict_proba, {rows} of 28, {dtype}",
        reads=0,
        info={"version": "scikit-learn"} if engine is None else {},
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rows", ROWS)
def bench_predict_proba(contest: Any, engine: Engine, rows: str, dtype: str) -> None:
    if engine.name == "python" and rows != FOR_THE_LOOP:
        pytest.skip("the loop takes seconds for more than a few rows")
    contest(partial(predict, rows=rows, dtype=dtype), engine=engine)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rows", ROWS)
def bench_predict_proba_by_scikit_learn(contest: Any, rows: str, dtype: str) -> None:
    contest(lambda: predict(None, rows, dtype))
