"""LogisticRegression with an L1 part, on every engine: the optimum, its zeros, and what must not matter."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Peer
from sklearn.multiclass import OneVsRestClassifier
from support.composite_problems import largest_C
from support.l1_reference import SparseProblem
from support.same_fit import same_fit

from accel_logreg import LogisticRegression, SeparationWarning, certified_gap
from accel_logreg.interface.engine import Engine
from accel_logreg.solvers import proximal

# Of J, by number of classes: a tol at which coefficients are right to seven digits. Of two classes the bound
# is of the second order in the slopes; of more of the first, so that rounding shows in it sooner.
_EXACT = {2: 1e-14, 3: 1e-11}
_CLOSE = 1e-6  # of a coefficient


def data(n: int = 150, d: int = 12, K: int = 2, seed: int = 0) -> tuple[Any, Any]:
    """Correlated columns with means, of which a few matter."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, d)) @ (np.eye(d) + 0.3 * random.standard_normal((d, d)) / np.sqrt(d))
    z = X[:, : min(4, d)] @ random.standard_normal((min(4, d), K)) * 1.5
    y = (z + random.gumbel(size=(n, K))).argmax(axis=1)
    y[:K] = np.arange(K)
    return X + 0.5 * random.standard_normal(d), y


def fit(problem: SparseProblem, engine: str, *, tol: float = 1e-8, **settings: Any) -> LogisticRegression:
    """Without a warning, by a gap that is certified and true."""
    model = LogisticRegression(backend=engine, tol=tol, **{**problem.settings, **settings})
    model.fit(problem.X, problem.y, problem.s)
    assert model.gap_kind_ == "certified"
    assert model.solver_ == "prox-newton"
    assert problem.excess(model.coef_, model.intercept_) <= model.gap_ + 1e-13
    assert model.gap_ <= tol
    return model


def at(times: float, problem: SparseProblem) -> SparseProblem:
    """Under a penalty ``times`` weaker than the one that leaves no weight."""
    return replace(problem, C=times * largest_C(problem))


def assert_same_model(problem: SparseProblem, ours: Any, other: Any, atol: float = _CLOSE) -> None:
    """Coefficients agree, and zeros but where the slope is as good as l1 and a tiny weight proves nothing."""
    np.testing.assert_allclose(ours.coef_, other.coef_, atol=atol)
    intercepts = (np.atleast_1d(model.intercept_) for model in (ours, other))
    centred = [b - b.mean() * (len(b) > 1) for b in intercepts]
    np.testing.assert_allclose(*centred, atol=atol)
    slopes = abs(problem.gradient(problem.joined(ours.coef_, ours.intercept_)))[:, :-1].astype(float)
    held = slopes < problem.l1[:-1].astype(float) * (1.0 - 1e-4)
    assert not ours.coef_[held].any()
    assert (abs(np.asarray(other.coef_)[held]) <= atol).all()
    clear = abs(np.asarray(other.coef_)) > 10 * atol
    assert ours.coef_[clear].all()


# What others find


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("times", [2.0, 30.0])
def test_liblinears_optimum(backend: Engine, times: float, weights: bool) -> None:
    """Without an intercept, which liblinear penalises."""
    X, y = data()
    s = np.random.default_rng(0).integers(0, 3, len(y)) * 0.7 if weights else None
    problem = at(times, SparseProblem(X, y, s, fit_intercept=False))
    ours = fit(problem, backend.name, tol=_EXACT[2])
    peer = Peer(
        l1_ratio=1, solver="liblinear", C=problem.C, fit_intercept=False, tol=1e-12, max_iter=100_000,
        random_state=0,
    )  # fmt: skip
    assert_same_model(problem, ours, peer.fit(X, y, s), 1e-5)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("K", [2, 3])
