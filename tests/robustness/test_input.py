"""What goes in: NaN that nobody looked for, huge values, labels of any kind; and the same answer twice."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from support.reference import Problem, assert_promise_kept

from accel_logreg import LogisticRegression, SeparationWarning

ENGINES = ["numpy", "numba"]
SOLVERS = ["auto", "newton", "newton-cg", "lbfgs"]
INF = float("inf")


def data(n: int = 400, d: int = 5) -> tuple[Any, Any]:
    rng = np.random.default_rng(21)
    X = rng.standard_normal((n, d))
    return X, (rng.random(n) < 1 / (1 + np.exp(-X @ rng.standard_normal(d)))).astype(int)


TALL = data(60_000, 18)  # more entries than are looked at before the fit
WIDE = data(300, 4_000)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("solver", ["newton", "newton-cg", "lbfgs", "gradient-descent"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("row", "value"), [(0, np.nan), (31_234, INF), (31_234, np.nan), (59_999, -INF)])
def test_one_bad_entry_in_a_large_array(row: int, value: float, engine: str, solver: str, dtype: str) -> None:
    X, y = TALL
    X = X.astype(dtype)
    X[row, 7] = value
    model = LogisticRegression(backend=engine, solver=solver)
    with pytest.raises(ValueError, match="NaN" if np.isnan(value) else "infinity"):
        model.fit(X, y)
    assert not hasattr(model, "coef_")
    s = np.ones(len(y))
    s[row] = 0.0  # as in scikit-learn: a row that counts for nothing must be finite, too
    with pytest.raises(ValueError, match="NaN" if np.isnan(value) else "infinity"):
        model.fit(X, y, sample_weight=s)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("engine", ["python", *ENGINES])
@pytest.mark.parametrize("value", [np.nan, INF])
def test_one_bad_entry(value: float, engine: str, solver: str) -> None:
    X, y = data()
    X[17, 3] = value
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        LogisticRegression(backend=engine, solver=solver).fit(X, y)


@pytest.mark.parametrize("value", [np.nan, INF])
@pytest.mark.parametrize("engine", ENGINES)
def test_one_bad_entry_in_a_wide_array(engine: str, value: float) -> None:
    X, y = WIDE
    X = X.copy()
    X[299, 3_999] = value
    for solver in ("auto", "newton-cg", "lbfgs"):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            LogisticRegression(backend=engine, solver=solver).fit(X, y)


HUGE = {
    "one entry of 1e200": lambda X: np.where(np.arange(X.size).reshape(X.shape) == 57, 1e200, X),
    "one column of 1e200": lambda X: X * [1, 1, 1e200, 1, 1],
    "all of 1e150": lambda X: X * 1e150,
    "all of 1e200": lambda X: X * 1e200,
    "all of 1e300": lambda X: X * 1e300,
    "mean of 1e200": lambda X: X + np.array([0, 0, 0, 1e200, 0]),
    "all of 1e-200": lambda X: X * 1e-200,
    "one column of 1e-300": lambda X: X * [1, 1, 1e-300, 1, 1],
}


@pytest.mark.parametrize("C", [1.0, INF])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("engine", ["python", *ENGINES])
@pytest.mark.parametrize("case", HUGE)
def test_extreme_values_are_fitted_or_refused(case: str, engine: str, solver: str, C: float) -> None:
    X, y = data(100 if engine == "python" else 400)
    problem = Problem(HUGE[case](X), y, C=C)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = problem.fit(backend=engine, solver=solver)
    except ValueError as error:
        assert "too large" in str(error)  # noqa: PT017
        assert "Scale X down" in str(error)  # noqa: PT017
        assert "1e-" not in case
    else:
        if caught and caught[0].category is SeparationWarning:
            assert (case, C) == ("one entry of 1e200", INF)  # beside which the column's others are zeros
        elif caught:
            assert [warning.category for warning in caught] == [ConvergenceWarning]
            assert case == "mean of 1e200"  # a constant, whose rounding outweighs the other columns
            assert model.gap_ > 1e-8
        else:
            assert_promise_kept(problem, model)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_large_float32_values(engine: str, solver: str) -> None:
    X, y = data()
    problem = Problem((X * 1e37).astype(np.float32).astype(float), y)
    assert_promise_kept(problem, problem.fit("float32", backend=engine, solver=solver))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("engine", ENGINES)
def test_same_data_same_bits(engine: str, solver: str, dtype: str) -> None:
    X, y = TALL
    X = X[:, :8].astype(dtype)
    s = np.random.default_rng(2).random(len(y))
    for weights in (None, s):
        once, again = (
            LogisticRegression(backend=engine, solver=solver, random_state=3, n_threads=2).fit(X, y, weights)
            for _ in range(2)
        )
        assert once.coef_.tobytes() == again.coef_.tobytes()
        assert once.intercept_.tobytes() == again.intercept_.tobytes()


@pytest.mark.parametrize("solver", ["newton", "newton-cg", "lbfgs"])
@pytest.mark.parametrize("engine", ENGINES)
def test_threads_change_the_answer_within_the_gap(engine: str, solver: str) -> None:
    problem = Problem(TALL[0][:, :8], TALL[1])
    for threads in (1, 2):
        assert_promise_kept(problem, problem.fit(backend=engine, solver=solver, n_threads=threads))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("solver", [*SOLVERS, "gradient-descent"])
@pytest.mark.parametrize("engine", ["python", *ENGINES])
def test_data_are_left_alone(engine: str, solver: str, dtype: str) -> None:
    X, y = data()
    X = X.astype(dtype)
    s = np.random.default_rng(1).random(len(y))
    kept = X.copy(), y.copy(), s.copy()
    settings = {"backend": engine, "solver": solver, "max_iter": 100, "class_weight": "balanced"}
    LogisticRegression(**settings).fit(X, y, s)
    for now, before in zip((X, y, s), kept, strict=True):
        np.testing.assert_array_equal(now, before)
        now.flags.writeable = False
    LogisticRegression(**settings).fit(X, y, s)  # frozen arrays are as good


LABELS: dict[str, tuple[Any, Any]] = {
    "bool": (False, True),
    "int8": (np.int8(-1), np.int8(1)),
    "unsigned": (np.uint8(3), np.uint8(200)),
    "int64": (-(2**62), 2**62),
    "float": (-1.0, 1.0),
    "large float": (-1e300, 0.0),
    "str": ("benign", "malignant"),
    "object": (np.array("no", object)[()], np.array("yes", object)[()]),
}


@pytest.mark.parametrize("case", LABELS)
@pytest.mark.parametrize("first_is_positive", [False, True])
@pytest.mark.parametrize("as_list", [False, True])
def test_labels_of_any_kind(case: str, first_is_positive: bool, as_list: bool) -> None:
    X, y = data()
    if bool(y[0]) != first_is_positive:  # the class met first is not always the first of the classes
        y = 1 - y
    labels = np.array(LABELS[case], dtype=object if case == "object" else None)[y]
    expected = LogisticRegression(backend="numba").fit(X, y)
    model = LogisticRegression(backend="numba").fit(X, labels.tolist() if as_list else labels)
    assert model.classes_.tolist() == list(LABELS[case])
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    np.testing.assert_array_equal(model.predict(X), np.array(model.classes_)[expected.predict(X)])


@pytest.mark.parametrize(
    "y",
    [
        np.where(np.arange(400) % 2, 0.5, 1.0),
        np.where(np.arange(400) % 2, 0.25, 0.75),
        np.linspace(0, 1, 400),
        np.where(np.arange(400) == 399, 1.5, np.arange(400) % 2),
    ],
)
def test_labels_that_are_not_whole_are_refused(y: Any) -> None:
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        LogisticRegression(backend="numba").fit(data()[0], y)
