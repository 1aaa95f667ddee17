"""Newton's method on nested random samples, then on all rows with a Hessian of some of them.

The optimum over m random rows is within about p/(2m) nats of the optimum over all of them, whatever n
is: a sample of growing size brings the solver close at the price of a fraction of a read. On all rows
the steps are preconditioned by a Hessian from m rows, whose error is of order √(p/m), so each full
gradient shrinks the gap by about p/m (subsampled Newton: Erdogdu and Montanari 2015; Roosta-Khorasani
and Mahoney 2019), and faster with L-BFGS on top (parts/memory.py). The samples decide how long it takes;
where it ends is decided by gradients over all rows.

Every factor is a decision between its price and the gradients it saves: see ``_better_factor``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.costs import Costs, passes, sampling_rate
from accel_logreg.solvers.parts.factor import factorise, low_precision_factor
from accel_logreg.solvers.parts.line_search import search
from accel_logreg.solvers.parts.memory import Memory
from accel_logreg.solvers.parts.proof import MARGIN, POLISHED, Apart, affordable, apart_along, downhill, prove
from accel_logreg.solvers.problem import (
    Budget,
    Certificate,
    GapKind,
    History,
    Inverse,
    NewtonProblem,
    Solution,
    relative_gap,
    require_finite,
    shortfall,
)

_SMALLEST_SAMPLE = 16  # times p
_GROWTH = 8
_LARGEST_COPY = 0.03  # share of X that samples may occupy
_STATISTICAL = 0.05  # a sample's optimum is p/(2m) nats off: a tenth of that is near enough
_MOST_SMOOTHED = 0.25
_ITERATIONS_ON_SAMPLE = 30
_WORTH_A_READ = 2048  # rows from which a read that is spared is worth a J that is reckoned, not read
_NEAR = 1e-5  # gap over J from which an exact Hessian that is made in any case is made at once
_NO_PROGRESS = 0.5  # decrement now over decrement before
_WORTH = 0.8  # of the predicted price, from which another factor is made: rates are known to a third or so
# of an estimate by an exact Hessian that proves nothing: rounding hides some of its curvature
_UNPROVEN = 3.0
_SHORT = 0.3  # of the slope left after a step that should have levelled it


@dataclass(frozen=True)
class _MadeFactor:
    """A factor, how many rows it was made of, and where; ``rate``: the gap's expected factor a gradient."""

    inverse: Inverse
    rows: int
    rate: float
    U: Float64

    def overshoot(self, p: int, n: int) -> float:
        """How far above the decrement of this factor the true one may be, in all likelihood.

        The spectrum of a p × p sample covariance of m rows ends at (1 + √(p/m))² times the true one
        (Marchenko and Pastur 1967).
        """
        return 1.0 if self.rows >= n else (1.0 + math.sqrt(p / self.rows)) ** 2