def test_sagas_optimum(backend: Engine, K: int, l1_ratio: float) -> None:
    """With an intercept, and a softmax of three classes: of an odd number the L1 optimum is the only one."""
    X, y = data(K=K, seed=3)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    s = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    problem = at(8.0, SparseProblem(X, y, s, l1_ratio=l1_ratio))
    ours = fit(problem, backend.name, tol=_EXACT[K])
    peer = Peer(l1_ratio=l1_ratio, solver="saga", C=problem.C, tol=1e-9, max_iter=20_000, random_state=0)
    peer.fit(X, y, s)
    assert_same_model(problem, ours, peer, 3e-5)
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("K", [2, 3])
def test_a_slow_and_sure_method(backend: Engine, K: int) -> None:
    X, y = data(60, 5, K, seed=4)
    problem = at(10.0, SparseProblem(X, y, l1_ratio=0.7, positive=True, factor=[1.0, 0.5, 2.0, 1.0, 3.0]))
    W = problem.accelerated().astype(float)
    model = fit(problem, backend.name, tol=_EXACT[K])
    np.testing.assert_allclose(model.coef_, W[:, :-1], atol=2e-6)


def test_one_vs_rest_is_a_model_a_class(backend: Engine) -> None:
    X, y = data(120, 8, 4, seed=5)
    settings: dict[str, Any] = {"C": 0.3, "l1_ratio": 0.8, "tol": _EXACT[2], "backend": backend.name}
    together = LogisticRegression(multi_class="ovr", **settings).fit(X, y)
    apart = OneVsRestClassifier(LogisticRegression(**settings)).fit(X, y)
    for k, alone in enumerate(apart.estimators_):
        np.testing.assert_allclose(together.coef_[k], alone.coef_[0], atol=_CLOSE)
        np.testing.assert_allclose(together.intercept_[k], alone.intercept_[0], atol=_CLOSE)
        problem = SparseProblem(X, (y == k).astype(int), C=0.3, l1_ratio=0.8)
        assert problem.excess(together.coef_[k], together.intercept_[k]) <= together.gap_ + 1e-13
    assert together.gap_kind_ == "certified"
    assert together.one_vs_rest_
    np.testing.assert_array_equal(together.predict(X), apart.predict(X))


# What it is given


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("K", [2, 3])
def test_layouts_and_floats(backend: Engine, dtype: type, layout: Any, K: int) -> None:
    X, y = data(80, 10, K, seed=6)
    X[np.abs(X) < 0.5] = 0.0
    problem = at(6.0, SparseProblem(X.astype(dtype), y, l1_ratio=0.9))
    model = fit(replace(problem, X=layout(problem.X)), backend.name, tol=_EXACT[K])
    plain = fit(problem, "numpy", tol=_EXACT[K])
    np.testing.assert_allclose(model.coef_, plain.coef_, atol=1e-5)
    assert 0 < np.count_nonzero(model.coef_) < model.coef_.size


def test_engines_agree(backend: Engine) -> None:
    """To 1e-10 of J, whatever is fitted."""
    for K, settings in ((2, {}), (3, {}), (2, {"l1_ratio": 0.3}), (2, {"positive": True})):
        X, y = data(100, 15, K, seed=7)
        problem = at(10.0, SparseProblem(X, y, **settings))
        here, there = (fit(problem, name, tol=1e-11) for name in (backend.name, "numpy"))
        costs = [problem.cost(m.coef_, m.intercept_) for m in (here, there)]
        assert abs(costs[0] - costs[1]) <= 1e-10 * costs[1]


def test_class_weights_are_weights(backend: Engine) -> None:
    X, y = data(seed=8)
    settings: dict[str, Any] = {"C": 0.2, "l1_ratio": 1.0, "backend": backend.name, "tol": _EXACT[2]}
    by_class = LogisticRegression(class_weight={0: 2.0, 1: 0.5}, **settings).fit(X, y)
    by_row = LogisticRegression(**settings).fit(X, y, np.array([2.0, 0.5])[y])
    np.testing.assert_allclose(by_class.coef_, by_row.coef_, atol=_CLOSE)
    balanced = LogisticRegression(class_weight="balanced", **settings).fit(X, y)
    by_row = LogisticRegression(**settings).fit(X, y, (len(y) / 2 / np.bincount(y))[y])
    np.testing.assert_allclose(balanced.coef_, by_row.coef_, atol=_CLOSE)


