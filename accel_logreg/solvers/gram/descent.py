"""Plain gradient descent in sample space, for more features than rows: the same steps, without the features.

From w₀ every step adds a combination of the rows and shrinks w by 1 − αλ, so w_k = γ_k w₀ + Xᵀa_k with

    a ← a − α r,   γ ← (1 − αλ) γ,   b ← b − α Σ qᵢ,   r = q + λa,   q = ∂(mean loss)/∂z.

K = X Xᵀ, from one read of X, gives the logits γ X w₀ + K a + b, the cost and the gradient's norm: a step
takes n² multiplications where the explicit one takes 2 n d. gradient_descent.py runs it and does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from accel_logreg.solvers.gradient_descent import gradient_descent
from accel_logreg.solvers.gram.newton import GramProblem
from accel_logreg.solvers.problem import DescentProblem, Float64, Report, Solution


class GramDescentProblem(DescentProblem, GramProblem, Protocol):
    """What gradient descent may ask, of rows that answer for their inner products."""


@dataclass(frozen=True)
class _Steps:
    W: Float64
    costs: Float64
    gradient_norms: Float64


class _Coefficients:
    """A problem seen through U = (a, γ, b), (n + 2,). Gradients stay those along W, (p,)."""

    def __init__(
        self,
        problem: GramDescentProblem,
        y: NDArray[Any],
        s: Float64 | None,
        W: Float64,
        logits: Callable[[Float64], Float64],
    ) -> None:
        self._problem, self._start, self._logits = problem, W, logits
        self._sign = 1.0 - 2.0 * y.astype(np.float64)
        self._share = np.full(len(y), 1.0 / len(y)) if s is None else s / s.sum()
        self._reads_of_logits = 0
        self._seen: tuple[Float64, Float64] | None = None
        self.size = len(y) + 2
        self.separation = problem.separation

    @property
    def reads(self) -> float:
        return self._problem.reads + self._reads_of_logits

    @cached_property
    def _K(self) -> Float64:
        return self._problem.gram(np.zeros(len(self._start) - 1))

    @cached_property
    def _products(self) -> Float64:
        """X w₀, (n,)."""
        if not self._start[:-1].any():
            return np.zeros_like(self._share)
        self._reads_of_logits += 1
        return self._logits(np.append(self._start[:-1], 0.0))

    def original(self, U: Float64) -> Float64:
        """W of U."""
        if self._seen is None or self._seen[0] is not U:
            W = U[-2] * self._start
            W[:-1] += self._problem.combination(U[:-2])
            W[-1] = U[-1]
            self._seen = U, W
        return self._seen[1]

    def value_grad(self, U: Float64) -> tuple[float, Float64]:
        return self._problem.value_grad(self.original(U))

    def hessian_product(self, U: Float64, V: Float64) -> Float64:
        return self._problem.hessian_product(self.original(U), V)

    def gradient_norm(self, gradient: Float64) -> float:
        return self._problem.gradient_norm(gradient)

    def separates(self, value: float) -> bool:
        return self._problem.separates(value)

    def certified_gap(self, U: Float64, gradient: Float64) -> float:
        return self._problem.certified_gap(self.original(U), gradient)

    def lipschitz(self, random_state: int | np.random.RandomState) -> float:
        return self._problem.lipschitz(random_state)

    def descend(self, W: Float64, learning_rate: float, steps: int) -> _Steps:
        K, Xw0, sign, share = self._K, self._products, self._sign, self._share
        alpha, l2, fit_intercept = learning_rate, self._problem.l2, self._problem.fit_intercept
        a, gamma, b = W[:-2].copy(), float(W[-2]), float(W[-1])
        warm, length = bool(Xw0.any()), float(self._start[:-1] @ self._start[:-1])
        costs, squares = np.empty(steps), np.empty(steps)
        Ka, signed = K @ a, share * sign
        m, e, q, r, Kr = np.empty((5, len(a)))
        with np.errstate(over="ignore", invalid="ignore"):  # a diverging cost is an answer
            for k in range(steps):
                # As in the loop: with m = −z for y = 1 and z for y = 0, the loss is log(1 + e^m).
                np.add(Ka, b, out=m)
                if warm:
                    m += gamma * Xw0
                m *= sign
                np.abs(m, out=e)
                np.negative(e, out=e)
                np.exp(e, out=e)
                np.copyto(q, e)
                np.copyto(q, 1.0, where=m >= 0.0)
                np.maximum(m, 0.0, out=m)
                m += np.log1p(e, out=r)
                e += 1.0
                q /= e
                q *= signed
                slope = float(q.sum()) if fit_intercept else 0.0
                np.multiply(a, l2, out=r)
                r += q
                np.dot(K, r, out=Kr)
                squared, square = float(a @ Ka), float(r @ Kr)
                if warm:
                    squared += gamma * (2.0 * float(a @ Xw0) + gamma * length)
                    square += l2 * gamma * (2.0 * float(r @ Xw0) + l2 * gamma * length)
                costs[k] = float(share @ m) + 0.5 * l2 * squared
                squares[k] = square + slope * slope
                r *= alpha
                a -= r
                Kr *= alpha
                Ka -= Kr
                b -= alpha * slope
                gamma *= 1.0 - alpha * l2
            norms = np.sqrt(np.maximum(squares, 0.0))
        return _Steps(np.concatenate([a, [gamma, b]]), costs, norms)


def gram_descent(
    problem: GramDescentProblem,
    y: NDArray[Any],
    s: Float64 | None,
    W: Float64,
    *,
    logits: Callable[[Float64], Float64],
    learning_rate: float | None,
    max_iter: int,
    random_state: int | np.random.RandomState = 0,
    report: Report,
) -> Solution:
    """``gradient_descent`` from W (p,), step by step the same but for rounding.

    Parameters
    ----------
    y : (n,) of 0 and 1
    s : (n,) weights or None
    logits : W (p,) → X W[:d] + W[d], (n,)
        Asked once, where W has weight on a feature.
    """
    space = _Coefficients(problem, y, s, W, logits)
    start = np.zeros(space.size)
    start[-2:] = 1.0, W[-1]
    solution = gradient_descent(
        space,
        start,
        learning_rate=learning_rate,
        max_iter=max_iter,
        random_state=random_state,
        report=report,
    )
    return replace(solution, W=space.original(solution.W))
