"""fit(offset=): z = X w + b + offset."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from accel_logreg import LogisticRegression, LogisticRegressionCV, SeparationWarning
from accel_logreg.fitting.binary import Fit
from accel_logreg.fitting.offset import offset_fit
from accel_logreg.inputs.training import check_training_data
from accel_logreg.interface.engine import Engine

NO_PENALTY = float("inf")


def made(n: int = 200, d: int = 4, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    X, offset = rng.standard_normal((n, d)), 2.0 * rng.standard_normal(n) + 1.0
    z = X @ np.linspace(-1, 1, d) + offset - 0.5
    return X, (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int), offset


def close(a: Any, b: Any, rtol: float = 1e-6) -> None:
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("layout", [np.asarray, csr_matrix])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [0.5, NO_PENALTY])
def test_the_optimum_is_scipys(backend: Engine, layout: Any, fit_intercept: bool, C: float) -> None:
    X, y, offset = made()
    X = np.where(np.abs(X) > 0.5, X, 0.0)
    s = 1.0 + np.arange(200) % 3

    def cost(W: Any) -> tuple[float, Any]:
        z = X @ W[:-1] + fit_intercept * W[-1] + offset
        r = s * (1 / (1 + np.exp(-z)) - y)
        gradient = np.append(r @ X, fit_intercept * r.sum())
        gradient[:-1] += W[:-1] / C
        return float(s @ (np.logaddexp(0, z) - y * z)) + W[:-1] @ W[:-1] / (2 * C), gradient

    best = minimize(cost, np.zeros(5), jac=True, method="BFGS", options={"gtol": 1e-9})
    model = LogisticRegression(C=C, fit_intercept=fit_intercept, backend=backend.name, tol=1e-14)
    model.fit(layout(X), y, s, offset=offset)
    close(np.append(model.coef_[0], model.intercept_), best.x, 1e-5)
    assert model.gap_kind_ == "certified"
    assert model.gap_ <= 1e-14
    start = LogisticRegression(C=C, fit_intercept=fit_intercept, backend=backend.name, warm_start=True)
    for _ in range(2):
        start.fit(layout(X), y, s, offset=offset)
    close(start.coef_, model.coef_, 1e-3)
    assert cost(np.append(start.coef_[0], start.intercept_))[0] <= best.fun * (1 + 1e-8)


@pytest.mark.parametrize("solver", ["auto", "newton", "newton-cg", "lbfgs"])
def test_what_columns_can_say_moves_their_coefficients(solver: str, dtype: type[np.floating]) -> None:
    """An offset of c xⱼ + e takes c off wⱼ and e off b, where there is no penalty."""
    X, y, _ = made(500)
    X = X.astype(dtype)
    model = LogisticRegression(C=NO_PENALTY, solver=solver, tol=1e-13)
    plain = model.fit(X, y)
    coef, b = plain.coef_[0], plain.intercept_[0]
    moved = model.fit(X, y, offset=3.0 * X[:, 1] - 7.0)
    close(moved.coef_[0], coef - np.array([0, 3, 0, 0]), 1e-5)
    close(moved.intercept_[0], b + 7.0, 1e-5)
    close(model.fit(X, y, offset=np.zeros(500)).coef_[0], coef, 1e-5)


def test_large_problems_of_every_shape_end_certified_or_estimated_within_tol() -> None:
    for n, d, layout in (
        (20_000, 12, np.asarray), (300, 500, np.asarray), (3_000, 300, np.asarray), (90, 60, csr_matrix),
    ):  # fmt: skip
        X, y, offset = made(n, d, seed=1)
        X = layout(X)
        model = LogisticRegression(C=0.1).fit(X, y, offset=offset)
        tight = LogisticRegression(C=0.1, tol=1e-13).fit(X, y, offset=offset)

        def cost(found: LogisticRegression, X: Any = X, y: Any = y, offset: Any = offset) -> float:
            z = found.decision_function(X) + offset
            return float((np.logaddexp(0, z) - y * z).sum() + 5.0 * (found.coef_**2).sum())

        assert cost(model) <= cost(tight) * (1 + max(model.gap_, 1e-12))
        assert model.gap_ <= 1e-8


def test_separated_classes_are_named_whatever_the_offset() -> None:
    X, _, offset = made(100)
    with pytest.warns(SeparationWarning, match="separated"):
        LogisticRegression(C=NO_PENALTY).fit(X, X[:, 2] > 0, offset=offset)
    # An offset that has every row on its side is no separation by X.
    X, y, _ = made(100)
    LogisticRegression(C=NO_PENALTY).fit(X, y, offset=20.0 * (2 * y - 1))


def test_statistics_equal_statsmodels() -> None:
    sm = pytest.importorskip("statsmodels.api")
    X, y, offset = made(800)
    groups, s = np.arange(800) % 61, 1.0 + np.arange(800) % 3
    glm = sm.GLM(y, sm.add_constant(X), family=sm.families.Binomial(), offset=offset)
    model = LogisticRegression(C=NO_PENALTY).fit(X, y, offset=offset)
    for ours, theirs in (({}, {}), ({"covariance": "HC0"}, {"cov_type": "HC0"})):
        expected, found = glm.fit(tol=1e-14, **theirs), model.summary(**ours)
        close(found.coef, expected.params)
        close(found.standard_errors, expected.bse)
    logit = sm.Logit(y, sm.add_constant(X), offset=offset)
    expected = logit.fit(disp=0, tol=1e-14, method="newton", cov_type="cluster", cov_kwds={"groups": groups})
    found = model.summary(X, y, offset=offset, groups=groups)
    close(found.standard_errors, expected.bse)
    close(found.log_likelihood, expected.llf)
    close(found.null_log_likelihood, expected.llnull)
    new = glm.fit(tol=1e-14).get_prediction(sm.add_constant(X[:9], has_constant="add"), offset=offset[:9])
    close(found.intervals().estimate, expected.params)
    predicted = model.summary().predict(X[:9], offset=offset[:9])
    close(np.column_stack(predicted), new.summary_frame()[["mean", "mean_ci_lower", "mean_ci_upper"]])
    weighted = LogisticRegression(C=NO_PENALTY).fit(X, y, s, offset=offset).summary()
    expected = sm.GLM(
        y, sm.add_constant(X), family=sm.families.Binomial(), offset=offset, freq_weights=s
    ).fit(tol=1e-14)
    close(weighted.standard_errors, expected.bse)
    close(weighted.null_log_likelihood, expected.llnull)
    empty = LogisticRegression(C=NO_PENALTY, fit_intercept=False).fit(X, y, offset=offset).summary()
    close(empty.null_log_likelihood, -(np.logaddexp(0, offset) - y * offset).sum())
    with pytest.raises(ValueError, match="these are not the data"):
        model.summary(X, y)
    with pytest.raises(ValueError, match=r"offset has shape \(3,\); it must be a number or \(9,\)"):
        found.predict(X[:9], offset=offset[:3])


def test_an_offset_that_is_not_allowed_is_named() -> None:
    X, y, offset = made(60)
    model = LogisticRegression()

    def refused(message: str, offset: Any = offset, y: Any = y, **parameters: Any) -> None:
        with pytest.raises(ValueError, match=message):
            LogisticRegression(**parameters).fit(X, y, offset=offset)

    refused(r"offset has shape \(3,\) and dtype float64; it must be \(60,\) numbers", offset[:3])
    refused(r"offset has shape \(60, 1\)", offset[:, np.newaxis])
    refused("dtype <U1", np.array(["a"] * 60))
    refused(r"offset\[7\] is inf; it must be finite", np.where(np.arange(60) == 7, np.inf, offset))
    refused("offset is given, and y has 3 classes", y=np.arange(60) % 3)
    refused("the penalty is not L2 alone", l1_ratio=0.5)
    refused("solver='gradient-descent' knows of none; use one of 'auto'", solver="gradient-descent")
    model.fit(X, y, offset=offset.tolist())
    with pytest.raises((TypeError, ValueError)):
        LogisticRegressionCV(Cs=2).fit(X, y, offset=offset)


@pytest.mark.filterwarnings("ignore")
def test_claimed_gaps_are_true_however_large_the_offset() -> None:
    """Where hardly a row is left undecided at the start, and few rows tell of many columns."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, d, C = rng.integers(20, 50), rng.integers(15, 100), 10 ** rng.uniform(1, 3.5)
        X = rng.standard_normal((n, d)) * 10 ** rng.uniform(-2, 2, d) * (rng.random((n, d)) < 0.4)
        offset = rng.standard_normal(n) * 10 ** rng.uniform(-1, 1.3) + rng.choice([0.0, 10.0, -30.0])
        y = (rng.random(n) < 0.5).astype(int)
        X, sign = X.astype(np.float32), 1 - 2 * y
        offset = offset.astype(np.float32)
        layout = csr_matrix if seed % 2 else np.asarray
        costs, gaps = [], []
        for tol in (1e-8, 1e-15):
            model = LogisticRegression(C=C, tol=tol).fit(layout(X), y, offset=offset)
            z = X.astype(float) @ model.coef_[0] + model.intercept_[0] + offset
            costs.append(np.logaddexp(0, sign * z).sum() + (model.coef_**2).sum() / (2 * C))
            gaps.append(model.gap_)
        assert (costs[0] - costs[1]) / costs[1] <= gaps[0] * 1.001 + 1e-12, seed


def test_coordinates_do_not_depend_on_the_offset(backend: Engine) -> None:
    """At no weights it makes rows count as it likes, one of a hundred alone: scales would be of those."""
    X, y, _ = made(100)
    X = csr_matrix(np.where(np.abs(X) > 0.5, X, 0.0))
    parameters = vars(LogisticRegression())
    data = check_training_data(LogisticRegression(), backend, X, y, None, None)
    found = [
        kind(backend, data, parameters, None, print)._standardised().scales
        for kind in (Fit, offset_fit(data, parameters, np.where(np.arange(100) == 7, 0.0, 50.0)))
    ]
    for plain, ours in zip(*found, strict=True):
        close(ours, plain, 1e-12)