@pytest.mark.parametrize("multi_class", ["multinomial", "ovr"])
def test_a_class_without_weight_is_left_out(backend: Engine, multi_class: str) -> None:
    """It has weights of 0 and no probability; the others are as if it were not there, warm starts too."""
    X, y = data(90, 5, 4, seed=27)
    s = (y != 2).astype(float)
    settings: dict[str, Any] = {"l1_ratio": 1.0, "multi_class": multi_class, "backend": backend.name}
    model = LogisticRegression(warm_start=True, tol=1e-11, **settings).fit(X, y, s)
    without = LogisticRegression(tol=1e-11, **settings).fit(X[y != 2], y[y != 2])
    np.testing.assert_allclose(model.coef_[[0, 1, 3]], without.coef_, atol=_CLOSE)
    np.testing.assert_allclose(model.intercept_[[0, 1, 3]], without.intercept_, atol=_CLOSE)
    assert not model.coef_[2].any()
    assert model.intercept_[2] == -np.inf
    assert (model.predict_proba(X)[:, 2] == 0.0).all()
    model.fit(X, y, s)
    assert model.n_iter_[0] <= 1


def test_units_of_weights_and_of_C(backend: Engine) -> None:
    """C times as small with weights as many times as large is the same problem, up to 1e±100."""
    X, y = data(60, 5, seed=28)
    plain = LogisticRegression(l1_ratio=1.0, tol=1e-12, backend=backend.name).fit(X, y)
    for unit in (1e-100, 1e100):
        model = LogisticRegression(l1_ratio=1.0, tol=1e-12, C=1.0 / unit, backend=backend.name)
        np.testing.assert_allclose(model.fit(X, y, np.full(60, unit)).coef_, plain.coef_, atol=_CLOSE)


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("K", [2, 3])
def test_x_without_a_number_in_it(backend: Engine, K: int, layout: Any) -> None:
    X, y = layout(np.zeros((30, 4))), np.arange(30) % K
    model = fit(SparseProblem(X, y, l1_ratio=0.5), backend.name)
    assert not model.coef_.any()
    assert model.gap_ <= 1e-12


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_named(backend: Engine, value: float) -> None:
    X, y = data(30, 4)
    X[3, 2] = value
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        LogisticRegression(l1_ratio=1.0, backend=backend.name).fit(X, y)


def test_warm_start_goes_on_from_the_last_fit(backend: Engine) -> None:
    """The same again takes no step; a slightly weaker penalty takes fewer than it does anew."""
    for K in (2, 3):
        X, y = data(200, 20, K, seed=9)
        problem = at(20.0, SparseProblem(X, y))
        model = LogisticRegression(backend=backend.name, warm_start=True, **problem.settings).fit(X, y)
        steps, coef = model.n_iter_[0], model.coef_
        model.fit(X, y)
        assert model.n_iter_[0] <= 1
        np.testing.assert_allclose(model.coef_, coef, atol=1e-4)
        nearby = replace(problem, C=1.05 * problem.C)
        model.set_params(C=nearby.C).fit(X, y)
        assert model.n_iter_[0] < steps
        assert nearby.excess(model.coef_, model.intercept_) <= model.gap_ + 1e-13
        model.set_params(positive=True).fit(X, y)  # from weights that it may not have
        assert (model.coef_ >= 0.0).all()
        bounded = replace(nearby, positive=True)
        assert bounded.excess(model.coef_, model.intercept_) <= model.gap_ + 1e-13


# Penalties


