"""Models as scikit-learn's own, from scikit-learn's, as ONNX and as skops: everywhere the same numbers."""

from __future__ import annotations

import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.linear_model import LogisticRegressionCV as TheirsCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from accel_logreg import LogisticRegression, LogisticRegressionCV, certified_gap, load_model, save_model

X = np.sin(np.arange(240.0)).reshape(80, 3)
THREE = np.add(X, [0.1, 0.0, 0.05]).argmax(axis=1)
# scikit-learn before 1.8 says a penalty in other words.
OLD = Theirs().get_params().get("penalty", "deprecated") != "deprecated"


def labelled(labels: Any) -> np.ndarray:
    return np.asarray(labels)[THREE % len(labels)]


def fitted(labels: Any = (0, 1), weights: Any = None, **params: Any) -> LogisticRegression:
    return LogisticRegression(**{"backend": "numpy", **params}).fit(X, labelled(labels), weights)


def assert_same_predictions(theirs: Any, model: Any, rows: Any = X) -> None:
    for method in ("decision_function", "predict_proba"):
        found, wanted = getattr(theirs, method)(rows), getattr(model, method)(rows)
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)
        assert found.shape == wanted.shape
    np.testing.assert_array_equal(theirs.predict(rows), model.predict(rows), strict=True)


LABELS = {
    "int": (5, 3, 9),
    "uint8": np.array([1, 2, 200], np.uint8),
    "float": (-1.5e3, 0.0, 7.0),
    "str": ("no", "yes", "größer"),
    "object": np.array(["a", "b", "c"], dtype=object),
    "bool": (False, True),
    "two": ("", "ja"),
}
every_label = pytest.mark.parametrize("labels", LABELS.values(), ids=list(LABELS))
each_class = pytest.mark.parametrize("multi_class", ["auto", "ovr"])


# To scikit-learn


@each_class
@every_label
def test_a_scikit_learn_model_of_the_same_predictions(labels: Any, multi_class: str) -> None:
    model = fitted(labels, multi_class=multi_class)
    theirs = model.to_sklearn()
    assert type(theirs) is (OneVsRestClassifier if model.one_vs_rest_ else Theirs)
    assert_same_predictions(theirs, model)
    np.testing.assert_array_equal(theirs.classes_, model.classes_, strict=True)
    assert theirs.n_features_in_ == 3
    for one in getattr(theirs, "estimators_", [theirs]):
        assert one.n_iter_.dtype == np.int32
        assert one.coef_.dtype == np.float64


@each_class
def test_of_a_class_without_weight(multi_class: str) -> None:
    """scikit-learn predicts with its intercept of minus infinity as we do: a probability of 0."""
    model = fitted((0, 1, 2), THREE != 1, multi_class=multi_class)
    assert model.intercept_[1] == -np.inf
    assert_same_predictions(model.to_sklearn(), model)
    assert not model.to_sklearn().predict_proba(X)[:, 1].any()


@pytest.mark.parametrize("weighted", [0, 1])
def test_of_one_class_with_weight(weighted: int, tmp_path: Path) -> None:
    model = fitted((0, 1), labelled((0, 1)) == weighted)
    assert np.isinf(model.intercept_).all()
    assert_same_predictions(model.to_sklearn(), model)
    for suffix in ("json", "npz"):
        save_model(model, tmp_path / f"model.{suffix}")
        assert_same_predictions(load_model(tmp_path / f"model.{suffix}"), model)


@each_class
def test_of_coefficients_that_were_set_by_hand(multi_class: str, tmp_path: Path) -> None:
    known, model = fitted(("a", "b", "c")), LogisticRegression(multi_class=multi_class)
    model.coef_, model.intercept_ = known.coef_.tolist(), known.intercept_.tolist()
    model.classes_ = known.classes_.tolist()
    assert_same_predictions(model.to_sklearn(), known)
    save_model(model, tmp_path / "model.json")
    loaded = load_model(tmp_path / "model.json")
    assert_same_predictions(loaded, known)
    assert np.isnan(loaded.gap_)
    model.classes_ = ["a", "b"]
    for out in (model.to_sklearn, lambda: save_model(model, tmp_path / "other.json")):
        with pytest.raises(ValueError, match="do not agree"):
            out()


