"""Small problems and made-up results for the tests of the comparison with peers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit

from bench.judge.optimum import Optimum
from bench.peers.results import Run, ShapeResult
from bench.problems.problem import Problem


def small(kind: str, n: int = 300, d: int = 7) -> Problem:
    rng = np.random.default_rng(4)
    X: Any = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.6)
    y = (rng.random(n) < expit(X @ rng.standard_normal(d) - 0.3)).astype(np.float64)
    return Problem(kind, sparse.csr_matrix(X) if kind == "sparse" else X.astype(kind), y)


KINDS = pytest.mark.parametrize("kind", ["float64", "float32", "sparse"])


def result_of(data: Problem, best: Optimum | None = None) -> ShapeResult:
    best = best or Optimum(0.5, 1e-12, 1e-14, "made up")
    return ShapeResult.of(data, name="tiny", target=5.0, divided_by=1, read_bandwidth=1e10, optimum=best)


def made_up(*runs: Run) -> ShapeResult:
    result = result_of(small("float64"))
    for run in runs:
        run.seconds = run.seconds or [1.0]
        run.scouting = False
    result.runs = list(runs)
    return result