class _Descent:
    """Preconditioned quasi-Newton steps on one problem, all rows or a sample's."""

    def __init__(
        self,
        problem: NewtonProblem,
        costs: Costs,
        random: np.random.RandomState | None,
        U: Float64,
        expected: float | None = None,
    ) -> None:
        """``random`` draws the rows of factors; None makes all of them of all rows."""
        self.problem, self.costs, self.random = problem, costs, random
        self.memory = Memory()
        self.factor: _MadeFactor | None = None
        self.U = U
        # Where the exact Hessian is made in the end, it is the one that steps are made with.
        self.exact = random is not None and affordable(problem, costs)
        # And where it takes no read beside the gradient's, it is made at once.
        away = problem.most_picked < problem.n_rows
        self.at_once = self.exact and away and problem.expect_certificate()
        self.value, self.gradient = problem.value_grad(U)
        require_finite(self.value, self.gradient)
        self.expected = 0.1 * self.value if expected is None else expected  # gap in nats, before a factor
        self.rate = math.inf  # measured: decrement now over decrement before
        self.decrement = math.inf
        self.direction = -self.gradient
        self.stale = False  # the factor is of another place: the last step was much too short for it
        self.stuck = False
        self.low_precision = True  # try products of few bits first
        self.certificate: Certificate | None = None  # the last exact Hessian
        self.least = 0  # rows of a factor: fewer have been seen to be too few

    def choose_factor(self, target: float) -> float:
        """Choose the factor and the direction; returns the estimated gap in nats."""
        if self.factor is not None:
            self._set_direction()
            if self.factor.rows < self.problem.n_rows and _NO_PROGRESS < self.rate < math.inf:
                self.least = _GROWTH * self.factor.rows
        better = self._better_factor(target)
        while better is not None:
            self.factor = self._make_factor(better)
            self.memory.clear()
            self.stale = False
            self.decrement = math.inf  # what a fresh factor says is no measurement of its rate
            self._set_direction()
            if better == self.problem.n_rows or self.decrement < self.value:
                break
            # J* is not negative, so no gap exceeds J: these rows miss curvature that others have.
            self.least = _GROWTH * better
            better = self.least if 2 * self.least <= self.problem.n_rows else self.problem.n_rows
        assert self.factor is not None
        # A factor that is a step old and shrank the gap by ``rate`` is off by about its root.
        old = 1.0 + 2.0 * math.sqrt(self.rate) if math.isfinite(self.rate) else 1.0
        return self.decrement * max(
            MARGIN, old, self.factor.overshoot(self.problem.size, self.problem.n_rows)
        )

    def _a_row(self) -> int:
        """Unknowns for each number that a row's curvature says something of: p, for two classes."""
        return -(-self.problem.size // self.problem.rank)

    def _set_direction(self) -> None:
        assert self.factor is not None
        self.direction = -self.memory.solve(self.factor.inverse, self.gradient)
        before, self.decrement = self.decrement, -0.5 * float(self.gradient @ self.direction)
        self.rate = self.decrement / before if math.isfinite(before) and before > 0 else math.inf

    def _rate_of(self, rows: int) -> float:
        """Expected contraction of the gap per gradient with a fresh factor of this many rows.

        Besides the sample's part there is the change of the Hessian along the way, which shrinks with
        the gap (Newton's quadratic convergence).
        """
        n, p = self.problem.n_rows, self._a_row()
        gap = self.decrement if self.factor is not None else self.expected
        return sampling_rate(p, rows, n) + min(0.1, gap / self.value)

    def _better_factor(self, target: float) -> int | None:
        """The number of rows of the factor that gets to ``target`` soonest; None to keep this one."""
        n, p = self.problem.n_rows, self._a_row()
        if self.factor is not None and self.decrement <= target and not self.stale:
            return None
        far = (self.decrement if self.factor is not None else self.expected) / target
        price = self.costs.gradient(n)

        def total(rate: float) -> float:
            return price * passes(far, rate)

        options = [n]
        near = self.at_once or (self.factor is not None and self.decrement <= _NEAR * self.value)
        if self.exact and self.certificate is None and near:
            return n  # the exact Hessian is a proof as well, and it may be the last question
        if self.random is not None:
            most = self.problem.most_picked
            sizes = [n // 2**k for k in range(1, 24) if n // 2**k < most]
            options += [rows for rows in [most, *sizes] if max(4 * p, self.least) <= rows < n]
        predicted = {
            rows: total(self._rate_of(rows))
            + self.costs.hessian(rows, low_precision=self.low_precision)
            + self.costs.factor()
            for rows in options
        }
        best = min(predicted, key=lambda rows: predicted[rows])
        if self.factor is None or self.stale:
            return best
        keep = total(self.factor.rate if math.isinf(self.rate) else self.rate)
        return best if predicted[best] < _WORTH * keep else None

    def _make_factor(self, rows: int) -> _MadeFactor:
        if self.exact and rows == self.problem.n_rows:
            self.certificate = self.problem.certificate(self.U)
            return _MadeFactor(self.certificate, rows, self._rate_of(rows), self.U)
        picked = None
        if rows < self.problem.n_rows:
            assert self.random is not None
            picked = self.problem.pick(rows, self.random)
        factor = None
        if self.low_precision:
            factor = low_precision_factor(self.problem.low_precision_hessian(self.U, sample=picked))
        self.low_precision = factor is not None  # where few bits did not do once, they are not asked again
        if factor is None:
            factor = factorise(
                lambda precision: self.problem.hessian(self.U, sample=picked, precision=precision)
            )
        return _MadeFactor(factor, rows, self._rate_of(rows), self.U)

    def unread_step(self, tol: float) -> bool:
        """Take Newton's step with the exact Hessian at hand if that is certain to reach ``tol``."""
        found = self.certificate
        if found is None or found.U0 is not self.U or self.problem.n_rows < _WORTH_A_READ:
            return False
        there, bound = found.step(self.U, self.gradient, self.problem.rounding(self.U, self.value))
        # What a step gains is the decrement, but for a share of it that vanishes with it: J is known as well.
        lowest = self.value - found.decrement(self.gradient)
        if not relative_gap(bound, lowest) <= tol:
            return False
        self.U, self.value, self.bound, self.slope = there, lowest, bound, math.sqrt(2.0 * bound)
        return True

    def step_by(self, certificate: Certificate) -> None:
        """One line search along Newton's step with an exact Hessian."""
        self.exact, self.certificate = True, certificate
        self.factor = _MadeFactor(
            certificate, self.problem.n_rows, self._rate_of(self.problem.n_rows), self.U
        )
        self.memory.clear()
        self.decrement = math.inf
        self._set_direction()
        self.step()

    def step(self) -> None:
        """One line search along the direction."""
        found = search(self.problem, self.U, self.value, self.gradient, self.direction)
        if found is None:
            # Rounding, or a factor that is not of this problem any more: one of all rows, here, decides.
            assert self.factor is not None
            self.stuck = self.factor.rows == self.problem.n_rows and self.factor.U is self.U
            if not self.stuck:
                self.factor = self._make_factor(self.problem.n_rows)
                self.memory.clear()
            return
        slope = float(self.gradient @ self.direction)
        self.stale = float(found.gradient @ self.direction) < _SHORT * slope
        self.memory.append(found.U - self.U, found.gradient - self.gradient)
        self.U, self.value, self.gradient = found.U, found.value, found.gradient


def newton(problem: NewtonProblem, start: Float64 | None, budget: Budget) -> Solution:
    """Minimise until the relative suboptimality is at most ``budget.tol``.

    From ``start`` where given. Otherwise from the trivial point by way of the samples. Neither is taken where
    J, over all rows, is above what it is at the trivial point.

    Where the estimate says that it is done, a proof is asked for (parts/proof.py); where that fails and can
    be afforded, further steps with the exact Hessian lead to one, or to a direction along which J falls for
    ever.
    """
    costs, tol, max_iter, report = budget.costs, budget.tol, budget.max_iter, budget.report
    random = budget.random
    history = History()
    trivial, ceiling = problem.trivial()
    U, expected = (trivial if start is None else start), None
    if start is None:
        for rows in _sample_sizes(problem, -(-problem.size // problem.rank)):
            U = _solve_sample(problem, U, rows, random, budget, expected)
            expected = problem.size / rows
    descent = _started(problem, costs, random, U, expected)
    if not descent.value <= ceiling and U is not trivial:
        report(
            f"newton: J = {descent.value:.6g} where it was to start, above {ceiling:.6g} at the trivial point"
        )
        descent = _started(problem, costs, random, trivial, None)
    history.append(descent.value, problem.gradient_norm(descent.gradient), problem.reads)
    n_iter, gap, kind, separation = 0, math.inf, GapKind.ESTIMATED, None
    apart: Apart | None = None
    while True:
        if not descent.gradient.any():
            gap, kind = 0.0, GapKind.CERTIFIED
            break
        if problem.separates(descent.value):
            separation = problem.separating(descent.U)
            break
        absolute = descent.choose_factor(0.5 * tol * descent.value)
        gap = relative_gap(absolute, descent.value)
        made_of = descent.factor.rows if descent.factor else 0
        report(
            f"newton: iteration {n_iter}, cost {descent.value:.9g}, gap {gap:.2g}, factor of {made_of} "
            f"rows, {problem.reads:.2f} reads"
        )
        ended = descent.stuck or n_iter >= max_iter
        if n_iter < max_iter and descent.unread_step(tol):
            # Newton's step leads to where a bound is known beforehand: X need not be read there.
            n_iter += 1
            gap, kind = relative_gap(descent.bound, descent.value), GapKind.CERTIFIED
            history.append(descent.value, descent.slope, problem.reads)
            break
        if apart is not None and (ended or gap <= POLISHED):
            break
        # The trivial point is near enough under a large penalty, but says nothing of the order of
        # predictions.
        if ended or (gap <= tol and (n_iter > 0 or start is not None)):
            proof = prove(
                problem, descent.U, descent.value, descent.gradient, tol, costs, descent.certificate
            )
            descent.certificate = proof.certificate
            if proof.gap(descent.value) <= tol:
                gap, kind = proof.gap(descent.value), GapKind.CERTIFIED
                break
            found = None
            if not problem.penalised and proof.certificate is not None:
                found = apart_along(problem, downhill(proof.certificate, descent.gradient), apart)
            if found is not None:
                apart, separation = found, found.found
                descent = _started(problem, costs, random, found.beyond(descent.U), None)
            elif ended or proof.certificate is None:
                break
            else:
                descent.step_by(proof.certificate)
        else:
            descent.step()
        n_iter += 1
        history.append(descent.value, problem.gradient_norm(descent.gradient), problem.reads)
    trouble = ""
    if kind is GapKind.ESTIMATED and descent.certificate is not None:
        hidden = descent.certificate.hidden(problem.rounding(descent.U, descent.value))
        gap = _UNPROVEN * gap + relative_gap(hidden, descent.value)
    if separation is not None:
        gap, kind = math.inf, GapKind.CERTIFIED
    elif gap > tol:
        trouble = shortfall("newton", n_iter, gap, kind, tol, max_iter)
    U = descent.U
    if descent.certificate is not None and descent.certificate.flat is not None and separation is None:
        U = problem.least_norm(U, descent.certificate.flat, descent.value)
    return Solution(U, n_iter, gap, kind, history, trouble, separation)


def _started(
    problem: NewtonProblem,
    costs: Costs,
    random: np.random.RandomState | None,
    U: Float64,
    expected: float | None,
) -> _Descent:
    """The descent from U, or from the trivial point where J is not finite there."""
    try:
        return _Descent(problem, costs, random, U, expected)
    except FloatingPointError:
        return _Descent(problem, costs, random, problem.trivial()[0])


def _sample_sizes(problem: NewtonProblem, p: int) -> list[int]:
    n, held = problem.n_rows, problem.most_picked
    sizes = []
    size = _SMALLEST_SAMPLE * p
    while size <= (_LARGEST_COPY * n if held == n else held / 2):
        sizes.append(size)
        size *= _GROWTH
    if size // _GROWTH < held < n:  # in memory already
        sizes.append(held)
    return sizes


def _solve_sample(
    problem: NewtonProblem,
    U: Float64,
    rows: int,
    random: np.random.RandomState,
    budget: Budget,
    expected: float | None,
) -> Float64:
    """The optimum over about ``rows`` rows, as far as it says something about the one over all."""
    picked = problem.pick(rows, random)
    sample = problem.sample(picked)
    rows = len(picked.rows)
    sample.smoothed(min(_MOST_SMOOTHED, problem.size / problem.rank / rows))
    target = _STATISTICAL * problem.size / rows
    descent = _Descent(sample, budget.costs, None, U, expected)
    taken = 0
    while taken < _ITERATIONS_ON_SAMPLE and descent.gradient.any():
        if sample.separates(descent.value) or descent.choose_factor(target) <= target or descent.stuck:
            break
        descent.step()
        taken += 1
    budget.report(
        f"newton: sample of {rows} rows, {taken} iterations, cost {descent.value:.6g}, "
        f"{problem.reads:.2f} reads"
    )
    if sample.separates(descent.value):
        return U
    return descent.U