def test_what_is_exported_is_a_copy() -> None:
    model = fitted((0, 1, 2))
    theirs = model.to_sklearn()
    theirs.coef_ += 1.0
    theirs.intercept_ += 1.0
    theirs.classes_ += 1
    assert_same_predictions(fitted((0, 1, 2)).to_sklearn(), model)


def test_its_pickle_needs_scikit_learn_alone(tmp_path: Path) -> None:
    models = [fitted(("a", "b", "c"), multi_class=kind) for kind in ("auto", "ovr")]
    (tmp_path / "models.pickle").write_bytes(pickle.dumps([model.to_sklearn() for model in models]))
    np.save(tmp_path / "X.npy", X)
    code = (
        "import pickle, sys, numpy; sys.modules['accel_logreg'] = None\n"
        "models, X = pickle.load(open('models.pickle', 'rb')), numpy.load('X.npy')\n"
        "numpy.save('P.npy', [model.predict_proba(X) for model in models])"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    for model, found in zip(models, np.load(tmp_path / "P.npy"), strict=True):
        np.testing.assert_allclose(found, model.predict_proba(X), rtol=1e-13)


def test_with_our_classes_in_scikit_learns_place() -> None:
    """What is exported is scikit-learn's own all the same, and what comes in may be ours."""
    code = (
        "from accel_logreg.patch import patch_sklearn; patch_sklearn(backend='numpy')\n"
        "import numpy, sklearn.linear_model, accel_logreg\n"
        "X, y = numpy.eye(6), numpy.arange(6) % 2\n"
        "model = sklearn.linear_model.LogisticRegression().fit(X, y)\n"
        "assert type(model).__module__ == 'accel_logreg.drop_in'\n"
        "ours = accel_logreg.LogisticRegression.from_sklearn(model)\n"
        "assert type(ours.to_sklearn()).__module__.startswith('sklearn.')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "params",
    [
        {"C": 0.3, "class_weight": "balanced", "random_state": 3, "warm_start": True},
        {"C": 0.1, "l1_ratio": 1.0},
        {"C": 0.1, "l1_ratio": 0.5, "class_weight": {0: 2.0}},
        {"C": 2.0, "fit_intercept": False},
        {"C": np.inf, "l1_ratio": 0.5},
    ],
)
def test_fitted_again_it_solves_the_same_problem(params: dict[str, Any]) -> None:
    """A clone fits without a warning, and ends as near the optimum as it was told to."""
    rows, y = load_breast_cancer(return_X_y=True)
    rows = scale(rows)[:, :8]
    model = LogisticRegression(backend="numpy", tol=1e-14, **params).fit(rows, y)
    theirs = model.to_sklearn()
    for name in {"class_weight", "fit_intercept", "random_state", "warm_start"} & params.keys():
        assert getattr(theirs, name) == params[name]
    again = clone(theirs).fit(rows, y)
    np.testing.assert_allclose(again.coef_, model.coef_, atol=2e-5 * np.abs(model.coef_).max())
    np.testing.assert_allclose(again.intercept_, model.intercept_, atol=1e-4)
    back = LogisticRegression.from_sklearn(theirs)
    for name in params.keys() - {"l1_ratio"}:
        assert getattr(back, name) == getattr(model, name)
    assert back.l1_ratio == (0.0 if np.isinf(model.C) else model.l1_ratio)
    assert back.tol == pytest.approx(model.tol)


def test_each_class_against_the_rest_fitted_again() -> None:
    model = fitted((0, 1, 2), multi_class="ovr", tol=1e-14, C=0.5)
    again = clone(model.to_sklearn()).fit(X, THREE)
    np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"penalty_factor": np.array([1.0, 2.0, 3.0])}, "no penalty_factor"),
        ({"penalty_factor": [1.0, 2.0, 3.0], "positive": True}, "no penalty_factor and no positive"),
        ({"multi_class": "ovr", "class_weight": "balanced"}, "no class_weight with multi_class='ovr'"),
    ],
)
def test_what_scikit_learn_has_no_parameter_for(params: dict[str, Any], named: str) -> None:
    """The predictions are the same; that another fit would not be is said."""
    model = fitted((0, 1, 2), **params)
    with pytest.warns(UserWarning, match=f"{named}: the exported model predicts as this one does") as caught:
        theirs = model.to_sklearn()
    assert caught[0].filename == __file__
    assert_same_predictions(theirs, model)


