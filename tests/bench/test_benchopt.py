"""benchopt's files: that our solver minimises the benchmark's objective, under a stand-in for benchopt.

benchopt itself is no part of the development set. What it does with these files, its README says how to try.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from accel_logreg import available_backends
from accel_logreg.backends import BackendUnavailableError
from bench.judge.score import loss_grad
from bench.problems.problem import Problem

FOLDER = Path(__file__).parents[2] / "bench" / "benchopt"


class _Base:
    """As much of benchopt's base classes as their contract has: parameters become attributes."""

    parameters: dict[str, list[Any]]

    def __init__(self, **parameters: Any) -> None:
        for name, value in parameters.items():
            setattr(self, name, value)

    def run_once(self, stop_val: float) -> None:
        self.run(stop_val)  # type: ignore[attr-defined]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``load("solvers/accel_logreg.py", "Solver", backend="numpy")``, made as benchopt makes it."""
    stand_in = ModuleType("benchopt")
    vars(stand_in).update(BaseSolver=_Base, BaseObjective=_Base, BaseDataset=_Base)
    monkeypatch.setitem(sys.modules, "benchopt", stand_in)

    def make(file: str, kind: str, **parameters: Any) -> Any:
        spec = importlib.util.spec_from_file_location(f"benchopt_file_{Path(file).stem}", FOLDER / file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, kind)(**parameters)

    return make


def judged(X: Any, y: Any, lmbd: float, fit_intercept: bool, beta: Any) -> tuple[float, Any]:
    """Σ log(1 + e^(−y z)) + lmbd/2 ‖w‖², and its gradient, by the evaluator of bench/judge."""
    n, d = X.shape
    W = beta if fit_intercept else np.append(beta, 0.0)
    loss, slopes = loss_grad(Problem("", X, (y + 1) / 2), W)
    penalty = lmbd * np.append(W[:d], 0.0)
    return n * loss + 0.5 * (penalty @ W), (n * slopes + penalty)[: len(beta)]


def problem(rng: np.random.Generator, n: int = 300, d: int = 6) -> tuple[Any, Any]:
    X = rng.standard_normal((n, d))
    return X, np.where(X[:, 0] - 0.5 + rng.standard_normal(n) > 0, 1, -1)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("lmbd", [1.0, 0.01])
@pytest.mark.parametrize("engine", ["python", "numpy", "numba"])
def test_the_answer_is_the_minimum(
    load: Any, rng: np.random.Generator, engine: str, lmbd: float, fit_intercept: bool
) -> None:
    X, y = problem(rng)
    solver = load("solvers/accel_logreg.py", "Solver", backend=engine, solver="auto")
    given = {"X": X, "y": y, "lmbd": lmbd, "fit_intercept": fit_intercept}
    assert solver.skip(**given) == (False, None)
    solver.set_objective(**given)
    solver.warm_up()
    solver.run(1e-12)
    beta = solver.get_result()["beta"]
    assert beta.shape == (6 + fit_intercept,)
    least, gradient = judged(X, y, lmbd, fit_intercept, beta)  # convex: where it is flat is the minimum
    assert np.abs(gradient).max() < 1e-4  # of a sum over 300 rows
    reference = load("solvers/scikit_learn.py", "Solver", solver="newton-cholesky")
    reference.set_objective(**given)
    reference.run(1e-12)
    found, _ = judged(X, y, lmbd, fit_intercept, reference.get_result()["beta"])
    assert found == pytest.approx(least, rel=1e-8)


def test_sparse_and_single_precision_are_the_same_problem(load: Any, rng: np.random.Generator) -> None:
    X, y = problem(rng)
    X[np.abs(X) < 0.7] = 0.0
    X = X.astype(np.float32).astype(np.float64)
    values = []
    for given in (X, X.astype(np.float32), sparse.csc_matrix(X), sparse.coo_array(X), np.asfortranarray(X)):
        solver = load("solvers/accel_logreg.py", "Solver", backend="numpy", solver="auto")
        solver.set_objective(given, y, 0.1, True)
        solver.run(1e-10)
        values.append(judged(X, y, 0.1, True, solver.get_result()["beta"])[0])
    assert values == pytest.approx([values[0]] * len(values), rel=1e-9)


def test_no_penalty(load: Any, rng: np.random.Generator) -> None:
    X, y = problem(rng)
    solver = load("solvers/accel_logreg.py", "Solver", backend="numpy", solver="newton")
    solver.set_objective(X, y, 0.0)  # as an older objective calls it: without fit_intercept
    solver.run(1e-12)
    beta = solver.get_result()["beta"]
    assert beta.shape == (6,)
    assert np.abs(judged(X, y, 0.0, False, beta)[1]).max() < 1e-4


