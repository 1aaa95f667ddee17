"""What a fit says of itself is true: its gap, whether an optimum exists, and what is never returned.

Small problems of kinds that people meet, with their right values; each kind on several engines and layouts.
"""

from __future__ import annotations

import hashlib
import math
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from accel_logreg import LogisticRegression, SeparationWarning
from bench.gap_study.evaluator import Problem

INF = float("inf")
ENGINES = ["numpy", "numba"]
SOLVERS = ["auto", "newton", "newton-cg", "lbfgs"]
engines = pytest.mark.parametrize("engine", ENGINES)


_KNOWN: dict[bytes, Problem] = {}  # with the optimum, which takes longer than most fits


def assert_true(problem: Problem, *, tol: float = 1e-8, **settings: Any) -> LogisticRegression:
    """Fit without a warning: gap_ is at most tol, and the truth at most gap_."""
    problem = _KNOWN.setdefault(hashlib.sha256(pickle.dumps(problem)).digest(), problem)
    model = LogisticRegression(C=problem.C, fit_intercept=problem.fit_intercept, tol=tol, **settings)
    model.fit(problem.X, problem.y, problem.s)
    assert model.gap_ <= tol
    excess = problem.excess(model.coef_[0], model.intercept_[0])
    assert excess <= model.gap_ + 1e-15 + problem.optimum[2]
    return model


def logistic(random: np.random.Generator, z: Any) -> Any:
    return (random.random(len(z)) < 1 / (1 + np.exp(-np.clip(z, -700, 700)))).astype(int)


@engines
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    "extra",
    {
        "a constant": lambda X: [np.ones(len(X))],
        "two constants": lambda X: [np.ones(len(X)), np.full(len(X), 7.3)],
        "zeros": lambda X: [np.zeros(len(X))],
        "a column twice": lambda X: [X[:, 0]],
        "one-hot groups": lambda X: [*(np.arange(len(X)) % 3 == k for k in range(3))],
    }.items(),
    ids=lambda item: item[0],
)
def test_redundant_columns_without_a_penalty(engine: str, solver: str, extra: Any) -> None:
    """The same predictions as without them, the shortest coefficients, and no warning."""
    random = np.random.default_rng(0)
    X = random.standard_normal((3000, 10))
    y = logistic(random, X[:, 0])
    more = np.array(extra[1](X), dtype=float).T
    model = assert_true(Problem(np.c_[more, X], y, C=INF), backend=engine, solver=solver)
    dropped = [] if "one-hot" not in extra[0] else [0, 1]
    kept = np.c_[more[:, dropped], X]
    plain = LogisticRegression(C=INF, tol=1e-14, backend="numpy").fit(kept, y)
    np.testing.assert_allclose(
        model.decision_function(np.c_[more, X]), plain.decision_function(kept), atol=2e-3
    )
    centred = np.c_[more, X] - np.c_[more, X].mean(axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][-len(more.T) :]
    flat = directions[np.abs(np.c_[more, X] @ directions.T).std(axis=0) < 1e-10]
    np.testing.assert_allclose(flat @ model.coef_[0], 0.0, atol=1e-8)


@pytest.mark.parametrize("engine", ["python", *ENGINES])
@pytest.mark.parametrize("solver", [*SOLVERS, "gradient-descent"])
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
def test_a_level_that_always_says_yes(engine: str, solver: str, layout: Any) -> None:
    X, y = np.repeat([[0.0], [0.0], [1.0]], [15, 5, 12], axis=0), np.repeat([0, 1, 1], [15, 5, 12])
    with pytest.warns(SeparationWarning, match=r"in part .* column 0 moves 12 of 32 rows") as caught:
        model = LogisticRegression(C=INF, backend=engine, solver=solver).fit(layout(X), y)
    assert model.gap_ == INF
    if solver in ("auto", "newton", "newton-cg"):
        np.testing.assert_allclose(model.intercept_, -1.0986122886681098, rtol=1e-9)
        loss = Problem(X, y, C=INF).cost(model.coef_[0], model.intercept_[0])
        np.testing.assert_allclose(float(loss), 0.3514594653867552, rtol=1e-11)
    warning = caught[0].message
    assert isinstance(warning, SeparationWarning)
    assert warning.columns == [0]
    assert not warning.perfect
    assert str(pickle.loads(pickle.dumps(warning))) == str(warning)
    for C in (1.0, 1e6):
        assert assert_true(Problem(X, y, C=C), backend=engine).gap_kind_ == "certified"


