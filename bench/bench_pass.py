"""One pass over X: the gradient and the Hessian product, by engine, dtype and shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accel_logreg.backends.base import Backend
from bench.problems import Problem, correlated, loss_grad, pixels

# The loop takes about 80 ns an entry; it joins where that is a fraction of a second.
SHAPES = {
    "2000x28": (2_000, 28),
    "1000000x28": (1_000_000, 28),
    "200000x300": (200_000, 300),
    "2000x12288": (2_000, 12_288),
}
FOR_THE_LOOP = "2000x28"


def build(shape: str, dtype: str) -> Problem:
    n, d = SHAPES[shape]
    return pixels(n, dtype) if d == 12_288 else correlated(n, d, dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def bench_gradient(measure: Any, engine: Backend, shape: str, dtype: str) -> None:
    if engine.name == "python" and shape != FOR_THE_LOOP:
        pytest.skip(f"the Python loop takes seconds a pass on {shape}; it runs on {FOR_THE_LOOP}")
    problem = build(shape, dtype)
    W = problem.weights
    loss, gradient = loss_grad(problem, W)

    def check(answer: Any) -> None:
        np.testing.assert_allclose(answer[0], loss, rtol=1e-11)
        np.testing.assert_allclose(answer[1], gradient, rtol=1e-8, atol=1e-11 * np.abs(gradient).max())

    with engine.threads(None):
        rows = engine.rows(problem.X, problem.y, None)
        measure(
            lambda: rows.loss_grad(W),
            check,
            engine=engine,
            X=problem.X,
            group=f"gradient {problem.shape} {dtype}",
            reads=1,
        )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", ["2000x28", "1000000x28"])
def bench_hessian_product(measure: Any, engine: Backend, shape: str, dtype: str) -> None:
    if engine.name == "python" and shape != FOR_THE_LOOP:
        pytest.skip(f"the Python loop takes seconds a pass on {shape}; it runs on {FOR_THE_LOOP}")
    problem = build(shape, dtype)
    W = problem.weights
    V = np.roll(W, 1)
    h = 1e-5
    differences = (loss_grad(problem, W + h * V)[1] - loss_grad(problem, W - h * V)[1]) / (2 * h)
    with engine.threads(None):
        rows = engine.rows(problem.X, problem.y, None)
        measure(
            lambda: rows.hessian_product(W, V),
            lambda product: np.testing.assert_allclose(
                product, differences, rtol=1e-6, atol=1e-8 * np.abs(differences).max()
            ),
            engine=engine,
            X=problem.X,
            group=f"Hessian product {problem.shape} {dtype}",
            reads=1,
        )
