"""LogisticRegression: optimum, weights, warm start, conventions, interruption, threads, pickling."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pyarrow
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as ScikitLearn
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_info, threadpool_limits

from accel_logreg import DivergenceError, LogisticRegression, __version__
from accel_logreg.backends import load_backend
from accel_logreg.interface.engine import Engine
from accel_logreg.kernels.numba_jit.threads import threads_now

# The lesson's steps are made as they were asked for; how far from the optimum they end is a warning.
STEPS_ALONE = pytest.mark.filterwarnings("ignore:gradient-descent stopped")
SOLVERS = ["newton", "newton-cg", "newton-gram", "lbfgs", "gradient-descent"]


def data(n: int = 120, d: int = 5, seed: int = 0, dtype: type = np.float64) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * np.linspace(0.5, 2, d) + 0.3
    y = rng.random(n) < 1 / (1 + np.exp(-(X @ rng.standard_normal(d) - 0.5)))
    return X.astype(dtype), np.where(y, "yes", "no")


def cost(model: LogisticRegression, X: Any, y: Any, s: Any, C: float) -> float:
    """scikit-learn's objective over C S, in plain NumPy."""
    z = X.astype(float) @ model.coef_[0] + model.intercept_[0]
    losses = np.logaddexp(0, z) - (y == model.classes_[1]) * z
    return float(s @ losses / s.sum() + (model.coef_[0] @ model.coef_[0]) / (2 * C * s.sum()))


@pytest.mark.parametrize("C", [0.01, 1.0, 1e4, float("inf")])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_optimum_equals_scikit_learn(backend: Engine, C: float, fit_intercept: bool) -> None:
    X, y = data()
    model = LogisticRegression(backend=backend.name, C=C, fit_intercept=fit_intercept, tol=1e-13).fit(X, y)
    reference = ScikitLearn(C=C, fit_intercept=fit_intercept, solver="newton-cholesky", tol=1e-12).fit(X, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, reference.intercept_, rtol=2e-5, atol=1e-6)
    assert model.gap_ <= 1e-13
    s = np.ones(len(y))
    assert cost(model, X, y, s, C) <= cost(reference, X, y, s, C) * (1 + 1e-12)


def test_real_data_all_attributes(backend: Engine, dtype: type[np.floating]) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X).astype(dtype)
    model = LogisticRegression(backend=backend.name).fit(X, y)
    reference = ScikitLearn(solver="newton-cholesky", tol=1e-12).fit(X.astype(np.float64), y)
    s = np.ones(len(y))
    best = cost(reference, X, y, s, 1.0)
    assert (cost(model, X, y, s, 1.0) - best) / best <= 1e-8  # what tol promises
    assert model.coef_.shape == (1, 30)
    assert model.coef_.dtype == np.float64
    assert model.intercept_.shape == (1,)
    assert model.n_iter_.shape == (1,)
    assert model.n_features_in_ == 30
    assert model.classes_.tolist() == [0, 1]
    assert model.backend_ == backend.name
    assert model.solver_ == "newton"
    assert model.gap_kind_ in ("certified", "estimated")
    assert 0 <= model.gap_ <= 1e-8
    length = model.n_iter_[0] + 1
    assert {name: values.shape for name, values in model.history_.items()} == dict.fromkeys(
        ("cost", "gradient_norm", "seconds", "reads"), (length,)
    )
    assert (np.diff(model.history_["seconds"]) >= 0).all()
    assert (np.diff(model.history_["reads"]) > 0).all()
    a = y.mean()  # the solvers start from the log-odds of the labels
    assert model.history_["cost"][0] == pytest.approx(-a * np.log(a) - (1 - a) * np.log(1 - a))


