"""summary(): equal to statsmodels on its data sets, to closed forms, and refused where it is not valid."""

from __future__ import annotations

import copy
import gc
import io
import json
import pickle
import sys
import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression as ScikitLearn

from accel_logreg import Inference, LogisticRegression, LogisticRegressionCV, SeparationWarning
from accel_logreg.interface.engine import Engine

pd = pytest.importorskip("pandas")
sm = pytest.importorskip("statsmodels.api")
NO_PENALTY = float("inf")
SLOW_LOOP = 2_000  # rows that the loop is not asked for


@cache
def data(name: str) -> tuple[Any, Any, Any]:
    """X, y and frequency weights or None, of statsmodels' data sets."""
    if name == "china_smoking":  # eight cities: smoking by lung cancer, counted
        counts = sm.datasets.china_smoking.load_pandas().data.to_numpy(float).T
        city = np.tile(np.arange(8), 4)
        X = pd.DataFrame({"smokes": np.repeat([1.0, 1.0, 0.0, 0.0], 8)})
        return (
            X.join(pd.get_dummies(city, prefix="city", dtype=float).iloc[:, 1:]),
            np.repeat([1, 0, 1, 0], 8),
            counts.ravel(),
        )
    if name == "star98":  # successes and failures of each school district
        loaded = sm.datasets.star98.load_pandas()
        X = pd.concat([loaded.exog.iloc[:, :8]] * 2, ignore_index=True)
        counts = loaded.endog.to_numpy(float).T.ravel()
        return X, np.repeat([1, 0], len(X) // 2), counts
    loaded = getattr(sm.datasets, name).load_pandas()
    frame = loaded.data
    if name == "fair":
        return loaded.exog, (loaded.endog > 0).astype(int), None
    if name == "heart":
        return frame[["survival", "age"]], frame["censors"].astype(int), None
    if name == "ccard":
        return frame[["AVGEXP", "AGE", "INCOME", "INCOMESQ"]], frame["OWNRENT"].astype(int), None
    if name == "randhie":
        return frame.drop(columns="mdvis").astype(float), (frame["mdvis"] > 0).astype(int), None
    if name == "modechoice":
        chosen = frame[frame["choice"] == 1.0]
        return chosen[["hinc", "psize"]], chosen["mode"].astype(int), None
    return loaded.exog, loaded.endog.astype(int), None


def theirs(X: Any, y: Any, s: Any = None, **how: Any) -> Any:
    """statsmodels' answer at a tight tolerance."""
    kind = sm.Logit if len(np.unique(y)) == 2 else sm.MNLogit
    design = sm.add_constant(X)
    if s is not None:
        model = sm.GLM(y, design, family=sm.families.Binomial(), freq_weights=s)
        return model.fit(tol=1e-14, maxiter=100, **how)
    return kind(y, design).fit(method="newton", tol=1e-14, maxiter=100, disp=0, **how)


def ours(name: str, engine: str = "numba", **options: Any) -> Inference:
    X, y, s = data(name)
    return LogisticRegression(C=NO_PENALTY, backend=engine).fit(X, y, s).summary(**options)


def same(found: Any, expected: Any, rtol: float = 1e-6) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=rtol)


def same_covariance(found: Inference, expected: Any, rtol: float = 1e-6) -> None:
    """In units of the standard errors, for a covariance may be 0."""
    expected = np.asarray(expected)
    size = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(
        found.covariance / np.outer(size, size), expected / np.outer(size, size), atol=rtol
    )


BINARY = ["spector", "fair", "heart", "ccard", "randhie"]
MANY = ["anes96", "modechoice"]


