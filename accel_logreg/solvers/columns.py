"""Newton's method on K problems that share X, all columns in each read.

As solvers/newton.py does for one: nested random samples, then gradients over all rows preconditioned by a
Hessian, with L-BFGS on top. Every column has its own direction, length of step and pairs; what they share are
the reads, and the Hessians wherever their curvatures are alike: columns of one group differ in λ, a diagonal,
and in the parts that they are made of, so that a Cholesky factor a column is all that is their own.

One eigendecomposition instead would serve every λ, but costs as much as 36 factors at 100 unknowns and 17 at
1,000, and loses the small eigenvalues of columns of different scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpocon, dpotrf, dpotrs

from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.rows import Precision
from accel_logreg.solvers.costs import Costs, sampling_rate
from accel_logreg.solvers.parts.proof import MARGIN
from accel_logreg.solvers.problem import Report, relative_gap

_SMALLEST_SAMPLE = 16  # times p
_GROWTH = 8
_LARGEST_COPY = 0.07  # share of X that samples may occupy
_STATISTICAL = 0.05  # a sample's optimum is p/(2m) nats off: a tenth of that is near enough
_ITERATIONS_ON_SAMPLE = 30
_MOST_PAIRS = 30
_WORTH = 0.8  # of the predicted price, from which other factors are made
_ROUNDING = 1e-14  # relative decrease of J that rounding hides
_DECREASE, _FLATTENED = 1e-4, 0.9
_ENOUGH_FOR_FLOAT32 = 1e-4
_UNLIKE = 0.01  # of the gap: what a step leaves where a factor is of columns that are only alike
# Of an estimate by a Hessian that columns share, on top of MARGIN: theirs differ along rare categories. Of
# 4,000 folds of 160 drawn problems none then was above what was said of it; with 2 six were, by up to 1.8.
_SHARED = 5.0
_COLUMN = 0.3  # of a pass for one column: what one more adds to it, X being in the cache
_PLACING = 5e-9  # seconds a row and column: to set up fewer columns
_PROOF, _LITTLE = 1.0, 2e-3  # of what the fits cost, and seconds: what exact Hessians to prove them may take
_INTERPRETED = 1e-3  # seconds of an iteration beside the engine


class ColumnProblem(Protocol):
    """J of K columns over U (p, K), see problem/columns.py."""

    size: int
    n_rows: int
    n_columns: int
    l2: Float64

    @property
    def reads(self) -> float: ...
    @property
    def most_picked(self) -> int: ...
    @property
    def exact(self) -> bool: ...
    def trivial(self) -> Float64: ...
    def value_grad(self, U: Float64) -> tuple[Float64, Float64]: ...
    def pick(self, size: int, random: np.random.RandomState) -> RowSample: ...
    def sample(self, picked: RowSample) -> Self: ...
    def only(self, columns: NDArray[np.intp]) -> Self: ...
    def alike(self, U: Float64, columns: NDArray[np.intp]) -> list[NDArray[np.intp]]: ...
    def hessians(
        self, U: Float64, columns: NDArray[np.intp], sample: RowSample | None, precision: Precision
    ) -> list[tuple[Float64, NDArray[np.intp]]]: ...
    def penalty(self, l2: float) -> Float64: ...
    def bound(
        self, L: Float64, precision: Precision, U0: Float64, U: Float64, gradient: Float64, value: float
    ) -> float: ...


@dataclass(frozen=True)
class ColumnSolution:
    """Where the columns stopped.

    U : (p, K) float64
    n_iter : (K,) int64, steps over all rows that a column took
    value, gap : (K,) float64, J in nats, and a bound on, or an estimate of, (J − J*)/J*
    certified : (K,) bool, whether the gap is a bound
    done : (K,) bool, whether it is at most tol
    """

    U: Float64
    n_iter: NDArray[np.int64]
    value: Float64
    gap: Float64
    certified: NDArray[np.bool_]

    def done(self, tol: float) -> NDArray[np.bool_]:
        return np.asarray(self.gap <= tol)


@dataclass(frozen=True)
class _Factor:
    """L Lᵀ, the Hessian at ``U`` of these columns, which share λ and parts."""

    L: Float64
    columns: NDArray[np.intp]
    U: Float64
    precision: Precision


class _Factors:
    """Hessians of some rows, at points that the columns share, factorised."""

    def __init__(
        self, problem: ColumnProblem, U: Float64, groups: list[NDArray[np.intp]], sample: RowSample | None
    ) -> None:
        self.rows = problem.n_rows if sample is None else len(sample.rows)
        self.of: list[_Factor] = []
        self.margin = np.full(problem.n_columns, MARGIN)
        for group in groups:
            if len(group) > 1:
                self.margin[group] *= _SHARED
            centre = U[:, group].mean(axis=1)
            found = self._of_group(problem, centre, group, sample, "float32")
            if found is None:
                found = self._of_group(problem, centre, group, sample, "float64")
            self.of += found or []

    @staticmethod
    def _of_group(
        problem: ColumnProblem,
        U: Float64,
        group: NDArray[np.intp],
        sample: RowSample | None,
        precision: Precision,
    ) -> list[_Factor] | None:
        """None where float32 is not enough to trust the inverse."""
        found = []
        for H, columns in problem.hessians(U, group, sample, precision):
            l2 = problem.l2[columns]
            for penalty in np.unique(l2):
                penalised = H.copy()
                penalised.flat[:: len(H) + 1] += problem.penalty(float(penalty))
                L, condition = _cholesky(penalised)
                if precision == "float32" and condition < _ENOUGH_FOR_FLOAT32 / math.sqrt(len(H)):
                    return None
                found.append(_Factor(L, columns[l2 == penalty], U, precision))
        return found

    def solve(self, G: Float64) -> Float64:
        """H⁻¹ g, column by column; 0 where a column has no factor."""
        out = np.zeros_like(G)
        for factor in self.of:
            out[:, factor.columns] = dpotrs(factor.L, G[:, factor.columns], lower=1)[0]
        return out


def _cholesky(H: Float64) -> tuple[Float64, float]:
    """L with a ridge as small as the factorisation allows, and H's reciprocal condition, 0 with a ridge."""
    norm = float(np.abs(H).sum(axis=0).max())
    if not math.isfinite(norm):
        raise FloatingPointError("a Hessian is not finite")
    L, info = dpotrf(H, lower=1, clean=1)
    if info == 0:
        return L, float(dpocon(L, norm, uplo="L")[0])
    ridge = max(float(np.finfo(np.float64).eps) * len(H) * norm, float(np.finfo(np.float64).tiny))
    while info != 0:
        L, info = dpotrf(H + ridge * np.eye(len(H)), lower=1, clean=1)
        ridge *= 10.0
    return L, 0.0