@each_class
def test_sparse_coefficients_stay_sparse(multi_class: str) -> None:
    model = fitted((0, 1, 2), l1_ratio=1.0, C=0.5, multi_class=multi_class).sparsify()
    theirs = model.to_sklearn()
    for one in getattr(theirs, "estimators_", [theirs]):
        assert hasattr(one.coef_, "toarray")
    assert_same_predictions(theirs, model)
    if multi_class == "auto":
        back = LogisticRegression.from_sklearn(theirs, backend="numpy")
        assert hasattr(back.coef_, "toarray")
        assert_same_predictions(back, model)


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("labels", [(0, 1), ("a", "b", "c")])
def test_cross_validation_exports_what_was_chosen(labels: Any, refit: bool) -> None:
    for legacy in (False, True):
        model = LogisticRegressionCV(
            Cs=[0.01, 0.5], l1_ratios=[0.0, 0.5], cv=3, refit=refit, use_legacy_attributes=legacy,
            backend="numpy",
        ).fit(X, labelled(labels))  # fmt: skip
        theirs = model.to_sklearn()
        assert type(theirs) is Theirs
        assert np.ravel(model.C_)[0] == theirs.C
        assert theirs.n_iter_.shape == (1,)
        assert_same_predictions(theirs, model)


def test_feature_names_go_both_ways() -> None:
    pandas = pytest.importorskip("pandas", reason="needs named columns: pip install pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c é"])
    for multi_class in ("auto", "ovr"):
        model = LogisticRegression(backend="numpy", multi_class=multi_class).fit(frame, THREE)
        theirs = model.to_sklearn()
        assert theirs.feature_names_in_.tolist() == ["a", "b", "c é"]
        assert_same_predictions(theirs, model, frame)
    back = LogisticRegression.from_sklearn(Theirs().fit(frame, THREE))
    assert back.feature_names_in_.tolist() == ["a", "b", "c é"]


def test_unfitted_models_are_not_exported() -> None:
    for export in (LogisticRegression().to_sklearn, LogisticRegression().to_onnx):
        with pytest.raises(NotFittedError):
            export()


# From scikit-learn


@every_label
def test_a_fitted_model_of_scikit_learn(labels: Any) -> None:
    theirs = Theirs(C=0.3).fit(X.astype(np.float32), labelled(labels))
    model = LogisticRegression.from_sklearn(theirs, backend="numpy")
    assert (model.C, model.backend, model.solver) == (0.3, "numpy", "auto")
    assert model.coef_.dtype == model.intercept_.dtype == np.float64
    assert not hasattr(model, "gap_")
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), theirs.predict(X), strict=True)
    model.coef_ += 1.0
    assert not np.shares_memory(model.coef_, theirs.coef_)
    assert np.abs(model.coef_ - theirs.coef_).min() > 0.9


def test_it_is_judged_saved_and_fitted_on(tmp_path: Path) -> None:
    y = labelled((0, 1))
    model = LogisticRegression.from_sklearn(Theirs(C=0.3, tol=1e-3).fit(X, y), backend="numpy")
    gap = certified_gap(X, y, model.coef_, model.intercept_, C=model.C)
    assert 1e-12 < gap < 1e-3
    save_model(model, tmp_path / "model.json")
    assert_same_predictions(load_model(tmp_path / "model.json"), model)
    assert_same_predictions(pickle.loads(pickle.dumps(model)), model)
    assert_same_predictions(model.to_sklearn(), model)
    assert model.set_params(warm_start=True).fit(X, y).gap_ <= model.tol == 1e-6