@pytest.mark.parametrize("name", BINARY + MANY)
def test_equal_to_statsmodels_on_its_data_sets(name: str, backend: Engine) -> None:
    X, y, _ = data(name)
    if backend.name == "python" and (len(X) > SLOW_LOOP or name == "anes96"):
        pytest.skip("the loop takes long for so many rows")
    found, expected = ours(name, backend.name), theirs(X, y)
    same(found.coef, expected.params.T)
    same(found.standard_errors, expected.bse.T)
    same(found.z, expected.tvalues.T)
    same(found.p_values, expected.pvalues.T)
    bounds = np.stack(found.intervals()[1:], axis=-1).reshape(-1, 2)
    same(bounds, np.asarray(expected.conf_int()).reshape(-1, 2))
    same_covariance(found, expected.cov_params())
    same(found.log_likelihood, expected.llf)
    same(found.null_log_likelihood, expected.llnull)
    same(found.likelihood_ratio_test[:2], (expected.llr, expected.df_model))
    same(np.log(found.likelihood_ratio_test.p_value), np.log(expected.llr_pvalue))  # down to 1e-277
    same([found.aic, found.bic], [expected.aic, expected.bic])
    same(found.pseudo_r2["mcfadden"], expected.prsquared)
    assert found.n == expected.nobs
    assert found.df_residual == expected.df_resid


@pytest.mark.parametrize("name", BINARY + MANY)
def test_robust_and_clustered_covariances_equal_statsmodels(name: str) -> None:
    X, y, _ = data(name)
    same_covariance(ours(name, covariance="HC0"), theirs(X, y, cov_type="HC0").cov_params())
    groups = np.arange(len(y)) * 7919 % 53  # not in order, and of more than one block
    expected = theirs(X, y, cov_type="cluster", cov_kwds={"groups": groups})
    found = ours(name, groups=groups)
    same_covariance(found, expected.cov_params())
    assert (found.covariance_type, found.n_groups) == ("cluster", len(np.unique(groups)))
    n, k = found.n, found.n_parameters
    # R's sandwich::vcovHC; statsmodels' HC1 of a Logit is its HC0.
    hc0, hc1 = ours(name, covariance="HC0"), ours(name, covariance="HC1")
    same(hc1.covariance, hc0.covariance * n / (n - k), 1e-9)
    strings = np.array([f"group {g}" for g in groups])
    same(ours(name, groups=strings).standard_errors, found.standard_errors, 1e-9)


@pytest.mark.parametrize("name", ["china_smoking", "star98"])
@pytest.mark.parametrize("covariance", ["classical", "HC0"])
def test_frequency_weights_equal_statsmodels(name: str, covariance: str) -> None:
    X, y, s = data(name)
    found = ours(name, covariance=covariance)
    expected = theirs(X, y, s)
    same(found.coef, expected.params, 1e-5 if name == "star98" else 1e-6)  # an ill-conditioned design
    same(found.log_likelihood, expected.llf)
    same(found.null_log_likelihood, expected.llnull)
    same(found.aic, expected.aic)
    assert found.n == s.sum()
    if covariance == "classical":
        same_covariance(found, expected.cov_params())


