"""One pass over compressed sparse rows: the gradient and the Hessian product, by engine, dtype and size."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from accel_logreg.interface.arrays import Csr
from accel_logreg.interface.engine import Engine
from bench.harness.work import Work
from bench.problems.dense import Float64
from bench.problems.sparse import SparseProblem, hessian_product, loss_grad, sparse_zipf

# The loop takes about 80 ns a nonzero; it joins where that is a fraction of a second.
FOR_THE_LOOP = "2000x500, 20000 nonzeros"
SIZES = {
    FOR_THE_LOOP: (2_000, 500, 20_000),
    "40000x10000, 2000000 nonzeros": (40_000, 10_000, 2_000_000),
    "200000x50000, 10000000 nonzeros": (200_000, 50_000, 10_000_000),
}
SHOWN = [pytest.param(size, marks=pytest.mark.full if SIZES[size][2] > 5_000_000 else ()) for size in SIZES]
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


def build(engine: Engine, size: str, dtype: str) -> SparseProblem:
    if engine.name == "python" and size != FOR_THE_LOOP:
        pytest.skip(f"the Python loop takes seconds a pass on {size}; it runs on {FOR_THE_LOOP}")
    return sparse_zipf(*SIZES[size], dtype)


def close(expected: Float64) -> Any:
    def check(answer: Float64) -> None:
        np.testing.assert_allclose(answer, expected, rtol=1e-8, atol=1e-11 * np.abs(expected).max())

    return check


def info(X: Csr, flops_a_nonzero: int) -> dict[str, Any]:
    return {"problem": "sparse Zipf", "nonzeros": X.data.size, "flops": flops_a_nonzero * X.data.size}


def gradient(engine: Engine, size: str, dtype: str) -> Work:
    problem = build(engine, size, dtype)
    W = problem.weights
    loss, expected = loss_grad(problem, W)
    with engine.threads(None):
        rows = engine.place(problem.X, problem.y, None)

    def check(answer: tuple[float, Float64]) -> None:
        np.testing.assert_allclose(answer[0], loss, rtol=1e-11)
        close(expected)(answer[1])

    return Work(
        lambda: rows.loss_grad(W),
        check,
        engine,
        problem.X,
        f"sparse gradient {problem.shape} {dtype}",
        reads=0,  # one by rows; by columns as well on a GPU
        counter=lambda: rows.reads,
        around=partial(engine.threads, None),
        same=lambda answer: np.append(answer[1], answer[0]),
        info=info(problem.X, 4),
    )


@DTYPES
@pytest.mark.parametrize("size", SHOWN)
def bench_sparse_gradient(contest: Any, engine: Engine, size: str, dtype: str) -> None:
    contest(partial(gradient, size=size, dtype=dtype), engine=engine)


def product(engine: Engine, size: str, dtype: str) -> Work:
    problem = build(engine, size, dtype)
    W = problem.weights
    V = np.roll(W, 1)
    expected = hessian_product(problem, W, V)
    with engine.threads(None):
        rows = engine.place(problem.X, problem.y, None)
    return Work(
        lambda: rows.hessian_product(W, V),
        close(expected),
        engine,
        problem.X,
        f"sparse Hessian product {problem.shape} {dtype}",
        reads=0,
        counter=lambda: rows.reads,
        around=partial(engine.threads, None),
        same=lambda answer: answer,
        info=info(problem.X, 6),
    )


@DTYPES
@pytest.mark.parametrize("size", SHOWN)
def bench_sparse_hessian_product(contest: Any, engine: Engine, size: str, dtype: str) -> None:
    """At one W, as a conjugate-gradient solve asks: what an engine keeps for that W, it may use."""
    contest(partial(product, size=size, dtype=dtype), engine=engine)
