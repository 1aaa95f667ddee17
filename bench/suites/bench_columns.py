"""K problems that share X: the gradients of all of them in one read, against a pass for each.

    python -m bench.run -k bench_columns

Each case comes twice: "one read" asks ``Columns``, "K passes" asks ``Rows`` K times. Both are checked with
plain NumPy and do the same work, so that within a group the ratio of their times is what sharing X brings. A
column's labels differ from its neighbour's, as one-vs-rest labels do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from accel_logreg.interface.engine import Engine
from bench.harness.questions import made
from bench.harness.work import Work
from bench.judge import score
from bench.judge.answers import close_gradient
from bench.problems.dense import correlated
from bench.problems.problem import SEED, Float64, Problem

# The loop takes about 80 ns an entry and column; it joins where that is a fraction of a second.
SIZES = {
    "1000x28": (1_000, 28),
    "200000x28": (200_000, 28),
    "1000000x28": (1_000_000, 28),
    "200000x300": (200_000, 300),
}
FOR_THE_LOOP = "1000x28"
SHAPES = [
    FOR_THE_LOOP,
    "200000x28",
    *(pytest.param(large, marks=pytest.mark.full) for large in ("1000000x28", "200000x300")),
]
COLUMNS = [8, *(pytest.param(K, marks=pytest.mark.full) for K in (1, 32))]


def where_it_is_read(engine: Engine, X: Any) -> Any:
    """X, on a GPU already where the engine's memory is there: K rows are not to take K copies of it."""
    if engine.name != "cupy":
        return X
    import cupy

    return cupy.asarray(X)


def labels(problem: Problem, K: int) -> Float64:
    """(n, K): each column has the problem's labels with another tenth of them flipped."""
    rng = np.random.default_rng(SEED + 2)
    return np.abs(problem.y[:, np.newaxis] - (rng.random((len(problem.y), K)) < 0.1))


def points(problem: Problem, K: int) -> Float64:
    """(p, K), each a little away from ``problem.weights``."""
    rng = np.random.default_rng(SEED + 3)
    W = problem.weights
    return np.asarray(W[:, np.newaxis] * (1.0 + 0.1 * rng.standard_normal((len(W), K))))


def losses_and_gradients(problem: Problem, Y: Float64, W: Float64) -> tuple[Float64, Float64]:
    """Mean losses (K,) and their gradients (p, K): plain NumPy in float64, column by column."""
    losses, gradients = zip(
        *(score.loss_grad(replace(problem, y=y), w) for y, w in zip(Y.T, W.T, strict=True)), strict=True
    )
    return np.array(losses), np.column_stack(gradients)


def one_read(engine: Engine, problem: Problem, Y: Float64) -> Callable[[Float64], Any]:
    return engine.place(where_it_is_read(engine, problem.X), Y).loss_grad


def pass_by_pass(engine: Engine, problem: Problem, Y: Float64) -> Callable[[Float64], Any]:
    X = where_it_is_read(engine, problem.X)
    rows = [engine.place(X, y, None) for y in np.ascontiguousarray(Y.T)]

    def ask(W: Float64) -> tuple[Float64, Float64]:
        answers = [each.loss_grad(w) for each, w in zip(rows, np.ascontiguousarray(W.T), strict=True)]
        return np.array([loss for loss, _ in answers]), np.column_stack([g for _, g in answers])

    return ask


WAYS = {"one read": one_read, "K passes": pass_by_pass}


def columns(engine: Engine, way: str, shape: str, K: int, dtype: str) -> Work:
    if engine.name == "python" and shape != FOR_THE_LOOP:
        pytest.skip(f"the Python loop takes seconds a column on {shape}; it runs on {FOR_THE_LOOP}")
    problem = made(correlated, *SIZES[shape], dtype)
    Y, W = labels(problem, K), points(problem, K)
    with engine.threads(None):
        ask = WAYS[way](engine, problem, Y)
    return Work(
        lambda: ask(W),
        close_gradient(losses_and_gradients(problem, Y, W)),
        engine,
        problem.X,
        f"{K} columns {problem.shape} {dtype}",
        reads=1 if way == "one read" else K,
        around=partial(engine.threads, None),
        same=lambda answer: np.vstack(answer),
        info={"problem": "correlated", "version": way, "columns": K},
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("K", COLUMNS)
@pytest.mark.parametrize("shape", SHAPES)
def bench_columns(contest: Any, engine: Engine, shape: str, K: int, dtype: str, way: str) -> None:
    contest(partial(columns, shape=shape, K=K, dtype=dtype), engine=engine, way=way)
