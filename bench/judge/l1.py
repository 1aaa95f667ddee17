"""The judge of L1 and elastic net: bounds on J* from both sides, and an active-set method of its own.

From above, J* is at most J at any point. From below, any v with Σ vᵢ = 0, of 0 ≤ vᵢ + yᵢ ≤ 1, has (Fenchel)

    J* ≥ −mean((v + y) log(v + y) + (1 − v − y) log(1 − v − y)) − R*(Xᵀv/n),

R*(u) = Σ (|uⱼ| − λρ)₊² / (2 λ(1 − ρ)), which for ρ = 1 is nothing where max|uⱼ| ≤ λ, and infinite elsewhere.
v is the residual a − y at the best intercept, scaled down as far as that asks. No solver needs to be trusted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import xlogy

from bench.judge.score import (
    best_intercept,
    cost,
    logits,
    sigmoid,
    transposed_product,
)
from bench.problems.problem import Float64, Problem

_SECONDS = 30.0  # that the active-set method may take; its bounds hold wherever it stops
_CLOSE = 1e-13  # of J: bounds that are no further apart are those of float64
_IDLE = 5  # rounds in which neither bound moved: rounding is all that is left
_STEPS, _FEW = 20, 3  # of Newton's method in a round; few where more weights may have to come
_MOST_FACTORED = 1_000  # columns
_FLAT = 1e-10  # of J: a step that promises less is taken if J does not rise by more than rounding


def bounds(problem: Problem, W: Float64) -> tuple[float, float]:
    """(lower, upper): J* lies between, by what W (d + 1,) tells; its intercept is not looked at."""
    z = logits(problem, np.append(W[:-1], 0.0))
    b = best_intercept(problem, z)
    upper = cost(problem, np.append(W[:-1], b), z + b)
    v = _balanced(sigmoid(z + b) - problem.y)
    u = transposed_product(problem, v)[:-1] / problem.n
    largest = float(abs(u).max())
    scales = [min(1.0, problem.l1 / largest) if largest > 0.0 else 1.0]
    if problem.l2 > 0.0:
        scales.append(1.0)
    return max(_dual(problem, t * v, t * u) for t in scales), upper


def _balanced(v: Float64) -> Float64:
    """v with the larger of its two signs' sums scaled down to the other: what rounding left of Σ vᵢ goes."""
    positive = v > 0.0
    above, below = float(v[positive].sum()), -float(v[~positive].sum())
    balanced: Float64 = v * np.where(positive == (above > below), min(above, below) / max(above, below), 1.0)
    return balanced


def _dual(problem: Problem, v: Float64, u: Float64) -> float:
    a = np.clip(v + problem.y, 0.0, 1.0)
    entropy = -float(np.mean(xlogy(a, a) + xlogy(1.0 - a, 1.0 - a)))
    if problem.l2 == 0.0:
        return entropy
    excess = np.maximum(abs(u) - problem.l1, 0.0)
    return entropy - float(excess @ excess) / (2.0 * problem.l2)


def alpha_max(problem: Problem) -> float:
    """The least λρ at which every weight is zero: maxⱼ |Σᵢ xᵢⱼ (yᵢ − ȳ)|/n."""
    slopes = transposed_product(problem, problem.y - problem.y.mean())[:-1]
    return float(abs(slopes).max()) / problem.n


def worst(problem: Problem, W: Float64, lower: Sequence[float]) -> float:
    """Of a path, the largest J over its lower bound; W (K (d + 1),), one penalty after the other."""
    rows, steps = W.reshape(len(problem.Cs), -1), problem.along()
    if not np.isfinite(W).all():
        return float("nan")
    return max(cost(p, w, logits(p, w)) / low for p, w, low in zip(steps, rows, lower, strict=True))


def solve(problem: Problem, W: Float64 | None = None, seconds: float = _SECONDS) -> Float64:
    """The optimum, from W or zero, by Newton's method on the weights that are not zero.

    Each round adds zeros whose slopes are above λρ, at most as many as others are there already, and makes
    steps: a weight that would change its sign stays at zero, and J falls with every step.
    """
    began = time.monotonic()
    smooth = _Smooth(problem)
    w, b = (np.zeros(problem.d), 0.0) if W is None else (W[:-1].copy(), float(W[-1]))
    z = logits(problem, np.append(w, b))
    shift = best_intercept(problem, z)
    b, z = b + shift, z + shift
    best, lower, least, idle = np.append(w, b), -np.inf, np.inf, 0
    while idle < _IDLE:
        low, upper = bounds(problem, np.append(w, b))
        idle = 0 if low > lower or upper < least * (1.0 - _CLOSE) else idle + 1
        least = min(least, upper)
        if low > lower:
            best, lower = np.append(w, b), low
        if least - lower <= _CLOSE * least or time.monotonic() - began > seconds:
            break
        g = smooth.slopes(w, z)
        rising = np.where(w == 0.0, abs(g) - problem.l1, 0.0)
        most = max(20, np.count_nonzero(w))
        added = np.argsort(-rising)[:most]
        active = np.union1d(np.flatnonzero(w), added[rising[added] > 0.0])
        steps = _STEPS if len(active) == np.count_nonzero(w) else _FEW
        w, b, z = smooth.descend(w, b, z, active, -np.sign(g), steps, began + seconds)
    return best


