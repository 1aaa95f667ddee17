"""A benchmark from a problem, an engine, a question and a judge: what most suites have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from accel_logreg import LogisticRegression
from accel_logreg.interface.arrays import Csr
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Rows
from bench.harness.work import Work
from bench.judge.answers import BELOW
from bench.problems.dense import Problem
from bench.problems.gpu import GpuProblem
from bench.problems.sparse import SparseProblem

TOL = 1e-8


def ask(
    engine: Engine,
    problem: Problem | SparseProblem,
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
        rows = engine.place(problem.X, problem.y, None)
    return Work(
        lambda: question(rows),
        check,
        engine,
        problem.X,
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
    problem: Problem | SparseProblem | GpuProblem,
    judge: Callable[[Any, float], float],
    group: str,
    /,
    *,
    X: Any = None,
    solver: str = "auto",
    threads: int | None = None,
    **info: Any,
) -> Work:
    """A whole fit to TOL: ``judge(w, b)`` must find it within, and an upper bound of its own must be one.

    X : what ``fit`` is given; None for the problem's own.
    """
    model = LogisticRegression(backend=engine.name, solver=solver, tol=TOL, n_threads=threads)
    given = problem.X if X is None else X
    if isinstance(given, Csr):
        given = csr_matrix((given.data, given.indices, given.indptr), shape=given.shape)

    def check(fitted: LogisticRegression) -> dict[str, Any]:
        suboptimality = judged(judge, fitted.coef_[0], float(fitted.intercept_[0]))
        if fitted.gap_kind_ == "certified":  # an upper bound, where an estimate is none
            assert suboptimality <= fitted.gap_ + BELOW, f"{fitted.gap_=:.3g}, found {suboptimality:.3g}"
        reads, iterations = float(fitted.history_["reads"][-1]), int(fitted.n_iter_[0])
        return {"suboptimality": suboptimality, **told(fitted), "reads": reads, "iterations": iterations}

    return Work(lambda: model.fit(given, problem.y), check, engine, problem.X, group, reads=0, info=info)


def judged(judge: Callable[[Any, float], float], w: Any, b: float) -> float:
    """Relative suboptimality, which has to be within the tolerance."""
    found = judge(np.asarray(w), b)
    assert -BELOW <= found <= TOL, f"suboptimality {found:.3g}, allowed {TOL:g}"
    return found


def told(fitted: LogisticRegression) -> dict[str, Any]:
    """What the estimator says of its fit."""
    return {"gap": fitted.gap_, "gap_kind": fitted.gap_kind_, "solver": fitted.solver_}
