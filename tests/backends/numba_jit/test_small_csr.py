"""Small sparse fits in one compiled call: certified, and the same optimum as the loop's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from accel_logreg import LogisticRegression
from accel_logreg.backends.numba_jit import tuning
from accel_logreg.backends.numba_jit.csr import NumbaCsrRows
from bench.judge import optimum
from bench.problems import drawn as drawing
from bench.problems.drawn import drawn
from bench.problems.problem import Problem


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What small fits returned."""
    found: list[Any] = []
    small_fit = NumbaCsrRows.small_fit

    def watched(rows: NumbaCsrRows, *arguments: Any) -> Any:
        found.append(small_fit(rows, *arguments))
        return found[-1]

    monkeypatch.setattr(NumbaCsrRows, "small_fit", watched)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("d", [6, 3000])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [1e-3, 1.0, 1e3])
def test_a_small_fit_is_the_loops(
    calls: list[Any],
    rng: np.random.Generator,
    dtype: str,
    d: int,
    weighted: bool,
    fit_intercept: bool,
    C: float,
) -> None:
    n = 60
    X = sparse.random(n, d, density=min(0.5, 12 / d), random_state=np.random.RandomState(1), format="csr")
    X = X.astype(dtype)
    y = (rng.random(n) < 0.4).astype(int)
    s = rng.integers(0, 4, n).astype(float) if weighted else None
    settings = {"C": C, "fit_intercept": fit_intercept, "tol": 1e-9}
    model = LogisticRegression(backend="numba", solver="newton-cg", **settings).fit(X, y, sample_weight=s)
    assert calls[0] is not None
    assert model.gap_kind_ == "certified"
    loop = LogisticRegression(backend="python", **settings).fit(X, y, sample_weight=s)
    np.testing.assert_allclose(model.decision_function(X), loop.decision_function(X), atol=2e-3)
    costs = [np.float64(m.history_["cost"][-1]) for m in (model, loop)]
    assert costs[0] == pytest.approx(costs[1], rel=2e-9)
    assert model.history_["reads"][-1] > model.n_iter_[0]


@pytest.mark.parametrize("seed", range(3))
def test_drawn_problems_are_as_near_as_they_say(
    calls: list[Any], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_MOST_ENTRIES", 3e5)  # of the dense ones, which are left out here
    small = [p for p in drawn(100 + seed, 45) if p.is_sparse and p.n_stored < 30_000]
    assert small
    for problem in small:
        C = min(problem.C, 1e4)  # beyond, the judge itself is not sure
        model = LogisticRegression(backend="numba", solver="newton-cg", C=C).fit(problem.X, problem.y)
        X = sparse.csr_matrix(problem.X, dtype=np.float64)
        exact = Problem("", X, problem.y, C)
        best = optimum.solve(exact, np.append(model.coef_[0], model.intercept_))
        found = optimum.judge(exact, np.append(model.coef_[0], model.intercept_), "ours")
        true = (found.value - best.value) / best.value
        assert true <= 1e-8, problem.name
        assert true <= model.gap_ + 1e-14, problem.name
    assert all(run is not None for run in calls)


def test_what_it_cannot_prove_goes_on_elsewhere(
    calls: list[Any], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = sparse.random(300, 40, density=0.2, random_state=np.random.RandomState(2), format="csr")
    y = (rng.random(300) < 0.5).astype(int)
    monkeypatch.setattr(tuning, "SMALL_READS", 3)
    model = LogisticRegression(backend="numba", solver="newton-cg").fit(X, y)
    assert calls == [None]
    assert model.gap_ <= 1e-8
    LogisticRegression(backend="numba", solver="newton-cg", C=np.inf).fit(X, y)  # nothing to bound a gap by
    assert calls[1] is None
    X.data[0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        LogisticRegression(backend="numba").fit(X, y)
    X.data[0] = 1e200
    with pytest.raises(ValueError, match=r"infinity|too large"):
        LogisticRegression(backend="numba").fit(X, y)
