"""The whole fit in one compiled call: the same optimum as the solver that asks question by question."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_logreg import LogisticRegression
from accel_logreg.backends import load_backend
from accel_logreg.interface.rows import Rows
from accel_logreg.problem.objective import Objective

pytest.importorskip("numba")


def rows_of(
    n: int, d: int, dtype: type[np.floating] = np.float64, *, weighted: bool = False, seed: int = 0
) -> Rows:
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n, d)) * 3.0 + 1.0).astype(dtype)
    y = (rng.random(n) < 1.0 / (1.0 + np.exp(-X[:, 0]))).astype(np.int8)
    y[:2] = 0, 1
    s = rng.random(n) + 0.5 if weighted else None
    return load_backend("numba").place(X, y, s)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 60),
    d=st.integers(1, 40),
    single=st.booleans(),
    weighted=st.booleans(),
    fit_intercept=st.booleans(),
    l2=st.sampled_from([1e-4, 1e-2, 1.0]),
    seed=st.integers(0, 1000),
)
def test_gap_is_what_it_says(
    n: int, d: int, single: bool, weighted: bool, fit_intercept: bool, l2: float, seed: int
) -> None:
    rows = rows_of(n, d, np.float32 if single else np.float64, weighted=weighted, seed=seed)
    objective = Objective(rows, l2=l2, fit_intercept=fit_intercept)
    rough = rows.small_fit(l2, fit_intercept, 1e-6, 100)
    fine = rows.small_fit(l2, fit_intercept, 1e-12, 100)
    assert rough is not None
    assert fine is not None
    value, gradient = objective.value_grad(rough.W)
    lowest, _ = objective.value_grad(fine.W)
    assert value == pytest.approx(rough.costs[-1], rel=1e-12)
    assert objective.gradient_norm(gradient) == pytest.approx(rough.gradient_norms[-1], rel=1e-3, abs=1e-13)
    assert (value - lowest) <= 1e-6 * lowest
    assert (value - lowest) <= rough.bound * (1 + 1e-9) + 1e-14  # certified
    assert fine.bound <= rough.bound * (1 + 1e-9) + 1e-14
    if not fit_intercept:
        assert fine.W[-1] == 0.0


@pytest.mark.parametrize("shape", [(101, 10), (3, 100_000)])
def test_larger_problems_are_left_to_the_solvers(shape: tuple[int, int]) -> None:
    d, n = shape
    assert rows_of(n, d).small_fit(1e-3, True, 1e-8, 100) is None


def test_what_does_not_converge_is_left_to_the_solvers() -> None:
    assert rows_of(50, 3).small_fit(1e-3, True, 1e-8, 1) is None
    separable = load_backend("numba").place(np.array([[-1.0], [1.0]]), np.array([0, 1], dtype=np.int8), None)
    assert separable.small_fit(0.0, True, 1e-8, 20) is None


def test_history_counts_every_step() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 5))
    y = (X[:, 0] + rng.standard_normal(200) > 0).astype(int)
    model = LogisticRegression(backend="numba").fit(X, y)
    assert model.solver_ == "newton"
    assert (np.diff(model.history_["cost"]) < 0).all()
    assert len(model.history_["cost"]) == model.n_iter_[0] + 1
    same = LogisticRegression(backend="numba").fit(X, y)
    np.testing.assert_array_equal(model.coef_, same.coef_)


@pytest.mark.parametrize("width", [16, 32, 48])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rank_update_in_registers(width: int, dtype: type[np.floating]) -> None:
    from accel_logreg.kernels.numba_jit.blocks.rank_update import add_outer_products_small

    T = np.random.default_rng(1).standard_normal((37, width)).astype(dtype)
    C = np.ones((width, width), dtype=dtype)
    add_outer_products_small(T, 36, width - 3, C)
    upper = np.triu_indices(width - 3)
    expected = 1.0 + T[:36].T.astype(np.float64) @ T[:36]
    np.testing.assert_allclose(C[upper], expected[upper], rtol=1e-5, atol=1e-5)
