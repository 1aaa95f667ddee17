"""The copy of X in 8 bits: how near it is, when there is none, and what Newton's method makes of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accel_logreg import LogisticRegression
from accel_logreg.backends import load_backend
from accel_logreg.backends.numba_jit import tuning
from accel_logreg.interface.arrays import Float64
from accel_logreg.kernels.numba_jit.quantised import LARGEST
from accel_logreg.problem.coordinates import Jacobi
from accel_logreg.solvers.costs import Costs
from accel_logreg.solvers.newton_cg import newton_cg
from accel_logreg.solvers.parts import proof
from accel_logreg.solvers.problem import Budget

# Neither a multiple of a group of rows nor of a cache line of columns; spans of rows end inside the last.
SHAPES = [(1, 1), (9, 3), (40, 64), (61, 130), (4133, 21)]


@pytest.fixture(autouse=True)
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "LEAST_FOR_QUANTISED", 1)


def problem(n: int, d: int, rng: np.random.Generator, dtype: type[np.floating[Any]]) -> Any:
    """X of unlike scales and means, y, and the columns' means and scales."""
    X = (rng.standard_normal((n, d)) * np.logspace(-3, 3, d) + np.linspace(-50, 50, d)).astype(dtype)
    scale = np.logspace(-3, 3, d)
    return X, (rng.random(n) < 0.4).astype(np.int8), np.linspace(-50, 50, d), scale


def copy_of(X: Any, y: Any, s: Any, centre: Any, scale: Any) -> Any:
    return load_backend("numba").place(X, y, s).quantised(centre, scale)


