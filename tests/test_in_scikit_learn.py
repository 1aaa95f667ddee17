"""Our estimator where scikit-learn's own stands: in its pipelines, searches, ensembles and selectors.

Beside each stands scikit-learn's LogisticRegression at a tight tolerance, in the same place: what the two
make of the same data has to be the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import RFE, RFECV, SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from accel_logreg import LogisticRegression

X, THREE = make_classification(
    150, 6, n_informative=4, n_redundant=0, n_classes=3, random_state=0, class_sep=0.7
)
TWO = (THREE > 0).astype(int)
RARE = np.zeros(150, dtype=int)
RARE[:6] = 1
WEIGHTS = np.random.default_rng(0).integers(1, 4, 150).astype(float)
C = 0.5


@pytest.fixture(params=["numpy", "numba"])
def ours(request: pytest.FixtureRequest) -> LogisticRegression:
    return LogisticRegression(backend=request.param, C=C, tol=1e-14)


@pytest.fixture
def theirs() -> Theirs:
    return Theirs(C=C, tol=1e-10, max_iter=10_000)


def assert_alike(one: Any, other: Any, rows: Any = X) -> None:
    """Two fitted classifiers with the same answers; labels may differ where it is a toss-up."""
    if hasattr(other, "predict_proba"):
        a, b = one.predict_proba(rows), other.predict_proba(rows)
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_array_equal(one.predict(rows), other.predict(rows))


Place = Callable[[Any], Any]
CLASSIFIERS: dict[str, tuple[Place, Any, dict[str, Any]]] = {
    "pipeline": (lambda m: make_pipeline(StandardScaler(), m), THREE, {}),
    "calibrated, sigmoid": (
        lambda m: CalibratedClassifierCV(m, cv=3, method="sigmoid"), TWO, {"sample_weight": WEIGHTS},
    ),
    "calibrated, isotonic": (
        lambda m: CalibratedClassifierCV(m, cv=3, method="isotonic", ensemble=False), THREE,
        {"sample_weight": WEIGHTS},
    ),
    "calibrated, frozen": (
        lambda m: CalibratedClassifierCV(FrozenEstimator(clone(m).fit(X[:75], TWO[:75]))), TWO, {},
    ),
    "stacking": (
        lambda m: StackingClassifier([("m", m), ("nb", GaussianNB())], final_estimator=clone(m), cv=3),
        THREE, {},
    ),
    "voting": (
        lambda m: VotingClassifier([("m", m), ("nb", GaussianNB())], voting="soft"), THREE,
        {"sample_weight": WEIGHTS},
    ),
    "bagging": (lambda m: BaggingClassifier(m, 8, random_state=0), THREE, {}),
    "bagging, columns": (
        lambda m: BaggingClassifier(m, 5, max_features=0.5, oob_score=False, random_state=0), TWO,
        {"sample_weight": WEIGHTS},
    ),
    "one against the rest": (OneVsRestClassifier, THREE, {}),
    "one against one": (OneVsOneClassifier, THREE, {}),
    "output codes": (lambda m: OutputCodeClassifier(m, code_size=3, random_state=0), THREE, {}),
    "frozen": (lambda m: FrozenEstimator(clone(m).fit(X, THREE)), THREE, {}),
    "tuned threshold": (
        lambda m: TunedThresholdClassifierCV(m, cv=3, thresholds=20, scoring="balanced_accuracy"), TWO, {},
    ),
    "fixed threshold": (lambda m: FixedThresholdClassifier(m, threshold=0.3), TWO, {}),
    "self-training": (
        lambda m: SelfTrainingClassifier(m, threshold=0.8),
        np.where(np.arange(150) % 3 == 0, THREE, -1), {},
    ),
}  # fmt: skip


@cache
def with_theirs(name: str) -> Any:
    """Once for all engines."""
    place, y, params = CLASSIFIERS[name]
    return place(Theirs(C=C, tol=1e-10, max_iter=10_000)).fit(X, y, **params)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_meta_estimators(ours: LogisticRegression, name: str) -> None:
    place, y, params = CLASSIFIERS[name]
    assert_alike(place(ours).fit(X, y, **params), with_theirs(name))


def test_bootstraps_of_a_rare_class(ours: LogisticRegression, theirs: Theirs) -> None:
    """Bags weigh the rows that they leave out with 0. Of three classes one may be missing in a bag."""
    for seed in range(3):
        two, three = (
            [BaggingClassifier(m, 6, max_samples=size, random_state=seed).fit(X, y) for m in (ours, theirs)]
            for y, size in ((RARE, 1.0), (np.where(RARE, 2, THREE % 2), 20))
        )
        assert_alike(*two)
        assert_alike(*three)
        assert any(np.isinf(bag.intercept_).any() for bag in three[0].estimators_)


@pytest.mark.parametrize("chain", [MultiOutputClassifier, ClassifierChain])
def test_several_labels_a_row(ours: LogisticRegression, theirs: Theirs, chain: Any) -> None:
    Y = np.column_stack([TWO, THREE == 2, X[:, 0] > 0.3]).astype(int)
    one, other = chain(ours).fit(X, Y), chain(theirs).fit(X, Y)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    np.testing.assert_allclose(np.array(one.predict_proba(X)), np.array(other.predict_proba(X)), atol=1e-5)


def test_columns_of_a_frame(ours: LogisticRegression, theirs: Theirs) -> None:
    """A transformer's frame has names, which the model keeps and demands."""
    pandas = pytest.importorskip("pandas", reason="needs named columns: pip install pandas")
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    frame["kind"] = np.array(["red", "green", "blue"])[np.arange(150) % 3]
    frame["when"] = pandas.Categorical(np.where(X[:, 0] > 0, "day", "night"))
    models = []
    for model in (ours, theirs):
        columns = ColumnTransformer([
            ("numbers", StandardScaler(), list("abcdef")),
            ("kinds", OneHotEncoder(sparse_output=False), ["kind", "when"]),
        ]).set_output(transform="pandas")  # fmt: skip
        models.append(make_pipeline(columns, model).fit(frame, THREE))
    assert_alike(*models, rows=frame)
    names = models[0][-1].feature_names_in_.tolist()
    assert names == models[1][-1].feature_names_in_.tolist()
    assert names[-1] == "kinds__when_night"
    sparse = make_pipeline(clone(models[0][0]).set_output(transform="default"), clone(ours))
    sparse.set_params(columntransformer__kinds__sparse_output=True, columntransformer__sparse_threshold=1.0)
    sparse.fit(frame, THREE)
    assert issparse(sparse[:-1].transform(frame))
    assert_alike(sparse, models[1], rows=frame)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        models[0][-1].predict(models[0][:-1].transform(frame).to_numpy())