def test_a_factor_of_zero_leaves_a_column_unpenalised(backend: Engine) -> None:
    """Its weight is what it would be with the other columns' logits as given: its slope is 0."""
    X, y = data(seed=10)
    factor = np.ones(12)
    factor[[3, 7]] = 0.0
    problem = SparseProblem(X, y, C=1e-6, factor=factor)
    model = fit(problem, backend.name, tol=_EXACT[2])
    assert set(np.flatnonzero(model.coef_[0])) == {3, 7}
    free = LogisticRegression(C=float("inf"), tol=_EXACT[2], backend=backend.name).fit(X[:, [3, 7]], y)
    np.testing.assert_allclose(model.coef_[0, [3, 7]], free.coef_[0], atol=1e-5)
    fit(replace(problem, C=1.0), backend.name)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
def test_an_unpenalised_constant_column_is_the_intercept_again(backend: Engine, K: int, layout: Any) -> None:
    X, y = data(80, 5, K, seed=11)
    more = np.c_[X, np.full(80, 1.5)]
    problem = SparseProblem(layout(more), y, C=0.5, factor=[1.0] * 5 + [0.0])
    model = fit(problem, backend.name, tol=_EXACT[K])
    without = fit(SparseProblem(X, y, C=0.5), backend.name, tol=_EXACT[K])
    np.testing.assert_allclose(model.coef_[:, :-1], without.coef_, atol=1e-5)
    fit(replace(problem, fit_intercept=False), backend.name)


@pytest.mark.parametrize("K", [2, 3])
def test_a_factor_is_a_column_divided_by_it(backend: Engine, K: int) -> None:
    """Under L1: f |w| with w x is |v| with v x/f."""
    X, y = data(100, 6, K, seed=12)
    factor = np.array([0.5, 1.0, 2.0, 4.0, 1.0, 0.25])
    by_factor = fit(SparseProblem(X, y, C=0.4, factor=factor), backend.name, tol=_EXACT[K])
    by_column = fit(SparseProblem(X / factor, y, C=0.4), backend.name, tol=_EXACT[K])
    np.testing.assert_allclose(by_factor.coef_ * factor, by_column.coef_, atol=1e-5)
    both = fit(SparseProblem(X / 7.0, y, C=0.4, factor=factor / 7.0), backend.name, tol=_EXACT[K])
    np.testing.assert_allclose(both.coef_ / 7.0, by_factor.coef_, atol=1e-5)


def test_factors_of_the_l2_penalty_alone(backend: Engine) -> None:
    """l1_ratio=0: f/2 w² with w x is v²/2 with v x/√f, which needs no factor."""
    X, y = data(100, 6, seed=13)
    factor = np.array([0.5, 1.0, 2.0, 4.0, 1.0, 0.25])
    problem = SparseProblem(X, y, C=0.4, l1_ratio=0.0, factor=factor)
    model = fit(problem, backend.name, tol=_EXACT[2])
    plain = LogisticRegression(C=0.4, tol=_EXACT[2], backend=backend.name).fit(X / np.sqrt(factor), y)
    np.testing.assert_allclose(model.coef_ * np.sqrt(factor), plain.coef_, atol=1e-6)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("K", [2, 3])
def test_positive(backend: Engine, K: int, l1_ratio: float) -> None:
    X, y = data(100, 10, K, seed=14)
    problem = SparseProblem(X, y, C=1.0, l1_ratio=l1_ratio, positive=True)
    model = fit(problem, backend.name)
    assert (model.coef_ >= 0.0).all()
    assert (model.coef_ == 0.0).any()
    anything = fit(replace(problem, positive=False), backend.name) if l1_ratio else None
    assert anything is None or (anything.coef_ < 0.0).any()


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("C", [1e-9, 0.999])
def test_nothing_but_the_intercept(backend: Engine, K: int, C: float) -> None:
    """Where the penalty is stronger than any slope: the classes' log-odds, exactly, and no doubt of it."""
    X, y = data(90, 7, K, seed=15)
    s = np.random.default_rng(2).uniform(0.5, 2.0, 90)
    problem = SparseProblem(X, y, s)
    problem = replace(problem, C=C * (largest_C(problem) if C > 0.5 else 1.0))
    model = fit(problem, backend.name)
    assert not model.coef_.any()
    assert model.gap_ <= 1e-10
    shares = np.log(np.bincount(y, weights=s) / s.sum())
    expected = [shares[1] - shares[0]] if K == 2 else shares - shares.mean()
    np.testing.assert_allclose(model.intercept_, expected, rtol=1e-9)
    weaker = fit(replace(problem, C=problem.C * 1.01), backend.name)
    assert weaker.coef_.any() == (C > 0.5)
    with_none = fit(replace(problem, fit_intercept=False, C=1e-9), backend.name)
    assert not with_none.coef_.any()
    assert not with_none.intercept_.any()
    np.testing.assert_allclose(with_none.history_["cost"][-1], np.log(K), rtol=1e-12)