def test_parameters_are_translated() -> None:
    """Of unfitted models too; what says no problem keeps its default, and may be passed."""
    model = LogisticRegression.from_sklearn(
        Theirs(C=2, tol=1e-5, class_weight="balanced", random_state=4, solver="newton-cholesky"), n_threads=1
    )
    wanted = LogisticRegression(C=2.0, tol=1e-10, class_weight="balanced", random_state=4, n_threads=1)
    assert model.get_params() == pytest.approx(wanted.get_params())
    assert not hasattr(model, "coef_")
    assert LogisticRegression.from_sklearn(Theirs(tol=0.0)).tol == pytest.approx(1e-16)
    penalties: list[tuple[dict[str, Any], float, float]] = [
        ({"penalty": "l1"}, 1.0, 1.0),
        ({"penalty": "l2", "l1_ratio": 0.7}, 1.0, 0.0),
        ({"penalty": "elasticnet", "l1_ratio": 0.7}, 1.0, 0.7),
        ({"penalty": None}, np.inf, 0.0),
        ({"C": np.inf}, np.inf, 0.0),
        ({"l1_ratio": None}, 1.0, 0.0),
    ]
    penalties += [] if OLD else [({"l1_ratio": 0.4}, 1.0, 0.4), ({"l1_ratio": 1}, 1.0, 1.0)]
    for said, C, l1_ratio in penalties:
        found = LogisticRegression.from_sklearn(Theirs(solver="saga", **said))
        assert (found.C, found.l1_ratio) == (C, l1_ratio), said


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_liblinears_penalised_intercept_goes_both_ways(fit_intercept: bool, l1_ratio: float) -> None:
    y = labelled((0, 1))
    settings: dict[str, Any] = {
        "solver": "liblinear", "intercept_scaling": 2.0, "C": 0.5, "fit_intercept": fit_intercept,
        **({"penalty": "l1" if l1_ratio else "l2"} if OLD else {"l1_ratio": l1_ratio}),
    }  # fmt: skip
    theirs = Theirs(**settings, tol=1e-10, max_iter=10_000).fit(X, y)
    model = LogisticRegression.from_sklearn(theirs, backend="numpy", tol=1e-14)
    assert (model.solver, model.intercept_scaling, model.l1_ratio) == ("liblinear", 2.0, l1_ratio)
    assert_same_predictions(model, theirs)
    again = clone(model).fit(X, y)
    np.testing.assert_allclose(again.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    back = again.to_sklearn()
    assert_same_predictions(back, again)
    np.testing.assert_allclose(clone(back).fit(X, y).predict_proba(X), again.predict_proba(X), atol=1e-5)
    found = LogisticRegressionCV.from_sklearn(search(solver="liblinear", intercept_scaling=2.0))
    assert (found.solver, found.intercept_scaling) == ("liblinear", 2.0)


def test_our_penalty_by_scikit_learns_name() -> None:
    for said, C, l1_ratio in (
        ({"penalty": "l1", "C": 0.5}, 0.5, 1.0),
        ({"penalty": None}, np.inf, 0.0),
        ({"l1_ratio": None, "tol": 0}, 1.0, 0.0),
    ):
        model = LogisticRegression(backend="numpy", **said)
        model.coef_, model.intercept_, model.classes_ = [[1.0, 2.0, 3.0]], [0.5], ["no", "yes"]
        back = LogisticRegression.from_sklearn(model.to_sklearn())
        assert (back.C, back.l1_ratio) == (C, l1_ratio)
        assert back.penalty == "deprecated"


def test_one_against_the_rest_before_scikit_learn_1_8() -> None:
    """``multi_class="ovr"`` there is ours; a softmax of two classes is no model here."""
    ours = fitted((0, 1, 2), multi_class="ovr")
    theirs = Theirs().fit(X, THREE)
    theirs.coef_, theirs.intercept_, theirs.multi_class = ours.coef_, ours.intercept_, "ovr"
    model = LogisticRegression.from_sklearn(theirs)
    assert model.multi_class == "ovr"
    assert_same_predictions(model, ours)
    two = Theirs().fit(X, labelled((0, 1)))
    two.multi_class = "multinomial"
    with pytest.raises(ValueError, match="multi_class='multinomial' of two classes"):
        LogisticRegression.from_sklearn(two)


def search(**params: Any) -> TheirsCV:
    more = {} if OLD else {"l1_ratios": (0.0,), "use_legacy_attributes": False, "scoring": "accuracy"}
    return TheirsCV(**{"Cs": [0.1, 10.0], "cv": 3, **more, **params})


@pytest.mark.parametrize("legacy", [{}] if OLD else [{}, {"use_legacy_attributes": True}])
def test_a_cross_validation_of_scikit_learn(legacy: dict[str, Any]) -> None:
    theirs = search(**legacy).fit(X, THREE)
    model = LogisticRegression.from_sklearn(theirs)
    assert type(model) is LogisticRegression
    assert np.ravel(theirs.C_)[0] == model.C
    assert_same_predictions(model, theirs)
    again = LogisticRegressionCV.from_sklearn(theirs, backend="numpy")
    assert type(again) is LogisticRegressionCV
    assert not hasattr(again, "coef_")
    again.fit(X, THREE)
    assert np.ravel(again.C_)[0] == model.C
    assert np.shape(again.C_) == np.shape(theirs.C_)
    assert LogisticRegressionCV.from_sklearn(TheirsCV()).l1_ratios == (0.0,)
    with pytest.raises(ValueError, match="has not been fitted, so that it has no C"):
        LogisticRegression.from_sklearn(search())


def test_a_cross_validation_with_another_C_for_each_class() -> None:
    theirs = search().fit(X, THREE)
    theirs.C_ = np.array([1.0, 2.0, 1.0])
    with pytest.raises(ValueError, match="another C for each class"):
        LogisticRegression.from_sklearn(theirs)


def test_other_models_are_refused() -> None:
    pipe = make_pipeline(StandardScaler(), Theirs())
    with pytest.raises(TypeError, match=r"not a Pipeline; of a Pipeline pass the last step, pipeline\[-1\]"):
        LogisticRegression.from_sklearn(pipe)
    with pytest.raises(TypeError, match=r"takes a sklearn.linear_model.LogisticRegressionCV, not a Logistic"):
        LogisticRegressionCV.from_sklearn(Theirs())


# ONNX

needs_onnx = pytest.mark.skipif(
    not (find_spec("skl2onnx") and find_spec("onnxruntime")),
    reason="needs skl2onnx and onnxruntime: pip install 'accel_logreg[export]' onnxruntime",
)


def run_onnx(graph: Any, rows: Any) -> list[Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(graph if isinstance(graph, bytes) else graph.SerializeToString())
    return list(session.run(None, {"X": rows}))


@needs_onnx
@each_class
@every_label
@pytest.mark.parametrize(("name", "atol"), [("float32", 1e-5), ("float64", 1e-13)])
def test_onnx_answers_the_same(labels: Any, multi_class: str, name: Any, atol: float) -> None:
    model = fitted(labels, multi_class=multi_class)
    found, probabilities = run_onnx(model.to_onnx(dtype=name), X.astype(name))
    wanted = model.predict(X)
    np.testing.assert_array_equal(found, wanted.astype(np.int64) if wanted.dtype.kind in "biuf" else wanted)
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=atol)
    assert probabilities.dtype == name
    assert probabilities.shape == (80, len(model.classes_))


@needs_onnx
@pytest.mark.parametrize("name", ["float32", "float64"])
@each_class
def test_onnx_of_what_is_unusual(multi_class: str, name: Any) -> None:
    """A class without weight, one feature, sparse coefficients, penalties that scikit-learn does not have."""
    rows = X.astype(name)
    for model in (
        fitted((0, 1, 2), THREE != 1, multi_class=multi_class),
        fitted((0, 1, 2), l1_ratio=1.0, C=0.5, multi_class=multi_class, positive=True).sparsify(),
        fitted((0, 1, 2), THREE == 1, multi_class=multi_class),
        fitted((0, 1), THREE % 2, multi_class=multi_class),
    ):
        found, probabilities = run_onnx(model.to_onnx(dtype=name), rows)
        np.testing.assert_array_equal(found, model.predict(X))
        np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-6)
    for y in (THREE, THREE % 2):
        model = LogisticRegression(backend="numpy", multi_class=multi_class).fit(X[:, :1], y)
        found, probabilities = run_onnx(model.to_onnx(dtype=name), rows[:, :1])
        np.testing.assert_allclose(probabilities, model.predict_proba(X[:, :1]), atol=1e-6)


