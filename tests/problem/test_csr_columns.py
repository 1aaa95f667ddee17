"""Sparse X without its empty columns, and with far ones moved: the same fit as to the whole of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from accel_logreg import LogisticRegression, certified_gap
from accel_logreg.estimator import SeparationWarning
from accel_logreg.interface.arrays import Csr
from accel_logreg.problem.csr_columns import CsrColumns


def mostly_empty(rng: np.random.Generator, far: float = 0.0) -> tuple[Any, Any, Any]:
    """40 rows and 500 columns, of which those returned store something; the first of them lies far off."""
    used = np.sort(rng.choice(500, 9, replace=False))
    dense = np.zeros((40, 500))
    dense[:, used] = rng.standard_normal((40, 9)) * (rng.random((40, 9)) < 0.5)
    dense[:, used[0]] = far + rng.standard_normal(40)
    y = (dense[:, used[1:]].sum(axis=1) + rng.standard_normal(40) > 0).astype(int)
    return sparse.csr_matrix(dense), y, used


@pytest.mark.parametrize("far", [0.0, 1e7])
@pytest.mark.parametrize("C", [1.0, 1e3])
def test_a_fit_leaves_empty_columns_out(
    backend: Any, rng: np.random.Generator, far: float, C: float, capsys: pytest.CaptureFixture[str]
) -> None:
    X, y, used = mostly_empty(rng, far)
    model = LogisticRegression(backend=backend.name, C=C, verbose=1).fit(X, y)
    said = capsys.readouterr().out
    assert "491 sparse columns store nothing: left out" in said
    assert ("1 sparse columns lie far from zero" in said) == (far > 0.0)
    dense = LogisticRegression(backend="numpy", C=C, tol=1e-10).fit(X.toarray(), y)
    assert (np.delete(model.coef_[0], used) == 0.0).all()
    np.testing.assert_allclose(model.coef_, dense.coef_, atol=3e-4)
    np.testing.assert_allclose(model.predict_proba(X), dense.predict_proba(X.toarray()), atol=1e-4)
    assert model.gap_ <= 1e-8
    # From where it ended, nothing is left to do; and another's weights pay for empty columns.
    again = LogisticRegression(backend=backend.name, C=C, warm_start=True)
    again.coef_, again.intercept_, again.classes_ = model.coef_, model.intercept_, model.classes_
    again.fit(X, y)
    np.testing.assert_allclose(again.coef_, model.coef_, atol=3e-4)
    heavy = model.coef_[0].copy()
    assert certified_gap(X, y, heavy, model.intercept_, C=C, backend=backend.name) <= 1e-7
    empty = np.setdiff1d(np.arange(500), used)[7]
    heavy[empty] = 0.3
    costs = [
        np.logaddexp(0, -(2 * y - 1) * model.decision_function(X)).mean() + w @ w / (2 * C * 40)
        for w in (model.coef_[0], heavy)
    ]
    found = certified_gap(X, y, heavy, model.intercept_, C=C, backend=backend.name)
    assert found == pytest.approx(costs[1] / costs[0] - 1.0, rel=1e-3)


def test_separation_is_told_in_the_columns_that_were_given(rng: np.random.Generator) -> None:
    X, y, used = mostly_empty(rng)
    X = X.tolil()
    X[:, 300] = (2.0 * y - 1.0).reshape(-1, 1)
    with pytest.warns(SeparationWarning) as caught:
        LogisticRegression(backend="numpy", C=np.inf).fit(X.tocsr(), y)
    told: Any = caught[0].message
    assert told.direction.shape == (501,)
    assert 300 in told.columns
    assert (np.delete(told.direction[:-1], [*used, 300]) == 0.0).all()


def test_there_and_back(rng: np.random.Generator) -> None:
    X, _, used = mostly_empty(rng, 1e7)
    given = Csr(X.data, X.indices, X.indptr, X.shape)
    columns = CsrColumns.of(given, fit_intercept=True)
    assert columns.used is not None
    np.testing.assert_array_equal(columns.used, used)
    W = np.zeros(501)
    W[used], W[-1] = rng.standard_normal(9), 0.5
    inward = columns.inward(W)
    held = sparse.csr_matrix((columns.X.data, columns.X.indices, columns.X.indptr), shape=columns.X.shape)
    np.testing.assert_allclose(held @ inward[:-1] + inward[-1], X @ W[:-1] + W[-1], atol=1e-7)
    np.testing.assert_allclose(columns.outward(inward), W, atol=1e-7)
    assert 0.0 < columns.rounding(W) < 1e-7
    full = sparse.csr_matrix(np.ones((5, 3)))
    plain = Csr(full.data, full.indices, full.indptr, full.shape)
    assert CsrColumns.of(plain, fit_intercept=False).X is plain
    nothing = Csr(full.data[:0], full.indices[:0], np.zeros(6, dtype=np.int32), (5, 300))
    assert CsrColumns.of(nothing, fit_intercept=True).X is nothing
