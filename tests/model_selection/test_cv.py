"""LogisticRegressionCV chooses what scikit-learn's chooses, by the same scores."""

from __future__ import annotations

import pickle
from functools import cache
from typing import Any

import numpy as np
import pytest
import sklearn
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.linear_model import LogisticRegressionCV as ScikitLearn
from sklearn.metrics import f1_score, get_scorer, log_loss, make_scorer
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
)

from accel_logreg import LogisticRegression, LogisticRegressionCV, logistic_path
from accel_logreg.interface.engine import Engine

CS = [1e-3, 0.1, 10.0]


@pytest.fixture(autouse=True, params=[0, 30_000], ids=["columns", "compiled"])
def _small_fits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways, where an engine would fit such small problems one by one."""
    monkeypatch.setattr("accel_logreg.fitting.columns._COMPILED", request.param)


def problem(rng: np.random.Generator, n: int = 120, d: int = 4) -> tuple[np.ndarray, np.ndarray]:
    X = rng.standard_normal((n, d))
    X[:, 0] = 2.0 * X[:, 0] + 3.0
    y = rng.random(n) < 1.0 / (1.0 + np.exp(-(X - X.mean(axis=0)) @ rng.standard_normal(d)))
    return X, np.where(y, "yes", "no")


def peer(**parameters: Any) -> ScikitLearn:
    given = {
        "Cs": CS, "l1_ratios": (0.0,), "scoring": None, "use_legacy_attributes": False,
        "solver": "newton-cholesky", "tol": 1e-11, "max_iter": 500, **parameters,
    }  # fmt: skip
    return ScikitLearn(**given)


def ours(**parameters: Any) -> LogisticRegressionCV:
    return LogisticRegressionCV(**{"Cs": CS, "tol": 1e-13, "backend": "numba", **parameters})


def assert_same(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found.scores_, expected.scores_, rtol=1e-5, atol=1e-7)
    assert pytest.approx(expected.C_) == found.C_
    np.testing.assert_array_equal(found.Cs_, expected.Cs_)
    np.testing.assert_array_equal(found.classes_, expected.classes_)
    assert found.coefs_paths_.shape == expected.coefs_paths_.shape
    assert found.n_iter_.shape == expected.n_iter_.shape
    size = np.abs(expected.coefs_paths_).max()
    np.testing.assert_allclose(found.coefs_paths_, expected.coefs_paths_, rtol=1e-4, atol=1e-5 * size)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-4, atol=1e-5 * size)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, rtol=1e-4, atol=1e-5 * size)


@cache
def given_and_expected(layout: str, weights: bool, scoring: str | None) -> tuple[Any, Any, Any, ScikitLearn]:
    """The data and scikit-learn's answer, once for all engines."""
    rng = np.random.default_rng(20260)
    X, y = problem(rng)
    s = rng.random(len(y)) + 0.1 if weights else None
    given: Any = csr_matrix(np.where(np.abs(X) > 0.5, X, 0.0)) if layout == "csr" else X
    return given, y, s, peer(scoring=scoring, cv=3).fit(given, y, s)


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_is_scikit_learns_on_every_engine(
    backend: Engine, layout: str, weights: bool, scoring: str | None
) -> None:
    X, y, s, expected = given_and_expected(layout, weights, scoring)
    found = ours(backend=backend.name, scoring=scoring, cv=3).fit(X, y, s)
    assert_same(found, expected)
    assert found.backend_ == backend.name
    assert found.gap_ <= 1e-13
    assert (found.gaps_ <= 1e-13).all()


