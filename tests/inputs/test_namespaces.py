"""Arrays of other libraries on the host, where scikit-learn dispatches by the array API standard.

SciPy's side of it is turned on by the environment, before SciPy is imported: in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV

from accel_logreg import LogisticRegression, LogisticRegressionCV, certified_gap, linear_probe, logistic_path
from accel_logreg.inputs.namespaces import to_numpy
from accel_logreg.interface.engine import Engine

X = np.sin(np.arange(180.0)).reshape(60, 3)
THREE = (X + np.array([0.1, 0.0, 0.05])).argmax(axis=1)
WEIGHTS = np.linspace(0.5, 1.5, 60)
METHODS = ("decision_function", "predict_proba", "predict_log_proba", "predict")
Make = Callable[[Any], Any]

dispatching = pytest.mark.skipif(
    os.environ.get("SCIPY_ARRAY_API") != "1",
    reason="SCIPY_ARRAY_API=1 has to be set before SciPy is imported: done in a process of its own",
)


@pytest.mark.slow
def test_with_scipys_array_api_on() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not scipys", __file__],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def library(name: str) -> Any:
    why = f"needs {name}: pip install {name.replace('_', '-')}"
    return pytest.importorskip(name, reason=why, exc_type=ImportError)


@pytest.fixture(params=["array_api_strict", "array_api_strict on another device", "torch"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """A NumPy array as one of another library, inside a context that dispatches."""
    name, _, another = request.param.partition(" on ")
    xp = library(name)
    device = xp.Device("device1") if another else None
    with config_context(array_api_dispatch=True):
        yield lambda array: xp.asarray(array, device=device)


@dispatching
@pytest.mark.parametrize("classes", [2, 3])
def test_answers_are_arrays_as_X_is(make: Make, backend: Engine, dtype: Any, classes: int) -> None:
    """The fit is the same, bit for bit; answers are in X's library, on its device and in its dtype."""
    rows, y = X.astype(dtype), THREE % classes
    plain = LogisticRegression(backend=backend.name).fit(rows, y, WEIGHTS)
    theirs = make(rows)
    for labels, weights in ((make(y), make(WEIGHTS)), (y, WEIGHTS), (make(y), WEIGHTS)):
        model = LogisticRegression(backend=backend.name).fit(theirs, labels, weights)
        np.testing.assert_array_equal(model.coef_, plain.coef_, strict=True)
        assert all(type(value) is np.ndarray for value in (model.coef_, model.intercept_, model.classes_))
    for method in METHODS:
        found, wanted = getattr(model, method)(theirs), getattr(plain, method)(rows)
        assert type(found) is type(theirs)
        assert found.device == theirs.device
        assert found.dtype == (make(y) if method == "predict" else theirs).dtype
        np.testing.assert_allclose(to_numpy(found), wanted, rtol=1e-6 if dtype == np.float32 else 0.0)
        assert type(getattr(model, method)(rows)) is np.ndarray  # whatever it was fitted on
    assert model.score(theirs, make(y), make(WEIGHTS)) == plain.score(rows, y, WEIGHTS)


@dispatching
def test_other_labels_and_other_numbers(make: Make) -> None:
    """Strings come as NumPy's, as from scikit-learn; whole numbers in X are answered in float64."""
    model = LogisticRegression(backend="numpy").fit(make(X), np.array(["a", "b", "c"])[THREE])
    assert model.predict(make(X)).dtype.kind == "U"
    assert model.predict_proba(make(X)).dtype == make(X).dtype
    whole = make(np.arange(60).reshape(20, 3) % 7)
    yes = LogisticRegression(backend="numpy").fit(whole, make(THREE[:20] > 0))
    assert yes.predict(whole).dtype == make(THREE > 0).dtype
    assert yes.predict_proba(whole).dtype == make(X).dtype


@dispatching
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_cross_validation_paths_and_judges(make: Make, classes: int, scoring: Any) -> None:
    y = THREE % classes
    theirs, labels = make(X), make(y)
    settings: dict[str, Any] = {"Cs": [0.1, 1.0], "cv": 3, "scoring": scoring, "backend": "numpy"}
    model = LogisticRegressionCV(**settings).fit(theirs, labels, make(WEIGHTS))
    plain = LogisticRegressionCV(**settings).fit(X, y, WEIGHTS)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    np.testing.assert_array_equal(model.scores_, plain.scores_)
    assert type(model.predict_proba(theirs)) is type(theirs)
    gap = certified_gap(
        theirs, labels, make(plain.coef_), make(plain.intercept_), C=plain.C_, sample_weight=WEIGHTS,
        backend="numpy",
    )  # fmt: skip
    assert gap <= 1e-8
    probes = [linear_probe(*of, Cs=[0.1, 1.0], backend="numpy") for of in ((theirs, labels), (X, y))]
    assert [point.log_loss for point in probes[0].points] == [point.log_loss for point in probes[1].points]
    if classes == 2:
        path = logistic_path(theirs, labels, Cs=[0.1, 1.0], backend="numpy")
        np.testing.assert_array_equal(path.coefs, logistic_path(X, y, Cs=[0.1, 1.0], backend="numpy").coefs)


@dispatching
def test_scikit_learns_tools(make: Make) -> None:
    """A grid over an X of another library, and a metric of its answers."""
    y = THREE % 2
    model = LogisticRegression(backend="numpy")
    search = GridSearchCV(model, {"C": [0.01, 1.0]}, cv=3).fit(make(X), make(y))
    plain = GridSearchCV(model, {"C": [0.01, 1.0]}, cv=3).fit(X, y)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    P = search.predict_proba(make(X))
    assert log_loss(make(y), P) == pytest.approx(log_loss(y, plain.predict_proba(X)))


@dispatching
def test_everything_else_is_as_without_dispatch(make: Make) -> None:
    """Lists, sparse matrices and frames are not dispatched on; what is wrong is named as ever."""
    pandas = pytest.importorskip("pandas", reason="needs named columns: pip install pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    for rows in (X.tolist(), csr_matrix(X), frame):
        model = LogisticRegression(backend="numpy").fit(rows, THREE)
        assert type(model.predict_proba(rows)) is np.ndarray
    model = LogisticRegression(backend="numpy").fit(make(X), pandas.Series(THREE))
    holes = np.where(X > 0.99, np.nan, X)
    for wrong in (lambda: model.fit(make(holes), make(THREE)), lambda: model.predict(make(holes))):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            wrong()
    with pytest.raises(ValueError, match="Expected 2D array"):
        model.fit(make(X[:, 0]), make(THREE))
    with pytest.raises(ValueError, match="X has 2 features"):
        model.predict(make(X[:, :2]))


@dispatching
def test_a_tensor_that_requires_grad() -> None:
    torch = library("torch")
    rows = torch.tensor(X, requires_grad=True)
    with config_context(array_api_dispatch=True):
        model = LogisticRegression(backend="numpy").fit(rows, THREE)
        assert type(model.predict_proba(rows)) is torch.Tensor


@pytest.mark.parametrize("name", ["array_api_strict", "torch"])
def test_without_dispatch_they_are_converted(name: str) -> None:
    """As scikit-learn does it: by ``__array__``, and answers are NumPy's."""
    xp = library(name)
    theirs = xp.asarray(X)
    model = LogisticRegression(backend="numpy").fit(theirs, xp.asarray(THREE))
    plain = LogisticRegression(backend="numpy").fit(X, THREE)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    for method in METHODS:
        found = getattr(model, method)(theirs)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, getattr(plain, method)(X))
