"""The judge of three and more classes: J(W, b) = mean(log Σₖ e^zₖ − z_y) + λ/2 ‖W‖² in float64, on the host.

W is (K (d + 1),), one class after the other with its intercept last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logsumexp, softmax

from bench.problems.problem import Float64, Problem

_NUMBERS = 1 << 22  # of X and of logits that are converted at once


def _blocks(problem: Problem) -> Any:
    step = max(1, _NUMBERS // (problem.n_classes + (1 if problem.is_sparse else problem.d)))
    for start in range(0, problem.n, step):
        rows = slice(start, start + step)
        yield problem.X[rows].astype(np.float64), problem.y[rows].astype(np.intp)


def objective(problem: Problem, W: Float64) -> float:
    """J in nats."""
    by_class = W.reshape(problem.n_classes, -1)
    w, b = by_class[:, :-1], by_class[:, -1]
    total = 0.0
    for X, y in _blocks(problem):
        z = X @ w.T + b
        total += float((logsumexp(z, axis=1) - z[np.arange(len(y)), y]).sum())
    return total / problem.n + 0.5 * problem.l2 * float(np.vdot(w, w))


def gradient(problem: Problem, W: Float64) -> tuple[Float64, Float64]:
    """∇J (K, d + 1), and the second derivative by the intercepts (K, K)."""
    by_class = W.reshape(problem.n_classes, -1)
    w, b = by_class[:, :-1], by_class[:, -1]
    g, H = np.zeros_like(by_class), np.zeros((len(b), len(b)))
    for X, y in _blocks(problem):
        a = softmax(X @ w.T + b, axis=1)
        H += np.diag(a.sum(axis=0)) - a.T @ a
        a[np.arange(len(y)), y] -= 1.0
        g[:, :-1] += (X.T @ a).T
        g[:, -1] += a.sum(axis=0)
    g /= problem.n
    g[:, :-1] += problem.l2 * w
    return g, H / problem.n


def with_best_intercepts(problem: Problem, W: Float64) -> tuple[Float64, Float64]:
    """W with the best intercepts for its weights, by Newton's method, and ∇J (K, d + 1) there."""
    by_class = W.reshape(problem.n_classes, -1).copy()
    for _ in range(20):
        g, H = gradient(problem, by_class.ravel())
        if float(np.abs(g[:, -1]).max()) < 1e-15:
            break
        by_class[:, -1] -= np.linalg.lstsq(H, g[:, -1], rcond=1e-12)[0]
    return by_class.ravel(), g
