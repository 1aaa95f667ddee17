"""The comparison with peers: what it concludes from runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.peers_samples import made_up, result_of, small

from bench.peers.report import markdown, row, text
from bench.peers.results import Run
from bench.peers.solvers import DEFAULT, OURS


def test_a_target_may_be_about_one_library() -> None:
    result = result_of(small("float64"))
    times = {OURS: 1e-3, "snapml primal": 2e-3, "scikit-learn lbfgs": 9e-3}
    for solver, seconds in times.items():
        run = Run(solver, DEFAULT if solver == OURS else {"tol": 1e-4})
        run.seconds, run.values, run.suboptimality = [seconds], [1.0], 1e-9
        result.runs.append(run)
    result.target = 8.0
    assert row(result).verdict == "not met"
    result.against = "scikit-learn"
    assert row(result).verdict.startswith("met: 9")
    assert row(result).ratio == pytest.approx(2.0)


def test_the_best_peer_is_the_fastest_at_any_tolerance_that_is_near_enough() -> None:
    result = made_up(
        Run(OURS, DEFAULT, seconds=[0.1, 0.3, 0.1], suboptimality=2e-9),
        Run("a", {"tol": 1e-2}, seconds=[0.2], suboptimality=5e-6),  # fast, not near enough
        Run("a", {"tol": 1e-3}, seconds=[0.9, 0.8, 5.0], suboptimality=9e-7),
        Run("a", {"tol": 1e-4}, seconds=[1.5], suboptimality=1e-12),
        Run("b", {"tol": 1e-3}, seconds=[1.0], suboptimality=1e-9),
        Run("c", {"tol": 1e-3}, seconds=[0.5], suboptimality=1e-9, trouble="its weights are not finite"),
    )
    entry = row(result)
    assert entry.peer is result.runs[2]
    assert entry.ratio == pytest.approx(9.0)
    assert entry.verdict == "met"
    assert result.fastest("a", 1e-8) is result.runs[3]
    assert "**9.00×**" in markdown([result])
    assert row(replace(result, target=10.0)).verdict == "not met"
    assert row(replace(result, divided_by=4)).target is None


@pytest.mark.parametrize(
    ("ours", "bound", "words"),
    [
        (Run(OURS, DEFAULT, suboptimality=3.1e-8), 1e-14, "our suboptimality is 3.1e-08, above 1e-08"),
        (Run(OURS, DEFAULT, suboptimality=float("nan")), 1e-14, "our suboptimality is nan"),
        (Run(OURS, DEFAULT, suboptimality=1e-9), 1e-7, "J* is known within 1.0e-07 only"),
        (Run(OURS, DEFAULT, trouble="did not finish in 40 s"), 1e-14, "did not finish in 40 s"),
        (Run(OURS, {"tol": 1e-3}, suboptimality=1e-12), 1e-14, "our default fit was not measured"),
    ],
)
def test_ours_above_what_it_promises_is_a_failure(ours: Run, bound: float, words: str) -> None:
    result = made_up(ours, Run("a", {"tol": 1e-3}, suboptimality=1e-9))
    result.optimum = replace(result.optimum, bound=bound)
    entry = row(result)
    assert entry.failed
    assert entry.ratio is None
    assert words in entry.verdict
    assert "*** FAILED: tiny" in text([result])
    assert "FAILED" in markdown([result])