@STEPS_ALONE
@pytest.mark.parametrize("solver", SOLVERS)
def test_weight_two_equals_the_row_twice(backend: Engine, solver: str) -> None:
    X, y = data(60)
    counts = np.random.default_rng(1).integers(0, 4, 60)
    settings = {"backend": backend.name, "solver": solver, "tol": 1e-12, "max_iter": 500}
    weighted = LogisticRegression(**settings).fit(X, y, sample_weight=counts)
    repeated = LogisticRegression(**settings).fit(X.repeat(counts, axis=0), y.repeat(counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("class_weight", ["balanced", {"yes": 3.0}, {"no": 0.5, "yes": 2.0}])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_equal_scikit_learn(backend: Engine, class_weight: Any, weighted: bool) -> None:
    X, y = data(90, 3)
    s = np.random.default_rng(2).random(90) if weighted else None
    ours = LogisticRegression(backend=backend.name, class_weight=class_weight, tol=1e-13).fit(X, y, s)
    theirs = ScikitLearn(solver="newton-cholesky", class_weight=class_weight, tol=1e-12).fit(X, y, s)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-6)


def test_column_of_ones_is_an_unpenalised_intercept(backend: Engine) -> None:
    X, y = data()
    ones = np.c_[X, np.ones(len(X))]
    with_intercept = LogisticRegression(backend=backend.name, C=np.inf, tol=1e-12).fit(X, y)
    with_column = LogisticRegression(backend=backend.name, C=np.inf, tol=1e-12, fit_intercept=False).fit(
        ones, y
    )
    assert with_column.coef_[0, -1] == pytest.approx(with_intercept.intercept_[0], rel=1e-4)
    assert with_column.intercept_[0] == 0.0


def test_float32_and_float64_agree(backend: Engine) -> None:
    X, y = data(dtype=np.float32)
    single, double = (
        LogisticRegression(backend=backend.name, tol=1e-12).fit(X.astype(t), y) for t in ("f4", "f8")
    )
    np.testing.assert_allclose(single.coef_, double.coef_, rtol=1e-5)


@STEPS_ALONE
def test_gradient_descent_is_the_lessons(backend: Engine) -> None:
    """Unpenalised, rate given: the steps written out here by hand."""
    X, y = data(40, 3)
    model = LogisticRegression(
        backend=backend.name, solver="gradient-descent", C=np.inf, learning_rate=0.2, max_iter=30
    ).fit(X, y)
    w, b, target = np.zeros(3), 0.0, (y == "yes").astype(float)
    costs = []
    for _ in range(30):
        a = 1 / (1 + np.exp(-(X @ w + b)))
        costs.append(-np.mean(target * np.log(a) + (1 - target) * np.log(1 - a)))
        dz = a - target
        w, b = w - 0.2 * X.T @ dz / 40, b - 0.2 * dz.mean()
    np.testing.assert_allclose(model.coef_[0], w, rtol=1e-10)
    np.testing.assert_allclose(model.intercept_[0], b, rtol=1e-10)
    np.testing.assert_allclose(model.history_["cost"], costs, rtol=1e-12)
    assert model.n_iter_.tolist() == [30]
    assert model.solver_ == "gradient-descent"


@STEPS_ALONE
def test_automatic_learning_rate_never_raises_the_cost(backend: Engine) -> None:
    X, y = data()
    costs = (
        LogisticRegression(backend=backend.name, solver="gradient-descent", max_iter=200)
        .fit(X, y)
        .history_["cost"]
    )
    assert (np.diff(costs) <= 0).all()


@pytest.mark.parametrize("rate", [30.0, 1e4, 1e300])
def test_diverging_learning_rate_is_named_and_one_suggested(backend: Engine, rate: float) -> None:
    X, y = data()
    model = LogisticRegression(backend=backend.name, solver="gradient-descent", learning_rate=rate, C=0.1)
    with pytest.raises(
        DivergenceError, match=r"learning_rate=.* does not converge.*use learning_rate='auto'"
    ):
        model.fit(X, y)
    assert not hasattr(model, "coef_")


def test_separable_without_penalty_is_said(backend: Engine) -> None:
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    with pytest.warns(ConvergenceWarning, match=r"perfectly separated and C=inf.*Use a finite C"):
        model = LogisticRegression(backend=backend.name, C=np.inf).fit(X, [0, 0, 1, 1])
    assert model.gap_ == np.inf
    assert LogisticRegression(backend=backend.name, C=1.0).fit(X, [0, 0, 1, 1]).gap_ <= 1e-8


def test_too_few_iterations_warn_with_the_gap_and_a_remedy(backend: Engine) -> None:
    X, y = data()
    with pytest.warns(
        ConvergenceWarning, match=r"relative suboptimality of .* above tol=1e-08: raise max_iter above 2"
    ):
        model = LogisticRegression(backend=backend.name, max_iter=2).fit(X, y)
    assert model.n_iter_.tolist() == [2]
    assert model.gap_ > 1e-8


@STEPS_ALONE
@pytest.mark.parametrize("solver", SOLVERS)
def test_warm_start_continues(backend: Engine, solver: str) -> None:
    X, y = data()
    settings = {"backend": backend.name, "solver": solver, "max_iter": 300}
    cold = LogisticRegression(**settings).fit(X, y)
    warm = LogisticRegression(**settings, warm_start=True).fit(X, y)
    first = warm.history_["cost"][0]
    warm.fit(X, y)
    assert first == cold.history_["cost"][0]
    assert warm.history_["cost"][0] < cold.history_["cost"][1]
    with pytest.raises(ValueError, match="warm_start=True, but X has 4 features and the last fit had 5"):
        warm.fit(X[:, :4], y)


def test_clone_params_and_pickle(backend: Engine) -> None:
    X, y = data()
    model = LogisticRegression(backend=backend.name, C=0.5, n_threads=1).fit(X, y)
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(C=2.0).C == 2.0
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert all(isinstance(value, np.ndarray) for value in (again.coef_, again.intercept_, again.classes_))


def test_pickles_know_their_version(backend: Engine) -> None:
    model = LogisticRegression(backend=backend.name, C=3.0).fit(*data())
    state = model.__getstate__()
    assert state["_accel_logreg_version"] == __version__
    assert "_accel_logreg_version" not in vars(pickle.loads(pickle.dumps(model)))
    older = {
        k: v for k, v in state.items() if k not in ("_accel_logreg_version", "max_memory", "random_state")
    }
    again = LogisticRegression.__new__(LogisticRegression)
    again.__setstate__(older)  # of a version without these parameters, and without a version
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(again.coef_, model.coef_)
    with pytest.warns(
        UserWarning, match=r"pickled by accel_logreg 99\.1\.2 .* pip install 'accel_logreg>=99\.1\.2'"
    ):
        again.__setstate__({**state, "_accel_logreg_version": "99.1.2"})
    assert again.C == 3.0
    again.__setstate__({**state, "_accel_logreg_version": "0.1rc2"})  # of this release: nothing to say


def test_predictions_fit_together(backend: Engine, dtype: type[np.floating]) -> None:
    X, y = data(dtype=dtype)
    model = LogisticRegression(backend=backend.name).fit(X, y)
    z = model.decision_function(X)
    proba = model.predict_proba(X)
    assert z.shape == (len(X),)
    assert z.dtype == np.float64
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-15)
    np.testing.assert_allclose(np.log(proba), model.predict_log_proba(X), rtol=1e-12)
    assert (model.predict(X) == model.classes_[(z > 0).astype(int)]).all()
    assert model.score(X, y) == (model.predict(X) == y).mean() > 0.7
    far = np.full((1, X.shape[1]), 1e30 if dtype is np.float64 else 1e20, dtype=dtype) * np.sign(
        model.coef_
    ).astype(dtype)
    assert np.isfinite(model.predict_log_proba(far)).all()


