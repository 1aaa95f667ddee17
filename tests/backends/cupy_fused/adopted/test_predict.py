"""Predictions for X on a GPU live where X lives; what a fit leaves behind lives on the host."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from support.cuda_host.played_arrays import KINDS, CupyLike, PlayedArray, TensorLike

from accel_logreg import LogisticRegression

pytest_plugins = ["support.cuda_host.fixtures"]


@pytest.mark.usefixtures("played_engine")
@pytest.mark.parametrize("fitted_by", ["cupy", "numpy"])
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_live_where_x_lives(X: Any, y: Any, kind: type[PlayedArray], fitted_by: str) -> None:
    model = LogisticRegression(backend=fitted_by).fit(X, y)
    for method in ("decision_function", "predict_proba", "predict_log_proba", "predict"):
        there, here = getattr(model, method)(kind(X)), getattr(model, method)(X)
        assert type(there) is (TensorLike if kind is TensorLike else CupyLike)
        assert type(here) is np.ndarray
        assert there.memory.dtype == here.dtype
        np.testing.assert_allclose(there.memory, here, rtol=1e-12, atol=1e-13)


@pytest.mark.usefixtures("played_engine")
@pytest.mark.parametrize("multi_class", ["multinomial", "ovr"])
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_of_classes_live_where_x_lives(X: Any, kind: type[PlayedArray], multi_class: str) -> None:
    y = np.arange(len(X)) % 3
    for labels in (np.array([5, 7, 9]), np.array(["u", "v", "w"])):
        model = LogisticRegression(backend="numpy", multi_class=multi_class).fit(X, labels[y])
        for method in ("decision_function", "predict_proba", "predict_log_proba", "predict"):
            there, here = getattr(model, method)(kind(X)), getattr(model, method)(X)
            if method == "predict" and labels.dtype.kind == "U":
                np.testing.assert_array_equal(there, here)
                continue
            assert type(there) is (TensorLike if kind is TensorLike else CupyLike)
            assert there.memory.dtype == here.dtype
            np.testing.assert_allclose(there.memory, here, rtol=1e-12, atol=1e-13)


@pytest.mark.usefixtures("played_engine")
def test_labels_that_a_device_does_not_know_come_to_the_host(X: Any, y: Any) -> None:
    for labels in (np.array(["no", "yes"]), np.array(["no", "yes"], object)):
        model = LogisticRegression().fit(CupyLike(X), labels[y])
        predicted = model.predict(CupyLike(X))
        assert type(predicted) is np.ndarray
        np.testing.assert_array_equal(predicted, model.predict(X))


@pytest.mark.usefixtures("played_engine")
def test_score(X: Any, y: Any) -> None:
    for labels in (np.array(["no", "yes"]), np.array([0, 1])):
        model, s = LogisticRegression().fit(CupyLike(X), labels[y]), np.linspace(0.0, 1.0, len(y))
        assert model.score(CupyLike(X), labels[y]) == model.score(X, labels[y])
        assert model.score(TensorLike(X), labels[y], TensorLike(s)) == model.score(X, labels[y], s)
    assert model.score(CupyLike(X), CupyLike(y)) == model.score(X, TensorLike(y))


# ---- what is left of a fit -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32"])
@pytest.mark.usefixtures("played_engine")
def test_a_fitted_estimator_pickles_without_arrays_of_a_device(X: Any, y: Any, tmp_path: Path) -> None:
    model = LogisticRegression(warm_start=True).fit(CupyLike(X), y)
    assert not any(isinstance(value, PlayedArray) for value in vars(model).values())
    text = pickle.dumps(model)
    assert b"cuda_host" not in text
    assert b"cupy_fused" not in text
    np.testing.assert_array_equal(pickle.loads(text).predict(X), model.predict(X))
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    np.testing.assert_array_equal(joblib.load(file).predict_proba(X), model.predict_proba(X))
    (tmp_path / "model.pickle").write_bytes(text)
    np.save(tmp_path / "X.npy", X)
    code = (
        "import pickle, sys, numpy as np\n"
        "sys.modules['cupy'] = None\n"  # a server without it
        "model = pickle.load(open('model.pickle', 'rb'))\n"
        "print(int(model.predict(np.load('X.npy')).sum()))"
    )
    root = str(Path(__file__).parents[4])
    served = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True
    )
    assert int(served.stdout) == int(model.predict(X).sum())


def test_no_array_api_is_promised() -> None:
    """The tag promises any namespace, the strict one included; what is kept here is less and more."""
    assert not LogisticRegression().__sklearn_tags__().array_api_support


@pytest.mark.usefixtures("played_engine")
def test_warm_start_goes_on_from_the_host_and_from_the_device(X: Any, y: Any) -> None:
    model = LogisticRegression(backend="cupy", warm_start=True).fit(X, y)
    again = model.fit(CupyLike(X), y)
    assert again.n_iter_[0] <= 1
