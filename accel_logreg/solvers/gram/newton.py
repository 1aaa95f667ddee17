"""Newton's method in sample space, for more features than rows: three reads of X in all.

The best w is a combination of the rows (Kimeldorf and Wahba 1971), so nothing is lost by looking for it
among those. One read gives the rows' inner products, on which the iterations cost O(n³) and see no
feature (Chapelle 2007, "Training a support vector machine in the primal"; space.py). A second read
forms w, and a third takes J and ∇J from the rows as they are. The bound that is returned comes from that
gradient: rounding in the inner products cannot make it wrong, only too large. Then the logits are read
as well, and Newton's method goes on from those (iterative refinement, Wilkinson 1963). Where ``tol`` and the
penalty allow it the inner products are rounded to float32, at half the price; should that not do, they are
taken again in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.rows import AmongRows
from accel_logreg.solvers.gram.space import Point, SampleSpace, Step
from accel_logreg.solvers.problem import (
    Budget,
    GapKind,
    History,
    PlainProblem,
    Report,
    Solution,
    relative_gap,
    shortfall,
)

_REFINEMENTS = 5
_FAR = 0.99  # share of the rows' squared length that comes from a centre elsewhere
_HIDDEN = 1e-12  # share of J that rounding hides
_LOOSE = 1e-9  # tol from which inner products may be rounded to float32
_FLOAT32 = float(np.finfo(np.float32).eps)
_EPSILON = float(np.finfo(np.float64).eps)
_NORMAL = 1e-30, 1e30  # squared lengths in which float32 neither under- nor overflows
_SMALL = 1e-2  # of I in B = I + RKR (space.py): how large its rounding may be


@dataclass(frozen=True)
class _Candidate:
    """A W whose J and ∇J were taken from the rows."""

    W: Float64
    value: float
    norm: float
    gap: float
    kind: GapKind
    hidden: float  # nats that rounding of W may cost


class _Fit:
    """The problem, its sample space, and the course of the fit."""

    def __init__(
        self, problem: PlainProblem, among: AmongRows, space: SampleSpace, centre: Float64, report: Report
    ) -> None:
        self.problem, self.among, self.space, self.centre = problem, among, space, centre
        self.report = report
        self._W, self._c0 = np.zeros(problem.size), 0.0  # at the space's anchor
        self.history = History()
        self.n_iter, self.warm = 0, False

    @property
    def reads(self) -> float:
        return self.problem.reads

    def start(self, warm: Float64 | None) -> Point:
        """The labels' log-odds, or a step on from the logits of ``warm`` where J is lower there."""
        point = self.space.trivial()
        if warm is not None and warm[:-1].any():
            further = self.space.from_logits(self.problem.rows.logits(warm))
            if further.cost < point.cost:
                point, self.warm = further, True
        self._append(point)
        return point

    def iterate(self, point: Point, tol: float, max_iter: int, step: Step | None) -> Point:
        """Newton's method, ``step`` first, until the bound, as K gives it, is at most ``tol``."""
        space = self.space
        cost = bound = math.inf
        while True:
            if not math.isfinite(point.cost):
                raise FloatingPointError("J is not finite")
            before, bound = bound, space.bound(point, point.norm, point.slope)
            gap = relative_gap(bound, point.cost)
            self.report(f"newton-gram: iteration {self.n_iter}, cost {point.cost:.9g}, gap {gap:.2g}")
            settled = point.cost >= (1.0 - _HIDDEN) * cost and bound > 0.5 * before
            # The trivial point may be near enough, but says nothing of the order of predictions.
            ended = (gap <= tol or settled) and (self.n_iter > 0 or self.warm or not point.r.any())
            if self.n_iter >= max_iter or (step is None and ended):
                return point
            cost = point.cost
            further = space.search(point, step or space.newton(point))
            if further is None:
                return point
            point, step = further, None
            self.n_iter += 1
            self._append(point)

    def verify(self, point: Point) -> _Candidate:
        """J, and the bound on its gap, from the rows as they are."""
        space, centre = self.space, self.centre
        w = self.among.combination(point.a) - centre * point.a.sum()
        W = self._W + np.append(w, point.c0 - self._c0 - centre @ w)
        value, gradient = self.problem.value_grad(W)
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            raise FloatingPointError("J or its gradient is not finite")
        # How far rounding may have moved a logit: sums of d products in K and in X w, of n in K a.
        n, p, length = len(point.a), self.problem.size, np.linalg.norm
        in_K = (n + p) * space.radius * float(np.abs(point.a) @ space.lengths)
        in_X = p * (space.radius + float(length(centre))) * float(length(W[:-1]))
        slope = float(gradient[-1])
        logits = abs(float(W[-1])) + float(2.0 * np.abs(centre) @ np.abs(W[:-1]))
        logits += 3.0 * space.radius * float(length(W[:-1]))
        rounding = _EPSILON * (min(0.25, value) * logits + 8.0 * value)  # as in problem/certificate.py
        hidden = 0.5 * min(0.25, value) * (_EPSILON * logits) ** 2
        drift = space.epsilon * in_K + _EPSILON * in_X
        norm = float(length(gradient[:-1] - centre * slope)) + rounding * space.radius
        bound = space.bound(point, norm, abs(slope) + rounding, drift)
        gap = relative_gap(bound, value)
        self.report(f"newton-gram: verified, cost {value:.9g}, gap {gap:.2g}, {self.reads:g} reads")
        return _Candidate(W, value, self.problem.gradient_norm(gradient), gap, GapKind.CERTIFIED, hidden)

    def refine(self, point: Point, candidate: _Candidate) -> tuple[Point, Step, _Candidate]:
        """The point with the logits that W has, Newton's step there, and its decrement if that says more."""
        point = self.space.at_logits(point, self.problem.rows.logits(candidate.W))
        self._W, self._c0 = candidate.W, point.c0
        step = self.space.newton(point)
        estimated = relative_gap(1.5 * step.decrement + candidate.hidden, candidate.value)
        if estimated < candidate.gap:
            candidate = replace(candidate, gap=estimated, kind=GapKind.ESTIMATED)
        return point, step, candidate

    def record(self, candidate: _Candidate) -> None:
        """What the rows said, in the place of what their inner products said."""
        history = self.history
        history.cost[-1], history.gradient_norm[-1] = candidate.value, candidate.norm
        history.seconds[-1], history.reads[-1] = history.elapsed(), self.reads

    def _append(self, point: Point) -> None:
        self.history.append(point.cost, math.hypot(point.norm, point.slope), self.reads)


