"""One pass over dense X: the gradient, the Hessian product and the Hessian, by engine, dtype and shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Precision, Rows
from accel_logreg.profile.rows import flops
from bench.harness.questions import ask, made
from bench.harness.work import Work
from bench.judge import answers
from bench.judge.answers import close, close_gradient, coordinates
from bench.problems.dense import correlated, pixels
from bench.problems.problem import Problem

# The loop takes about 80 ns an entry; it joins where that is a fraction of a second.
FOR_THE_LOOP = "2000x28"
SHAPES = {
    "20x3": (20, 3),  # what a question costs before the first row
    FOR_THE_LOOP: (2_000, 28),
    "1000000x28": (1_000_000, 28),
    "20000x300": (20_000, 300),
    "200000x300": (200_000, 300),
    "2000x12288": (2_000, 12_288),
}
LARGE = [pytest.param("200000x300", marks=pytest.mark.full)]
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


def build(shape: str, dtype: str) -> Problem:
    n, d = SHAPES[shape]
    return made(pixels, n, dtype) if d == 12_288 else made(correlated, n, d, dtype)


def flops_of(question: str, problem: Problem) -> float:
    return flops(question, problem.n, problem.d, {}, None)


def skip_the_loop(engine: Engine, shape: str) -> None:
    if engine.name == "python" and shape not in ("20x3", FOR_THE_LOOP):
        pytest.skip(f"the Python loop takes seconds a pass on {shape}; it runs on {FOR_THE_LOOP}")


def due(engine: Engine) -> int:
    """Reads of X in one pass, to which an engine's own count is held; the loop reads element by element."""
    return 0 if engine.name == "python" else 1


def gradient(engine: Engine, shape: str, dtype: str, cold: bool) -> Work:
    skip_the_loop(engine, shape)
    problem = build(shape, dtype)
    return ask(
        engine,
        problem,
        lambda rows: rows.loss_grad(problem.weights),
        close_gradient(answers.loss_grad(problem)),
        f"gradient {problem.shape} {dtype}{', cold' if cold else ''}",
        reads=due(engine),
        cold=cold,
        same=lambda answer: np.append(answer[1], answer[0]),
        problem=problem.name.partition(" ")[0],
        flops=flops_of("loss_grad", problem),
    )


@DTYPES
@pytest.mark.parametrize("shape", [*(name for name in SHAPES if name != "200000x300"), *LARGE])
def bench_gradient(contest: Any, engine: Engine, shape: str, dtype: str) -> None:
    contest(partial(gradient, shape=shape, dtype=dtype, cold=False), engine=engine)


@pytest.mark.parametrize("shape", ["2000x28", "20000x300"])
def bench_gradient_cold(contest: Any, engine: Engine, shape: str) -> None:
    """X of a size that stays in a cache, driven out of it before every call."""
    contest(partial(gradient, shape=shape, dtype="float64", cold=True), engine=engine)


def hessian_product(engine: Engine, shape: str, dtype: str) -> Work:
    skip_the_loop(engine, shape)
    problem = build(shape, dtype)
    W, V = problem.weights, np.roll(problem.weights, 1)
    return ask(
        engine,
        problem,
        lambda rows: rows.hessian_product(W, V),
        close(answers.hessian_product(problem)),
        f"Hessian product {problem.shape} {dtype}",
        reads=due(engine),
        same=lambda product: product,
        problem="correlated",
        flops=flops_of("hessian_product", problem),
    )


@DTYPES
@pytest.mark.parametrize("shape", ["2000x28", "1000000x28", *LARGE])
def bench_hessian_product(contest: Any, engine: Engine, shape: str, dtype: str) -> None:
    contest(partial(hessian_product, shape=shape, dtype=dtype), engine=engine)


def hessian(engine: Engine, shape: str, dtype: str, precise: bool) -> Work:
    """In standardised coordinates, as a solver asks; all p² numbers are compared.

    Without ``precise`` an engine may round products to float32, and factors to TF32: 10 bits.
    """
    skip_the_loop(engine, shape)
    problem = build(shape, dtype)
    centre, scale = coordinates(problem)
    arithmetic: Precision = "float64" if precise else "float32"
    allowed = 1e-10 if precise else 3e-3 if engine.name == "cupy" else 1e-5
    return ask(
        engine,
        problem,
        lambda rows: rows.hessian(problem.weights, centre, scale, precision=arithmetic),
        close(answers.hessian(problem), 0.0, allowed),
        f"Hessian {problem.shape} {dtype}{', precise' if precise else ''}",
        problem="correlated",
        flops=flops_of("hessian", problem),
        arithmetic=arithmetic,
    )


@DTYPES
@pytest.mark.parametrize("shape", ["2000x28", "20000x300", *LARGE])
def bench_hessian(contest: Any, engine: Engine, shape: str, dtype: str) -> None:
    contest(partial(hessian, shape=shape, dtype=dtype, precise=False), engine=engine)


def bench_hessian_precise(contest: Any, engine: Engine) -> None:
    contest(partial(hessian, shape="20000x300", dtype="float64", precise=True), engine=engine)


def hessian_by_way(engine: Engine, shape: str, dtype: str, way: str) -> Work:
    """The preconditioner of a fit with hundreds of features, and what it would cost in float32."""
    problem = build(shape, dtype)
    W, few_bits = problem.weights, way == "8 bits"
    centre, scale = coordinates(problem)
    with engine.threads(None):
        if engine.place(problem.X, problem.y, None).low_precision_hessian(W, centre, scale) is None:
            pytest.skip("this processor has no products of bytes (AVX-512 VNNI)")

    def question(rows: Rows) -> Any:
        if not few_bits:
            return rows.hessian(W, centre, scale)
        answer = rows.low_precision_hessian(W, centre, scale)
        assert answer is not None
        return answer.matrix

    # A 127th of the largest entry is a step: half of one in each of two factors, and thousands of rows.
    return ask(
        engine,
        problem,
        question,
        close(answers.hessian(problem), 0.0, 2e-3 if few_bits else 1e-5),
        f"Hessian by way {problem.shape} {dtype}",
        problem="correlated",
        version=way,
        flops=flops_of("hessian", problem),
        arithmetic="int8" if few_bits else "float32",
    )


@DTYPES
@pytest.mark.parametrize("way", ["float32", "8 bits"])
@pytest.mark.parametrize("shape", ["20000x300", *LARGE])
def bench_hessian_by_way(
    contest: Any, require: Callable[[str], Engine], shape: str, dtype: str, way: str
) -> None:
    """``hessian`` and ``low_precision_hessian`` of the Numba engine, in turns."""
    contest(lambda way: hessian_by_way(require("numba"), shape, dtype, way), way=way)