@pytest.mark.parametrize("workers", ["loky", "threading"])
def test_a_grid_by_processes_and_by_threads(ours: LogisticRegression, theirs: Theirs, workers: str) -> None:
    grid = {"C": [0.01, 1.0], "fit_intercept": [True, False]}
    with joblib.parallel_config(workers):
        one = GridSearchCV(ours, grid, cv=3, scoring="neg_log_loss", n_jobs=2).fit(X, THREE)
    other = GridSearchCV(theirs, grid, cv=3, scoring="neg_log_loss").fit(X, THREE)
    assert one.best_params_ == other.best_params_
    np.testing.assert_allclose(
        one.cv_results_["mean_test_score"], other.cv_results_["mean_test_score"], atol=1e-5
    )
    assert_alike(one, other)


@pytest.mark.filterwarnings("ignore:Persisting input arguments:UserWarning")  # joblib, on a busy machine
def test_a_pipeline_that_caches(ours: LogisticRegression, theirs: Theirs, tmp_path: Path) -> None:
    """Where the model is a step that selects, its fit is what is cached."""
    found = []
    for model in (ours, theirs):
        pipe = Pipeline(
            [("scale", StandardScaler()), ("select", SelectFromModel(model)), ("model", clone(model))],
            memory=str(tmp_path / type(model).__module__),
        )
        first, again = clone(pipe).fit(X, THREE), clone(pipe).fit(X, THREE)
        np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
        found.append(again)
    assert_alike(*found)


