"""Whether what a revision answered is right, by formulas and an optimum that share no code with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from bench.compare import worker
from bench.compare.worker import RATE, STEPS, Task
from bench.judge import score
from bench.judge.answers import close, suboptimality
from bench.problems.problem import Problem

CLOSE_ENOUGH = 1e-7  # of a fit to the optimum, relative; its own promise is 1e-8


def check(task: Task, answer: Sequence[float]) -> float | None:
    """How far a fit is from the optimum, relative; None for anything else.

    Raises
    ------
    ArithmeticError
        The answer is wrong.
    """
    found = np.asarray(answer)
    problem = _problem(task.problem, task.rows, task.features, task.dtype)
    W = worker.point(task.features)
    if task.what == "fit":
        above = max(0.0, suboptimality(problem, found))
        if not above <= CLOSE_ENOUGH:
            raise ArithmeticError(f"suboptimality {above:.1e} is wrong")
        return above
    tolerance = (1e-6, 1e-8)
    if task.what == "predict":
        fitted, found = np.split(found, [task.features + 1])
        right, tolerance = score.sigmoid(score.logits(problem, fitted)), (1e-5, 1e-7)
    elif task.what == "gradient":
        loss, gradient = score.loss_grad(problem, W)
        right = np.append(gradient, loss)
    elif task.what == "hessian-product":
        right = score.hessian_product(problem, W, W[::-1])
    else:
        right, _ = score.descend(problem, RATE, STEPS)
    try:
        close(right, *tolerance)(found)
    except AssertionError:
        raise ArithmeticError(f"{task.what} is wrong") from None
    return None


@lru_cache(maxsize=8)
def _problem(kind: str, rows: int, features: int, dtype: str) -> Problem:
    X, y = worker.problem(kind, rows, features)
    return Problem(f"{kind} {rows}x{features}", X.astype(dtype), y)
