"""One pass over compressed sparse rows: the gradient and the Hessian product, by engine, dtype and size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accel_logreg.backends.base import Backend, Csr
from bench.problems_sparse import SparseProblem, hessian_product, loss_grad, sparse_zipf

# The loop takes about 80 ns a nonzero; it joins where that is a fraction of a second.
SIZES = {
    "2000x500, 20000 nonzeros": (2_000, 500, 20_000),
    "200000x50000, 10000000 nonzeros": (200_000, 50_000, 10_000_000),
}
FOR_THE_LOOP = "2000x500, 20000 nonzeros"


class Measured:
    """What ``measure`` asks of X. Its yardstick sums the values alone, which is as fast a byte."""

    def __init__(self, X: Csr) -> None:
        self.shape, self.dtype, self.nbytes = X.shape, X.dtype, X.nbytes
        self.flags, self.reshape = X.data.flags, X.data.reshape


def build(engine: Backend, size: str, dtype: str) -> SparseProblem:
    if engine.name == "python" and size != FOR_THE_LOOP:
        pytest.skip(f"the Python loop takes seconds a pass on {size}; it runs on {FOR_THE_LOOP}")
    return sparse_zipf(*SIZES[size], dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", SIZES)
def bench_sparse_gradient(measure: Any, engine: Backend, size: str, dtype: str) -> None:
    problem = build(engine, size, dtype)
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
            X=Measured(problem.X),
            group=f"sparse gradient {problem.shape} {dtype}",
            reads=1,
        )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", SIZES)
def bench_sparse_hessian_product(measure: Any, engine: Backend, size: str, dtype: str) -> None:
    """At one W, as a conjugate-gradient solve asks: what an engine keeps for that W, it may use."""
    problem = build(engine, size, dtype)
    W = problem.weights
    V = np.roll(W, 1)
    product = hessian_product(problem, W, V)
    with engine.threads(None):
        rows = engine.rows(problem.X, problem.y, None)
        measure(
            lambda: rows.hessian_product(W, V),
            lambda answer: np.testing.assert_allclose(
                answer, product, rtol=1e-8, atol=1e-11 * np.abs(product).max()
            ),
            engine=engine,
            X=Measured(problem.X),
            group=f"sparse Hessian product {problem.shape} {dtype}",
            reads=1,
        )