@engines
def test_the_other_coefficients_are_right(engine: str) -> None:
    """Two levels that separate, among columns that do not: those are as without the levels' rows."""
    random = np.random.default_rng(4)
    n = 2000
    X = random.standard_normal((n, 3))
    y = logistic(random, X @ [1.0, -0.5, 0.2])
    level = random.integers(0, 12, n)
    yes, no = (level == 0) & (y == 1), (level == 1) & (y == 0)
    Z = np.c_[X, yes, no]
    with pytest.warns(SeparationWarning) as caught:
        model = LogisticRegression(C=INF, backend=engine).fit(Z, y)
    rest = ~(yes | no)
    plain = LogisticRegression(C=INF, tol=1e-15, backend=engine).fit(X[rest], y[rest])
    np.testing.assert_allclose(model.coef_[0, :3], plain.coef_[0], rtol=1e-6)
    assert {3, 4} <= set(caught[0].message.columns)  # type: ignore[union-attr]


def groups(random: np.random.Generator, n: int = 1500, numbers: float = 0.0) -> Any:
    sizes, parts = (400, 150, 60), []
    for k in sizes:
        level = np.minimum((3 * random.pareto(1, n)).astype(int), k - 1)
        parts.append(sparse.csr_matrix((np.ones(n), (np.arange(n), level)), shape=(n, k)))
    if numbers:
        parts.append(sparse.csr_matrix(numbers * random.standard_normal((n, 1))))
    X = sparse.csr_matrix(sparse.hstack(parts))
    return X, logistic(random, X @ random.standard_normal(X.shape[1]) * (0.3 if numbers else 1.0))


@engines
@pytest.mark.parametrize(("C", "numbers"), [(1.0, 0.0), (1e4, 0.0), (1e4, 1e3)])
def test_one_hot_groups(engine: str, C: float, numbers: float) -> None:
    assert_true(Problem(*groups(np.random.default_rng(1), numbers=numbers), C=C), backend=engine)


@engines
@pytest.mark.parametrize(
    ("n", "d", "rank", "noise", "C"),
    [
        (1500, 600, 20, 1e-3, 1.0),
        (300, 400, 5, 0.1, 100.0),
        (300, 400, 5, 0.1, 1e6),
        (200, 1000, 200, 1.0, 1e6),
        (250, 2000, 250, 1.0, 1e4),
    ],
)
@pytest.mark.parametrize("solver", ["auto", "newton-cg"])
def test_low_rank_and_wide(
    engine: str, n: int, d: int, rank: int, noise: float, C: float, solver: str
) -> None:
    if solver == "newton-cg" and C > 1e3:
        pytest.skip("newton-cg asked for by name takes thousands of reads here, and says where it stops")
    random = np.random.default_rng(2)
    X = random.standard_normal((n, rank)) @ random.standard_normal(
        (rank, d)
    ) + noise * random.standard_normal((n, d))
    assert_true(Problem(X, logistic(random, X[:, 0] / X[:, 0].std()), C=C), backend=engine, solver=solver)


@engines
@pytest.mark.parametrize("solver", ["auto", "newton", "newton-cg", "newton-gram", "lbfgs"])
def test_sparse_columns_far_from_zero(engine: str, solver: str) -> None:
    random = np.random.default_rng(3)
    x = random.standard_normal((400, 2))
    y = logistic(random, x[:, 0])
    far = np.c_[x[:, :1] + 1e6, x[:, 1:] * (random.random((400, 1)) < 0.3)]
    model = assert_true(Problem(sparse.csr_matrix(far), y, C=1.0), backend=engine, solver=solver)
    dense = LogisticRegression(backend=engine, tol=1e-12).fit(far, y)
    np.testing.assert_allclose(model.coef_, dense.coef_, rtol=1e-3)
    tiny = sparse.csr_matrix([[100.0, 1, 0], [100.0, 0, 1]])
    assert_true(Problem(tiny, np.array([0, 1])), backend=engine, solver=solver)


@engines
def test_a_thousand_million_away(engine: str) -> None:
    """There rounding of the intercept alone costs 1e-14 of J: no more than that, or a word."""
    random = np.random.default_rng(3)
    x = random.standard_normal((500, 1))
    problem = Problem(sparse.csr_matrix(x + 1e9), logistic(random, 2 * x[:, 0]))
    assert_true(problem, backend=engine)


@engines
def test_dates_beside_sparse_columns(engine: str) -> None:
    random = np.random.default_rng(5)
    n = 2000
    month, day = random.integers(1, 13, n), random.integers(1, 29, n)
    numbers = np.c_[20150000 + 100 * month + day, 2457000 + 365 * random.random(n)]
    X = sparse.csr_matrix(sparse.hstack([numbers, sparse.csr_matrix((n, 1200))]))
    y = logistic(random, (month - 6.5) / 3)
    model = assert_true(Problem(X, y), backend=engine)
    assert model.score(X, y) > 0.68
    few = sparse.csr_matrix(sparse.hstack([2015 + 5 * random.standard_normal((200, 1)), sparse.random(
        200, 900, 0.01, random_state=1)]))  # fmt: skip
    assert_true(Problem(few, logistic(random, np.asarray(few[:, 0].todense())[:, 0] - 2015)), backend=engine)