def test_the_curve_begins_at_zero_and_descends(load: Any, rng: np.random.Generator) -> None:
    X, y = problem(rng)
    solver = load("solvers/accel_logreg.py", "Solver", backend="numpy", solver="lbfgs")
    solver.set_objective(X, y, 1.0, True)
    tolerance, curve = 3e38, []  # what benchopt begins with
    for _ in range(6):
        solver.run(tolerance)
        curve.append(judged(X, y, 1.0, True, solver.get_result()["beta"])[0])
        tolerance = solver.get_next(tolerance)
    assert curve[0] == pytest.approx(300 * np.log(2))
    assert all(later <= earlier * (1 + 1e-14) for earlier, later in pairwise(curve))
    gaps = [(found - curve[-1]) / curve[-1] for found in curve[1:]]
    assert all(gap <= 10.0 ** (-2 * k) for k, gap in enumerate(gaps, start=1))
    assert solver.get_next(1e-14) == 1e-14
    solver.run(1e-14)  # more than float64 can show: no warning, no error


def test_what_cannot_run_is_skipped_with_a_reason(load: Any, rng: np.random.Generator) -> None:
    X, y = problem(rng)

    def reason(y: Any = y, lmbd: float = 1.0, backend: str = "numpy", solver: str = "auto") -> str | None:
        skipped, why = load("solvers/accel_logreg.py", "Solver", backend=backend, solver=solver).skip(
            X, y, lmbd, True
        )
        assert skipped is (why is not None)
        return None if why is None else str(why)

    assert reason() is None
    assert "y has 3 classes" in str(reason(y=np.arange(300) % 3))
    assert "lmbd=-1.0 is negative" in str(reason(lmbd=-1.0))
    assert "newton-gram" in str(reason(lmbd=0.0, solver="newton-gram"))
    assert reason(lmbd=0.0) is None
    if "cupy" not in available_backends():
        assert str(reason(backend="cupy")).startswith("backend='cupy' cannot run here")


def test_an_engine_that_does_not_load_is_a_skip(
    load: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    solver = load("solvers/accel_logreg.py", "Solver", backend="numba", solver="auto")

    def broken(name: str) -> None:
        raise BackendUnavailableError(name, "it is broken.", "Mend it.")

    monkeypatch.setitem(type(solver).skip.__globals__, "load_backend", broken)
    assert solver.skip(*problem(rng), 1.0, True) == (
        True,
        "backend='numba' cannot run here: it is broken. Mend it.",
    )


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_objective(load: Any, rng: np.random.Generator, fit_intercept: bool) -> None:
    X, y = problem(rng)
    objective = load("objective.py", "Objective", lmbd=0.3, fit_intercept=fit_intercept)
    assert objective.skip(X, y) == (False, None)
    assert objective.skip(X, y > 0)[0]
    objective.set_data(X, y, X[:50], y[:50])
    assert objective.get_objective().keys() == {"X", "y", "lmbd", "fit_intercept"}
    assert objective.evaluate_result(**objective.get_one_result())["value"] == pytest.approx(300 * np.log(2))
    beta = 400 * rng.standard_normal(6 + fit_intercept)  # logits of hundreds: nothing overflows
    found = objective.evaluate_result(beta)
    assert found["value"] == pytest.approx(judged(X, y, 0.3, fit_intercept, beta)[0], rel=1e-12)
    z = X[:50] @ beta[:6] + (beta[6] if fit_intercept else 0.0)
    assert found["test_error"] == np.mean(np.sign(z) != y[:50])
    objective.set_data(X, y)
    assert "test_error" not in objective.evaluate_result(beta)


@pytest.mark.parametrize(
    ("file", "parameters"),
    [
        ("simulated.py", {"n_samples": 50, "n_features": 7, "density": 1.0}),
        ("simulated.py", {"n_samples": 50, "n_features": 40, "density": 0.2}),
        ("breast_cancer.py", {}),
    ],
)
def test_the_data_sets_fit_objective_and_solver(load: Any, file: str, parameters: dict[str, Any]) -> None:
    data = load(f"datasets/{file}", "Dataset", **parameters).get_data()
    again = load(f"datasets/{file}", "Dataset", **parameters).get_data()
    np.testing.assert_array_equal(data["y"], again["y"])
    objective = load("objective.py", "Objective", lmbd=1.0, fit_intercept=True)
    assert objective.skip(**data) == (False, None)
    objective.set_data(**data)
    values = {}
    for name, chosen in {
        "accel_logreg": {"backend": "numba", "solver": "auto"},
        "scikit_learn": {"solver": "lbfgs"},
    }.items():
        solver = load(f"solvers/{name}.py", "Solver", **chosen)
        assert solver.skip(**objective.get_objective()) == (False, None)
        solver.set_objective(**objective.get_objective())
        solver.run(1e-10)
        values[name] = objective.evaluate_result(**solver.get_result())["value"]
    assert values["accel_logreg"] == pytest.approx(values["scikit_learn"], rel=1e-8)