@pytest.mark.parametrize("settings", [{"l1_ratio": 0.5}, {"penalty_factor": np.arange(12.0)}])
def test_without_a_penalty_its_shape_is_nothing(backend: Engine, settings: dict[str, Any]) -> None:
    X, y = data(seed=16)
    model = LogisticRegression(C=float("inf"), backend=backend.name, **settings).fit(X, y)
    plain = LogisticRegression(C=float("inf"), backend=backend.name).fit(X, y)
    assert same_fit(model, plain)
    assert model.solver_ == plain.solver_ != "prox-newton"


def test_weaker_penalties_have_lower_losses_and_larger_norms(backend: Engine) -> None:
    X, y = data(seed=17)
    problem = SparseProblem(X, y)
    models = [fit(at(times, problem), backend.name) for times in (1.5, 3.0, 10.0, 100.0)]
    losses = [float(problem.loss(problem.joined(m.coef_, m.intercept_))) for m in models]
    sizes = [float(np.abs(m.coef_).sum()) for m in models]
    assert losses == sorted(losses, reverse=True)
    assert sizes == sorted(sizes)


# Shapes


@pytest.mark.parametrize("K", [2, 3])
def test_a_single_feature(backend: Engine, K: int) -> None:
    X, y = data(50, 1, K, seed=18)
    for times in (0.9, 1.1, 50.0):
        model = fit(at(times, SparseProblem(X, y)), backend.name)
        assert model.coef_.any() == (times > 1.0)


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
def test_constant_and_duplicated_columns(backend: Engine, layout: Any) -> None:
    """A penalised constant stays at 0 beside an intercept; copies share one weight, halves under L2."""
    X, y = data(100, 5, seed=19)
    more = np.c_[X, X[:, 0], np.full(100, 2.0), np.zeros(100), -X[:, 1]]
    one = fit(SparseProblem(X, y, C=0.5), backend.name, tol=_EXACT[2])
    found = fit(SparseProblem(layout(more), y, C=0.5), backend.name, tol=_EXACT[2]).coef_[0]
    np.testing.assert_allclose(found[0] + found[5], one.coef_[0, 0], atol=1e-5)
    np.testing.assert_allclose(found[1] - found[8], one.coef_[0, 1], atol=1e-5)
    assert not found[6:8].any()
    curved = fit(SparseProblem(layout(more), y, C=0.5, l1_ratio=0.5), backend.name, tol=_EXACT[2]).coef_[0]
    np.testing.assert_allclose(curved[0], curved[5], atol=1e-6)
    np.testing.assert_allclose(curved[1], -curved[8], atol=1e-6)


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("K", [2, 3])
def test_many_more_features_than_rows(backend: Engine, K: int, layout: Any) -> None:
    """Of as many nonzero weights as rows, at most; also where the classes are separated."""
    random = np.random.default_rng(20)
    X = random.standard_normal((30, 300))
    X[random.random(X.shape) < 0.7] = 0.0
    y = np.arange(30) % K
    for times in (1.3, 20.0):
        model = fit(at(times, SparseProblem(layout(X), y)), backend.name)
        assert (np.count_nonzero(model.coef_, axis=1) <= 30).all()
    fit(at(5.0, SparseProblem(layout(X), y, l1_ratio=0.5)), backend.name)


