"""Ten C and five folds: LogisticRegressionCV, beside one fit and beside a fit for every C and fold.

    python -m bench.run -k bench_cv

All come to the same tolerance. "one by one" is what GridSearchCV does, without its clones and its scorers.
Every fold's coefficients are judged on that fold's rows, and held-out losses are recomputed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from accel_logreg import LogisticRegression, LogisticRegressionCV
from accel_logreg.interface.engine import Engine
from bench.harness.questions import TOL, made
from bench.harness.work import Work
from bench.judge import score
from bench.problems.dense import breast_cancer, correlated
from bench.problems.problem import Float64, Problem

CS = np.logspace(-4.0, 4.0, 10)
FOLDS = 5
FOR_THE_LOOP = "569x30"
CASES = {
    "569x30": breast_cancer,
    "20000x20": partial(correlated, 20_000, 20),
    "100000x100": partial(correlated, 100_000, 100),
}
WAYS = ("columns", "one by one", "one fit")
SHAPES = [FOR_THE_LOOP, "20000x20", pytest.param("100000x100", marks=pytest.mark.full)]
_AT_C_1 = int(np.searchsorted(CS, 1.0))
_WITHIN = 1e-6  # of held-out losses: they are flat where the cost is, and not quite there


def folds(problem: Problem) -> list[tuple[Any, Any]]:
    return list(StratifiedKFold(FOLDS).split(problem.X, problem.y))


def held_out(problem: Problem, W: Float64, test: Any) -> float:
    """Minus the mean loss of W (p,) on rows that it has not seen, none below log of float64's epsilon."""
    margins = (2.0 * problem.y[test] - 1.0) * (problem.X[test] @ W[:-1] + W[-1])
    return float(np.maximum(-np.logaddexp(0.0, -margins), np.log(np.finfo(np.float64).eps)).mean())


def one_by_one(engine: Engine, problem: Problem) -> tuple[Float64, Float64]:
    """Coefficients (folds, C, p) and scores (folds, C)."""
    W = np.empty((FOLDS, len(CS), problem.X.shape[1] + 1))
    scores = np.empty(W.shape[:2])
    for f, (train, test) in enumerate(folds(problem)):
        X, y = problem.X[train], problem.y[train]
        for k, C in enumerate(CS):
            model = LogisticRegression(backend=engine.name, C=float(C), tol=TOL).fit(X, y)
            W[f, k] = np.append(model.coef_[0], model.intercept_)
            scores[f, k] = held_out(problem, W[f, k], test)
    return W, scores


def columns(engine: Engine, problem: Problem) -> tuple[Float64, Float64]:
    model = LogisticRegressionCV(
        backend=engine.name,
        Cs=CS,
        cv=FOLDS,
        scoring="neg_log_loss",
        tol=TOL,
    ).fit(problem.X, problem.y)
    return model.coefs_paths_[:, 0, :, 0], model.scores_[:, 0]


def one_fit(engine: Engine, problem: Problem) -> tuple[Float64, Float64]:
    """Of all rows, for all folds: the yardstick of what the others may take."""
    model = LogisticRegression(backend=engine.name, C=float(CS[_AT_C_1]), tol=TOL).fit(problem.X, problem.y)
    return np.append(model.coef_[0], model.intercept_), np.empty(0)


RUN = {"columns": columns, "one by one": one_by_one, "one fit": one_fit}


def cross_validation(engine: Engine, way: str, shape: str) -> Work:
    if engine.name == "python" and shape != FOR_THE_LOOP:
        pytest.skip(f"the Python loop takes minutes on {shape}; it runs on {FOR_THE_LOOP}")
    if engine.name == "python" and way == "one by one":
        pytest.skip("fifty fits of the Python loop, one by one, take minutes")
    problem = made(CASES[shape], "float64")

    def check(answer: tuple[Float64, Float64]) -> None:
        W, scores = answer
        if way == "one fit":
            gradient = penalised_gradient(problem, W, float(CS[_AT_C_1]))
            assert np.abs(gradient).max() < 1e-3
            return
        for f, (train, test) in enumerate(folds(problem)):
            rows = replace(problem, X=problem.X[train], y=problem.y[train])
            for k in range(0, len(CS), 3):
                assert np.abs(penalised_gradient(rows, W[f, k], float(CS[k]))).max() < 1e-3
                np.testing.assert_allclose(scores[f, k], held_out(problem, W[f, k], test), rtol=_WITHIN)

    return Work(
        lambda: RUN[way](engine, problem),
        check,
        engine,
        problem.X,
        f"cross-validation {shape}",
        reads=0,
        info={"problem": f"{len(CS)} C, {FOLDS} folds", "version": way},
    )


def penalised_gradient(problem: Problem, W: Float64, C: float) -> Float64:
    """∇J(W), (p,)."""
    gradient = score.loss_grad(problem, W)[1]
    gradient[:-1] += W[:-1] / (C * len(problem.y))
    return np.asarray(gradient)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", SHAPES)
def bench_cv(contest: Any, engine: Engine, shape: str, way: str) -> None:
    contest(partial(cross_validation, shape=shape), engine=engine, way=way)
