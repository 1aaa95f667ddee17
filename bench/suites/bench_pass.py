"""One pass over dense X: the gradient, the Hessian product and the Hessian, by engine, dtype and shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from accel_logreg.interface.engine import Engine
from accel_logreg.profile.work import flops
from bench.harness.work import Work
from bench.judge import answers
from bench.problems.dense import Float64, Problem, correlated, loss_grad, pixels

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


@cache
def build(shape: str, dtype: str) -> Problem:
    n, d = SHAPES[shape]
    return pixels(n, dtype) if d == 12_288 else correlated(n, d, dtype)


@pytest.fixture(autouse=True, scope="module")
def _forget() -> Any:
    yield
    build.cache_clear()


@cache
def expected_gradient(shape: str, dtype: str) -> tuple[float, Float64]:
    problem = build(shape, dtype)
    return loss_grad(problem, problem.weights)


@cache
def expected_product(shape: str, dtype: str) -> Float64:
    problem = build(shape, dtype)
    return answers.hessian_product(problem, problem.weights, np.roll(problem.weights, 1))


@cache
def expected_hessian(shape: str, dtype: str) -> Float64:
    problem = build(shape, dtype)
    return answers.hessian(problem, problem.weights, *coordinates(problem))


def coordinates(problem: Problem) -> tuple[Float64, Float64]:
    """Centre and scale of every column, as a solver standardises."""
    X = problem.X
    return X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)


def skip_the_loop(engine: Engine, shape: str) -> None:
    if engine.name == "python" and shape not in ("20x3", FOR_THE_LOOP):
        pytest.skip(f"the Python loop takes seconds a pass on {shape}; it runs on {FOR_THE_LOOP}")


def due(engine: Engine) -> int:
    """Reads of X in one pass, to which an engine's own count is held; the loop reads element by element."""
    return 0 if engine.name == "python" else 1


def gradient(engine: Engine, shape: str, dtype: str, cold: bool) -> Work:
    skip_the_loop(engine, shape)
    problem = build(shape, dtype)
    W = problem.weights
    loss, expected = expected_gradient(shape, dtype)
    n, d = problem.X.shape

    def check(answer: tuple[float, Float64]) -> None:
        np.testing.assert_allclose(answer[0], loss, rtol=1e-11)
        np.testing.assert_allclose(answer[1], expected, rtol=1e-8, atol=1e-11 * np.abs(expected).max())

    with engine.threads(None):
        rows = engine.place(problem.X, problem.y, None)
    return Work(
        lambda: rows.loss_grad(W),
        check,
        engine,
        problem.X,
        f"gradient {problem.shape} {dtype}{', cold' if cold else ''}",
        reads=due(engine),
        counter=lambda: rows.reads,
        around=partial(engine.threads, None),
        cold=cold,
        same=lambda answer: np.append(answer[1], answer[0]),
        info={
            "problem": problem.name.partition(" ")[0],
            "flops": flops("loss_grad", n, d, {}, None),
        },
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
    W = problem.weights
    V = np.roll(W, 1)
    expected = expected_product(shape, dtype)
    n, d = problem.X.shape
    with engine.threads(None):
        rows = engine.place(problem.X, problem.y, None)
    return Work(
        lambda: rows.hessian_product(W, V),
        lambda product: np.testing.assert_allclose(
            product, expected, rtol=1e-8, atol=1e-11 * np.abs(expected).max()
        ),
        engine,
        problem.X,
        f"Hessian product {problem.shape} {dtype}",
        reads=due(engine),
        counter=lambda: rows.reads,
        around=partial(engine.threads, None),
        same=lambda product: product,
        info={"problem": "correlated", "flops": flops("hessian_product", n, d, {}, None)},
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
    W, d = problem.weights, problem.X.shape[1]
    centre, scale = coordinates(problem)
    expected = expected_hessian(shape, dtype)
    allowed = 1e-10 if precise else 3e-3 if engine.name == "cupy" else 1e-5

    def check(H: Float64) -> None:
        np.testing.assert_allclose(H, expected, rtol=0, atol=allowed * np.abs(expected).max())

    with engine.threads(None):
        rows = engine.place(problem.X, problem.y, None)
    return Work(
        lambda: rows.hessian(W, centre, scale, precision="float64" if precise else "float32"),
        check,
        engine,
        problem.X,
        f"Hessian {problem.shape} {dtype}{', precise' if precise else ''}",
        reads=0,
        counter=lambda: rows.reads,
        around=partial(engine.threads, None),
        info={
            "problem": "correlated",
            "flops": flops("hessian", len(problem.y), d, {}, None),
            "arithmetic": "float64" if precise else "float32",
        },
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
    W, d = problem.weights, problem.X.shape[1]
    centre, scale = coordinates(problem)
    expected = expected_hessian(shape, dtype)
    with engine.threads(None):
        rows = engine.place(problem.X, problem.y, None)
        rough = rows.low_precision_hessian(W, centre, scale)
    if rough is None:
        pytest.skip("this processor has no products of bytes (AVX-512 VNNI)")
    few_bits = way == "8 bits"

    def ask() -> Any:
        if not few_bits:
            return rows.hessian(W, centre, scale)
        answer = rows.low_precision_hessian(W, centre, scale)
        assert answer is not None
        return answer.matrix

    # A 127th of the largest entry is a step: half of one in each of two factors, and thousands of rows.
    allowed = 2e-3 if few_bits else 1e-5
    return Work(
        ask,
        lambda H: np.testing.assert_allclose(H, expected, rtol=0, atol=allowed * np.abs(expected).max()),
        engine,
        problem.X,
        f"Hessian by way {problem.shape} {dtype}",
        reads=0,
        counter=lambda: rows.reads,
        around=partial(engine.threads, None),
        info={
            "problem": "correlated",
            "version": way,
            "flops": flops("hessian", len(problem.y), d, {}, None),
            "arithmetic": "int8" if few_bits else "float32",
        },
    )


@DTYPES
@pytest.mark.parametrize("way", ["float32", "8 bits"])
@pytest.mark.parametrize("shape", ["20000x300", *LARGE])
def bench_hessian_by_way(
    contest: Any, require: Callable[[str], Engine], shape: str, dtype: str, way: str
) -> None:
    """``hessian`` and ``rough_hessian`` of the Numba engine, in turns."""
    contest(lambda way: hessian_by_way(require("numba"), shape, dtype, way), way=way)