@pytest.mark.parametrize("settings", [{}, {"l1_ratio": 0.4}])
def test_many_more_rows_than_features(backend: Engine, settings: dict[str, Any]) -> None:
    """Where a sample of the rows comes first: all rows are read a few times, and the same bits come out."""
    if backend.name == "python":
        pytest.skip("a loop over 50,000 rows in Python takes too long for what NumPy's rows show as well")
    X, y = data(50_000, 6, seed=21)
    problem = at(20.0, SparseProblem(X, y, **settings))
    model = LogisticRegression(backend=backend.name, **problem.settings).fit(X, y)
    assert (
        certified_gap(X, y, model.coef_, model.intercept_, backend=backend.name, **_judging(problem)) < 1e-8
    )
    assert model.gap_kind_ == "certified"
    assert model.gap_ <= 1e-8
    assert model.history_["reads"][-1] < 12.0
    again = LogisticRegression(backend=backend.name, **problem.settings).fit(X, y)
    assert same_fit(model, again)
    other = LogisticRegression(backend=backend.name, random_state=5, **problem.settings).fit(X, y)
    np.testing.assert_allclose(other.coef_, model.coef_, atol=1e-3)


def _judging(problem: SparseProblem) -> dict[str, Any]:
    return {"C": problem.C, "l1_ratio": problem.l1_ratio, "penalty_factor": problem.factor}


@pytest.mark.parametrize(("d", "K"), [(2_000, 2), (150, 3)])
def test_more_unknowns_than_a_matrix_holds(
    backend: Engine, d: int, K: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elastic net with little L1: most columns are in play, known by products with the Hessian."""
    if backend.name == "python":
        pytest.skip("a loop's products of so many columns take seconds; tests/solvers has fewer of them")
    monkeypatch.setattr(proximal, "_MOST_OF_CLASSES", 200)
    most = proximal._MOST_UNKNOWNS if K == 2 else 200
    random = np.random.default_rng(22)
    X, y = random.standard_normal((24, d)), np.arange(24) % K
    problem = at(100.0, SparseProblem(X, y, l1_ratio=0.001))
    model = LogisticRegression(backend=backend.name, **problem.settings).fit(X, y)
    assert np.count_nonzero(model.coef_.any(axis=0)) * (1 if K == 2 else K) > most
    assert model.gap_kind_ == "certified"
    assert model.gap_ <= 1e-8
    low = problem.lower(problem.joined(model.coef_, model.intercept_))
    assert problem.cost(model.coef_, model.intercept_) <= low * (1.0 + 1.1e-8)


# What must not matter


@pytest.mark.parametrize("K", [2, 3])
def test_invariances(backend: Engine, K: int) -> None:
    X, y = data(80, 9, K, seed=23)
    random = np.random.default_rng(0)
    settings: dict[str, Any] = {"C": 0.5, "l1_ratio": 1.0, "tol": _EXACT[K], "backend": backend.name}
    plain = LogisticRegression(**settings).fit(X, y)

    def assert_coefficients(model: LogisticRegression, coef: Any) -> None:
        np.testing.assert_allclose(model.coef_, coef, atol=1e-5)

    order, columns = random.permutation(80), random.permutation(9)
    assert_coefficients(LogisticRegression(**settings).fit(X[order], y[order]), plain.coef_)
    assert_coefficients(LogisticRegression(**settings).fit(X[:, columns], y), plain.coef_[:, columns])
    s = random.integers(0, 3, 80)
    s[:K] = 1
    weighted = LogisticRegression(**settings).fit(X, y, s)
    repeated = LogisticRegression(**settings).fit(np.repeat(X, s, axis=0), np.repeat(y, s))
    assert_coefficients(weighted, repeated.coef_)
    np.testing.assert_array_equal(weighted.coef_ == 0.0, repeated.coef_ == 0.0)
    scales = 10.0 ** random.uniform(-3, 3, 9)
    scaled = LogisticRegression(penalty_factor=scales, **settings).fit(X * scales, y)
    np.testing.assert_allclose(scaled.coef_ * scales, plain.coef_, atol=1e-5)
    shifted = LogisticRegression(**settings).fit(X + 10.0, y)
    assert_coefficients(shifted, plain.coef_)
    mirrored = LogisticRegression(**settings).fit(-X, y)
    assert_coefficients(mirrored, -plain.coef_)
    swapped = LogisticRegression(**settings).fit(X, K - 1 - y)
    assert_coefficients(swapped, -plain.coef_ if K == 2 else plain.coef_[::-1])
    named = LogisticRegression(**settings).fit(X, np.array(["a", "b", "c"])[y])
    assert_coefficients(named, plain.coef_)


@pytest.mark.parametrize("K", [2, 3])
def test_the_same_bits_again(backend: Engine, K: int) -> None:
    X, y = data(60, 40, K, seed=24)
    for settings in ({"l1_ratio": 1.0}, {"l1_ratio": 0.5, "positive": True}):
        first, again = (LogisticRegression(backend=backend.name, **settings).fit(X, y) for _ in range(2))
        assert same_fit(first, again)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("fitted", [False, True])
def test_what_does_not_finish_did_not_happen(
    backend: Engine, fitted: bool, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the midst of a solver's steps, the engine's own or ours."""
    X, y = data(60, 5, seed=25)
    model = LogisticRegression(backend=backend.name, l1_ratio=1.0)
    if fitted:
        model.fit(X, y)
    before = vars(model).copy()

    def interrupted(*_args: Any, **_settings: Any) -> Any:
        raise error

    monkeypatch.setattr(proximal, "minimise_quadratic", interrupted)
    monkeypatch.setattr(type(backend), "small_sparse_fit", interrupted)
    for multi_class, labels in (("auto", 1 - y), ("auto", np.arange(60) % 3), ("ovr", np.arange(60) % 3)):
        model.multi_class = before["multi_class"] = multi_class
        with pytest.raises(error):
            model.fit(X[:, :4], labels)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is before[name] for name in before)