def test_feature_names(backend: Engine) -> None:
    X, y = data()
    frame = pyarrow.table(dict(zip("abcde", X.T, strict=True)))
    model = LogisticRegression(backend=backend.name).fit(frame, y)
    assert model.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename_columns(list("zbcde")))


@pytest.mark.parametrize("solver", SOLVERS)
def test_interrupted_fit_leaves_the_estimator_as_it_was(
    backend: Engine, solver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = data()
    model = LogisticRegression(backend=backend.name, solver=solver, max_iter=400).fit(X, y)
    before = {name: np.copy(value) for name, value in vars(model).items() if isinstance(value, np.ndarray)}
    rows_type = type(backend.place(X, np.zeros(len(X)), None))
    calls = 0

    def interrupted(*_args: Any, **_options: Any) -> Any:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    monkeypatch.setattr(type(backend), "small_fit", interrupted)
    for question in ("loss_grad", "descend", "gram"):
        monkeypatch.setattr(rows_type, question, interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :3], y)
    monkeypatch.undo()
    assert calls == 1
    assert model.n_features_in_ == 5
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(model, name), value)
    model.predict(X)


@threadpool_limits.wrap(limits=2, user_api="blas")  # the tests' processes get one each
def test_threads_are_bounded_inside_fit_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = data()
    engine = load_backend("numba")
    rows_type = type(engine.place(X, np.zeros(len(X)), None))
    original, seen = rows_type.loss_grad, []

    def spy(self: Any, W: Any) -> Any:
        blas = {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}
        seen.append((threads_now(), blas))
        return original(self, W)

    before = threads_now(), threadpool_info()
    assert {info["num_threads"] for info in before[1] if info["user_api"] == "blas"} == {2}
    monkeypatch.setattr(rows_type, "loss_grad", spy)
    LogisticRegression(backend="numba", solver="lbfgs", n_threads=1).fit(X, y)
    assert set(map(str, seen)) == {str((1, {1}))}
    assert (threads_now(), threadpool_info()) == before
    LogisticRegression(backend="numba", solver="lbfgs", n_threads=10_000).fit(X, y)
    assert seen[-1][0] == engine.n_threads(None)
    monkeypatch.setattr(rows_type, "loss_grad", None)
    with pytest.raises(TypeError):
        LogisticRegression(backend="numba", solver="lbfgs", n_threads=1).fit(X, y)
    assert (threads_now(), threadpool_info()) == before


def test_answers_do_not_depend_on_threads_beyond_rounding() -> None:
    X, y = data(5000, 30)
    one, all_threads = (
        LogisticRegression(backend="numba", n_threads=k, tol=1e-12).fit(X, y) for k in (1, None)
    )
    np.testing.assert_allclose(one.coef_, all_threads.coef_, rtol=1e-5)


def test_verbose_says_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = data()
    LogisticRegression(backend="numpy", solver="gradient-descent", verbose=1).fit(X, y)
    LogisticRegression(backend="numpy", verbose=1).fit(X, y)
    output = capsys.readouterr().out
    assert "backend=numpy, X 120x5 float64, solver=gradient-descent as asked" in output
    assert "gradient-descent: step 1000/1000" in output
    assert "newton: iteration 1," in output
    LogisticRegression(backend="numpy").fit(X, y)
    assert capsys.readouterr().out == ""


def test_model_fitted_with_a_missing_engine_still_predicts() -> None:
    X, y = data()
    model = LogisticRegression(backend="numpy").fit(X, y)
    expected = model.predict_proba(X)
    model.backend_ = "cupy"  # as after unpickling a GPU fit on a CPU machine
    np.testing.assert_array_equal(model.predict_proba(X), expected)
