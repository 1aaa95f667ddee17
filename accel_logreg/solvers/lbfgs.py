"""L-BFGS: SciPy's L-BFGS-B (Liu and Nocedal 1989; Zhu, Byrd, Lu and Nocedal 1997), our stopping rule.

SciPy stops on a small change of f or a small gradient entry; neither bounds the distance to the
minimum. Here both are off. After each iteration a free screen from the curvature pairs
at hand, ½ gᵀBg with B the L-BFGS inverse Hessian, says whether a proof is worth its reads of X.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from scipy.optimize import LbfgsInvHessProduct, OptimizeResult, minimize

from accel_logreg.interface.answers import Separation
from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.parts.newton_decrement import estimated_gap
from accel_logreg.solvers.parts.proof import judged
from accel_logreg.solvers.problem import (
    Budget,
    GapKind,
    History,
    ProvableProblem,
    Solution,
    relative_gap,
    require_finite,
)

_PAIRS = 10
_PRODUCTS_FOR_GAP = 200
_RESTARTS = 10


class _Watch:
    """Follows SciPy's iterations and decides when to stop."""

    def __init__(self, problem: ProvableProblem, W: Float64, budget: Budget) -> None:
        self.problem, self.report, self.costs = problem, budget.report, budget.costs
        self.tol, self.max_iter = budget.tol, budget.max_iter
        self.history = History()
        self.W = W
        self.value, self.gradient = problem.value_grad(W)
        self.history.append(self.value, problem.gradient_norm(self.gradient), problem.reads)
        self.pairs: deque[tuple[Float64, Float64]] = deque(maxlen=_PAIRS)
        self.evaluated: dict[bytes, tuple[float, Float64]] = {W.tobytes(): (self.value, self.gradient)}
        self.n_iter = 0
        self.gap, self.gap_kind = math.inf, GapKind.ESTIMATED
        self.finished = False
        self.separation: Separation | None = None
        self._next_screen = math.inf

    def evaluate(self, W: Float64) -> tuple[float, Float64]:
        key = W.tobytes()
        if key not in self.evaluated:
            self.evaluated[key] = self.problem.value_grad(W)
            while len(self.evaluated) > 3:
                del self.evaluated[next(iter(self.evaluated))]
        value, gradient = self.evaluated[key]
        return value, gradient.copy()  # SciPy may write into what it is given

    def __call__(self, intermediate_result: OptimizeResult) -> None:
        W = np.array(intermediate_result.x)
        value, gradient = self.evaluate(W)
        step, change = W - self.W, gradient - self.gradient
        if step @ change > 0:
            self.pairs.append((step, change))
        self.W, self.value, self.gradient = W, value, gradient
        self.n_iter += 1
        norm = self.problem.gradient_norm(gradient)
        self.history.append(value, norm, self.problem.reads)
        self.report(f"lbfgs: iteration {self.n_iter}, cost {value:.9g}, |gradient| {norm:.3g}")
        if self.problem.separates(value):
            self.finished, self.separation = True, self.problem.separating(W)
        elif self._near_enough():
            self.measure_gap()
            self.finished = self.gap <= self.tol
        if self.n_iter >= self.max_iter:
            self.finished = True
        if self.finished:
            raise StopIteration

    def _near_enough(self) -> bool:
        """A screen that reads nothing; after a failed measurement it asks for ten times less."""
        if self.pairs:
            steps, changes = zip(*self.pairs, strict=True)
            inverse = LbfgsInvHessProduct(np.array(steps), np.array(changes))
            screen = 0.5 * float(self.gradient @ inverse.matvec(self.gradient))
        else:
            screen = 0.0 if not self.gradient.any() else math.inf
        if screen > min(self.tol * self.value, self._next_screen):
            return False
        self._next_screen = 0.1 * screen
        return True

    def measure_gap(self) -> None:
        """By a proof where one can be afforded, else by conjugate gradients."""
        found = judged(self.problem, self.W, self.value, self.gradient, self.tol, self.costs)
        if found is None:
            decrement = estimated_gap(self.problem, self.W, self.gradient, _PRODUCTS_FOR_GAP)
            found = relative_gap(decrement, self.value), GapKind.ESTIMATED
        self.gap, self.gap_kind = found


def lbfgs(problem: ProvableProblem, start: Float64 | None, budget: Budget) -> Solution:
    """Minimise from ``start``, or zero, until the relative suboptimality is at most ``budget.tol``.

    A line search that fails near the limits of rounding, or on a badly scaled problem, is restarted with an
    empty memory for as long as that still lowers the cost. A start above the trivial point's J is none.
    """
    tol, max_iter = budget.tol, budget.max_iter
    watch = _Watch(problem, np.zeros(problem.size) if start is None else start, budget)
    if start is not None and not watch.value <= problem.trivial()[1]:
        watch = _Watch(problem, problem.trivial()[0], budget)
    require_finite(watch.value, watch.gradient)
    if not watch.gradient.any():
        watch.finished, watch.gap, watch.gap_kind = True, 0.0, GapKind.CERTIFIED
    for _ in range(_RESTARTS):
        if watch.finished:
            break
        before = watch.value
        watch.pairs.clear()
        minimize(
            watch.evaluate,
            watch.W,
            jac=True,
            method="L-BFGS-B",
            callback=watch,
            options={
                "maxiter": max_iter,
                "maxfun": 50 * max_iter,
                "maxcor": _PAIRS,
                "maxls": 50,
                "ftol": 0.0,
                "gtol": 0.0,
            },
        )
        if not watch.value < before:
            break
    if watch.gap > tol and watch.separation is None:
        watch.measure_gap()
    watch.history.reads[-1] = problem.reads
    trouble = ""
    if watch.separation is not None:
        watch.gap, watch.gap_kind = math.inf, GapKind.CERTIFIED
    elif watch.gap > tol:
        limit = watch.n_iter >= max_iter
        remedy = f"raise max_iter above {max_iter}" if limit else "lower C or drop redundant columns"
        trouble = (
            f"lbfgs stopped after {watch.n_iter} iterations at a relative suboptimality of "
            f"{watch.gap:.2g} ({watch.gap_kind}), above tol={tol:g}: {remedy}"
        )
    return Solution(
        watch.W, watch.n_iter, watch.gap, watch.gap_kind, watch.history, trouble, watch.separation
    )
