"""Whether what a revision answered is right, by formulas and an optimum that share no code with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
from scipy.special import expit

from accel_logreg.interface.arrays import Csr
from bench.compare import worker
from bench.compare.worker import RATE, STEPS, Task
from bench.judge.answers import Judge, close, hessian_product
from bench.problems.dense import Problem, descend, loss_grad
from bench.problems.sparse import SparseProblem

CLOSE_ENOUGH = 1e-7  # of a fit to the optimum, relative; its own promise is 1e-8


def check(task: Task, answer: Sequence[float]) -> float | None:
    """How far a fit is from the optimum, relative; None for anything else.

    Raises
    ------
    ArithmeticError
        The answer is wrong.
    """
    found = np.asarray(answer)
    if task.what == "fit":
        suboptimality = max(0.0, _judge(task)(found[:-1], float(found[-1])))
        if not suboptimality <= CLOSE_ENOUGH:
            raise ArithmeticError(f"suboptimality {suboptimality:.1e} is wrong")
        return suboptimality
    problem, W = _problem(task), worker.point(task.features)
    assert isinstance(problem, Problem)
    tolerance = (1e-6, 1e-8)
    if task.what == "predict":
        w, b, found = found[: task.features], found[task.features], found[task.features + 1 :]
        right, tolerance = expit(problem.X.astype(np.float64) @ w + b), (1e-5, 1e-7)
    elif task.what == "gradient":
        loss, gradient = loss_grad(problem, W)
        right = np.append(gradient, loss)
    elif task.what == "hessian-product":
        right = hessian_product(problem, W, W[::-1])
    else:
        right, _ = descend(problem, RATE, STEPS)
    try:
        close(right, *tolerance)(found)
    except AssertionError:
        raise ArithmeticError(f"{task.what} is wrong") from None
    return None


@lru_cache(maxsize=4)
def _problem(task: Task) -> Problem | SparseProblem:
    X, y = worker.problem(task.problem, task.rows, task.features)
    X = X.astype(task.dtype)
    if task.problem != "sparse":
        return Problem(task.name, X, y)
    rows: Any = X
    return SparseProblem(task.name, Csr(rows.data, rows.indices, rows.indptr, rows.shape), y)


@cache
def _judge(task: Task) -> Judge:
    return Judge(_problem(task))
