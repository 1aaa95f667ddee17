"""The comparison with an L1 part: its judge, its problems, and what it makes of answers."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from support.peers_samples import KINDS, result_of, small

from bench.harness.process import Process
from bench.judge import l1, optimum, score
from bench.judge.optimum import Optimum
from bench.peers import report
from bench.peers.results import Run
from bench.peers.solvers import DEFAULT, OURS, SOLVERS, Solver
from bench.peers.station import Sampling, Station
from bench.peers.worker import Request, Task
from bench.problems import drawn as drawing
from bench.problems.drawn import drawn_l1
from bench.problems.l1 import path, penalised, sparse_truth
from bench.problems.problem import Float64, Problem, load


def by_proximal_gradient(problem: Problem, steps: int = 2_000) -> Float64:
    """The optimum by the plainest of methods, w ← soft(w − t ∇, t λρ): nothing is shared with the judge."""
    X = np.asarray(problem.X.todense() if problem.is_sparse else problem.X, dtype=np.float64)
    X = np.hstack([X, np.ones((problem.n, 1))])
    ridge = np.append(np.full(problem.d, problem.l2), 0.0)
    t = 1.0 / (0.25 * np.linalg.norm(X, 2) ** 2 / problem.n + problem.l2)
    W, V, k = np.zeros(problem.d + 1), np.zeros(problem.d + 1), 1.0
    for _ in range(steps):
        a = 1.0 / (1.0 + np.exp(-X @ V))
        moved = V - t * (X.T @ (a - problem.y) / problem.n + ridge * V)
        moved[:-1] = np.sign(moved[:-1]) * np.maximum(abs(moved[:-1]) - t * problem.l1, 0.0)
        if (V - moved) @ (moved - W) > 0.0:  # momentum that points uphill is dropped
            k = 1.0
        following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * k * k))
        W, V, k = moved, moved + (k - 1.0) / following * (moved - W), following
    return W


@KINDS
@pytest.mark.parametrize("l1_ratio", [1.0, 0.9, 0.5])
def test_the_judge_finds_what_proximal_gradient_finds(kind: str, l1_ratio: float) -> None:
    problem = penalised(small(kind), 0.5, l1_ratio)
    expected, W = by_proximal_gradient(problem), l1.solve(problem)
    np.testing.assert_allclose(W, expected, atol=1e-7)
    np.testing.assert_array_equal(W == 0.0, expected == 0.0)
    assert 0 < np.count_nonzero(W[:-1]) < problem.d
    lower, upper = l1.bounds(problem, W)
    J = score.objective(problem, expected)
    assert upper - lower <= 1e-13 * upper
    assert lower * (1.0 - 1e-13) <= J <= upper * (1.0 + 1e-13)


@pytest.mark.parametrize(("n", "d", "share", "l1_ratio"), [(60, 300, 0.01, 1.0), (60, 300, 0.01, 0.5)])
def test_the_judge_knows_its_optimum_with_more_columns_than_rows(
    n: int, d: int, share: float, l1_ratio: float
) -> None:
    problem = penalised(sparse_truth(n, d, 0.9), share, l1_ratio)
    lower, upper = l1.bounds(problem, l1.solve(problem))
    assert upper - lower <= 1e-13 * upper


@pytest.mark.parametrize("kind", ["float64", "sparse"])
def test_the_judge_may_solve_by_conjugate_gradients(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = penalised(small(kind), 0.3)
    expected = l1.solve(problem)
    monkeypatch.setattr(l1, "_MOST_FACTORED", 0)
    W = l1.solve(problem)
    np.testing.assert_allclose(W, expected, atol=1e-9)
    lower, upper = l1.bounds(problem, W)
    assert upper - lower <= 1e-13 * upper


def test_columns_that_are_copies_do_not_stop_the_judge() -> None:
    problem = small("float64")
    problem = penalised(replace(problem, X=np.hstack([problem.X, problem.X])), 0.05)
    lower, upper = l1.bounds(problem, l1.solve(problem))
    assert upper - lower <= 1e-12 * upper


@KINDS
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_bounds_hold_at_any_point(kind: str, l1_ratio: float) -> None:
    problem, rng = penalised(small(kind), 0.5, l1_ratio), np.random.default_rng(1)
    best = l1.solve(problem)
    J = score.objective(problem, best)
    for size in (0.0, 1e-6, 1e-3, 1.0, 1e3):
        lower, upper = l1.bounds(problem, best + size * rng.standard_normal(problem.size))
        assert lower <= J * (1.0 + 1e-14)
        assert upper >= J * (1.0 - 1e-14)


def test_objective_and_the_strongest_penalty_are_as_defined() -> None:
    problem = small("float64")
    W = np.linspace(-1.0, 1.0, problem.d + 1)
    loss = score.loss_grad(problem, W)[0]
    elastic = replace(problem, C=0.5, l1_ratio=0.3)
    parts = 0.3 * abs(W[:-1]).sum() + 0.35 * W[:-1] @ W[:-1]
    assert score.objective(elastic, W) == pytest.approx(loss + parts / (0.5 * problem.n), rel=1e-14)
    slopes = problem.X.T @ (problem.y - problem.y.mean()) / problem.n
    assert l1.alpha_max(problem) == pytest.approx(abs(slopes).max(), rel=1e-13)
    for l1_ratio in (1.0, 0.5):
        assert not l1.solve(penalised(problem, 1.0001, l1_ratio))[:-1].any()
        assert l1.solve(penalised(problem, 0.999, l1_ratio))[:-1].any()


def test_a_path_is_judged_by_its_worst_penalty() -> None:
    problem = path(small("float64"), 4, 0.05)
    known = optimum.solve(problem)
    assert known.value == 1.0
    assert known.bound <= 1e-13
    steps = problem.along()
    assert [step.l1 for step in steps] == pytest.approx(
        (l1.alpha_max(problem) * np.geomspace(1.0, 0.05, 4)).tolist()
    )
    W = np.array([l1.solve(step) for step in steps])
    assert l1.worst(problem, W.ravel(), known.lower) == pytest.approx(1.0, abs=1e-13)
    W[2, -1] += 0.1
    excess = score.objective(steps[2], W[2]) / known.lower[2]
    assert l1.worst(problem, W.ravel(), known.lower) == excess > 1.0 + 1e-4
    assert np.isnan(l1.worst(problem, np.full(W.size, np.nan), known.lower))


def test_bounds_of_all_answers_are_kept(tmp_path: Path) -> None:
    problem = penalised(small("float64"), 0.2)
    best = l1.solve(problem)
    result = result_of(problem, optimum.judge(problem, np.zeros(problem.size), "zero"))
    wide = result.optimum.bound
    result.runs = [Run("a", {}, values=[score.objective(problem, best)])]
    with Station(result, problem, tmp_path, Sampling()) as station:
        station._bounds = [
            optimum.judge(problem, W, f"an answer of {name}") for W, name in ((best, "a"), (best + 0.1, "b"))
        ]
        station.settle()
    assert result.optimum.how == "an answer of a"
    assert result.optimum.bound <= 1e-13 < wide
    assert result.runs[0].suboptimality == pytest.approx(0.0, abs=1e-13)


def test_problems_travel_with_their_penalty(tmp_path: Path) -> None:
    for data in (penalised(small("sparse"), 0.1, 0.9), path(small("float32"), 3, 0.1)):
        data.save(tmp_path)
        found = load(tmp_path)
        assert (found.C, found.l1_ratio, found.Cs) == (data.C, data.l1_ratio, data.Cs)
        (tmp_path / "X.npz").unlink(missing_ok=True)


def test_drawn_problems_are_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_MOST_ENTRIES", 1e6)  # 50 rows of the most columns
    first, again = list(drawn_l1(5, 6)), list(drawn_l1(5, 6))
    assert [p.name for p in first] == [p.name for p in again]
    for p in first:
        assert p.n <= 200_000
        assert p.d <= 20_000
        assert p.l1_ratio in (1.0, 0.9, 0.5)
        assert 0.003 <= p.l1 / l1.alpha_max(p) <= 0.5 * (1.0 + 1e-6)
        assert sparse.issparse(p.X) == p.is_sparse


def test_who_takes_part_depends_on_the_penalty() -> None:
    squares = small("float64")
    lasso, elastic = penalised(squares, 0.1), penalised(squares, 0.1, 0.5)
    assert all(SOLVERS[OURS].suits(data) for data in (squares, lasso, elastic))
    assert SOLVERS["glum lbfgs"].suits(squares)
    assert not SOLVERS["glum lbfgs"].suits(lasso)
    assert SOLVERS["glum irls-cd"].suits(elastic)
    assert not SOLVERS["glum irls-cd"].suits(squares)
    assert SOLVERS["celer"].left_out(elastic) == "has no elastic net"
    assert SOLVERS["celer"].left_out(lasso) == ""
    elsewhere = Solver("x", "", (), penalty="L1", home=".no-such-folder")
    assert elsewhere.left_out(lasso) == "there is no .no-such-folder; remedy: make .no-such-folder/.installed"


@pytest.mark.parametrize(
    ("of", "kind"), [("L1", "sparse"), ("elastic net", "float64"), ("a path", "float64")]
)
def test_scikit_learns_saga_fits_this_objective(kind: str, of: str, tmp_path: Path) -> None:
    data = small(kind)
    data = path(data, 3, 0.1) if of == "a path" else penalised(data, 0.5, 1.0 if of == "L1" else 0.5)
    data.save(tmp_path)
    result = result_of(data, optimum.solve(data))
    saga = SOLVERS["scikit-learn saga L1"]
    run = Run(saga.name, {"solver": "saga", "tol": 1e-8})
    result.runs.append(run)
    with Station(result, data, tmp_path, Sampling(1, 0.0, 0.0)) as station:
        station.measure(saga, run, 600.0)
        station.settle()
    assert run.trouble == ""
    assert run.suboptimality == pytest.approx(0.0, abs=1e-9)
    assert run.zeros is not None
    assert 0 < run.zeros < data.d * max(1, len(data.Cs))
    printed = report.table(result)
    assert f"l1_ratio={data.l1_ratio:g}" in printed
    assert "zeros" in printed
    assert "J* ≥ " in printed


def test_a_worker_is_told_the_penalty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "told.py").write_text(
        "from bench.peers.libraries import Answer\n"
        "def fit(X, y, p, threads): return Answer([[p['C'], p['l1_ratio']]] * len(p['Cs']), p['Cs'])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    data = path(small("float64"), 3, 0.1)
    data.save(tmp_path)
    with Process("bench.peers.worker:Worker", Task("told:fit", "", ())) as process:
        reply = process.ask(Request(str(tmp_path), {}, threads=1), 600.0)
    assert reply.trouble == ""
    np.testing.assert_array_equal(reply.W.reshape(3, 3), [[data.C, 1.0, C] for C in data.Cs])


def test_a_solver_of_another_environment_runs_in_its_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: dict[str, object] = {}

    def process(*_: object, **options: object) -> None:
        started.update(options)

    monkeypatch.setattr("bench.peers.station.Process", process)
    data = small("float64")
    with Station(result_of(data), data, tmp_path, Sampling(), {}) as station:
        station._start(SOLVERS["adelie"])
        assert started["python"] == SOLVERS["adelie"].python
        environment = started["environment"]
        assert isinstance(environment, dict)
        assert not any("site-packages" in place for place in environment["PYTHONPATH"].split(":"))
        started.clear()
        station._start(SOLVERS[OURS])
        assert started.get("python", sys.executable) == sys.executable


def test_what_is_not_known_of_the_optimum_is_said() -> None:
    data = penalised(small("float64"), 0.2)
    result = result_of(data, Optimum(0.5, 0.0, 1e-5, "an answer"))
    result.runs = [Run(OURS, DEFAULT, seconds=[1.0], suboptimality=1e-6)]
    assert report.row(result).verdict == "FAILED: J* is known within 1.0e-05 only, so 1e-08 is not shown"
    result.optimum = replace(result.optimum, bound=1e-12)
    assert report.row(result).verdict == "FAILED: our suboptimality is 1.0e-06, above 1e-08"
    result.runs[0].suboptimality = 1e-9
    assert not report.row(result).failed
