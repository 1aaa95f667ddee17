"""Gradient descent in sample space: step by step what the explicit one does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.gram_problems import Problem, data

from accel_logreg.interface.engine import Engine
from accel_logreg.solvers.problem import DivergenceError


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize(("C", "weighted", "rate"), [(math.inf, False, None), (0.5, True, 0.02)])
def test_descent_takes_the_same_steps(
    backend: Engine,
    dtype: type[np.floating],
    fit_intercept: bool,
    warm: bool,
    C: float,
    weighted: bool,
    rate: float | None,
    rng: np.random.Generator,
) -> None:
    X, y = data(11, 10, 25, dtype, offset=0.3)
    s = rng.integers(0, 3, 10) + rng.random(10) if weighted else None
    W = 0.3 * rng.standard_normal(26) if warm else np.zeros(26)
    if not fit_intercept:
        W[-1] = 0.0
    before = W.copy()
    expected = Problem(X, y, C, s, fit_intercept, backend.name).explicit_descent(W, rate, 80)
    problem = Problem(X, y, C, s, fit_intercept, backend.name)
    solution = problem.descent(W, rate, 80)
    np.testing.assert_array_equal(W, before)
    mine, theirs = solution.history.arrays(), expected.history.arrays()
    np.testing.assert_allclose(mine["cost"], theirs["cost"], rtol=1e-10)
    np.testing.assert_allclose(mine["gradient_norm"], theirs["gradient_norm"], rtol=1e-8)
    np.testing.assert_allclose(solution.W, expected.W, rtol=1e-8, atol=1e-12)
    assert solution.gap == pytest.approx(expected.gap, rel=1e-6)
    assert (solution.gap_kind, solution.n_iter) == (expected.gap_kind, expected.n_iter)
    assert mine.keys() == theirs.keys()
    assert all(len(mine[name]) == 80 for name in mine)
    assert mine["reads"][-1] <= problem.objective.reads
    if backend.name != "python":
        assert mine["reads"][-1] < theirs["reads"][-1]


@pytest.mark.parametrize("rate", [50.0, 1e30, 1e300])
def test_descent_diverges_alike(backend: Engine, rate: float) -> None:
    X, y = data(12, 10, 25)
    messages = []
    problem = Problem(X, y, 0.1, engine=backend.name)
    for descent in (problem.explicit_descent, problem.descent):
        with pytest.raises(DivergenceError, match=r"does not converge.*use learning_rate='auto'") as raised:
            descent(np.zeros(26), rate, 40)
        messages.append(str(raised.value).split("Any rate below")[1])
    assert messages[0] == messages[1]


def test_descent_reads_x_three_times_besides_its_learning_rate() -> None:
    problem = Problem(*data(13, 20, 60), C=0.01, fit_intercept=False)
    solution = problem.descent(np.zeros(61), 0.01, 300)
    assert solution.gap == math.inf  # left to whoever judges it
    assert problem.objective.reads == 3.0
    assert solution.history.reads[-1] == 3
    assert problem.lines[0] == "gradient-descent: learning rate 0.01, 300 steps"