@engines
def test_gradient_descent_says_how_far_it_is(engine: str) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="gradient-descent stopped after 10 iterations"):
        model = LogisticRegression(solver="gradient-descent", max_iter=10, backend=engine).fit(X, y)
    true = Problem(X, y).excess(model.coef_[0], model.intercept_[0])
    assert true <= model.gap_ <= 1.01 * true
    with pytest.warns(SeparationWarning, match="perfectly separated"):
        LogisticRegression(solver="gradient-descent", C=INF, max_iter=10, backend=engine).fit(
            [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
        )


@pytest.mark.parametrize("engine", ["python", *ENGINES])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_weight_of_next_to_nothing(engine: str, solver: str) -> None:
    X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 1, 1])
    assert_true(Problem(X, y, np.array([1e-17, 1, 1, 1])), backend=engine, solver=solver)


@engines
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_nearly_constant_with_a_large_mean(engine: str, dtype: str, solver: str) -> None:
    x = np.repeat([1024.0, 1024.0, 1024 + 2**-10, 1024 + 2**-10], [30, 10, 15, 45])[:, None]
    y = np.repeat([0, 1, 0, 1], [30, 10, 15, 45])
    model = LogisticRegression(C=INF, backend=engine, solver=solver, tol=1e-12).fit(x.astype(dtype), y)
    np.testing.assert_allclose(model.coef_, 2249.957967192289, rtol=1e-5)
    np.testing.assert_allclose(model.predict_proba(x[[0, -1]].astype(dtype))[:, 1], [0.25, 0.75], rtol=1e-5)


@engines
def test_beyond_what_an_intercept_can_hold(engine: str) -> None:
    """At 2⁵⁰ the rounding of b is half a logit: that is in the gap, and said."""
    x = np.repeat([2.0**50, 2.0**50, 2**50 + 0.25, 2**50 + 0.25], [30, 10, 15, 45])[:, None]
    y = np.repeat([0, 1, 0, 1], [30, 10, 15, 45])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = LogisticRegression(backend=engine).fit(x, y)
    true = Problem(x, y).excess(model.coef_[0], model.intercept_[0])
    assert true <= model.gap_
    assert caught or true <= 1e-8


@engines
@pytest.mark.parametrize("solver", SOLVERS)
def test_scales_do_not_matter_without_a_penalty(engine: str, solver: str) -> None:
    random = np.random.default_rng(6)
    X = random.standard_normal((500, 6))
    y = logistic(random, X[:, 0])
    by = 10.0 ** np.array([-6, -3, 0, 3, 6, 9])
    plain, scaled = (
        assert_true(Problem(Z, y, C=INF), backend=engine, solver=solver, tol=1e-14) for Z in (X, X * by)
    )
    np.testing.assert_allclose(scaled.coef_ * by, plain.coef_, rtol=1e-6)


@engines
@pytest.mark.parametrize("solver", [*SOLVERS, "newton-gram"])
@pytest.mark.parametrize("factor", [1e-200, 1e38, 1e200])
def test_weights_of_any_size(engine: str, solver: str, factor: float) -> None:
    random = np.random.default_rng(7)
    X, s = random.standard_normal((60, 4)), random.random(60)
    y = logistic(random, X[:, 0])
    plain = LogisticRegression(backend=engine, solver=solver, tol=1e-14).fit(X, y, s)
    scaled = LogisticRegression(backend=engine, solver=solver, tol=1e-14, C=1 / factor).fit(X, y, s * factor)
    np.testing.assert_allclose(scaled.coef_, plain.coef_, rtol=1e-6)


@engines
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
def test_rows_without_weight_are_not_there(engine: str, solver: str, layout: Any) -> None:
    random = np.random.default_rng(8)
    X = random.standard_normal((4000, 5))
    y = logistic(random, X[:, 0])
    s = (random.random(4000) < 0.7).astype(float)
    Z = np.where(s[:, None] > 0, X, 1e9)
    with_them = LogisticRegression(backend=engine, solver=solver, tol=1e-15).fit(layout(Z), y, s)
    without = LogisticRegression(backend=engine, solver=solver, tol=1e-15).fit(layout(X[s > 0]), y[s > 0])
    np.testing.assert_allclose(with_them.coef_, without.coef_, rtol=1e-5)
    assert with_them.gap_ <= 1e-15


