"""scikit-learn's arguments, and state that is set by hand: the same meaning here as there."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.linear_model import LogisticRegressionCV as TheirsCV

from accel_logreg import LogisticRegression, LogisticRegressionCV
from accel_logreg.interface.engine import Engine

RNG = np.random.default_rng(0)
X = RNG.standard_normal((150, 5)) + np.array([0.0, 1.0, -1.0, 0.0, 3.0])
Y = (RNG.random(150) < 1.0 / (1.0 + np.exp(-X[:, 0] - 0.5))).astype(int)
Y3 = np.digitize(X[:, 0] + 0.5 * RNG.standard_normal(150), [-0.5, 0.5])


def near(ours: Any, theirs: Any, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=atol)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=atol)


@pytest.mark.parametrize("scaling", [1.0, 20.0])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_liblinear_penalises_the_intercept(backend: Engine, l1_ratio: float, scaling: float) -> None:
    same: dict[str, Any] = {
        "solver": "liblinear",
        "C": 0.3,
        "l1_ratio": l1_ratio,
        "intercept_scaling": scaling,
    }
    theirs = Theirs(**same, tol=1e-12, max_iter=100_000).fit(X, Y)
    for given in (X, csr_matrix(X)):
        ours = LogisticRegression(**same, backend=backend.name, tol=1e-14).fit(given, Y)
        near(ours, theirs)
        assert ours.gap_ <= 1e-14
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    again = ours.set_params(warm_start=True).fit(X, Y)
    near(again, theirs)


def test_liblinear_under_its_restrictions() -> None:
    with pytest.raises(ValueError, match="does not support multiclass classification"):
        LogisticRegression(solver="liblinear").fit(X, Y3)
    ovr = LogisticRegression(solver="liblinear", multi_class="ovr", tol=1e-14).fit(X, Y3)
    for k in range(3):
        theirs = Theirs(solver="liblinear", tol=1e-12, max_iter=100_000).fit(X, k == Y3)
        np.testing.assert_allclose(ovr.coef_[k], theirs.coef_[0], atol=1e-5)
        np.testing.assert_allclose(ovr.intercept_[k], theirs.intercept_[0], atol=1e-5)
    without = LogisticRegression(solver="liblinear", fit_intercept=False, dual=True).fit(X, Y)
    np.testing.assert_array_equal(without.intercept_, [0.0])


@pytest.mark.parametrize("solver", ["newton-cholesky", "sag", "saga"])
def test_scikit_learns_solvers_stand_for_auto(solver: str, capsys: pytest.CaptureFixture[str]) -> None:
    auto, named = LogisticRegression().fit(X, Y), LogisticRegression(solver=solver, verbose=1).fit(X, Y)
    np.testing.assert_array_equal(auto.coef_, named.coef_)
    assert named.solver_ == auto.solver_
    assert capsys.readouterr().out.count(f"solver={solver!r} is one of scikit-learn's") == 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"solver": "sag", "l1_ratio": 1.0}, "Solver sag supports only 'l2' or None penalties"),
        ({"solver": "newton-cholesky", "l1_ratio": 0.5}, "Solver newton-cholesky supports only 'l2' or None"),
        ({"solver": "liblinear", "l1_ratio": 0.5}, "Only 'saga' solver supports elasticnet penalty"),
        ({"solver": "liblinear", "C": np.inf}, "is not supported for the liblinear solver"),
        ({"solver": "liblinear", "intercept_scaling": 0}, "intercept_scaling=0 must be a number above 0"),
        ({"solver": "liblinear", "positive": True}, "positive is not what liblinear can do"),
        ({"solver": "liblinear", "l1_ratio": 1.0, "dual": True}, "is for the L2 penalty; leave dual out"),
        ({"dual": True}, "Solver auto supports only dual=False, got dual=True"),
        ({"dual": "no"}, "dual='no' must be True or False"),
        ({"penalty": "l0"}, "penalty='l0' is unknown; allowed: 'l1', 'l2', 'elasticnet', None"),
        ({"n_jobs": 0}, "n_jobs=0 must be None or an integer"),
    ],
)
def test_restrictions_are_named(parameters: dict[str, Any], message: str) -> None:
    for kind in (ValueError, TypeError):  # scikit-learn's InvalidParameterError is both
        with pytest.raises(kind, match=message):
            LogisticRegression(**parameters).fit(X, Y)


def test_penalty_says_what_l1_ratio_and_C_say() -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"penalty": "l1", "l1_ratio": 1.0}, {"l1_ratio": 1.0}),
        ({"penalty": "l2", "C": 0.1}, {"C": 0.1}),
        ({"penalty": "elasticnet", "l1_ratio": 0.3}, {"l1_ratio": 0.3}),
        ({"penalty": None}, {"C": math.inf}),
        ({"l1_ratio": None}, {}),
    ]
    for there, here in cases:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'penalty' was deprecated", category=FutureWarning)
            found = LogisticRegression(**there).fit(X, Y)
        np.testing.assert_array_equal(found.coef_, LogisticRegression(**here).fit(X, Y).coef_)
    with pytest.warns(FutureWarning, match="'penalty' was deprecated"):
        LogisticRegression("l2").fit(X, Y)  # by position, as there
    with (
        pytest.warns(FutureWarning, match="'penalty' was deprecated"),
        pytest.warns(UserWarning, match="Inconsistent values: penalty=l1 with l1_ratio=0.5"),
        pytest.warns(UserWarning, match="l1_ratio parameter is only used when penalty is 'elasticnet'"),
    ):
        model = LogisticRegression(penalty="l1", l1_ratio=0.5).fit(X, Y)
    np.testing.assert_array_equal(model.coef_, LogisticRegression(l1_ratio=1.0).fit(X, Y).coef_)
    with (
        pytest.warns(FutureWarning, match="'penalty' was deprecated"),
        pytest.warns(UserWarning, match="Setting penalty=None will ignore the C"),
    ):
        LogisticRegression(penalty=None, C=2.0).fit(X, Y)
    with (
        pytest.warns(FutureWarning, match="'penalty' was deprecated"),
        pytest.raises(ValueError, match="l1_ratio must be specified when penalty is elasticnet"),
    ):
        LogisticRegression(penalty="elasticnet", l1_ratio=None).fit(X, Y)


def test_no_step_and_no_tolerance(backend: Engine) -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter=0: the coefficients are where the fit would start"):
        model = LogisticRegression(backend=backend.name, max_iter=0).fit(X, Y)
    assert not model.coef_.any()
    assert (model.n_iter_.tolist(), model.n_iter_.dtype, model.gap_) == ([0], np.int32, math.inf)
    with pytest.warns(ConvergenceWarning, match="max_iter=0"):
        three = LogisticRegression(backend=backend.name, max_iter=0).fit(X, Y3)
    assert three.coef_.shape == (3, 5)
    exact = LogisticRegression(backend=backend.name, tol=0).fit(X, Y)
    assert exact.gap_ <= 1e-16
    started = LogisticRegression(backend=backend.name, warm_start=True, max_iter=0)
    started.coef_, started.intercept_, started.classes_ = exact.coef_, exact.intercept_, exact.classes_
    with pytest.warns(ConvergenceWarning, match="max_iter=0"):
        started.fit(X, Y)
    np.testing.assert_array_equal(started.coef_, exact.coef_)


def test_n_jobs_bounds_threads_where_n_threads_does_not() -> None:
    for given in (1, -1, np.int64(2)):
        near(LogisticRegression(n_jobs=given).fit(X, Y), LogisticRegression().fit(X, Y), 1e-12)


@pytest.mark.parametrize("one_row", [True, False])
def test_state_set_by_hand_predicts(one_row: bool) -> None:
    """As in federated learning: averages of coefficients, on an estimator that never saw data."""
    y = Y if one_row else Y3
    fitted = LogisticRegression().fit(X, y)
    model = LogisticRegression()
    model.coef_, model.intercept_ = fitted.coef_.tolist(), fitted.intercept_.tolist()
    model.classes_ = fitted.classes_.tolist()
    np.testing.assert_allclose(model.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(model.predict(X), fitted.predict(X))
    model.coef_ = csr_matrix(fitted.coef_)
    np.testing.assert_allclose(model.predict_log_proba(X), fitted.predict_log_proba(X))
    if one_row:
        model.coef_, model.intercept_ = fitted.coef_[0], fitted.intercept_[0]
        np.testing.assert_allclose(model.decision_function(X), fitted.decision_function(X))
    with pytest.raises(ValueError, match="X has 4 features, but LogisticRegression is expecting 5"):
        model.predict(X[:, :4])
    model.classes_ = ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match=r"classes_ \(4,\), which do not agree"):
        model.predict(X)
    model.classes_ = fitted.classes_
    near(model.set_params(warm_start=True, tol=1e-14).fit(X, y), LogisticRegression(tol=1e-14).fit(X, y))


def test_one_class_with_weight(backend: Engine) -> None:
    """As in a bag without the rare class."""
    for y, k in ((Y, 0), (Y, 1), (Y3, 2)):
        model = LogisticRegression(backend=backend.name).fit(X, y, (y == k).astype(float))
        assert (model.predict(X) == k).all()
        expected = np.zeros((len(X), len(np.unique(y))))
        expected[:, k] = 1.0
        np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-300)
    weights = (Y == 1).astype(float)
    ours = LogisticRegression(backend=backend.name, fit_intercept=False, tol=1e-14).fit(X, Y, weights)
    theirs = Theirs(fit_intercept=False, tol=1e-10, max_iter=10_000).fit(X, Y, weights)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)


def test_bagging_with_a_rare_class() -> None:
    y = np.zeros(150, dtype=int)
    y[:2] = 1
    bags = BaggingClassifier(LogisticRegression(), n_estimators=20, random_state=0).fit(X, y)
    assert np.isfinite(bags.predict_proba(X)).all()


def test_class_weights_of_absent_classes() -> None:
    given = {0: 2.0, 1: 1.0, 7: 5.0}
    near(
        LogisticRegression(class_weight=given).fit(X, Y), LogisticRegression(class_weight={0: 2.0}).fit(X, Y)
    )
    with pytest.raises(
        ValueError, match=r"names \['one'\], which y does not have, and not \[1\], which it has"
    ):
        LogisticRegression(class_weight={0: 2.0, "one": 1.0}).fit(X, Y)


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_cross_validation_with_liblinear(l1_ratio: float, many: bool) -> None:
    if many:
        with pytest.raises(ValueError, match="does not support multiclass classification"):
            LogisticRegressionCV(solver="liblinear", cv=3).fit(X, Y3)
        return
    same: dict[str, Any] = {
        "solver": "liblinear", "Cs": [0.1, 1.0], "cv": 3, "l1_ratios": (l1_ratio,),
        "scoring": "neg_log_loss", "use_legacy_attributes": False,
    }  # fmt: skip
    ours = LogisticRegressionCV(**same, tol=1e-14).fit(X, Y)
    theirs = TheirsCV(**same, tol=1e-12, max_iter=100_000).fit(X, Y)
    near(ours, theirs)
    assert ours.C_ == theirs.C_
    np.testing.assert_allclose(ours.coefs_paths_, theirs.coefs_paths_, atol=1e-5)
    np.testing.assert_allclose(ours.scores_, theirs.scores_, atol=1e-5)


def test_cross_validation_takes_scikit_learns_arguments() -> None:
    plain = LogisticRegressionCV(Cs=3, l1_ratios=(1.0,)).fit(X, Y)
    with pytest.warns(FutureWarning, match=r"'penalty' was deprecated.*l1_ratios"):
        named = LogisticRegressionCV(Cs=3, penalty="l1", solver="saga", n_jobs=1).fit(X, Y)
    np.testing.assert_array_equal(plain.coef_, named.coef_)
    assert named.n_iter_.dtype == np.int32
    for parameters, message in [
        ({"solver": "newton"}, "solver='newton' is unknown; allowed: 'auto', 'lbfgs'"),
        ({"solver": "sag", "l1_ratios": (0.5,)}, "Solver sag supports only"),
        ({"dual": True}, "supports only dual=False"),
    ]:
        with pytest.raises(ValueError, match=message):
            LogisticRegressionCV(**parameters).fit(X, Y)
    for penalty, message in (
        (None, "leaves no C to choose"),
        ("elasticnet", "l1_ratios must be an array-like"),
    ):
        with (
            pytest.warns(FutureWarning, match="'penalty' was deprecated"),
            pytest.raises(ValueError, match=message),
        ):
            LogisticRegressionCV(penalty=penalty, l1_ratios=None).fit(X, Y)
