"""X on a GPU that cannot be fitted: the errors of the host, without X coming there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.cuda_host.played_arrays import CupyLike, NumbaLike, TensorLike

from accel_logreg import LogisticRegression, backends

pytest_plugins = ["support.cuda_host.fixtures"]

EVERY_SOLVER = ["auto", "newton", "newton-cg", "newton-gram", "lbfgs", "gradient-descent"]


@pytest.mark.usefixtures("played_engine")
@pytest.mark.parametrize("solver", EVERY_SOLVER)
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_what_is_not_finite_is_named(X: Any, y: Any, solver: str, value: float, name: str) -> None:
    X[71, 2] = value
    model = LogisticRegression(solver=solver, max_iter=3)
    with pytest.raises(ValueError, match=f"Input X contains {name}"):
        model.fit(CupyLike(X), y)
    with pytest.raises(ValueError, match=f"Input X contains {name}"):
        model.set_params(learning_rate=1e-3).fit(CupyLike(X), y)
    assert not hasattr(model, "coef_")


@pytest.mark.usefixtures("played_engine")
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_what_is_not_finite_is_named_in_predictions(X: Any, y: Any, value: float, name: str) -> None:
    model = LogisticRegression().fit(CupyLike(X), y)
    X[89, 0] = value
    for method in ("decision_function", "predict_proba", "predict"):
        with pytest.raises(ValueError, match=f"Input X contains {name}") as there:
            getattr(model, method)(CupyLike(X))
        with pytest.raises(ValueError, match=f"Input X contains {name}") as here:
            getattr(model, method)(X)
        assert str(there.value) == str(here.value)


@pytest.mark.usefixtures("played_engine")
@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros(6), np.arange(6) % 2, r"Expected 2D array, got 1D array instead.*\(6,\).*reshape\(-1, 1\)"),
        (np.zeros((6, 2, 2)), np.arange(6) % 2, "Found array with dim 3"),
        (np.zeros((0, 2)), np.zeros(0), r"Found array with 0 sample\(s\)"),
        (np.zeros((1, 2)), np.zeros(1), r"Found array with 1 sample\(s\)"),
        (np.zeros((6, 0)), np.arange(6) % 2, r"Found array with 0 feature\(s\)"),
        (np.zeros((6, 2)), np.zeros(6), r"y has only one class, 0\.0"),
        (np.zeros((6, 2)), np.linspace(0, 1, 6), "Unknown label type"),
        (np.zeros((6, 2)), np.arange(5) % 2, "inconsistent numbers of samples"),
        (np.zeros((6, 2)), None, "requires y to be passed"),
    ],
)
def test_bad_data_has_the_errors_of_the_host(X: Any, y: Any, message: str) -> None:
    for where in (CupyLike, NumbaLike):
        model = LogisticRegression()
        with pytest.raises(ValueError, match=message):
            model.fit(where(X), y)
        assert vars(model) == vars(LogisticRegression())
    if X.ndim > 1:
        with pytest.raises(ValueError, match=message):
            LogisticRegression(backend="cupy").fit(X, y)


@pytest.mark.usefixtures("played_engine")
def test_another_number_of_features(X: Any, y: Any) -> None:
    model = LogisticRegression().fit(CupyLike(X), y)
    with pytest.raises(ValueError, match="X has 3 features, but LogisticRegression is expecting 4"):
        model.predict(CupyLike(X[:, :3].copy()))
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        model.predict(CupyLike(X[:0]))


@pytest.mark.parametrize("name", ["python", "numpy", "numba"])
def test_an_engine_of_the_cpu_refuses_x_on_a_gpu(X: Any, y: Any, name: str) -> None:
    message = (
        rf"TensorLike on a GPU, and backend='{name}' reads host memory.*'cupy'.*'auto'.*X\.cpu\(\)\.numpy\(\)"
    )
    with pytest.raises(TypeError, match=message):
        LogisticRegression(backend=name).fit(TensorLike(X), y)


def test_x_on_a_gpu_without_the_engine_says_what_is_missing(
    X: Any, y: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Any:
        raise backends.BackendUnavailableError("cupy", "CuPy is not installed.", "Install it.")

    monkeypatch.delitem(backends._loaded, "cupy", raising=False)
    monkeypatch.setitem(backends._LOADERS, "cupy", missing)
    with pytest.raises(backends.BackendUnavailableError, match="CuPy is not installed"):
        LogisticRegression().fit(TensorLike(X), y)
    fitted = LogisticRegression(backend="numpy").fit(X, TensorLike(y))  # y alone needs no CuPy
    with pytest.raises(backends.BackendUnavailableError, match="CuPy is not installed"):
        fitted.predict(TensorLike(X))
