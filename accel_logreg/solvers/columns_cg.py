"""Newton-CG on K problems that share sparse X: the products of all columns in the same reads.

Every column goes its own way, as solvers/newton_cg.py does for one: conjugate gradients that the Hessian's
diagonal preconditions, a line search, a gap from the Newton decrement. It asks for what it needs, J and its
gradient at a point, a diagonal there, a product; what the columns ask for at a time is answered together.
Columns that are done, or whose conjugate gradients are, leave the read.

Where the penalty is weak, a start from afar takes many steps: such a column waits for the one of the next
stronger penalty on the same rows, and starts where that ended, or where the line in log λ through the last
two leads to.

Conjugate gradients tell the least curvature that they meet, θ by the preconditioner's measure, so that after
the step half of gᵀM⁻¹g/θ estimates the gap without another solve. Curvature that they have not met, of
categories whose sums are alike, is why a column that is near by its estimate solves once more, until λ alone
bounds what is left, or for _PROVING products.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.columns import ColumnSolution
from accel_logreg.solvers.newton_cg import PRODUCTS, STALE, solving
from accel_logreg.solvers.parts.line_search import searching
from accel_logreg.solvers.parts.memory import Memory
from accel_logreg.solvers.parts.proof import MARGIN
from accel_logreg.solvers.problem import Inverse, Report, relative_gap

_FAR = 0.1  # of J: a decrement from which it is worth waiting for a better start
_ORDER = "starts", "preconditioner", "product", "point"  # of answering: products are of the last points
_PROVING = 100  # products of the solve that is to bound the gap
_FEWER = 0.75  # of a read's columns still asking: from here on the others are left out of it


class SparseColumnProblem(Protocol):
    """J of K columns over W (p, K), see problem/sparse_columns.py."""

    size: int
    n_columns: int
    l2: Float64

    @property
    def reads(self) -> float: ...
    def only(self, columns: NDArray[np.intp]) -> Self: ...
    def trivial(self) -> Float64: ...
    def value_grad(self, W: Float64) -> tuple[Float64, Float64]: ...
    def hessian_product(self, W: Float64, V: Float64) -> Float64: ...
    def jacobi(self, W: Float64, columns: NDArray[np.intp]) -> Any: ...
    def convex_gap(self, k: int, W: Float64, enough: float) -> float: ...


@dataclass(frozen=True)
class _Question:
    """J and its gradient at ``vector``, the preconditioner at the point asked about last, H there times
    ``vector``, or other points to start from, when they are known.
    """

    kind: Literal["point", "preconditioner", "product", "starts"]
    vector: Float64 | None = None


@dataclass(frozen=True)
class _End:
    W: Float64
    n_iter: int
    value: float
    gap: float


def _way_down(
    W: Float64, l2: float, tol: float, max_iter: int, started: bool, waits: bool
) -> Generator[_Question, Any, _End]:
    """One column's way from W under λ = ``l2``; ``started`` is whether W may be where it ends, ``waits``
    whether there is a column to wait for.
    """
    value, gradient = yield _Question("point", W)
    if not (math.isfinite(value) and np.isfinite(gradient).all()):
        raise FloatingPointError("J or its gradient is not finite")
    n_iter, moved, least, gap = 0, math.inf, math.inf, math.inf
    proving = proven = False
    preconditioner: Inverse | None = None

    def worth(residual: Float64) -> float:
        return float(residual[:-1] @ residual[:-1]) / (2.0 * l2)

    def ended() -> _End:
        """With what strong convexity says of the gap, where that is within tol."""
        convex = relative_gap(worth(gradient), value)
        return _End(W, n_iter, value, max(gap, convex) if convex <= tol else gap)

    while gradient.any():
        target = tol * value / (1.0 + tol)
        if preconditioner is not None and math.isfinite(least):
            gap = relative_gap(MARGIN * 0.5 * float(gradient @ preconditioner.solve(gradient)) / least, value)
            if gap <= tol and (proven or worth(gradient) <= target):
                return ended()
            proving |= gap <= tol
        if preconditioner is None or moved > STALE:
            preconditioner, moved = (yield _Question("preconditioner")), 0.0
        assert preconditioner is not None
        far = _FAR * value if waits else math.inf
        prove, most = (worth, _PROVING) if proving else (None, PRODUCTS)
        products = solving(gradient, Memory(0), preconditioner, 0.5 * target, value, prove, most, far)
        solve = yield from _put("product", products)
        gap, least = relative_gap((solve.decrement + solve.left) * MARGIN, value), solve.least
        if n_iter >= max_iter:
            break
        if gap <= tol and (n_iter > 0 or started) and not proving:
            if proven or worth(gradient) <= target:
                return ended()
            proving = True
            continue
        if solve.decrement > far:
            starts = yield _Question("starts")
            for point in starts:
                there = yield _Question("point", point)
                if there[0] < value:
                    W, (value, gradient) = point, there
            if W is not point:  # what is known is of the point asked about last
                value, gradient = yield _Question("point", W)
            waits, preconditioner = False, None
            continue
        waits, proven, proving = False, proven or proving, False
        found = yield from _put("point", searching(W, value, gradient, solve.x))
        if found is None:
            return _End(W, n_iter, value, gap)
        moved += abs(value - found.value) / value
        W, value, gradient = found.U, found.value, found.gradient
        n_iter += 1
    else:
        gap = 0.0
    return _End(W, n_iter, value, gap)


def _put(
    kind: Literal["point", "product"], vectors: Generator[Float64, Any, Any]
) -> Generator[_Question, Any, Any]:
    """What comes of vectors that are asked about."""
    try:
        vector = next(vectors)
        while True:
            vector = vectors.send((yield _Question(kind, vector)))
    except StopIteration as end:
        return end.value


class _Reads:
    """What the columns ask for, answered together."""

    def __init__(self, problem: SparseColumnProblem) -> None:
        self._all, self._some = problem, problem
        self._columns = np.arange(problem.n_columns)  # of ``some``
        self._W = np.empty(0)

    def points(self, columns: NDArray[np.intp], vectors: list[Float64]) -> list[Any]:
        if not np.array_equal(columns, self._columns):
            everyone = len(columns) == self._all.n_columns
            self._some, self._columns = self._all if everyone else self._all.only(columns), columns
        self._W = _beside(vectors)
        values, gradients = self._some.value_grad(self._W)
        return list(zip(values.tolist(), _apart(gradients), strict=True))

    def preconditioners(self, columns: NDArray[np.intp]) -> list[Any]:
        return list(self._some.jacobi(self._W, self._places(columns)))

    def products(self, columns: NDArray[np.intp], vectors: list[Float64]) -> list[Any]:
        places = self._places(columns)
        if len(columns) <= _FEWER * len(self._columns):
            self._some, self._W, self._columns = self._some.only(places), _frozen(self._W[:, places]), columns
            places = np.arange(len(columns))
        V = np.zeros_like(self._W)
        for place, vector in zip(places, vectors, strict=True):
            V[:, place] = vector
        products = self._some.hessian_product(self._W, V)
        return _apart(products[:, places] if len(places) < len(self._columns) else products)

    def _places(self, columns: NDArray[np.intp]) -> NDArray[np.intp]:
        """Where columns are among those of the last points."""
        return np.searchsorted(self._columns, columns)


def _beside(vectors: list[Float64]) -> Float64:
    return _frozen(np.array(vectors).T)


def _frozen(W: Float64) -> Float64:
    """W column after column, which nobody will write to: engines know it again by its address."""
    W = np.asfortranarray(W)
    W.flags.writeable = False
    return W


def _apart(W: Float64) -> list[Float64]:
    return [np.ascontiguousarray(W[:, k]) for k in range(W.shape[1])]


def _starts(l2: Float64, before: NDArray[np.intp], ends: dict[int, _End], k: int) -> list[Float64]:
    """Where the column before k ended, and where the last two lead to."""
    last = int(before[k])
    W, first = ends[last].W, int(before[last])
    if first < 0:
        return [W]
    share = math.log(l2[k] / l2[last]) / math.log(l2[last] / l2[first])
    return [W, W + share * (W - ends[first].W)]


def solve_columns_cg(
    problem: SparseColumnProblem,
    start: Float64 | None,
    tol: float,
    max_iter: int,
    report: Report,
    *,
    before: NDArray[np.intp] | None = None,
    prove: bool = False,
) -> ColumnSolution:
    """Minimise every column until its relative suboptimality is at most ``tol``.

    From ``start`` (p, K) where given, else from the trivial point. A column that rounding or ``max_iter``
    stops short keeps a gap above tol: it is another solver's to finish. ``before`` (K,) is the column that
    differs in nothing but the next stronger penalty, −1 where there is none. Gaps are estimates; with
    ``prove``, bounds wherever strong convexity gives one within tol.

    Raises FloatingPointError where J is not finite at the start.
    """
    W = problem.trivial() if start is None else start
    before = np.full(problem.n_columns, -1) if before is None else before
    ways = [
        _way_down(w, float(problem.l2[k]), tol, max_iter, start is not None, bool(before[k] >= 0))
        for k, w in enumerate(_apart(W))
    ]
    questions = {k: next(way) for k, way in enumerate(ways)}
    ends: dict[int, _End] = {}
    reads, rounds = _Reads(problem), 0
    while questions:
        by_kind: dict[str, list[int]] = {}
        for k, question in questions.items():
            if question.kind != "starts" or before[k] in ends:
                by_kind.setdefault(question.kind, []).append(k)
        kind = next(kind for kind in _ORDER if kind in by_kind)
        asking = by_kind[kind]
        columns = np.array(asking)
        vectors: list[Any] = [questions[k].vector for k in asking]
        if kind == "point":
            rounds += 1
            report(f"columns: round {rounds}, {len(ends)} of {len(ways)} done, {problem.reads:.2f} reads")
            answers = reads.points(columns, vectors)
        elif kind == "starts":
            answers = [_starts(problem.l2, before, ends, k) for k in asking]
        elif kind == "product":
            answers = reads.products(columns, vectors)
        else:
            answers = reads.preconditioners(columns)
        for k, answer in zip(asking, answers, strict=True):
            try:
                questions[k] = ways[k].send(answer)
            except StopIteration as end:
                ends[k] = end.value
                del questions[k]
    found = [ends[k] for k in range(len(ways))]
    gap = np.array([end.gap for end in found])
    certified = gap == 0.0
    for k in np.flatnonzero(gap <= tol).tolist() if prove else ():
        bound = problem.convex_gap(k, found[k].W, tol * found[k].value)
        if relative_gap(bound, found[k].value) <= tol:
            gap[k], certified[k] = relative_gap(bound, found[k].value), True
    n_iter, value = np.array([end.n_iter for end in found]), np.array([end.value for end in found])
    return ColumnSolution(np.array([end.W for end in found]).T, n_iter, value, gap, certified)