@needs_onnx
def test_onnx_in_a_file_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx
    import skl2onnx

    model, path = fitted(("no", "yes")), tmp_path / "model.onnx"
    graph = model.to_onnx(path, zipmap=True, target_opset=15)
    assert path.read_bytes() == graph.SerializeToString()
    onnx.checker.check_model(graph)
    assert max(one.version for one in graph.opset_import) <= 15
    found, maps = run_onnx(path.read_bytes(), X.astype(np.float32))
    assert found.tolist() == model.predict(X).tolist()
    assert maps[0].keys() == {"no", "yes"}
    before = path.read_bytes()
    broken = type("Broken", (), {"SerializeToString": lambda _: 1 / 0})
    monkeypatch.setattr(skl2onnx, "convert_sklearn", lambda *_, **__: broken())
    with pytest.raises(ZeroDivisionError):
        model.to_onnx(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@needs_onnx
def test_onnx_of_a_pipeline_is_made_from_its_exported_last_step() -> None:
    import skl2onnx

    pipe = make_pipeline(StandardScaler(), LogisticRegression(backend="numpy")).fit(X, THREE)
    pipe.steps[-1] = ("model", pipe[-1].to_sklearn())
    graph = skl2onnx.to_onnx(pipe, X[:1].astype(np.float32), options={"zipmap": False})
    np.testing.assert_allclose(run_onnx(graph, X.astype(np.float32))[1], pipe.predict_proba(X), atol=1e-5)


@needs_onnx
def test_what_onnx_cannot_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="dtype='float16' is unknown; allowed: 'float32', 'float64'"):
        fitted().to_onnx(dtype="float16")  # type: ignore[arg-type]
    for labels in (np.array([0, 2**31]), np.array([0, 1], dtype=object)):
        model = fitted()
        model.classes_ = labels
        with pytest.raises(ValueError, match=r"strings, or whole numbers below 2³¹"):
            model.to_onnx()
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "accel_logreg\[export\]"'):
        fitted().to_onnx()