class _Smooth:
    """J as a smooth function of some of the weights, whose signs are given."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._columns = problem.X.tocsc() if problem.is_sparse else problem.X

    def slopes(self, w: Float64, z: Float64) -> Float64:
        """Of J without its L1 part, (d,)."""
        residual = (sigmoid(z) - self.problem.y) / self.problem.n
        return transposed_product(self.problem, residual)[:-1] + self.problem.l2 * w

    def descend(
        self, w: Float64, b: float, z: Float64, active: Any, signs: Float64, steps: int, until: float
    ) -> tuple[Float64, float, Float64]:
        """Newton's method on ``active``; those that are zero may move to the side of ``signs``."""
        problem = self.problem
        value, previous = cost(problem, np.append(w, b), z), np.inf
        for _ in range(steps):
            X = self._columns[:, active].astype(np.float64)
            side = np.where(w[active] != 0.0, np.sign(w[active]), signs[active])
            a = sigmoid(z)
            residual = (a - problem.y) / problem.n
            slopes = X.T @ residual + problem.l2 * w[active] + problem.l1 * side
            g = np.append(slopes, residual.sum())
            kept, step = _direction(_solver(X, a * (1.0 - a) / problem.n, problem.l2), g, w[active], side)
            active, X, side = active[kept], X[:, kept], side[kept]
            decrement = float(g[np.append(kept, len(g) - 1)] @ step)
            found = self._search(w, b, active, X, side, step, z, value, decrement)
            if found is None:
                break
            w, b, z, value = found
            active = active[w[active] != 0.0]
            at_rounding = decrement <= _FLAT * value and decrement > 0.1 * previous
            previous = decrement
            if at_rounding or decrement <= 1e-26 * value or time.monotonic() > until:
                break
        return w, b, z

    def _search(
        self, w: Float64, b: float, active: Any, X: Any, side: Float64, step: Float64, z: Float64,
        value: float, decrement: float,
    ) -> tuple[Float64, float, Float64, float] | None:  # fmt: skip
        """The first of 1, 1/2, … steps that lowers J, where weights that change sign are zero; or None."""
        t = 1.0
        while t > 1e-10:
            moved = w[active] - t * step[:-1]
            moved[side * moved < 0.0] = 0.0
            there = w.copy()
            there[active] = moved
            z_there = z + X @ (moved - w[active]) - t * step[-1]
            lower = cost(self.problem, np.append(there, b - t * step[-1]), z_there)
            flat = decrement <= _FLAT * value and lower <= value * (1.0 + 1e-15)
            if lower <= value - 1e-4 * t * decrement or flat:
                return there, b - t * step[-1], z_there, lower
            t *= 0.5
        return None


def _solver(X: Any, h: Float64, l2: float) -> Callable[[Any, Float64], Float64]:
    """(chosen, g) → H⁻¹g of some of the columns X and the intercept; by conjugate gradients of many."""
    k = X.shape[1]
    if k <= _MOST_FACTORED:
        H = _hessian(X, h, l2)
        return lambda chosen, g: _solution(H[np.ix_(chosen, chosen)], g)
    squares = X.multiply(X) if hasattr(X, "tocsc") else X * X
    diagonal = np.append(squares.T @ h + l2, h.sum())

    def solved(chosen: Any, g: Float64) -> Float64:
        some, shape, scale = X[:, chosen[:-1]], (len(chosen), len(chosen)), diagonal[chosen]

        def product(v: Float64) -> Float64:
            r = h * (some @ v[:-1] + v[-1])
            return np.append(some.T @ r + l2 * v[:-1], r.sum())

        H = LinearOperator(shape, matvec=product, dtype=np.float64)
        inverse = LinearOperator(shape, matvec=lambda v: v / scale, dtype=np.float64)
        rtol = min(1e-2, float(np.linalg.norm(g)))
        return np.asarray(cg(H, g, rtol=rtol, maxiter=300, M=inverse)[0])

    return solved


def _hessian(X: Any, h: Float64, l2: float) -> Float64:
    """Of the columns X and the intercept, (k + 1, k + 1)."""
    k = X.shape[1]
    H = np.empty((k + 1, k + 1))
    weighed = X.multiply(h[:, np.newaxis]).tocsc() if hasattr(X, "tocsc") else X * h[:, np.newaxis]
    product = X.T @ weighed
    H[:k, :k] = product.toarray() if hasattr(product, "toarray") else product
    H[k, :k] = H[:k, k] = X.T @ h
    H[k, k] = h.sum()
    H[np.diag_indices(k)] += l2
    return H


def _solution(H: Float64, g: Float64) -> Float64:
    """H⁻¹g, with the least ridge that Cholesky's method asks for: columns may be copies of each other."""
    curvatures = np.diag(H.diagonal())
    for ridge in (1e-13, 1e-11, 1e-9):
        try:
            return np.asarray(cho_solve(cho_factor(H + ridge * curvatures), g))
        except np.linalg.LinAlgError:
            continue
    return np.asarray(np.linalg.lstsq(H, g, rcond=1e-12)[0])


def _direction(
    solved: Callable[[Any, Float64], Float64], g: Float64, w: Float64, side: Float64
) -> tuple[Any, Float64]:
    """(kept, step): H⁻¹g of the kept weights and the intercept, W − step being the aim.

    A weight at zero that would leave to the wrong side is not kept; the last one that is left is, for with it
    alone the step goes where J falls.
    """
    kept = np.arange(len(w))
    while True:
        chosen = np.append(kept, len(w))
        step = solved(chosen, g[chosen])
        wrong = (w[kept] == 0.0) & (step[:-1] * side[kept] > 0.0)
        if not wrong.any():
            return kept, step
        fresh = kept[w[kept] == 0.0]
        if wrong.sum() == len(fresh) > 1:
            wrong &= kept != fresh[abs(g[fresh]).argmax()]
        kept = kept[~wrong]