def _dot(A: Float64, B: Float64) -> Float64:
    """Column by column, (K,)."""
    return np.asarray(np.einsum("jk,jk->k", A, B))


class _Block:
    """Columns on their way down, on all rows or on a sample's."""

    def __init__(
        self,
        problem: ColumnProblem,
        U: Float64,
        costs: Costs,
        random: np.random.RandomState | None,
        expected: float | None,
    ) -> None:
        """``random`` draws the rows of factors; None makes all of them of all rows."""
        self.problem, self.costs, self.random = problem, costs, random
        self.U = U
        self.value, self.gradient = problem.value_grad(U)
        if not (np.isfinite(self.value).all() and np.isfinite(self.gradient).all()):
            raise FloatingPointError("J or its gradient is not finite")
        K = problem.n_columns
        self.factors: _Factors | None = None
        self.pairs: list[tuple[Float64, Float64, Float64]] = []
        self.direction = np.zeros_like(U)
        self.length = np.ones(K)
        self.moved = np.ones(K, dtype=np.bool_)  # by the last step
        self.moving = np.asarray(self.gradient.any(axis=0))
        self.decrement = np.where(self.moving, 0.1 * self.value if expected is None else expected, 0.0)
        self.rate = np.full(K, math.inf)  # measured: decrement now over decrement before

    def aim(self, tolerance: Float64, *, stop: bool = True) -> Float64:
        """Choose factors and directions; returns the estimated gap of every column in nats, (K,).

        With ``stop``, a column whose estimate is within its ``tolerance`` (K,), in nats, moves no more.
        """
        if self.factors is not None:
            self._set_direction(np.asarray(self.moving & self.moved))
        better = self._better_factors(tolerance)
        if better is not None:
            rows, groups = better
            picked = None
            if rows < self.problem.n_rows:
                assert self.random is not None
                picked = self.problem.pick(rows, self.random)
            self.factors = _Factors(self.problem, self.U, groups, picked)
            self.pairs.clear()
            self._set_direction(self.moving)
            self.length[self.moving] = 1.0
            self.rate[self.moving] = math.inf
        n, p = self.problem.n_rows, self.problem.size
        margin = MARGIN if self.factors is None else self.factors.margin
        overshoot = (
            1.0
            if self.factors is None or self.factors.rows >= n
            else (1.0 + math.sqrt(p / self.factors.rows)) ** 2
        )
        with np.errstate(invalid="ignore"):
            old = np.where(np.isfinite(self.rate), 1.0 + 2.0 * np.sqrt(np.abs(self.rate)), 1.0)
        estimate = np.asarray(self.decrement * np.maximum(margin * overshoot, old))
        if stop:
            self.moving &= ~(estimate <= tolerance)
        return estimate

    def _set_direction(self, of: NDArray[np.bool_]) -> None:
        """L-BFGS's direction for these columns, by the two-loop recursion, all at once."""
        assert self.factors is not None
        q = self.gradient.copy()
        shares = []
        for step, change, rho in reversed(self.pairs):
            shares.append(rho * _dot(step, q))
            q -= shares[-1] * change
        r = self.factors.solve(q)
        for (step, change, rho), share in zip(self.pairs, reversed(shares), strict=True):
            r += (share - rho * _dot(change, r)) * step
        np.copyto(self.direction, -r, where=of)
        before = self.decrement
        decrement = np.where(of, 0.5 * _dot(self.gradient, r), before)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.rate = np.where(of, decrement / before, self.rate)
        self.decrement = decrement

    def _better_factors(self, tolerance: Float64) -> tuple[int, list[NDArray[np.intp]]] | None:
        """Of how many rows factors get to the tolerances soonest, and the groups that share a Hessian; None
        to keep those at hand.
        """
        n, p, costs = self.problem.n_rows, self.problem.size, self.costs
        columns = np.flatnonzero(self.moving)
        if len(columns) == 0:
            return None
        near = self.decrement[columns] <= 0.5 * tolerance[columns]
        if self.factors is not None and near.all():
            return None
        far = np.log(np.maximum(self.decrement[columns] / (0.5 * tolerance[columns]), 1.0))
        groups = self.problem.alike(self.U, columns)
        price = costs.gradient(n) * (1.0 / len(columns) + _COLUMN) + _INTERPRETED / len(columns)

        def total(rates: Float64) -> float:
            with np.errstate(divide="ignore"):
                slow = -np.log(np.clip(rates, 1e-12, 1.0))
            return float(price * (far / np.maximum(slow, 1e-3)).sum())

        change = np.minimum(0.1, self.decrement[columns] / self.value[columns]) + _UNLIKE * (len(columns) > 1)
        options = [n] if self.problem.exact else []
        if self.random is not None:
            most = self.problem.most_picked
            sizes = [most, *(n // 2**k for k in range(1, 24) if n // 2**k < most)]
            options += [rows for rows in sizes if 4 * p <= rows < n]
        options = options or [self.problem.most_picked]
        predicted = {
            rows: total(change + sampling_rate(p, rows, n))
            + len(groups) * costs.hessian(rows, low_precision=False)
            + len(columns) * costs.factor()
            for rows in options
        }
        best = min(predicted, key=lambda rows: predicted[rows])
        if self.factors is not None:
            known = np.where(np.isfinite(self.rate[columns]), self.rate[columns], 0.1)
            if predicted[best] >= _WORTH * total(known):
                return None
        return best, groups

    def step(self) -> None:
        """One read: every moving column tries its step; one that is refused only shortens its own."""
        move = self.moving
        length = np.where(move, self.length, 0.0)
        step = self.direction * length
        U = self.U + step
        with np.errstate(over="ignore", invalid="ignore"):
            value, gradient = self.problem.value_grad(U)
            slope = _dot(self.gradient, self.direction)
            flat = np.abs(_dot(gradient, self.direction)) <= -_FLATTENED * slope
            hidden = _ROUNDING * np.abs(self.value)
            fallen = value <= self.value + _DECREASE * length * slope
            moved = move & (fallen | ((value <= self.value + hidden) & flat))
            # The minimum of the parabola through both values and the slope, within a tenth and a half.
            curve = value - self.value - length * slope
            parabola = np.where(np.isfinite(curve), -slope * length * length / (2.0 * curve), 0.0)
        shorter = np.minimum(0.5 * length, np.maximum(0.1 * length, parabola))
        lost = move & ~moved & ~(-slope * length > hidden)  # in rounding: this column is done here
        change = gradient - self.gradient
        change[:, ~moved] = 0.0
        step[:, ~moved] = 0.0
        curvature = _dot(step, change)
        kept = curvature > 0.0
        rho = np.divide(1.0, curvature, out=np.zeros_like(curvature), where=kept)
        self.pairs = [*self.pairs[-_MOST_PAIRS + 1 :], (step, change, rho)]
        self.U = np.where(moved, U, self.U)
        self.value = np.where(moved, value, self.value)
        self.gradient = np.where(moved, gradient, self.gradient)
        self.length = np.where(moved, 1.0, shorter)
        self.moved, self.moving = moved, move & ~lost

    def only(self, columns: NDArray[np.intp]) -> None:
        """Leave the others out."""
        self.problem = self.problem.only(columns)
        self.U, self.gradient, self.direction = (
            np.ascontiguousarray(A[:, columns]) for A in (self.U, self.gradient, self.direction)
        )
        for name in ("value", "length", "moved", "moving", "decrement", "rate"):
            setattr(self, name, getattr(self, name)[columns])
        self.pairs = [(s[:, columns], c[:, columns], rho[columns]) for s, c, rho in self.pairs]
        if self.factors is not None:
            place = np.full(columns.max() + 1, -1)
            place[columns] = np.arange(len(columns))
            kept = []
            for factor in self.factors.of:
                at = place[factor.columns[factor.columns < len(place)]]
                if (at >= 0).any():
                    kept.append(_Factor(factor.L, at[at >= 0], factor.U, factor.precision))
            self.factors.of, self.factors.margin = kept, self.factors.margin[columns]


def solve_columns(
    problem: ColumnProblem,
    start: Float64 | None,
    tol: float,
    max_iter: int,
    costs: Costs,
    random: np.random.RandomState,
    report: Report,
    *,
    prove: bool = False,
) -> ColumnSolution:
    """Minimise every column until its relative suboptimality is at most ``tol``.

    From ``start`` (p, K) where given, else from the trivial point by way of the samples. A column that
    rounding or ``max_iter`` stops short keeps a gap above tol: it is another solver's to finish.

    Gaps are certified where the Hessians at hand are exact; with ``prove``, also where such Hessians cost no
    more than the fits did.

    Raises FloatingPointError where J is not finite at the start.
    """
    p, n, K = problem.size, problem.n_rows, problem.n_columns
    U, expected = problem.trivial() if start is None else start, None
    for size in _sample_sizes(problem, p) if start is None else ():
        U = _solve_sample(problem, U, size, costs, random, expected, report)
        expected = p / size
    block, columns = _Block(problem, U, costs, random, expected), np.arange(K)
    answer = ColumnSolution(
        U.copy(), np.zeros(K, dtype=np.int64), block.value, np.full(K, math.inf), np.zeros(K, dtype=np.bool_)
    )
    spent = 0.0
    for iteration in range(max_iter + 1):
        spent += costs.gradient(n) * (1.0 + _COLUMN * len(columns))
        # The trivial point may be near enough, but says nothing of the order of predictions.
        before = block.moving.copy()
        estimate = block.aim(tol * block.value / (1.0 + tol), stop=iteration > 0 or start is not None)
        ended = np.asarray(~block.moving)
        gap = np.where(
            estimate < block.value, estimate / np.maximum(block.value - estimate, 1e-300), math.inf
        )
        answer.U[:, columns], answer.value[columns], answer.gap[columns] = block.U, block.value, gap
        answer.n_iter[columns[~ended]] = iteration + (iteration < max_iter)
        report(
            f"columns: iteration {iteration}, {K - (~ended).sum()} of {K} done, gap {gap.max():.2g}, "
            f"factors of {block.factors.rows if block.factors else 0} rows, {problem.reads:.2f} reads"
        )
        newly = np.asarray(ended & before & (gap <= tol))
        if block.factors:
            _certify(block, block.factors, columns, answer, newly, tol)
        unproven = np.flatnonzero(newly & ~answer.certified[columns])
        if prove and len(unproven):
            for groups in (
                [unproven[[i]] for i in range(len(unproven))],
                block.problem.alike(block.U, unproven),
            ):
                price = len(groups) * costs.hessian(n, low_precision=False) + len(unproven) * costs.factor()
                if price <= max(_LITTLE, _PROOF * spent * len(unproven) / K):
                    _certify(
                        block, _Factors(block.problem, block.U, groups, None), columns, answer, newly, tol
                    )
                    break
        if ended.all() or iteration == max_iter:
            break
        left = np.flatnonzero(~ended)
        if costs.gradient(n) * _COLUMN * (len(columns) - len(left)) > _PLACING * n * len(left):
            block.only(left)
            columns = columns[left]
        block.step()
    return answer


def _certify(
    block: _Block,
    factors: _Factors,
    columns: NDArray[np.intp],
    answer: ColumnSolution,
    ended: NDArray[np.bool_],
    tol: float,
) -> None:
    """Bounds in place of estimates, where the exact Hessian of all rows is at hand and proves ``tol``."""
    still = ~block.gradient.any(axis=0)
    answer.gap[columns[still]], answer.certified[columns[still]] = 0.0, True
    if factors.rows < block.problem.n_rows:
        return
    for factor in factors.of:
        for k in factor.columns[ended[factor.columns]]:
            value = float(block.value[k])
            of = block.U[:, k], block.gradient[:, k], value
            gap = relative_gap(block.problem.bound(factor.L, factor.precision, factor.U, *of), value)
            if gap <= tol:
                answer.gap[columns[k]], answer.certified[columns[k]] = gap, True


def _sample_sizes(problem: ColumnProblem, p: int) -> list[int]:
    """Each several times the one before; the last as large as samples may be."""
    n, held = problem.n_rows, problem.most_picked
    sizes, size = [], int(_LARGEST_COPY * n) if held == n else held
    while size >= _SMALLEST_SAMPLE * p:
        sizes.append(size)
        size //= _GROWTH
    return sizes[::-1]


def _solve_sample(
    problem: ColumnProblem,
    U: Float64,
    size: int,
    costs: Costs,
    random: np.random.RandomState,
    expected: float | None,
    report: Report,
) -> Float64:
    """The optimum over about ``size`` rows, as far as it says something about the one over all."""
    sample = problem.sample(problem.pick(size, random))
    target = np.full(problem.n_columns, _STATISTICAL * problem.size / sample.n_rows)
    block = _Block(sample, U, costs, None, expected)
    taken = 0
    while taken < _ITERATIONS_ON_SAMPLE:
        block.aim(target)
        if not block.moving.any():
            break
        block.step()
        taken += 1
    report(f"columns: sample of {sample.n_rows} rows, {taken} iterations, {problem.reads:.2f} reads")
    return block.U