def test_stopped_short_it_warns_and_tells_how_far(backend: Engine) -> None:
    X, y = data(seed=26)
    problem = at(100.0, SparseProblem(X, y))
    model = LogisticRegression(backend=backend.name, max_iter=1, **problem.settings)
    with pytest.warns(ConvergenceWarning, match="prox-newton stopped after 1 iterations .*raise max_iter"):
        model.fit(X, y)
    assert model.gap_kind_ == "certified"
    assert 1e-8 < problem.excess(model.coef_, model.intercept_) <= model.gap_


def test_no_warning_where_the_classes_are_separated(backend: Engine) -> None:
    """A penalty has an optimum all the same."""
    X = np.linspace(-1.0, 1.0, 40)[:, np.newaxis] * [1.0, 1e-3, 1e3]
    y = (X[:, 0] > 0).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for C in (1e-2, 1.0, 1e3):
            fit(SparseProblem(X, y, C=C), backend.name)


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("part", [False, True])
def test_free_features_that_separate_are_named(backend: Engine, layout: str, part: bool) -> None:
    """No finite optimum exists along a feature without a penalty that separates the classes, or some rows."""
    noise = np.random.default_rng(0).standard_normal(20)
    X: Any = np.column_stack([np.repeat([0.0, 1.0], 10), noise])
    y = np.r_[np.arange(10) % 2, np.ones(10, dtype=int)] if part else np.repeat([0, 1], 10)
    X = sparse.csr_matrix(X) if layout == "sparse" else X
    model = LogisticRegression(backend=backend.name, l1_ratio=1.0, penalty_factor=[0.0, 1.0])
    with pytest.warns(SeparationWarning, match="their penalty_factor is 0.*column 0") as caught:
        model.fit(X, y)
    warning = caught[0].message
    assert isinstance(warning, SeparationWarning)
    assert warning.columns == [0]
    assert warning.perfect is not part
    assert model.gap_ == np.inf
    overlapping = LogisticRegression(backend=backend.name, l1_ratio=1.0, penalty_factor=[0.0, 1.0])
    assert overlapping.fit(X, np.arange(20) % 2).gap_ <= 1e-8