SETTINGS: dict[str, dict[str, Any]] = {
    "five folds": {},
    "ten C": {"Cs": 10},
    "no intercept": {"fit_intercept": False},
    "no refit": {"refit": False},
    "balanced": {"class_weight": "balanced"},
    "class weights": {"class_weight": {"yes": 3.0, "no": 0.5}},
    "AUC": {"scoring": "roc_auc"},
    "Brier": {"scoring": "neg_brier_score"},
    "F1": {"scoring": "f1"},
    "shuffled": {"cv": StratifiedKFold(3, shuffle=True, random_state=0)},
    "not stratified": {"cv": KFold(4)},
    "repeated": {"cv": RepeatedStratifiedKFold(n_splits=2, n_repeats=3, random_state=1)},
    "random tests": {"cv": ShuffleSplit(3, test_size=0.3, random_state=2), "scoring": "neg_log_loss"},
    "a bootstrap": {"cv": [(np.r_[np.arange(60), np.arange(30)], np.arange(60, 120))]},
    "masks": {"cv": [(np.arange(120) % 3 > 0, np.arange(120) % 3 == 0)]},
    "one C": {"Cs": [1.0]},
    "falling C": {"Cs": [10.0, 1.0, 0.01]},
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_is_scikit_learns_in_every_setting(rng: np.random.Generator, name: str) -> None:
    X, y = problem(rng)
    assert_same(ours(**SETTINGS[name]).fit(X, y), peer(**SETTINGS[name]).fit(X, y))


def test_a_callable_scores_x_itself(rng: np.random.Generator) -> None:
    X, y = problem(rng)
    seen = []

    def scoring(model: Any, X: Any, y: Any) -> float:
        seen.append(X.shape)
        return float(np.mean(model.predict(X) == y))

    found = ours(scoring=scoring, cv=3).fit(X, y)
    np.testing.assert_allclose(found.scores_, ours(scoring="accuracy", cv=3).fit(X, y).scores_)
    assert set(seen) == {(40, 4)}


def test_a_scorer_keeps_its_own_positive_label(rng: np.random.Generator) -> None:
    X, y = problem(rng)
    found = ours(scoring=make_scorer(f1_score, pos_label="no"), cv=3).fit(X, y)
    for f, (_, test) in enumerate(StratifiedKFold(3).split(X, y)):
        for k in range(len(CS)):
            W = found.coefs_paths_[f, 0, k, 0]
            said = np.where(X[test] @ W[:-1] + W[-1] > 0.0, "yes", "no")
            assert found.scores_[f, 0, k] == pytest.approx(f1_score(y[test], said, pos_label="no"))


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss", "balanced_accuracy"])
def test_weights_count_in_scores(rng: np.random.Generator, scoring: str) -> None:
    X, y = problem(rng)
    s = rng.integers(0, 4, len(y)).astype(float)
    assert_same(ours(scoring=scoring).fit(X, y, s), peer(scoring=scoring).fit(X, y, s))


@pytest.mark.parametrize("ratios", [None, (0.0,)])
def test_legacy_attributes_have_scikit_learns_shapes(rng: np.random.Generator, ratios: Any) -> None:
    X, y = problem(rng)
    given = {"use_legacy_attributes": True, "l1_ratios": ratios}
    found = ours(**given).fit(X, y)
    with pytest.warns(FutureWarning) if ratios is None else _nothing():
        expected = peer(**given).fit(X, y)
    assert found.scores_.keys() == expected.scores_.keys() == {"yes"}
    np.testing.assert_allclose(found.scores_["yes"], expected.scores_["yes"])
    np.testing.assert_allclose(found.coefs_paths_["yes"], expected.coefs_paths_["yes"], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.C_, expected.C_)
    assert found.n_iter_.shape == expected.n_iter_.shape


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def test_groups_and_weights_are_routed(rng: np.random.Generator) -> None:
    X, y = problem(rng)
    groups, s = rng.integers(0, 6, len(y)), rng.random(len(y)) + 0.1
    with sklearn.config_context(enable_metadata_routing=True):
        for scored in (True, False):
            scorer = get_scorer("accuracy").set_score_request(sample_weight=scored)
            given = {"cv": GroupKFold(3), "scoring": scorer}
            found = ours(**given).set_fit_request(sample_weight=True)
            expected = peer(**given).set_fit_request(sample_weight=True)
            found.fit(X, y, sample_weight=s, groups=groups)
            assert_same(found, expected.fit(X, y, sample_weight=s, groups=groups))
            assert found.score(X, y, **({"sample_weight": s} if scored else {})) == pytest.approx(
                expected.score(X, y, **({"sample_weight": s} if scored else {}))
            )
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        ours(cv=GroupKFold(3)).fit(X, y, groups=groups)


def test_score_is_of_the_scoring(rng: np.random.Generator) -> None:
    X, y = problem(rng)
    for scoring in (None, "neg_log_loss"):
        expected = peer(scoring=scoring).fit(X, y).score(X, y)
        assert ours(scoring=scoring).fit(X, y).score(X, y) == pytest.approx(expected, rel=1e-5)


def test_one_standard_error_takes_the_smallest_c_that_is_good_enough(rng: np.random.Generator) -> None:
    X, y = problem(rng)
    found = ours(Cs=10, scoring="neg_log_loss", choice="one-standard-error").fit(X, y)
    scores = found.scores_[:, 0]
    mean, error = scores.mean(axis=0), scores.std(axis=0, ddof=1) / np.sqrt(5)
    np.testing.assert_allclose(found.mean_scores_, mean)
    np.testing.assert_allclose(found.standard_errors_, error)
    enough = found.Cs_[mean >= mean.max() - error[mean.argmax()]]
    assert enough.min() == found.C_
    assert found.C_ < ours(Cs=10, scoring="neg_log_loss").fit(X, y).C_


@cache
def left_out(weights: bool, fit_intercept: bool) -> tuple[Any, ...]:
    """X, y, weights; the mean score of rows left out, for every C, and that of rows that were not."""
    rng, n = np.random.default_rng(20260), 150
    X, y = problem(rng, n, 3)
    s = rng.random(n) + 0.5 if weights else None
    said, exact, within = (np.arange(n), (y == "yes").astype(int)), [], []
    for C in CS:
        model = LogisticRegression(backend="numba", C=C, fit_intercept=fit_intercept)
        within.append(np.average(model.fit(X, y, s).predict_log_proba(X)[said], weights=s))
        losses = []
        for i in range(n):
            rest = np.arange(n) != i
            model.fit(X[rest], y[rest], None if s is None else s[rest])
            losses.append(model.predict_log_proba(X[[i]])[0, said[1][i]])
        exact.append(np.average(losses, weights=s))
    return X, y, s, np.array(exact), np.array(within)


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_loo_is_near_leaving_every_row_out(
    backend: Engine, layout: str, weights: bool, fit_intercept: bool
) -> None:
    X, y, s, exact, within = left_out(weights, fit_intercept)
    given: Any = csr_matrix(X) if layout == "csr" else X
    found = ours(
        backend=backend.name, cv="loo", scoring="neg_log_loss", fit_intercept=fit_intercept
    ).fit(given, y, s)  # fmt: skip
    assert found.scores_.shape == (1, 1, 3)
    # What leaving rows out changes is reproduced to a tenth of it.
    np.testing.assert_allclose(found.scores_[0, 0], exact, atol=0.1 * np.abs(within - exact).max())
    assert (found.standard_errors_ > 0.0).all()


def test_loo_is_one_newton_step_a_row(rng: np.random.Generator) -> None:
    n, C = 40, 2.0
    X, y = problem(rng, n, 3)
    s = rng.random(n) + 0.5
    model = ours(Cs=[C], cv="loo", scoring="neg_log_loss", tol=1e-15).fit(X, y, s)
    ones = np.column_stack([X, np.ones(n)])
    a = model.predict_proba(X)[:, 1]
    H = ones.T @ (ones * (s * a * (1.0 - a))[:, np.newaxis]) + np.diag([1.0 / C] * 3 + [0.0])
    expected = []
    for i in range(n):  # J without row i has its gradient alone, with the sign turned
        without = H - s[i] * a[i] * (1.0 - a[i]) * np.outer(ones[i], ones[i])
        step = np.linalg.solve(without, s[i] * (a[i] - (y[i] == "yes")) * ones[i])
        z = ones[i] @ (np.append(model.coef_[0], model.intercept_) + step)
        expected.append(-np.logaddexp(0.0, -z if y[i] == "yes" else z))
    assert model.scores_[0, 0, 0] == pytest.approx(np.average(expected, weights=s), rel=1e-7)


def test_leave_one_out_as_a_splitter_is_exact(rng: np.random.Generator) -> None:
    X, y = problem(rng, 40, 2)
    assert_same(ours(cv=LeaveOneOut()).fit(X, y), peer(cv=LeaveOneOut()).fit(X, y))


def test_blocks_of_folds_are_the_folds(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    X, y = problem(rng)
    whole = ours(scoring="neg_log_loss").fit(X, y)
    monkeypatch.setattr("accel_logreg.model_selection.search._MOST_BYTES", 1)
    blocks = ours(scoring="neg_log_loss").fit(X, y)
    np.testing.assert_allclose(blocks.scores_, whole.scores_, rtol=1e-5)
    assert blocks.coefs_paths_.shape == whole.coefs_paths_.shape
    assert blocks.gaps_.shape == (5, 1, 3)


def test_the_path_is_the_fits(backend: Engine, rng: np.random.Generator, dtype: type[np.floating]) -> None:
    X, y = problem(rng)
    X = X.astype(dtype)
    path = logistic_path(X, y, CS, backend=backend.name, tol=1e-13)
    for k, C in enumerate(CS):
        one = LogisticRegression(C=C, tol=1e-13, backend=backend.name).fit(X, y)
        np.testing.assert_allclose(path.coefs[k], one.coef_[0], rtol=1e-4, atol=1e-6)
        assert path.intercepts[k] == pytest.approx(one.intercept_[0], rel=1e-4)
        assert path.costs[k] == pytest.approx(one.history_["cost"][-1], rel=1e-9)
    assert path.coefs.shape == (3, 4)
    assert path.reads > 0.0
    np.testing.assert_array_equal(path.classes, ["no", "yes"])


def test_plots_show_what_was_found(rng: np.random.Generator) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    X, y = problem(rng)
    axes = logistic_path(X, y, [10.0, 0.1, 1.0], backend="numba").plot()
    assert axes.get_xscale() == "log"
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [0.1, 1.0, 10.0])
    model = ours().fit(X, y)
    own = plt.subplots()[1]
    assert model.plot_path(own) is own
    assert f"{model.C_:.3g}" in own.get_legend_handles_labels()[1][0]
    plt.close("all")


def test_a_clone_and_a_pickle_are_what_they_were_made_of(rng: np.random.Generator) -> None:
    X, y = problem(rng)
    model = ours(cv=3, choice="one-standard-error").fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert clone(model).get_params() == model.get_params()


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "Cs=0": ({"Cs": 0}, ValueError, "Cs=0 must be at least 1"),
    "Cs below 0": ({"Cs": [1.0, -1.0]}, ValueError, "above 0"),
    "Cs empty": ({"Cs": []}, ValueError, "above 0"),
    "Cs of NaN": ({"Cs": [np.nan]}, ValueError, "above 0"),
    "Cs a number": ({"Cs": 1.5}, TypeError, "Cs=1.5"),
    "Cs words": ({"Cs": ["a"]}, TypeError, "list of numbers"),
    "cv a word": ({"cv": "lou"}, ValueError, "cv='lou'"),
    "cv of 1": ({"cv": 1}, ValueError, "n_splits=1"),
    "cv beyond X": ({"cv": [([0, 1, 200], [3])]}, ValueError, "row 200"),
    "cv without rows": ({"cv": [(list(range(60)), [])]}, ValueError, "fold 0 tests on no row"),
    "no folds": ({"cv": []}, ValueError, "no folds"),
    "one class in a fold": ({"cv": "one"}, ValueError, "without class"),
    "l1 beyond 1": ({"l1_ratios": (0.5, 1.5)}, ValueError, "l1_ratio=1.5 must be from 0"),
    "l1 words": ({"l1_ratios": "half"}, ValueError, "l1_ratios='half'"),
    "l1 empty": ({"l1_ratios": ()}, ValueError, "list of numbers from 0"),
    "loo and l1": ({"cv": "loo", "l1_ratios": (1.0,)}, ValueError, "for the L2 penalty alone"),
    "choice": ({"choice": "worst"}, ValueError, "one-standard-error"),
    "scoring": ({"scoring": "nothing"}, ValueError, "nothing"),
    "refit": ({"refit": "yes"}, TypeError, "refit"),
    "tol": ({"tol": -1.0}, ValueError, "tol=-1.0"),
    "class weight": ({"class_weight": {"maybe": 1.0}}, ValueError, "maybe"),
    "loo without penalty": ({"cv": "loo", "Cs": [np.inf]}, ValueError, "needs a penalty"),
    "one fold's error": ({"cv": [(range(60), range(60, 120))], "choice": "one-standard-error"}, ValueError,
                         "standard error"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_parameters_are_named(rng: np.random.Generator, name: str) -> None:
    X, y = problem(rng)
    given, error, words = BAD[name]
    if given.get("cv") == "one":
        given = {"cv": [(np.flatnonzero(y == "yes"), np.flatnonzero(y == "no"))]}
    if "cv" in given and isinstance(given["cv"], list):
        given = {**given, "cv": [(np.array(a, int), np.array(b, int)) for a, b in given["cv"]]}
    with pytest.raises(error, match=words):
        ours(**given).fit(X, y)


def test_bad_data_is_named(rng: np.random.Generator) -> None:
    X, y = problem(rng)
    with pytest.raises(ValueError, match="one class"):
        ours().fit(X, np.full(len(y), "yes"))
    with pytest.raises(ValueError, match="NaN"):
        ours().fit(X, np.where(y == "yes", 1.0, np.nan))
    with pytest.raises(ValueError, match="NaN"):
        ours().fit(np.where(X > 1.5, np.nan, X), y)
    many = np.ones((120_000, 9))  # too many to be looked at before they are read
    many[77_777, 3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ours().fit(many, np.arange(120_000) % 2)
    with pytest.raises(ValueError, match="inconsistent"):
        ours().fit(X[:50], y)


def test_a_fit_that_fails_changes_nothing(rng: np.random.Generator) -> None:
    X, y = problem(rng)
    model = ours(cv=3).fit(X, y)
    before = {name: np.copy(value) for name, value in vars(model).items() if name.endswith("_")}
    model.set_params(cv=[(np.arange(10), np.array([500]))])
    with pytest.raises(ValueError, match="row 500"):
        model.fit(X[:, :2], y)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(model, name), value)


def test_no_penalty_is_one_of_the_choices(rng: np.random.Generator) -> None:
    X, y = problem(rng)
    assert_same(ours(Cs=[0.1, np.inf]).fit(X, y), peer(Cs=[0.1, np.inf]).fit(X, y))


@pytest.mark.parametrize("n", [60, 3_000])
def test_sparse_columns_are_single_fits(n: int) -> None:
    """Folds and penalties side by side, each as near its optimum as a fit of its own; C=inf as well."""
    random = np.random.default_rng(0)
    X = random.standard_normal((n, 120 if n > 1_000 else 8))
    y = (X[:, 0] - X[:, 1] + random.logistic(size=n) > 0).astype(int)
    X[:, 3] *= 100.0
    grid = [0.01, 1.0, np.inf]
    path = logistic_path(X, y, grid, l1_ratio=0.8)
    model = LogisticRegressionCV(Cs=grid, l1_ratios=(0.0, 0.8), cv=3, scoring="neg_log_loss").fit(X, y)
    assert model.gaps_.shape == model.scores_.shape == (3, 2, 3)
    folds = list(StratifiedKFold(3).split(X, y))
    for k, C in enumerate(grid):
        alone = LogisticRegression(C=C, l1_ratio=0.8).fit(X, y)
        np.testing.assert_allclose(path.costs[k], alone.history_["cost"][-1], rtol=1e-7)
        np.testing.assert_allclose(path.coefs[k], alone.coef_[0], atol=1e-3)
        train, test = folds[1]
        fold = LogisticRegression(C=C, l1_ratio=0.8).fit(X[train], y[train])
        np.testing.assert_allclose(model.coefs_paths_[1, 1, k, 0, :-1], fold.coef_[0], atol=1e-3)
        expected = -log_loss(y[test], fold.predict_proba(X[test]))
        np.testing.assert_allclose(model.scores_[1, 1, k], expected, rtol=1e-4)
    assert (path.gaps <= 1e-8).all()
    assert (model.gaps_ <= 1e-8).all()
    assert path.n_nonzero[0] < path.n_nonzero[2]
    from_largest = logistic_path(X, y, 12, l1_ratio=0.8)
    assert from_largest.n_nonzero[0] == 0
    assert from_largest.n_nonzero[1] > 0
    axes = from_largest.plot(names=[f"x{j}" for j in range(X.shape[1])], chosen=1.0)
    assert len(axes.get_legend().get_texts()) == min(10, X.shape[1]) + 1