def copied(X: NDArray[Any], centre: Float64, scale: Float64) -> Float64:
    """The copy by its definition: multiples of the column's step, which reaches the furthest entry."""
    exact = (X.astype(np.float64) - centre) / scale
    step = np.maximum(np.abs(exact).max(axis=0), 6.35) / LARGEST
    return np.asarray(np.rint(exact / step) * step)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_answers_for_a_matrix_within_half_a_step(
    shape: tuple[int, int], weighted: bool, rng: np.random.Generator
) -> None:
    """Against the Python loop on that matrix. Sums of float32 err by 1e-6 or so."""
    n, d = shape
    X, y, centre, scale = problem(n, d, rng, np.float64)
    s = rng.random(n) + 0.1 if weighted else None
    model = copy_of(X, y, s, centre, scale)
    loop = load_backend("python").place(copied(X, centre, scale), y, s)
    U, V = rng.standard_normal(d + 1), rng.standard_normal(d + 1)
    loss, gradient = model.loss_grad(U)
    expected_loss, expected = loop.loss_grad(U)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    for point in (U, V):  # where the gradient was asked for, and elsewhere
        product, expected = model.hessian_product(point, V), loop.hessian_product(point, V)
        np.testing.assert_allclose(product, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_float32_and_float64_make_the_same_copy(rng: np.random.Generator) -> None:
    X, y, centre, scale = problem(300, 20, rng, np.float32)
    U = rng.standard_normal(21)
    answers = [copy_of(Z, y, None, centre, scale) for Z in (X, X.astype(np.float64))]
    single, double = (answer.loss_grad(U)[1] for answer in answers)
    np.testing.assert_allclose(single, double, rtol=1e-2, atol=1e-4)  # an entry may round the other way


@pytest.mark.parametrize("far", [1, 15])
def test_a_column_with_a_far_entry_gets_longer_steps(far: int, rng: np.random.Generator) -> None:
    """One column is rounded again by itself, most of them with all others."""
    X, y, centre, scale = problem(50, 20, rng, np.float64)
    X[7, :far] = centre[:far] + 1000.0 * scale[:far]
    model = copy_of(X, y, None, centre, scale)
    loop = load_backend("python").place(copied(X, centre, scale), y, None)
    U = rng.standard_normal(21) * 1e-3
    expected = loop.loss_grad(U)[1]
    np.testing.assert_allclose(model.loss_grad(U)[1], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_copy_of_what_is_not_finite_or_in_a_cache(
    value: float, dtype: Any, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    X, y, centre, scale = problem(30, 4, rng, dtype)
    X[3, 2] = value
    assert copy_of(X, y, None, centre, scale) is None
    X[3, 2] = 0.0
    assert copy_of(X, y, None, centre, scale) is not None
    monkeypatch.setattr(tuning, "LEAST_FOR_QUANTISED", 121)
    assert copy_of(X, y, None, centre, scale) is None


def test_no_copy_with_a_scale_beyond_float32(rng: np.random.Generator) -> None:
    X, y, centre, scale = problem(30, 4, rng, np.float32)
    scale[1] = 1e-41
    assert copy_of(X, y, None, centre, scale) is None


def test_reads_are_counted_by_bytes(rng: np.random.Generator) -> None:
    X, y, centre, scale = problem(64, 128, rng, np.float32)
    rows = load_backend("numba").place(X, y, None)
    model = rows.quantised(centre, scale)
    assert rows.reads == 1.0
    U = rng.standard_normal(129)
    model.loss_grad(U)
    model.hessian_product(U, U)
    assert rows.reads == 1.5  # a byte where X has four


def test_the_same_bits_again(rng: np.random.Generator) -> None:
    X, y, centre, scale = problem(4133, 21, rng, np.float32)
    U = rng.standard_normal(22)
    first, second = (copy_of(X, y, None, centre, scale) for _ in range(2))
    assert np.array_equal(first.loss_grad(U)[1], second.loss_grad(U)[1])
    assert np.array_equal(first.hessian_product(U, U), second.hessian_product(U, U))


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fit_reads_X_less_and_ends_where_it_should(
    dtype: Any, fit_intercept: bool, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    X = rng.standard_normal((1200, 90)) @ (np.eye(90) + 0.3 * rng.standard_normal((90, 90)) / 9.0)
    X = (X + 0.5).astype(dtype)
    y = (rng.random(1200) < 1 / (1 + np.exp(-X @ rng.standard_normal(90) / 9.0))).astype(int)
    settings: dict[str, Any] = {"backend": "numba", "solver": "newton-cg", "fit_intercept": fit_intercept}
    with_copy = LogisticRegression(**settings).fit(X, y)
    monkeypatch.setattr(tuning, "LEAST_FOR_QUANTISED", 10**9)
    without = LogisticRegression(**settings).fit(X, y)
    exact = LogisticRegression(**settings | {"solver": "newton", "tol": 1e-13}).fit(X, y)
    best = exact.history_["cost"][-1]
    assert with_copy.history_["cost"][-1] - best <= 1e-8 * best
    assert with_copy.history_["reads"][-1] < without.history_["reads"][-1]


class Quadratic:
    """½ (U − 1)ᵀ H (U − 1) + 1 with H diagonal, and what Newton's method asks of a problem."""

    reads, penalised = 0.0, False
    n_rows, sparse = 1, True  # so that no factor is made

    def __init__(self, H: Float64, model: Quadratic | None = None) -> None:
        self.H, self.size, self.asked, self.model = H, len(H), 0, model

    def quantised(self) -> Quadratic | None:
        return self.model

    def value_grad(self, U: Float64) -> tuple[float, Float64]:
        gradient = self.H * (U - 1.0)
        return 1.0 + 0.5 * float((U - 1.0) @ gradient), gradient

    def hessian_product(self, _U: Float64, V: Float64) -> Float64:
        self.asked += 1
        return self.H * V

    def jacobi(self, _U: Float64) -> Jacobi:
        return Jacobi(np.zeros(self.size - 1), np.full(self.size - 1, 0.25), 0.25)

    def gradient_norm(self, gradient: Float64) -> float:
        return float(np.linalg.norm(gradient))

    def separates(self, _value: float) -> bool:
        return False

    def trivial(self) -> tuple[Float64, float]:
        return np.zeros(self.size), math.inf

    def residual_gap(self, _residual: Float64) -> float:
        return math.inf

    def separating(self, _V: Float64) -> None:
        return None

    def rounding(self, _U: Float64, _value: float) -> tuple[float, Float64]:
        return 0.0, np.zeros(self.size)


@pytest.fixture(autouse=True)
def no_exact_hessian(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would have the last word on problems as small as these."""
    monkeypatch.setattr(proof, "affordable", lambda *_: False)


def minimised(problem: Any, tol: float, report: Any) -> Any:
    costs = Costs(tuning.RATES, problem.size, problem.size, 8)
    return newton_cg(problem, np.zeros(problem.size), Budget(tol, 50, costs, report=report))


@pytest.mark.parametrize(
    ("error", "dropped"),
    [(1.0, False), (1.3, False), (5.0, True), (0.1, False)],
    ids=["exact", "near", "much too curved", "much too flat, mended by an exact pair"],
)
def test_a_model_that_is_no_good_is_dropped(error: float, dropped: bool) -> None:
    H = np.linspace(0.5, 2.0, 12)
    problem, said = Quadratic(H, Quadratic(H * np.where(np.arange(12) % 3, 1.0, error))), []
    solution = minimised(problem, 1e-9, said.append)
    assert solution.trouble == ""
    assert np.abs(solution.W - 1.0).max() <= 1e-4
    assert (problem.asked > 0) == dropped, said


def test_a_gap_by_a_model_allows_for_its_error() -> None:
    """Along the axis where the model is too curved, a step leaves 1 − 1/1.6 of the gradient."""
    H = np.ones(6)
    problem = Quadratic(H, Quadratic(H * np.array([1.6, 1, 1, 1, 1, 1])))
    solution = minimised(problem, 1e-6, lambda _: None)
    value = problem.value_grad(solution.W)[0]
    assert value - 1.0 <= solution.gap * value
