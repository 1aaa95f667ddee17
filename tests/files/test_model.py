"""Model files: exact round trips, whole or not at all, and every damaged file named."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from accel_logreg import (
    LogisticRegression,
    LogisticRegressionCV,
    ModelFileError,
    load_model,
    load_pipeline,
    save_model,
)
from accel_logreg.files.model import decode, encode, read_model_file
from accel_logreg.files.preparation import new_preparation

SUFFIXES = (".json", ".npz")


@pytest.fixture(params=SUFFIXES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"model{request.param}"


def problem(labels: Any = (0, 1), dtype: type[np.floating] = np.float64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((60, 4)).astype(dtype)
    z = X @ [1.0, -2.0, 0.5, 0.0] + rng.standard_normal(60)
    return X, np.asarray(labels)[(z > 0).astype(int)]


def fitted(labels: Any = (0, 1), **params: Any) -> LogisticRegression:
    return LogisticRegression(**{"backend": "numpy", **params}).fit(*problem(labels))


def assert_same(loaded: LogisticRegression, model: LogisticRegression) -> None:
    assert loaded.get_params() == model.get_params()
    assert vars(loaded).keys() == vars(model).keys() - {"_fitted_to"}  # weak references to the data
    for name in ("coef_", "intercept_", "classes_", "n_iter_"):
        stored, original = getattr(loaded, name), getattr(model, name)
        assert stored.dtype == original.dtype, name
        np.testing.assert_array_equal(stored, original, strict=True)
    for name in ("n_features_in_", "one_vs_rest_", "backend_", "solver_", "gap_", "gap_kind_"):
        assert getattr(loaded, name) == getattr(model, name)
    assert loaded.history_.keys() == model.history_.keys()
    for name, values in model.history_.items():
        np.testing.assert_array_equal(loaded.history_[name], values, strict=True)
    X, _ = problem()
    assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert loaded.predict(X).tolist() == model.predict(X).tolist()


@pytest.mark.parametrize(
    "labels",
    [(0, 1), np.array([3, 7], np.uint8), (False, True), (-1.0, 2.0), ("no", "yes"), ("", "ja, größer")],
    ids=["int", "uint8", "bool", "float", "str", "unicode"],
)
def test_round_trip_of_every_kind_of_label(path: Path, labels: Any) -> None:
    model = fitted(labels)
    save_model(model, path)
    assert_same(load_model(path), model)


def test_round_trip_of_object_labels(path: Path) -> None:
    model = fitted(np.array(["no", "yes"], dtype=object))
    assert model.classes_.dtype == object
    save_model(model, path)
    assert_same(load_model(path), model)


@pytest.mark.parametrize(
    "params",
    [
        {"C": float("inf"), "tol": 1e-4},
        {"class_weight": {0: 2.0, 1: 0.5}},
        {"class_weight": "balanced", "random_state": np.int64(5), "n_threads": 1},
        {"solver": "gradient-descent", "learning_rate": 0.1, "max_iter": 7, "fit_intercept": False},
    ],
    ids=["C=inf", "class_weight", "balanced", "gradient-descent"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_round_trip_of_parameters(path: Path, params: dict[str, Any]) -> None:
    model = fitted(**params)
    save_model(model, path)
    assert_same(load_model(path), model)


@pytest.mark.parametrize(
    "labels",
    [(5, 3, 9), np.array([1, 2, 200], np.uint8), (-1.5e3, 0.0, 7.0), ("no", "yes", "größer"),
     np.array(["a", "b", "c"], dtype=object)],
    ids=["int", "uint8", "float", "str", "object"],
)  # fmt: skip
def test_round_trip_of_three_classes(path: Path, labels: Any) -> None:
    X, _ = problem()
    y = np.asarray(labels)[(X[:, :3] + X[:, 1:]).argmax(axis=1)]
    model = LogisticRegression(backend="numpy", C=0.1).fit(X, y)
    save_model(model, path)
    assert_same(load_model(path), model)


def test_round_trip_of_a_class_without_weight(path: Path) -> None:
    """Its intercept is minus infinity; where that leaves no class, the file is wrong."""
    X, _ = problem()
    y = (X[:, :3] + X[:, 1:]).argmax(axis=1)
    model = LogisticRegression(backend="numpy", C=0.1).fit(X, y, y != 1)
    assert model.intercept_[1] == -np.inf
    save_model(model, path)
    assert_same(load_model(path), model)
    model.intercept_[:] = -np.inf
    save_model(model, path)
    with pytest.raises(ModelFileError, match="intercept_ holds something else than finite"):
        load_model(path)


def test_a_file_of_version_1(tmp_path: Path) -> None:
    """It held two classes, and knew nothing of more."""
    path, model = tmp_path / "model.json", fitted()
    save_model(model, path)
    change_json(
        path,
        lambda s: (
            s.update(format_version=1), s["params"].pop("multi_class"), s["fitted"].pop("one_vs_rest_")
        ),
    )  # fmt: skip
    assert_same(load_model(path), model)


def test_each_class_against_the_rest(path: Path) -> None:
    """Whether each class has a sigmoid of its own changes every probability."""
    X, _ = problem()
    model = LogisticRegression(backend="numpy", C=0.1, multi_class="ovr")
    model.fit(X, (X[:, :3] + X[:, 1:]).argmax(axis=1))
    save_model(model, path)
    assert_same(load_model(path), model)
    model.one_vs_rest_ = False
    assert np.abs(load_model(path).predict_proba(X) - model.predict_proba(X)).max() > 0.01


def test_every_bit_of_a_float(path: Path) -> None:
    model = fitted()
    model.coef_ = np.array([[0.1 + 0.2, -5e-324, 1.7976931348623157e308, -0.0]])
    save_model(model, path)
    assert load_model(path).coef_.tobytes() == model.coef_.tobytes()


def test_prepared_columns(path: Path) -> None:
    """What prepares them is in the file, and its pipeline takes any table, in any order of columns."""
    pyarrow = pytest.importorskip("pyarrow", reason="needs tables: pip install 'accel_logreg[lab]'")
    rng = np.random.default_rng(0)
    x = np.where(rng.random(60) < 0.1, np.nan, rng.standard_normal(60))
    table = pyarrow.table(
        {"x": pyarrow.array(x, from_pandas=True), "k": rng.choice(["u", "v", "w"], 60), "z": np.arange(60)}
    )
    y = rng.random(60) < 0.5
    for impute, standardize, columns in (
        ("median", True, ["x", "z"]),
        (None, True, ["z"]),
        ("mean", False, []),
    ):
        preparation = new_preparation(
            columns, ["k"], impute=impute, standardize=standardize, dtype=np.float64
        ).fit(table)
        model = LogisticRegression(backend="numpy").fit(preparation.transform(table), y)
        save_model(model, path, preparation=preparation)
        loaded = load_pipeline(path)
        expected = model.predict_proba(preparation.transform(table))
        np.testing.assert_array_equal(loaded.predict_proba(table), expected)
        np.testing.assert_array_equal(loaded.predict_proba(table.select(["z", "k", "x"])), expected)
        names = preparation.get_feature_names_out().tolist()
        assert loaded[0].get_feature_names_out().tolist() == names
    with pytest.warns(UserWarning, match="load_pipeline"):
        np.testing.assert_array_equal(load_model(path).coef_, model.coef_)
    if path.suffix == ".json":
        for change in (
            lambda s: s["preparation"].pop("fill"),
            lambda s: s["preparation"].update(levels=[[]]),
            lambda s: s["preparation"].update(levels=[["u", "v"]]),
            lambda s: s["preparation"].update(dtype="O!"),
            lambda s: s.update(preparation=3),
        ):
            save_model(model, path, preparation=preparation)
            change_json(path, change)
            with pytest.raises(ModelFileError, match=re.escape(str(path))):
                load_pipeline(path)


def test_a_pipeline_of_plain_columns_and_of_arrays(path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs tables: pip install 'accel_logreg[lab]'")
    X, _ = problem()
    names = ["a", "b", "c", "d"]
    save_model(fitted(), path, metadata={"features": names})
    table = pyarrow.table(list(X.T), names=names).select(names[::-1])
    np.testing.assert_array_equal(load_pipeline(path).predict_proba(table), fitted().predict_proba(X))
    save_model(fitted(), path)
    np.testing.assert_array_equal(load_pipeline(path).predict_proba(X), fitted().predict_proba(X))


def test_feature_names(path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs named columns: pip install 'accel_logreg[lab]'")
    X, y = problem()
    names = ["a", "b", "c", "d é"]
    model = LogisticRegression(backend="numpy").fit(pyarrow.table(list(X.T), names=names), y)
    assert model.feature_names_in_.tolist() == names
    save_model(model, path)
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.feature_names_in_, model.feature_names_in_, strict=True)


def test_metadata(path: Path) -> None:
    metadata = {"input": "pictures", "size": 64, "features": ["a", "b"], "more": {"deep": [1, None]}}
    save_model(fitted(), path, metadata=metadata)
    assert read_model_file(path)[1] == metadata
    save_model(fitted(), path)
    assert read_model_file(path)[1] == {}
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        save_model(fitted(), path, metadata={"bad": {1}})


def test_a_generator_is_left_out_with_a_warning(path: Path) -> None:
    model = fitted(random_state=np.random.RandomState(0))
    with pytest.warns(UserWarning, match="random_state=None"):
        save_model(model, path)
    assert load_model(path).random_state is None


def test_what_cannot_be_saved(path: Path) -> None:
    with pytest.raises(NotFittedError):
        save_model(LogisticRegression(), path)
    with pytest.raises(TypeError, match="not a dict"):
        save_model({}, path)
    with pytest.raises(TypeError, match=r"LogisticRegressionCV has parameters of its own \(Cs, "):
        save_model(LogisticRegressionCV(), path)
    with pytest.raises(ModelFileError, match=r"ends in \.json or \.npz, not in '\.pkl'"):
        save_model(fitted(), path.with_suffix(".pkl"))
    model = fitted()
    model.classes_ = np.array([None, 1], dtype=object)
    with pytest.raises(ValueError, match="objects of type NoneType, int"):
        save_model(model, path)
    assert not list(path.parent.iterdir())


def change_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda s: s.update(format="other"), "is not an accel_logreg model", id="foreign"),
        pytest.param(lambda s: s.clear(), "is not an accel_logreg model", id="empty"),
        pytest.param(lambda s: s.update(format_version=7), "reads up to 6; upgrade", id="newer"),
        pytest.param(lambda s: s.update(format_version="1"), "not a positive integer", id="version"),
        pytest.param(lambda s: s.pop("params"), "lacks 'params'", id="no params"),
        pytest.param(lambda s: s["params"].pop("C"), "lacks 'C'", id="no C"),
        pytest.param(lambda s: s["params"].pop("multi_class"), "lacks 'multi_class'", id="no multi_class"),
        pytest.param(
            lambda s: s["arrays"]["classes_"].update(shape=[1], values=[0]), "holds 1 classes", id="one class"
        ),
        pytest.param(lambda s: s["params"].update(D=1), "inconsistent: .*'D'", id="unknown parameter"),
        pytest.param(lambda s: s["params"].update(C={"eval": "1"}), "is not a value", id="unknown value"),
        pytest.param(lambda s: s.update(params=[]), "is inconsistent", id="params is a list"),
        pytest.param(lambda s: s["fitted"].pop("gap_"), "lacks 'gap_'", id="no gap"),
        pytest.param(lambda s: s["arrays"].pop("coef_"), "lacks 'coef_'", id="no coef"),
        pytest.param(lambda s: s.pop("metadata"), "lacks 'metadata'", id="no metadata"),
        pytest.param(lambda s: s.update(metadata=3), "metadata is 3 instead of a dict", id="metadata"),
        pytest.param(
            lambda s: s["arrays"]["coef_"].update(shape=[2, 2]),
            r"\(2, 2\) instead",
            id="shape",
        ),
        pytest.param(lambda s: s["arrays"]["coef_"]["values"].pop(), "cannot reshape", id="short coef"),
        pytest.param(lambda s: s["fitted"].update(n_features_in_=5), r"instead of \(1, 5\)", id="n_features"),
        pytest.param(
            lambda s: s["arrays"]["coef_"]["values"].__setitem__(0, {"float": "nan"}), "than finite", id="nan"
        ),
        pytest.param(
            lambda s: s["arrays"]["coef_"]["values"].__setitem__(0, {"float": "inf"}), "than finite", id="inf"
        ),
        pytest.param(lambda s: s["arrays"]["classes_"].update(dtype="O"), "'O' is not allowed", id="object"),
        pytest.param(lambda s: s["arrays"]["classes_"].update(values=[[], 1]), "inconsistent", id="nested"),
    ],
)
def test_json_that_is_wrong(tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    path = tmp_path / "model.json"
    save_model(fitted(), path)
    change_json(path, change)
    with pytest.raises(ModelFileError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_truncated_at_every_tenth(path: Path) -> None:
    save_model(fitted(), path)
    whole = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(whole[: len(whole) * tenth // 10])
        with pytest.raises(ModelFileError, match=re.escape(str(path))):
            load_model(path)


def test_foreign_files(path: Path) -> None:
    for content in (b"", b"hello", b"\x80\x04pickle", b"[1, 2]", b"[" * 100_000, b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(ModelFileError):
            load_model(path)
    with pytest.raises(FileNotFoundError):
        load_model(path.with_name(f"none{path.suffix}"))
    with pytest.raises(ModelFileError, match=r"ends in \.json or \.npz"):
        load_model(path.with_suffix(".pkl"))


def rewrite_npz(path: Path, **changes: Any) -> None:
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def test_npz_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    for changes, message in (
        ({"header": None}, "is not an accel_logreg model"),
        ({"header": np.array("{")}, "is damaged"),
        ({"coef_": None}, "lacks 'coef_'"),
        ({"coef_": np.zeros((1, 9))}, r"\(1, 9\) instead of \(1, 4\)"),
        ({"coef_": np.full((1, 4), np.nan)}, "than finite"),
        ({"coef_": np.array([["a", "b", "c", "d"]])}, "than finite"),
        ({"classes_": np.array([0, None], dtype=object)}, "is damaged: Object arrays cannot be loaded"),
    ):
        save_model(fitted(), path)
        rewrite_npz(path, **changes)
        with pytest.raises(ModelFileError, match=message):
            load_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ModelFileError, match="is not an accel_logreg model"):
        load_model(path)


def test_codec_refuses_the_rest() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        encode(object())
    with pytest.raises(ValueError, match="not a value"):
        decode({"float": "nan", "pairs": []})
    assert decode(encode({1: float("-inf"), "a": None})) == {1: float("-inf"), "a": None}