@pytest.mark.parametrize("covariance", ["classical", "HC0", "HC1", "cluster"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_frequency_is_so_many_rows(backend: Engine, covariance: Any, classes: int) -> None:
    X, y = made(60, 3, classes)
    s = np.arange(60) % 4
    groups = np.arange(60) % 11
    model = LogisticRegression(C=NO_PENALTY, backend=backend.name)
    clustered = covariance == "cluster"
    weighted = model.fit(X, y, s).summary(covariance=covariance, groups=groups if clustered else None)
    many = [np.repeat(part, s, axis=0) for part in (X, y, groups)]
    repeated = model.fit(*many[:2]).summary(covariance=covariance, groups=many[2] if clustered else None)
    same_covariance(weighted, repeated.covariance, 1e-8)
    same(weighted.log_likelihood, repeated.log_likelihood, 1e-12)
    assert (weighted.n, weighted.n_groups) == (repeated.n, repeated.n_groups)
    assert weighted.bic == pytest.approx(repeated.bic)


def made(n: int, d: int, classes: int = 2, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, (X[:, 0] + 1.5 * rng.logistic(size=n) > np.linspace(-1, 1, classes - 1)[:, None]).sum(axis=0)


def test_analytic_weights_are_a_sandwich_without_a_unit() -> None:
    X, y, _ = data("fair")
    s = 0.1 + np.arange(len(y)) % 7
    model = LogisticRegression(C=NO_PENALTY).fit(X, y, s)
    found = model.summary(weights="analytic")
    assert (found.covariance_type, found.n) == ("HC0", len(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels has not checked the two together
        glm = sm.GLM(y, sm.add_constant(X), family=sm.families.Binomial(), var_weights=s)
        expected = glm.fit(tol=1e-14, cov_type="HC0")
    same(found.coef, expected.params)
    same_covariance(found, expected.cov_params())
    s1000 = 1000 * s
    thousand = LogisticRegression(C=NO_PENALTY).fit(X, y, s1000).summary(weights="analytic")
    same(thousand.standard_errors, found.standard_errors)
    assert np.isnan([found.log_likelihood, found.aic, found.likelihood_ratio_test.p_value]).all()
    assert "log-likelihood" not in str(found)
    some = np.where(np.arange(len(y)) < 5000, s, 0.0)
    left_out = LogisticRegression(C=NO_PENALTY).fit(X, y, some).summary(weights="analytic", covariance="HC1")
    part = X[:5000], y[:5000], s[:5000]
    kept = LogisticRegression(C=NO_PENALTY).fit(*part).summary(weights="analytic", covariance="HC1")
    same(left_out.standard_errors, kept.standard_errors)


def test_class_weight_is_an_analytic_weight() -> None:
    X, y, _ = data("fair")
    model = LogisticRegression(C=NO_PENALTY, class_weight="balanced").fit(X, y)
    with pytest.raises(ValueError, match=r"class_weight='balanced' multiplies .* weights='analytic'"):
        model.summary()
    s = len(y) / (2 * np.bincount(y))[y]
    explicit = LogisticRegression(C=NO_PENALTY).fit(X, y, s).summary(X, y, s, weights="analytic")
    same(model.summary(weights="analytic").covariance, explicit.covariance, 1e-9)


def test_a_2_by_2_table(backend: Engine, dtype: type[np.floating]) -> None:
    """The log odds ratio and its standard error √(1/a + 1/b + 1/c + 1/d) (Woolf 1955)."""
    a, b, c, d = 17, 5, 9, 14
    X, y, s = np.array([[0], [0], [1], [1]], dtype), np.array(["no", "yes"] * 2), [a, b, c, d]
    found = LogisticRegression(C=NO_PENALTY, backend=backend.name).fit(X, y, s).summary(X, y, s)
    same(found.coef, [np.log(b / a), np.log(a * d / (b * c))], 1e-9)
    same(found.standard_errors, np.sqrt([1 / a + 1 / b, 1 / a + 1 / b + 1 / c + 1 / d]), 1e-9)
    same(found.odds_ratios().estimate[1], a * d / (b * c), 1e-9)
    # Saturated: the likelihood is that of the proportions.
    same(
        found.log_likelihood,
        sum(k * np.log(k / m) for k, m in [(a, a + b), (b, a + b), (c, c + d), (d, c + d)]),
        1e-9,
    )
    predicted = found.predict(np.array([[1]], dtype))
    reach = 1.959963984540054 * np.sqrt(1 / c + 1 / d)
    same(predicted.estimate, [d / (c + d)], 1e-9)
    same(predicted.lower, 1 / (1 + np.exp(-(np.log(d / c) - reach))), 1e-9)
    same(predicted.upper, 1 / (1 + np.exp(-(np.log(d / c) + reach))), 1e-9)


def test_a_table_of_three_outcomes(backend: Engine) -> None:
    """Each outcome against the first is a table of 2 × 2 of its own where the model is saturated."""
    counts = np.array([[12, 7, 5], [4, 9, 11]])
    X, y, s = np.repeat([[0.0], [1.0]], 3, axis=0), np.tile([0, 1, 2], 2), counts.ravel()
    found = LogisticRegression(C=NO_PENALTY, backend=backend.name).fit(X, y, s).summary(X, y, s)
    for k in (1, 2):
        table = counts[:, [0, k]]
        same(found.coef[k - 1, 1], np.log(table[1, 1] * table[0, 0] / table[0, 1] / table[1, 0]), 1e-8)
        same(found.standard_errors[k - 1, 1], np.sqrt((1 / table).sum()), 1e-8)
    predicted = found.predict(X[[0, 3]], confidence=0.9)
    share = counts / counts.sum(axis=1, keepdims=True)
    same(predicted.estimate, share, 1e-8)
    # A share's logit has the variance 1/(n p (1 − p)).
    reach = 1.6448536269514722 / np.sqrt(counts.sum(axis=1, keepdims=True) * share * (1 - share))
    same(np.log(predicted.upper / (1 - predicted.upper)), np.log(share / (1 - share)) + reach, 1e-7)
    same(np.log(predicted.lower / (1 - predicted.lower)), np.log(share / (1 - share)) - reach, 1e-7)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_sparse_is_dense(
    backend: Engine, dtype: type[np.floating], classes: int, fit_intercept: bool
) -> None:
    X, y = made(150, 4, classes)
    X = np.where(np.abs(X) > 0.7, X, 0.0).astype(dtype)
    groups = np.arange(150) % 40
    model = LogisticRegression(C=NO_PENALTY, backend=backend.name, fit_intercept=fit_intercept)
    for options in ({}, {"covariance": "HC0"}, {"groups": groups}):
        dense, sparse = (model.fit(x, y).summary(x, y, **options) for x in (X, csr_matrix(X)))
        same(sparse.coef, dense.coef, 1e-7)
        same_covariance(sparse, dense.covariance)
    left, right = dense.predict(X[:9]), sparse.predict(csr_matrix(X[:9]))
    for a, b in zip(left, right, strict=True):
        same(a, b)
    assert len(dense.names) == 4 + fit_intercept


@pytest.mark.parametrize("classes", [2, 3])
def test_without_an_intercept_the_null_model_is_empty(classes: int) -> None:
    X, y = made(200, 3, classes)
    found = LogisticRegression(C=NO_PENALTY, fit_intercept=False).fit(X, y).summary()
    kind = sm.Logit if classes == 2 else sm.MNLogit
    expected = kind(y, X).fit(method="newton", tol=1e-14, disp=0)
    same(found.standard_errors, expected.bse.T)
    same(found.null_log_likelihood, -200 * np.log(classes), 1e-12)
    assert found.likelihood_ratio_test.df == 3 * (classes - 1)


def test_units_and_places_of_columns_do_not_matter(backend: Engine) -> None:
    X, y = made(120, 3)
    scale, shift = np.array([1e-8, 1.0, 1e9]), np.array([0.0, 1e6, 1e10])
    model = LogisticRegression(C=NO_PENALTY, backend=backend.name)
    near, far = (model.fit(x, y).summary(x, y) for x in (X, X * scale + shift))
    same(far.z[1:], near.z[1:], 1e-5)
    same(far.standard_errors[1:] * scale, near.standard_errors[1:])
    same(far.likelihood_ratio_test, near.likelihood_ratio_test)
    for a, b in zip(far.predict(X * scale + shift), near.predict(X), strict=True):
        same(a, b, 1e-5)


def test_float32_data_are_what_they_are_in_float64(backend: Engine) -> None:
    X, y = made(300, 4)
    X = X.astype(np.float32)
    found, expected = (
        LogisticRegression(C=NO_PENALTY, backend=backend.name)
        .fit(x, y)
        .summary(x, y, groups=y + 2 * (X[:, 0] > 0))
        for x in (X, X.astype(np.float64))
    )
    same(found.coef, expected.coef, 1e-7)
    same(found.standard_errors, expected.standard_errors, 1e-7)


def test_wald_tests_equal_statsmodels() -> None:
    X, y, _ = data("fair")
    found, expected = ours("fair"), theirs(X, y)
    R = np.zeros((2, 9))
    R[0, 1], R[1, [2, 3]] = 1.0, [1.0, -1.0]
    for ours_, theirs_ in (
        (found.wald_test(R, [-0.7, -0.1]), expected.wald_test((R, np.array([-0.7, -0.1])), scalar=True)),
        (found.wald_test("educ"), expected.wald_test("educ = 0", scalar=True)),
        (found.wald_test(["educ", "age"]), expected.wald_test("educ = 0, age = 0", scalar=True)),
        (found.wald_test(R[0]), expected.wald_test(R[:1], scalar=True)),
        (found.wald_test(), expected.wald_test(np.eye(9)[1:], scalar=True)),
    ):
        same(ours_, (theirs_.statistic, theirs_.df_denom, theirs_.pvalue))
    same(found.wald_test("educ").statistic, found.z[found.names.index("educ")] ** 2, 1e-10)
    assert ours("anes96").wald_test(["age", "educ"]).df == 12
    with pytest.raises(ValueError, match=r"R has shape \(1, 3\) and r \(\); R must be \(h, 9\)"):
        found.wald_test([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="no coefficient is called 'height'; there are intercept, rate_marr"):
        found.wald_test("height")
    with pytest.raises(ValueError, match="the 2 rows of R depend on each other"):
        found.wald_test(R[[0, 0]])


def test_predictions_equal_statsmodels() -> None:
    X, y, _ = data("fair")
    found = ours("fair").predict(X[:50], confidence=0.9)
    glm = sm.GLM(y, sm.add_constant(X), family=sm.families.Binomial()).fit(tol=1e-14)
    expected = glm.get_prediction(sm.add_constant(X)[:50]).summary_frame(alpha=0.1)
    same(found.estimate, expected["mean"])
    same(found.lower, expected["mean_ci_lower"])
    same(found.upper, expected["mean_ci_upper"])
    with pytest.raises(ValueError, match="X contains NaN"):
        ours("fair").predict(X[:2] * np.nan)
    with pytest.raises(ValueError, match="confidence=95 must be between 0 and 1"):
        ours("fair").predict(X[:2], confidence=95)


def test_pseudo_r2_by_their_formulas() -> None:
    found = ours("spector")
    L, L0, n = found.log_likelihood, found.null_log_likelihood, 32
    cox_snell = 1 - np.exp(2 * (L0 - L) / n)
    assert found.pseudo_r2 == pytest.approx(
        {
            "mcfadden": 1 - L / L0,
            "mcfadden_adjusted": 1 - (L - 4) / L0,
            "cox_snell": cox_snell,
            "nagelkerke": cox_snell / (1 - np.exp(2 * L0 / n)),
        }
    )


@pytest.mark.parametrize("name", ["spector", "modechoice"])
def test_table_in_all_its_shapes(name: str) -> None:
    found = ours(name)
    frame = found.to_frame()
    same(frame["standard_error"], found.standard_errors.ravel(), 0)
    same(np.log(frame["odds_ratio_upper"]), found.intervals().upper.ravel(), 1e-12)
    if name == "spector":
        assert frame.index.tolist() == ["intercept", "GPA", "TUCE", "PSI"]
    else:
        assert frame.loc[(3, "hinc"), "z"] == found.z[1, 1]
        assert "2 against 1" in str(found)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["aic"] == found.aic
    text, html = str(found), found._repr_html_()
    for part in (*found.names, "std. error", "log-likelihood", *found.notes):
        assert part in text
    assert html.count("<tr>") > 4 * (found.coef.size // len(found.names))
    assert "P&gt;|z|" in html
    assert repr(found) == text


def test_rich_prints_the_same_figures() -> None:
    console = pytest.importorskip("rich.console").Console(width=120, record=True, file=io.StringIO())
    console.print(ours("modechoice"))
    console.print(ours("spector"))
    printed = console.export_text()
    for line in ours("spector").sections()[0].lines:
        assert all(entry in printed for entry in line)


def test_without_pandas_the_error_says_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ours("spector")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        found.to_frame()
    assert found.to_dict()["index"] == list(found.names)


def test_names_are_text_in_html() -> None:
    X, y = made(50, 1)
    X = pd.DataFrame(X, columns=["<b>intercept"])
    html = LogisticRegression(C=NO_PENALTY).fit(X, y).summary()._repr_html_()
    assert "&lt;b&gt;intercept" in html
    named = X.set_axis(["intercept"], axis=1)
    found = LogisticRegression(C=NO_PENALTY).fit(named, y).summary()
    assert found.names == ("(intercept)", "intercept")


def test_the_model_keeps_no_data() -> None:
    X, y = made(80, 3)
    model = LogisticRegression(C=NO_PENALTY).fit(X, y)
    expected = model.summary()
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        with pytest.raises(ValueError, match=r"the data of the fit are gone.*summary\(X, y\)"):
            other.summary()
        same(other.summary(X, y).covariance, expected.covariance, 0)
    same(pickle.loads(pickle.dumps(expected)).predict(X).upper, expected.predict(X).upper, 0)
    X2 = X.copy()
    model.fit(X2, y)
    del X2
    gc.collect()
    with pytest.raises(ValueError, match="the data of the fit are gone"):
        model.summary()
    model.fit(X.tolist(), y.tolist())
    with pytest.raises(ValueError, match="the data of the fit are gone"):
        model.summary()
    same(model.summary(X.tolist(), y.tolist()).covariance, expected.covariance, 1e-12)


def test_data_that_are_not_the_fits_are_refused(backend: Engine) -> None:
    X, y = made(100, 3)
    s = 1 + np.arange(100) % 3
    model = LogisticRegression(C=NO_PENALTY, backend=backend.name).fit(X, y, s)
    message = "these are not the data that the model is the maximum likelihood estimate of"
    for other in ((X, y), (X[::-1].copy(), y, s), (X[:60], y[:60], s[:60]), (X * 1.1, y, s), (X, 1 - y, s)):
        with pytest.raises(ValueError, match=message):
            model.summary(*other)
    model.summary()
    X[0] += 5.0  # in place
    with pytest.raises(ValueError, match=message):
        model.summary()


def test_coefficients_move_to_the_maximum() -> None:
    """However far a fit's tolerance left them, and the table says by how much."""
    X, y, _ = data("fair")
    expected = theirs(X, y)
    for tol in (1e-4, 1e-6, 1e-12):
        found = LogisticRegression(C=NO_PENALTY, tol=tol, solver="lbfgs").fit(X, y).summary()
        same(found.coef, expected.params)
        same(found.standard_errors, expected.bse)
        assert any("the model's own coefficients" in note for note in found.notes) == (found.distance > 0.01)
    assert found.distance < 0.01


def refused(model: LogisticRegression, *of: Any, message: str, **options: Any) -> None:
    with pytest.raises(ValueError, match=message):
        model.summary(*of, **options)


def test_refusals_say_why(backend: Engine) -> None:
    X, y = made(60, 3)
    engine: dict[str, Any] = {"backend": backend.name}
    free = {"C": NO_PENALTY, **engine}
    refused(LogisticRegression(**engine).fit(X, y), message=r"C=1.0 is a penalty: the estimate is biased")
    apart = X[:, 0] > 0
    with pytest.warns(SeparationWarning):
        model = LogisticRegression(**free).fit(X, apart)
    refused(model, message="no maximum.*perfectly separated.*columns? 0")
    refused(pickle.loads(pickle.dumps(model)), X, apart, message="no maximum.*perfectly separated")
    twice = np.column_stack([X, X[:, 0] + 2 * X[:, 1], np.ones(60)])
    for columns in (twice, csr_matrix(twice), twice.astype(np.float32)):
        model = LogisticRegression(**free).fit(columns, y)
        refused(model, message="those before them and the intercept add up to: 'x3', 'x4'. Such")
    three = y + (X[:, 1] > 1)
    model = LogisticRegression(**free).fit(twice, three)
    refused(model, message="the intercept add up to: 'x3', 'x4'. Such")
    ovr = LogisticRegression(multi_class="ovr", **free).fit(X, np.arange(60) % 3)
    refused(ovr, message="multi_class='ovr' fits a model for each class")


def test_more_refusals() -> None:
    X, y = made(60, 3)
    free = LogisticRegression(C=NO_PENALTY)
    cv = LogisticRegressionCV(Cs=3).fit(X, y)
    refused(cv, message="a C that was chosen by cross-validation is a penalty")
    wide, labels = np.tile(made(20, 19)[0], (2, 1)), np.repeat([0, 1], 20)  # not separated, of all things
    refused(free.fit(wide, labels), message="40 rows and 20 parameters a class")
    empty = csr_matrix(np.column_stack([np.zeros((60, 9)), X, np.zeros((60, 60))]))
    refused(free.fit(empty[:, :12], y), empty[:, :12], y, message="the intercept add up to: 'x0', 'x1'")
    refused(free.fit(empty, y), message="60 rows and 73 parameters")
    model = free.fit(X, y)
    refused(model, X, message=r"X is given and y is not")
    refused(model, None, y, message="y, sample_weight or offset is given and X is not")
    refused(model, X[:, :2], y, message="X has 2 features")
    refused(model, X, y + 5, message=r"y has the classes \[5, 6\] and the model \[0, 1\]")
    refused(model, covariance="HC3", message="covariance='HC3' is not known; allowed are 'classical'")
    refused(model, weights="probability", message="weights='probability' is not known")
    refused(model, covariance="cluster", message="covariance='cluster' without groups")
    refused(model, covariance="HC0", groups=y, message="covariance='HC0' with groups")
    refused(model, weights="analytic", covariance="classical", message="takes weights for counts of rows")
    refused(model, confidence=1.0, message="confidence=1.0 must be between 0 and 1")
    refused(model, groups=[1, 2], message=r"groups has shape \(2,\); it must be \(60,\)")
    refused(model, groups=np.full(60, 3), message="groups has one group")
    refused(model, groups=np.full(60, np.nan), message=r"groups\[0\] is missing")
    refused(model, groups=np.array([None, *"ab" * 29, "c"], object), message=r"groups\[0\] is missing")
    refused(model, groups=np.array([1, *"ab" * 29, "c"], object), message="groups cannot be sorted")
    s = np.ones(60)
    s[7] = 0.5
    refused(free.fit(X, y, s), message=r"sample_weight\[7\] is 0.5, and frequency weights count rows")
    three = np.arange(60) % 3
    refused(
        free.fit(X, three, (three > 0).astype(float)),
        message="a class has no weight, so that an intercept is infinite",
    )
    with pytest.raises(Exception, match="not fitted yet"):
        LogisticRegression(C=NO_PENALTY).summary()


def test_a_parameter_for_few_rows_is_said() -> None:
    y = np.arange(80) % 2
    X = np.random.default_rng(5).standard_normal((80, 19))
    model = LogisticRegression(C=NO_PENALTY).fit(X, y)
    with pytest.warns(UserWarning, match="0.25 parameters a row"):
        found = model.summary(groups=np.arange(80) % 20)
    assert "Sur and Candès 2019" in found.notes[0]
    assert "20 groups" in found.notes[1]
    assert found.to_dict()["wald_test"] is not None
    with pytest.warns(UserWarning, match="0.25 parameters a row"):
        found = model.summary(groups=np.arange(80) % 10)
    assert found.to_dict()["wald_test"] is None  # the covariance has rank 9
    assert "Wald" not in str(found)


def test_columns_that_hold_nothing_are_named() -> None:
    X, y = made(400, 3)
    X[np.arange(400) % 8 > 0] = 0.0
    wide = csr_matrix(np.column_stack([np.zeros((400, 120)), X]))
    refused(LogisticRegression(C=NO_PENALTY).fit(wide, y), message=r"hold zeros alone: 'x0', .* and 110 more")


@pytest.mark.filterwarnings("ignore:'penalty' was deprecated:FutureWarning")
def test_scikit_learns_own_words_for_no_penalty() -> None:
    X, y = made(90, 3)
    expected = LogisticRegression(C=NO_PENALTY).fit(X, y).summary(X, y)
    same(
        LogisticRegression(penalty=None, n_jobs=1, tol=0).fit(X, y).summary().covariance, expected.covariance
    )


def test_a_model_of_scikit_learns_moves_to_the_maximum() -> None:
    X, y = made(90, 3)
    theirs = ScikitLearn(C=np.inf, tol=1e-6).fit(X, y)
    model = LogisticRegression.from_sklearn(theirs)
    expected = LogisticRegression(C=NO_PENALTY).fit(X, y).summary(X, y)
    same(model.summary(X, y).coef, expected.coef)
    refused(model, message="the data of the fit are gone")
    refused(model, X[:80], y[:80], message="these are not the data")
