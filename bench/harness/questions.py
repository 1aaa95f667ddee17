"""A benchmark from a problem, an engine, a question and a judge: what most suites have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

from accel_logreg import LogisticRegression
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Rows
from bench.harness.work import Work
from bench.judge.answers import BELOW, suboptimality
from bench.problems.problem import Problem

TOL = 1e-8


@lru_cache(maxsize=8)
def made(make: Callable[..., Problem], *arguments: Any) -> Problem:
    """The problem that ``make`` makes of these; the last few are kept for who asks again."""
    return make(*arguments)


def ask(
    engine: Engine,
    problem: Problem,
    question: Callable[[Rows], Any],
    check: Callable[[Any], Any],
    group: str,
    /,
    *,
    reads: float = 0.0,
    threads: int | None = None,
    cold: bool = False,
    same: Callable[[Any], Any] | None = None,
    **info: Any,
) -> Work:
    """``question(rows)`` of the engine's rows of this problem; ``reads`` 0: as many as the engine counts."""
    with engine.threads(threads):
        rows = engine.place(problem.matrix, problem.y, None)
        info["threads"] = engine.n_threads(threads)
    return Work(
        lambda: question(rows),
        check,
        engine,
        problem.matrix,
        group,
        reads=reads,
        counter=lambda: rows.reads,
        around=partial(engine.threads, threads),
        cold=cold,
        same=same,
        info=info,
    )


def fit(
    engine: Engine,
    problem: Problem,
    group: str,
    /,
    *,
    X: Any = None,
    solver: str = "auto",
    threads: int | None = None,
    **info: Any,
) -> Work:
    """A whole fit to TOL: the evaluator must find it within, and an upper bound of its own must be one.

    X : what ``fit`` is given; None for the problem's own.
    """
    with engine.threads(threads):
        info["threads"] = engine.n_threads(threads)
    model = LogisticRegression(backend=engine.name, solver=solver, tol=TOL, n_threads=threads)
    given = problem.X if X is None else X

    def check(fitted: LogisticRegression) -> dict[str, Any]:
        found = judged(problem, fitted.coef_, fitted.intercept_)
        if fitted.gap_kind_ == "certified":  # an upper bound, where an estimate is none
            assert found <= fitted.gap_ + BELOW, f"{fitted.gap_=:.3g}, found {found:.3g}"
        reads, iterations = float(fitted.history_["reads"][-1]), int(fitted.n_iter_[0])
        return {"suboptimality": found, **told(fitted), "reads": reads, "iterations": iterations}

    return Work(lambda: model.fit(given, problem.y), check, engine, problem.matrix, group, reads=0, info=info)


def judged(problem: Problem, w: Any, b: Any) -> float:
    """Relative suboptimality of w (d,) and b, or (K, d) and (K,), which has to be within the tolerance."""
    found = suboptimality(problem, np.column_stack([np.atleast_2d(w), np.ravel(b)]).ravel())
    assert -BELOW <= found <= TOL, f"suboptimality {found:.3g}, allowed {TOL:g}"
    return found


def told(fitted: LogisticRegression) -> dict[str, Any]:
    """What the estimator says of its fit."""
    return {"gap": fitted.gap_, "gap_kind": fitted.gap_kind_, "solver": fitted.solver_}
