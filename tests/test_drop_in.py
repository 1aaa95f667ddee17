"""scikit-learn's classes with our ``fit``, and putting them in place."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sklearn.linear_model
from joblib import Parallel, delayed
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.linear_model import LogisticRegressionCV as TheirsCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from accel_logreg import patch_report, patch_sklearn, unpatch_sklearn
from accel_logreg.drop_in import HERE, LogisticRegression, LogisticRegressionCV, equal_tol, fits
from accel_logreg.interface.engine import BackendUnavailableError
from accel_logreg.patch import main as patch_main

RNG = np.random.default_rng(1)
X = RNG.standard_normal((120, 4))
Y = (RNG.random(120) < 1.0 / (1.0 + np.exp(-2.0 * X[:, 0]))).astype(int)
Y3 = np.digitize(X[:, 0] + 0.5 * RNG.standard_normal(120), [-0.5, 0.5])
LEGACY = {"scoring": None, "l1_ratios": (0.0,)}


@pytest.fixture(autouse=True)
def counted_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fits.clear()
    monkeypatch.delenv("ACCEL_LOGREG_PATCH_BACKEND", raising=False)
    yield
    unpatch_sklearn()
    os.environ.pop("ACCEL_LOGREG_PATCH_BACKEND", None)


@parametrize_with_checks([LogisticRegression(), LogisticRegression(l1_ratio=1.0, solver="saga")])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_check(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("y", [Y, Y3], ids=["two", "three"])
@pytest.mark.parametrize(
    "parameters",
    [
        {}, {"C": 0.01}, {"C": np.inf}, {"fit_intercept": False}, {"class_weight": "balanced"},
        {"solver": "newton-cholesky"}, {"solver": "saga", "l1_ratio": 0.5, "C": 0.2},
        {"solver": "saga", "l1_ratio": 1.0, "C": 0.2},
    ],
    ids=str,
)  # fmt: skip
def test_answers_are_those_of_scikit_learn_at_a_tight_tolerance(parameters: dict[str, Any], y: Any) -> None:
    ours = LogisticRegression(**parameters).fit(X, y)
    theirs = Theirs(**parameters).set_params(tol=1e-10, max_iter=100_000).fit(X, y)
    assert fits == {("LogisticRegression", HERE): 1}
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-4)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    assert ours.n_iter_.dtype == theirs.n_iter_.dtype
    assert isinstance(ours, Theirs)
    assert ours.gap_ <= 1e-8
    again = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(again.predict_proba(X), ours.predict_proba(X))


def test_cross_validation_as_there() -> None:
    for y in (Y, Y3):
        for legacy in (True, False):
            same: dict[str, Any] = {**LEGACY, "Cs": [0.1, 1.0], "cv": 3, "use_legacy_attributes": legacy}
            ours = LogisticRegressionCV(**same).fit(X, y)
            theirs = TheirsCV(**same, tol=1e-10, max_iter=10_000).fit(X, y)
            np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
            np.testing.assert_array_equal(ours.C_, theirs.C_)
            np.testing.assert_allclose(np.shape(ours.scores_), np.shape(theirs.scores_))
            assert type(ours.scores_) is type(theirs.scores_)
            np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert fits == {("LogisticRegressionCV", HERE): 4}


@pytest.mark.parametrize("container", [np.asarray, csr_matrix])
def test_float32_stays_float32_as_there(container: Any) -> None:
    given = container(X.astype(np.float32))
    assert LogisticRegression().fit(given, Y).coef_.dtype == np.float32
    assert LogisticRegression().fit(given, Y).predict_proba(given).dtype == np.float32
    assert LogisticRegression(solver="liblinear").fit(given, Y).coef_.dtype == np.float64
    assert LogisticRegression().fit(container(X), Y).coef_.dtype == np.float64


def test_warm_start_goes_on() -> None:
    model = LogisticRegression(warm_start=True).fit(X, Y)
    first = model.coef_.copy()
    np.testing.assert_allclose(model.fit(X, Y).coef_, first, atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "weights", "why"),
    [
        ({"max_iter": 2, "warm_start": True}, None, "max_iter below 10"),
        ({}, np.where(np.arange(120) == 3, -0.1, 1.0), "negative weights"),
        ({"solver": "sag", "l1_ratio": 1.0}, None, "refused here, InvalidParameterError"),
        ({"C": np.inf, "solver": "liblinear"}, None, "refused here, InvalidParameterError"),
    ],
)
def test_what_is_handed_over_is_what_scikit_learn_does(
    parameters: dict[str, Any], weights: Any, why: str
) -> None:
    answers = []
    for kind in (Theirs, LogisticRegression):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                answers.append(kind(**parameters).fit(X, Y, weights).coef_.tolist())
            except ValueError as error:
                answers.append(str(error))
    assert answers[0] == answers[1]
    assert fits == {("LogisticRegression", why): 1}


def test_a_fit_that_is_handed_over_has_no_gap() -> None:
    model = LogisticRegression().fit(X, Y)
    assert model.gap_ <= 1e-8
    with pytest.warns(ConvergenceWarning):
        model.set_params(max_iter=1).fit(X, Y)
    assert not hasattr(model, "gap_")


def test_errors_are_scikit_learns() -> None:
    for arguments in ((X, Y[:5]), (np.where(X > 2.0, np.nan, X), Y), (X, np.zeros(120)), (X[:, 0], Y)):
        messages = []
        for kind in (Theirs, LogisticRegression):
            with pytest.raises(ValueError) as caught:  # noqa: PT011  # the messages are compared
                kind().fit(*arguments)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
    with pytest.raises(ValueError, match="The 'C' parameter of LogisticRegression must be"):
        LogisticRegression(C=-1.0).fit(X, Y)


def test_deprecations_are_scikit_learns() -> None:
    for parameters in ({"penalty": "l2"}, {"penalty": "l1", "solver": "saga"}, {"n_jobs": 2}):
        started = []
        for kind in (Theirs, LogisticRegression):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                kind(**parameters, max_iter=1000).fit(X, Y)
            kept = [w for w in caught if w.category is not ConvergenceWarning]
            started.append(sorted(f"{w.category.__name__}: {str(w.message)[:30]}" for w in kept))
        assert started[0] == started[1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        LogisticRegressionCV(Cs=2, cv=2).fit(X, Y)
        ours = [f"{w.category.__name__}: {str(w.message)[:60]}" for w in caught]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TheirsCV(Cs=2, cv=2).fit(X, Y)
        theirs = [f"{w.category.__name__}: {str(w.message)[:60]}" for w in caught]
    assert [text for text in ours if "Future" in text] == [text for text in theirs if "Future" in text]


def test_tolerance_is_at_least_as_strict() -> None:
    large = np.empty((2_000_000, 1))
    assert equal_tol(1e-4, X, l2=True) == 0.0
    assert equal_tol(1e-4, X, l2=False) == pytest.approx(1e-8)
    assert [equal_tol(tol, large, l2=True) for tol in (1e-2, 1e-5, 1e-9)] == pytest.approx([1e-8, 1e-10, 0.0])


def test_a_pipeline_fits_here() -> None:
    make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    assert fits == {("LogisticRegression", HERE): 1}


def test_patch_and_unpatch() -> None:
    """In all modules that hold the classes, under whatever name; and back."""
    holder = ModuleType("holder_of_a_class")
    holder.LR = Theirs  # type: ignore[attr-defined]
    sys.modules["holder_of_a_class"] = holder
    try:
        patch_sklearn(backend="numpy")
        assert sklearn.linear_model.LogisticRegression is LogisticRegression
        assert sklearn.linear_model._logistic.LogisticRegressionCV is LogisticRegressionCV
        assert sklearn.ensemble._stacking.LogisticRegression is LogisticRegression
        assert holder.LR is LogisticRegression
        holder.LR().fit(X, Y)
        assert patch_report() == "LogisticRegression: 1 fit fitted here"
        patch_sklearn()  # twice is once
        unpatch_sklearn()
        assert sklearn.linear_model.LogisticRegression is Theirs
        assert holder.LR is Theirs
    finally:
        del sys.modules["holder_of_a_class"]
    fits.clear()
    assert patch_report() == "no LogisticRegression was fitted"
    with pytest.raises(ValueError, match="backend='torch' is unknown"):
        patch_sklearn(backend="torch")
    assert sklearn.linear_model.LogisticRegression is Theirs


def test_a_named_engine_that_cannot_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise BackendUnavailableError(name, "there is no driver.", "Install one.")

    monkeypatch.setattr("accel_logreg.patch.load_backend", missing)
    with pytest.raises(BackendUnavailableError, match="cannot run here"):
        patch_sklearn(backend="cupy")
    assert sklearn.linear_model.LogisticRegression is Theirs


def test_verbose_says_what_was_fitted_where(capsys: pytest.CaptureFixture[str]) -> None:
    patch_sklearn(verbose=True)
    LogisticRegression().fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        LogisticRegression(max_iter=1).fit(X, Y)
    patch_sklearn()
    assert capsys.readouterr().out.splitlines() == [
        "accel_logreg: LogisticRegression fitted here",
        "accel_logreg: LogisticRegression handed over to scikit-learn: max_iter below 10",
    ]


def fitted_where(model: Any) -> tuple[Any, dict[Any, int]]:
    fits.clear()
    return clone(model).fit(X, Y).coef_, dict(fits)


def test_worker_processes_fit_here_too() -> None:
    patch_sklearn(backend="numpy")
    found = Parallel(n_jobs=2)(delayed(fitted_where)(LogisticRegression(C=C)) for C in (0.1, 1.0))
    for (coef, counted), C in zip(found, (0.1, 1.0), strict=True):
        assert counted == {("LogisticRegression", HERE): 1}
        np.testing.assert_allclose(coef, LogisticRegression(C=C).fit(X, Y).coef_, atol=1e-8)


@pytest.mark.slow
def test_a_script_that_cannot_be_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "helper.py").write_text("NAME = 'a helper beside it'\n")
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, helper\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "print(sys.argv[1:], helper.NAME, __name__)\n"
        "model = LogisticRegression().fit([[0.0], [1.0], [2.0]], [0, 1, 1])\n"
        "print(hasattr(model, 'gap_'))\n"
    )
    run = [sys.executable, "-m", "accel_logreg.patch"]
    done = subprocess.run([*run, str(script), "--epochs", "3"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['--epochs', '3'] a helper beside it __main__", "True"]
    assert done.stderr.splitlines()[-1] == "LogisticRegression: 1 fit fitted here"
    for arguments, status in (([], 2), (["--help"], 0)):
        monkeypatch.setattr(sys, "argv", ["accel_logreg.patch", *arguments])
        with pytest.raises(SystemExit) as ended:
            patch_main()
        assert ended.value.code == status
        said = capsys.readouterr().out
        assert said.startswith("usage: python -m accel_logreg.patch (script.py | -m module)")


@pytest.mark.slow
def test_scikit_learns_own_tests_with_our_class_in_place() -> None:
    """Its module about LogisticRegression; ``make sklearn-tests`` runs all that use the class."""
    run = [sys.executable, "-m", "tests.in_scikit_learn", "--short"]
    done = subprocess.run(run, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stdout[-5000:]
    assert "fail without a reason that is known" in done.stdout