# skops


def test_skops_holds_our_models_as_they_are() -> None:
    """The types to trust are the estimators, and SciPy's matrix where coefficients are sparse."""
    io = pytest.importorskip("skops.io", reason="needs skops: pip install 'accel_logreg[export]'")
    ours = "accel_logreg.estimator.LogisticRegression"
    for model, trusted in (
        (fitted(), [ours]),
        (fitted(("a", "b", "c"), multi_class="ovr", class_weight={"a": 2.0}, random_state=0), [ours]),
        (
            fitted((0, 1, 2), l1_ratio=1.0, penalty_factor=[1.0, 2.0, 3.0]).sparsify(),
            [ours, "scipy.sparse._csr.csr_matrix"],
        ),
        (
            LogisticRegressionCV(Cs=2, cv=3, backend="numpy").fit(X, THREE),
            ["accel_logreg.model_selection.LogisticRegressionCV"],
        ),
        (make_pipeline(StandardScaler(), LogisticRegression(backend="numpy")).fit(X, THREE), [ours]),
    ):
        data = io.dumps(model)
        assert io.get_untrusted_types(data=data) == trusted
        loaded = io.loads(data, trusted=trusted)
        assert_same_predictions(loaded, model)
        last, again = (m[-1] if hasattr(m, "steps") else m for m in (model, loaded))
        assert vars(again).keys() == vars(last).keys() - {"_fitted_to"}  # weak references to the data
    for exported in (fitted(("a", "b", "c")), fitted(("a", "b", "c"), multi_class="ovr")):
        assert not io.get_untrusted_types(data=io.dumps(exported.to_sklearn()))