def test_predictions_and_curves_of_cross_validation(ours: LogisticRegression, theirs: Theirs) -> None:
    for method in ("predict_proba", "decision_function", "predict_log_proba", "predict"):
        a, b = (cross_val_predict(m, X, TWO, cv=3, method=method) for m in (ours, theirs))
        np.testing.assert_allclose(a, b, atol=1e-5)
    a, b = (
        learning_curve(m, X, THREE, cv=3, train_sizes=[0.3, 1.0], scoring="neg_log_loss")
        for m in (ours, theirs)
    )
    np.testing.assert_allclose(a[1], b[1], atol=1e-5)
    np.testing.assert_allclose(a[2], b[2], atol=1e-5)


def test_importance_by_permutation(ours: LogisticRegression, theirs: Theirs) -> None:
    a, b = (
        permutation_importance(
            clone(m).fit(X, THREE), X, THREE, n_repeats=3, random_state=0, scoring="neg_log_loss",
            sample_weight=WEIGHTS,
        )
        for m in (ours, theirs)
    )  # fmt: skip
    np.testing.assert_allclose(a.importances, b.importances, atol=1e-5)


@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
def test_selection_by_coefficients(ours: LogisticRegression, theirs: Theirs, y: Any) -> None:
    for threshold in ("median", "1.1*mean", 0.3):
        a, b = (SelectFromModel(m, threshold=threshold).fit(X, y) for m in (ours, theirs))
        np.testing.assert_array_equal(a.get_support(), b.get_support())
    for make in (
        lambda m: RFE(m, n_features_to_select=2),
        lambda m: RFECV(m, cv=StratifiedKFold(3), scoring="neg_log_loss"),
    ):
        a, b = make(ours).fit(X, y), make(theirs).fit(X, y)
        np.testing.assert_array_equal(a.ranking_, b.ranking_)
        assert_alike(a, b)


@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
def test_selection_by_exact_zeros(ours: LogisticRegression, y: Any) -> None:
    """What saga finds near 0 is 0; a coef_ that is sparse selects the same."""
    rows = StandardScaler().fit_transform(X)
    l1 = clone(ours).set_params(l1_ratio=1.0, C=0.1, tol=1e-10)
    saga = l1.fit(rows, y).to_sklearn().set_params(tol=1e-8)
    a, b = (SelectFromModel(clone(m)).fit(rows, y) for m in (l1, saga))
    np.testing.assert_array_equal(a.get_support(), b.get_support())
    assert 0 < a.get_support().sum() < 6
    frozen = SelectFromModel(l1.sparsify(), prefit=True).fit(rows, y)
    np.testing.assert_array_equal(frozen.get_support(), a.get_support())


def test_weights_are_routed(ours: LogisticRegression, theirs: Theirs) -> None:
    """Through a pipeline inside a search, to the fit and to the score."""
    with config_context(enable_metadata_routing=True):
        found = []
        for model in (ours, theirs):
            asks = clone(model).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
            pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=True), asks)
            name = next(reversed(pipe.named_steps))
            search = GridSearchCV(pipe, {f"{name}__C": [0.001, 1.0]}, cv=3)
            found.append(search.fit(X, THREE, sample_weight=WEIGHTS))
            assert np.isfinite(cross_val_score(pipe, X, THREE, params={"sample_weight": WEIGHTS})).all()
            with pytest.raises(ValueError, match="sample_weight"):
                make_pipeline(StandardScaler(), clone(model)).fit(X, THREE, sample_weight=WEIGHTS)
        assert_alike(*found)
        np.testing.assert_allclose(
            found[0].cv_results_["mean_test_score"], found[1].cv_results_["mean_test_score"], atol=1e-12
        )
        unweighted = clone(found[0].best_estimator_).fit(X, THREE)
        assert np.abs(unweighted.predict_proba(X) - found[0].predict_proba(X)).max() > 1e-3
