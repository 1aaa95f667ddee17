"""A fit of X on a GPU, from the estimator to the kernels: the engine runs on the host, the rest is real."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.cuda_host.play_engine import PlayedCupyBackend
from support.cuda_host.played_arrays import KINDS, CupyLike, NumbaLike, PlayedArray, TensorLike
from support.same_fit import same_fit

from accel_logreg import LogisticRegression, check_gradient

pytest_plugins = ["support.cuda_host.fixtures"]

EVERY_SOLVER = ["newton", "newton-cg", "newton-gram", "lbfgs", "gradient-descent"]


@pytest.mark.usefixtures("played_engine")
@pytest.mark.parametrize("solver", EVERY_SOLVER)
@pytest.mark.filterwarnings("ignore:gradient-descent stopped")
def test_the_answer_is_that_of_x_on_the_host_to_the_bit(X: Any, y: Any, solver: str) -> None:
    parameters = {"solver": solver, "max_iter": 5 if solver == "gradient-descent" else None}
    s = np.where(y, 2.0, 0.5)
    on_host = LogisticRegression(backend="cupy", **parameters).fit(X, y, s)
    on_device = LogisticRegression(**parameters).fit(CupyLike(X), y, s)
    assert on_device.backend_ == "cupy"  # "auto" follows X
    assert on_device.solver_ == solver
    assert same_fit(on_device, on_host)
    assert type(on_device.coef_) is np.ndarray


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_array_is_read_in_place(
    played_engine: PlayedCupyBackend, X: Any, y: Any, kind: type[PlayedArray], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = played_engine.place(kind(X), y.astype(np.float64), None)
    assert np.shares_memory(rows.data.X, X)
    assert np.shares_memory(played_engine.adopt(kind(X))._array, X)
    sizes = []
    upload = type(played_engine._device).upload
    monkeypatch.setattr(
        type(played_engine._device),
        "upload",
        lambda self, array: sizes.append(array.size) or upload(self, array),
    )
    model = LogisticRegression().fit(kind(X), y)
    assert max(sizes) <= len(X)  # y and vectors; not X
    assert same_fit(model, LogisticRegression(backend="cupy").fit(X, y))


@pytest.mark.usefixtures("played_engine")
def test_x_is_never_written(X: Any, y: Any) -> None:
    X.flags.writeable = False
    before = X.copy()
    model = LogisticRegression().fit(NumbaLike(X), y)
    model.predict_proba(NumbaLike(X))
    np.testing.assert_array_equal(X, before)


@pytest.mark.usefixtures("played_engine")
def test_a_tensor_that_requires_grad_is_read_detached(X: Any, y: Any) -> None:
    tensor = TensorLike(X, requires_grad=True)
    model = LogisticRegression().fit(tensor, y)
    assert same_fit(model, LogisticRegression().fit(CupyLike(X), y))
    assert tensor.requires_grad
    assert isinstance(model.predict(tensor), TensorLike)


@pytest.mark.usefixtures("played_engine")
@pytest.mark.parametrize("kind", [CupyLike, TensorLike, NumbaLike])
def test_strided_x_is_copied_on_its_device(X: Any, y: Any, kind: type[PlayedArray]) -> None:
    expected = LogisticRegression().fit(CupyLike(X), y)
    wider = np.empty((90, 9), X.dtype)
    wider[:, 1::2] = X
    for strided in (np.asfortranarray(X), wider[:, 1::2], X[::-1][::-1]):
        assert same_fit(LogisticRegression().fit(kind(strided), y), expected)


@pytest.mark.usefixtures("played_engine")
def test_half_precision_becomes_float32(rng: np.random.Generator) -> None:
    X, y = rng.normal(size=(60, 3)).astype(np.float16), np.arange(60) % 2
    expected = LogisticRegression().fit(CupyLike(X.astype(np.float32)), y)
    assert same_fit(LogisticRegression().fit(CupyLike(X), y), expected)


@pytest.mark.usefixtures("played_engine")
@pytest.mark.parametrize("dtype", ["int64", "bool", "uint8", "complex128"])
def test_other_dtypes_are_refused_by_name(rng: np.random.Generator, dtype: str) -> None:
    X = rng.integers(0, 2, (60, 3)).astype(dtype)
    message = (
        rf"CupyLike of dtype {dtype} on a GPU.*float32 and float64.*X\.astype\('float32'\).*X\.float\(\)"
    )
    with pytest.raises(TypeError, match=message):
        LogisticRegression().fit(CupyLike(X), np.arange(60) % 2)


@pytest.mark.usefixtures("played_engine")
def test_sparse_x_on_a_gpu_is_refused_by_name() -> None:
    X = type("csr_matrix", (), {"__module__": "cupyx.scipy.sparse._csr", "shape": (6, 2)})()
    with pytest.raises(TypeError, match=r"cupyx\.scipy\.sparse\._csr\.csr_matrix on a GPU.*X\.get\(\)"):
        LogisticRegression().fit(X, np.arange(6) % 2)


@pytest.mark.usefixtures("played_engine")
@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [-1.0, 1.0], [3, 5]], ids=str)
def test_labels_and_weights_from_anywhere(X: Any, y: Any, labels: list[Any]) -> None:
    named, s = np.array(labels)[y], np.linspace(0.5, 2.0, len(y))
    expected = LogisticRegression(backend="cupy").fit(X, named, s)
    assert same_fit(LogisticRegression().fit(CupyLike(X), named.tolist(), s.tolist()), expected)
    assert same_fit(LogisticRegression().fit(CupyLike(X), named, TensorLike(s)), expected)
    if named.dtype.kind != "U":
        assert same_fit(LogisticRegression().fit(TensorLike(X), CupyLike(named), NumbaLike(s)), expected)
        host = LogisticRegression(backend="numpy").fit(X, named, s)
        assert same_fit(LogisticRegression(backend="numpy").fit(X, CupyLike(named), CupyLike(s)), host)


def test_the_device_is_that_of_x(played_engine: PlayedCupyBackend, X: Any, y: Any) -> None:
    model = LogisticRegression().fit(CupyLike(X, ordinal=1), y)
    z = model.decision_function(TensorLike(X, ordinal=1))
    first, second = played_engine._played
    assert second.launched
    assert not first.launched
    assert z.ordinal == 1


@pytest.mark.usefixtures("played_engine")
def test_no_names_of_features_are_left_from_an_earlier_fit(X: Any, y: Any) -> None:
    model = LogisticRegression(backend="numpy").fit(X, y)
    model.feature_names_in_ = np.array(list("abcd"), dtype=object)  # as from a data frame
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(CupyLike(X))
    assert not hasattr(model.set_params(backend="auto").fit(CupyLike(X), y), "feature_names_in_")


@pytest.mark.usefixtures("played_engine")
def test_check_gradient_brings_x_to_the_host(X: Any, y: Any) -> None:
    found = check_gradient(CupyLike(X), CupyLike(y), backend="numpy", verbose=False)
    assert found == check_gradient(X, y, backend="numpy", verbose=False)
