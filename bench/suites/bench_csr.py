"""One pass over compressed sparse rows: the gradient and the Hessian product, by engine, dtype and size."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from accel_logreg.interface.engine import Engine
from bench.harness.questions import ask, made
from bench.harness.work import Work
from bench.judge.answers import close, close_gradient, hessian_product, loss_grad
from bench.problems.problem import Problem
from bench.problems.sparse import sparse_zipf

# The loop takes about 80 ns a nonzero; it joins where that is a fraction of a second.
FOR_THE_LOOP = "2000x500, 20000 nonzeros"
SIZES = {
    FOR_THE_LOOP: (2_000, 500, 20_000),
    "40000x10000, 2000000 nonzeros": (40_000, 10_000, 2_000_000),
    "200000x50000, 10000000 nonzeros": (200_000, 50_000, 10_000_000),
}
SHOWN = [pytest.param(size, marks=pytest.mark.full if SIZES[size][2] > 5_000_000 else ()) for size in SIZES]
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


def build(engine: Engine, size: str, dtype: str) -> Problem:
    if engine.name == "python" and size != FOR_THE_LOOP:
        pytest.skip(f"the Python loop takes seconds a pass on {size}; it runs on {FOR_THE_LOOP}")
    return made(sparse_zipf, *SIZES[size], dtype)


def facts(problem: Problem, flops_a_nonzero: int) -> dict[str, Any]:
    nonzeros = problem.n_stored
    return {"problem": "sparse Zipf", "nonzeros": nonzeros, "flops": flops_a_nonzero * nonzeros}


def gradient(engine: Engine, size: str, dtype: str) -> Work:
    """Reads are counted: one by rows; by columns as well on a GPU."""
    problem = build(engine, size, dtype)
    W = problem.weights
    return ask(
        engine,
        problem,
        lambda rows: rows.loss_grad(W),
        close_gradient(loss_grad(problem)),
        f"sparse gradient {problem.shape} {dtype}",
        same=lambda answer: np.append(answer[1], answer[0]),
        **facts(problem, 4),
    )


@DTYPES
@pytest.mark.parametrize("size", SHOWN)
def bench_sparse_gradient(contest: Any, engine: Engine, size: str, dtype: str) -> None:
    contest(partial(gradient, size=size, dtype=dtype), engine=engine)


def product(engine: Engine, size: str, dtype: str) -> Work:
    problem = build(engine, size, dtype)
    W, V = problem.weights, np.roll(problem.weights, 1)
    return ask(
        engine,
        problem,
        lambda rows: rows.hessian_product(W, V),
        close(hessian_product(problem)),
        f"sparse Hessian product {problem.shape} {dtype}",
        same=lambda answer: answer,
        **facts(problem, 6),
    )


@DTYPES
@pytest.mark.parametrize("size", SHOWN)
def bench_sparse_hessian_product(contest: Any, engine: Engine, size: str, dtype: str) -> None:
    """At one W, as a conjugate-gradient solve asks: what an engine keeps for that W, it may use."""
    contest(partial(product, size=size, dtype=dtype), engine=engine)
