"""Problems with an L1 part: its strength is told as a share of the least that makes every weight zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit

from bench.judge.l1 import alpha_max
from bench.problems.problem import SEED, Problem


def penalised(problem: Problem, share: float, l1_ratio: float = 1.0) -> Problem:
    """With λρ = ``share`` of α_max, ρ = ``l1_ratio``."""
    C = l1_ratio / (share * alpha_max(problem) * problem.n)
    return replace(problem, C=C, l1_ratio=l1_ratio)


def path(problem: Problem, count: int, least: float) -> Problem:
    """Penalties from α_max down to ``least`` of it, each the same share of the one before."""
    strongest = 1.0 / (alpha_max(problem) * problem.n)
    return replace(
        problem, l1_ratio=1.0, Cs=tuple((strongest * np.geomspace(1.0, 1.0 / least, count)).tolist())
    )


def sparse_truth(n: int, d: int, near: float = 0.5) -> Problem:
    """Neighbouring columns correlate at ``near``; a tenth of the weights is not zero, logits spread by 2."""
    rng = np.random.default_rng(SEED)
    X = rng.standard_normal((n, d))
    for j in range(1, d):
        X[:, j] = near * X[:, j - 1] + np.sqrt(1.0 - near**2) * X[:, j]
    w = np.zeros(d)
    w[rng.choice(d, max(1, d // 10), replace=False)] = rng.standard_normal(max(1, d // 10))
    z = X @ w
    y = (rng.random(n) < expit(2.0 * z / z.std() - 0.5)).astype(np.float64)
    return Problem(f"sparse truth {n}x{d}", X, y)