@engines
@pytest.mark.parametrize("solver", [*SOLVERS, "newton-gram"])
def test_a_tiny_c_keeps_the_order_of_predictions(engine: str, solver: str) -> None:
    random = np.random.default_rng(9)
    X, y = random.standard_normal((200, 5)), np.arange(200) % 2
    X += 0.5 * y[:, None]
    model = LogisticRegression(C=1e-10, backend=engine, solver=solver).fit(X, y)
    np.testing.assert_allclose(model.coef_[0], 1e-10 * ((y - y.mean()) @ X), rtol=1e-5)
    LogisticRegression(C=5e-324, backend=engine, solver=solver).fit(X, y)


@engines
@pytest.mark.parametrize("solver", ["auto", "newton-cg"])
def test_wild_entries(engine: str, solver: str) -> None:
    random = np.random.default_rng(10)
    X = random.standard_normal((600, 120))
    y = logistic(random, X[:, 0])
    X.flat[random.integers(0, X.size, 8)] = 1e5
    assert_true(Problem(X, y), backend=engine, solver=solver)
    X = np.exp(2 * random.standard_normal((1000, 150)))
    assert_true(Problem(X, logistic(random, np.log(X[:, 0]))), backend=engine, solver=solver)


@pytest.mark.parametrize("engine", ["python", *ENGINES])
@pytest.mark.parametrize("solver", ["auto", "newton", "newton-cg", "newton-gram"])
def test_an_optimum_below_1e_13(engine: str, solver: str) -> None:
    """There a − y has no digits left where it is a difference."""
    X, y = np.array([[0.0], [0.0], [4.0], [4.0]]), np.array([0, 0, 1, 1])
    model = LogisticRegression(C=1e42, backend=engine, solver=solver).fit(X, y)
    np.testing.assert_allclose(model.coef_, 47.464, rtol=1e-3)


@engines
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_warm_start_from_another_scale(engine: str, solver: str) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    model = LogisticRegression(warm_start=True, backend=engine, solver=solver).fit(scale(X), y)
    with warnings.catch_warnings():
        if solver == "lbfgs":
            warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert Problem(X, y).excess(model.coef_[0], model.intercept_[0]) <= 1e-6
    model.coef_[0, 3] = np.nan
    assert model.fit(scale(X), y).gap_ <= 1e-8


@engines
def test_a_rare_column_without_a_penalty(engine: str) -> None:
    random = np.random.default_rng(11)
    X = random.standard_normal((120_000, 6))
    y = logistic(random, X[:, 0])
    X[:, 5] = 0.0
    X[5000:5100, 5] = 1.0
    y[5000:5100] = np.arange(100) < 95
    model = LogisticRegression(C=INF, backend=engine).fit(X, y)
    assert model.gap_kind_ == "certified"
    assert 2.5 < model.coef_[0, 5] < 4.5


@engines
@pytest.mark.parametrize("solver", ["auto", "newton", "newton-cg", "lbfgs"])
def test_nearly_collinear(engine: str, solver: str) -> None:
    random = np.random.default_rng(12)
    X = random.standard_normal((400, 5))
    hidden = random.standard_normal(400)
    X[:, 3] = X[:, 0] + X[:, 1] + 1e-7 * hidden
    y = logistic(random, hidden + X[:, 2])
    problem = Problem(X, y, C=1e10)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = LogisticRegression(C=1e10, backend=engine, solver=solver).fit(X, y)
    true = problem.excess(model.coef_[0], model.intercept_[0])
    assert true <= model.gap_ + 1e-15
    assert caught or model.gap_ <= 1e-8


@engines
@pytest.mark.parametrize("C", [1e4, 1e8])
def test_nothing_above_the_trivial_model_is_returned(engine: str, C: float) -> None:
    random = np.random.default_rng(13)
    X = random.standard_normal((300, 8)) + 1e6 * random.standard_normal(8)
    y = logistic(random, X[:, 0] - X[:, 0].mean())
    for solver in SOLVERS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=C, backend=engine, solver=solver).fit(X, y)
        problem = Problem(X, y, C=C)
        share = y.mean()
        assert float(problem.cost(model.coef_[0], model.intercept_[0])) <= -(
            share * math.log(share) + (1 - share) * math.log1p(-share)
        ) * (1 + 1e-9)
        true = problem.excess(model.coef_[0], model.intercept_[0])
        assert true <= model.gap_ + 1e-14


def test_tol_is_of_the_cost_and_16_digits_of_it_are_8_of_the_coefficients() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    model = LogisticRegression(tol=1e-16).fit(scale(X), y)
    w, b, _ = Problem(scale(X), y).optimum
    np.testing.assert_allclose(model.coef_[0], w.astype(float), atol=1e-7)
    np.testing.assert_allclose(model.intercept_[0], float(b), atol=1e-7)
