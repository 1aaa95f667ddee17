"""Time to a relative suboptimality of 1e-8, validation and all, by engine, solver and kind of problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

from accel_logreg.interface.engine import Engine
from bench.harness import questions
from bench.harness.work import Work
from bench.judge.answers import best
from bench.problems import classes
from bench.problems.dense import breast_cancer, correlated, ill_conditioned, pixels, rare_class, sorted_rows
from bench.problems.problem import Problem
from bench.problems.real import crops, digits
from bench.problems.sparse import sparse_zipf

SOLVERS = ("auto", "newton", "newton-cg", "newton-gram", "lbfgs")
FOR_THE_LOOP = "569x30"
_GRAM_ROWS = 600  # an n×n matrix, and its factor in every step
_HESSIAN_COLUMNS = {"dense": 5_000, "sparse": 1_000}


@dataclass(frozen=True)
class Case:
    """A problem to fit: what it stands for, and what makes it in a dtype."""

    kind: str
    make: Callable[[str], Problem]
    full: bool = False
    dtypes: tuple[str, ...] = ("float64",)


BOTH = ("float64", "float32")
CASES = {
    "569x30": Case("small: breast cancer", breast_cancer, dtypes=BOTH),
    "1797x64": Case("small: digits", digits),
    "100000x28": Case("tall", partial(correlated, 100_000, 28), dtypes=BOTH),
    "50000x300": Case("tall", partial(correlated, 50_000, 300), dtypes=("float32",)),
    "1000000x28": Case("tall", partial(correlated, 1_000_000, 28), full=True, dtypes=BOTH),
    "208x12288": Case("wide: crops", partial(crops, 208)),
    "209x12288": Case("wide: pixels", partial(pixels, 209), full=True, dtypes=BOTH),
    "20000x5000 sparse": Case("sparse Zipf", lambda dtype: sparse_zipf(20_000, 5_000, 400_000, dtype)),
    "200000x50000 sparse": Case(
        "sparse Zipf", lambda dtype: sparse_zipf(200_000, 50_000, 10_000_000, dtype), full=True
    ),
    "50000x28 sorted": Case("sorted rows", partial(sorted_rows, 50_000, 28)),
    "50000x28 rare": Case("rare class, 1 in 1000", partial(rare_class, 50_000, 28)),
    "1797x64 classes": Case("10 classes: digits", lambda _: classes.digits()),
    "20000x54 classes": Case("7 classes: a table", lambda _: classes.table(20_000)),
    "20000x50 ill": Case("ill-conditioned", partial(ill_conditioned, 20_000, 50)),
}
PARAMETERS = [
    pytest.param(name, dtype, marks=pytest.mark.full if case.full else (), id=f"{name}-{dtype}")
    for name, case in CASES.items()
    for dtype in case.dtypes
]


def refused(engine: str, solver: str, name: str, full: bool) -> str:
    """Why a solver is left out; empty if it is not."""
    case = CASES[name]
    if engine == "python" and (name != FOR_THE_LOOP or solver not in ("auto", "newton")):
        return f"the Python loop would take minutes; it runs newton on {FOR_THE_LOOP}"
    if name.endswith("classes") and solver == "newton-gram":
        return "newton-gram is for more columns than rows, where there are several classes"
    shape = name.partition(" ")[0]
    n, d = map(int, shape.split("x"))
    if solver == "newton-gram" and n > _GRAM_ROWS:
        return f"newton-gram builds an n×n matrix; it runs up to {_GRAM_ROWS} rows"
    if d > n and solver in ("newton-cg", "lbfgs") and not full:
        return f"{solver} takes seconds where columns are many and rows few; it runs there with --full"
    limit = _HESSIAN_COLUMNS["sparse" if case.kind.startswith("sparse") else "dense"]
    if solver == "newton" and d > limit:
        return f"newton builds a d×d Hessian; it runs up to {limit} columns here"
    return ""


def fit(engine: Engine, solver: str, name: str, dtype: str, full: bool) -> Work:
    if reason := refused(engine.name, solver, name, full):
        pytest.skip(reason)
    problem = questions.made(CASES[name].make, dtype)
    return questions.fit(
        engine,
        problem,
        f"fit {name} {dtype}",
        solver=solver,
        reference_bound=best(problem).bound,
        version=solver,
        positives=int(np.sum(problem.y)),
        problem=CASES[name].kind,
    )


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("name", "dtype"), PARAMETERS)
def bench_fit(contest: Any, engine: Engine, name: str, dtype: str, solver: str, full: bool) -> None:
    contest(partial(fit, name=name, dtype=dtype, full=full), engine=engine, solver=solver)