def gram_newton(
    problem: PlainProblem, start: Float64 | None, budget: Budget, *, centre: Float64 | None = None
) -> Solution:
    """Minimise until the relative suboptimality is at most ``budget.tol``.

    From ``start`` where its features have any weight; both classes have weight. ``centre`` (d,) is what rows
    are counted from for K's precision: the mean row, if not given.

    Raises
    ------
    ValueError
        λ = 0: a is −q/λ at the minimum.
    FloatingPointError
        J, its gradient or an inner product is not finite.
    """
    tol, max_iter, report = budget.tol, budget.max_iter, budget.report
    among = problem.rows.among_rows()
    if among is None:
        raise ValueError(
            "newton-gram needs the inner products of rows, and these do not know each other: X is read in "
            "parts. Use solver='auto'"
        )
    if problem.l2 == 0.0:
        raise ValueError("newton-gram needs a penalty, and C=inf is none: use a finite C or another solver")
    if centre is None:
        centre = np.zeros(problem.size - 1)
        if problem.fit_intercept and not problem.sparse:
            centre = among.combination(problem.rows.targets.shares())
    history = History()
    best: _Candidate | None = None
    n_iter = 0
    for precise in (False, True) if tol >= _LOOSE else (True,):
        fit = _fit(problem, among, centre, report, precise)
        if fit is None:
            continue
        fit.history, fit.n_iter = history, n_iter
        best = _minimise(fit, best, start if best is None else best.W, tol, max_iter)
        n_iter = fit.n_iter
        if best.gap <= tol or n_iter >= max_iter:
            break
    assert best is not None
    trouble = ""
    if best.gap > tol:
        trouble = shortfall("newton-gram", n_iter, best.gap, best.kind, tol, max_iter)
    return Solution(best.W, n_iter, best.gap, best.kind, history, trouble)


def _fit(
    problem: PlainProblem, among: AmongRows, centre: Float64, report: Report, precise: bool
) -> _Fit | None:
    """The problem in its sample space; None where float32 has not the range or the digits for it."""
    targets, n = problem.rows.targets, problem.n_rows
    K = among.gram(centre, precise=precise)
    # The mean of K is ‖mean row − c‖², which for a far centre drowns what the rows differ by.
    if problem.fit_intercept and K.mean() > _FAR * K.diagonal().mean():
        centre = among.combination(np.full(n, 1.0 / n))
        if problem.sparse:  # whose zeros a centre would fill
            means = K.mean(axis=0)
            K -= means
            K -= (means - means.mean())[:, np.newaxis]
        else:
            K = among.gram(centre, precise=precise)
    if not precise:
        lengths = K.diagonal()
        share = 1.0 / n if targets.s is None else float(targets.s.max() / targets.s.sum())
        rounding = _FLOAT32 * float(lengths.max()) * share / (4.0 * problem.l2)
        if not (lengths.min() >= _NORMAL[0] and lengths.max() <= _NORMAL[1] and rounding <= _SMALL):
            report("newton-gram: inner products again in float64, which float32 has not the digits for")
            return None
    epsilon = float(np.finfo(np.float64).eps) if precise else _FLOAT32
    space = SampleSpace(K, targets, problem.l2, problem.fit_intercept, epsilon)
    return _Fit(problem, among, space, centre, report)


def _minimise(fit: _Fit, best: _Candidate | None, W: Float64 | None, tol: float, max_iter: int) -> _Candidate:
    """The best that these inner products and refinements of what they say lead to."""
    point, step = fit.start(W), None
    for refined in range(1 + _REFINEMENTS):
        point = fit.iterate(point, 0.5 * tol, max_iter, step)
        candidate = fit.verify(point)
        fit.record(candidate)
        if candidate.gap > tol:
            point, step, candidate = fit.refine(point, candidate)
        falls = best is None or candidate.gap <= 0.5 * best.gap
        # An estimate is taken for an answer only after an attempt at a certificate.
        enough = candidate.gap <= tol and (candidate.kind is GapKind.CERTIFIED or refined > 0)
        if best is None or enough or candidate.gap < best.gap:
            best = candidate
        if enough or not falls or fit.n_iter >= max_iter:
            break
    assert best is not None
    fit.record(best)
    return best
