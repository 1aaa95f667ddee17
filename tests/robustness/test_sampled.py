"""Data so large that the solver starts on samples: what a sample may miss must not cost the promise."""

from __future__ import annotations

import pytest
from sklearn.exceptions import ConvergenceWarning
from support.hard_problems import INF, SAMPLED, changed, problem, separable
from support.reference import assert_promise_kept

WAYS = [
    ("newton", "numpy", "float64"),
    *(("newton", "numba", dtype) for dtype in ("float64", "float32")),
    *((solver, "numba", "float64") for solver in ("auto", "newton-cg", "lbfgs")),
]


@pytest.mark.parametrize(("solver", "engine", "dtype"), WAYS)
@pytest.mark.parametrize("case", SAMPLED)
def test_reaches_what_tol_promises(
    case: str, solver: str, engine: str, dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    this = problem(case, large=True)
    assert_promise_kept(this, this.fit(dtype, backend=engine, solver=solver, verbose=1))
    if solver == "newton":
        assert "sample of" in capsys.readouterr().out


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("case", ["plain", "sorted labels", "1 % positives", "weights 1e-6 to 1e6"])
def test_any_seed_finds_the_same_optimum(case: str, engine: str) -> None:
    this = problem(case, large=True)
    for seed in range(3):
        assert_promise_kept(this, this.fit(backend=engine, solver="newton", random_state=seed))


@pytest.mark.parametrize("solver", ["newton", "newton-cg", "lbfgs"])
@pytest.mark.parametrize("case", ["plain", "plain, C=inf", "1 % positives"])
def test_a_tolerance_near_rounding(case: str, solver: str) -> None:
    this = problem(case, large=True)
    assert_promise_kept(this, this.fit(backend="numba", solver=solver, tol=1e-12), tol=1e-12)


@pytest.mark.parametrize("solver", ["newton", "newton-cg", "lbfgs"])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_separable_without_penalty_names_the_remedy(engine: str, solver: str) -> None:
    with pytest.warns(ConvergenceWarning, match=r"perfectly separated and C=inf.*Use a finite C"):
        model = changed(separable, "C=inf", large=True).fit(backend=engine, solver=solver)
    assert model.gap_ == INF
