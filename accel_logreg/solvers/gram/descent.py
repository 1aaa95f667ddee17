"""Plain gradient descent in sample space, for more features than rows: the same steps, without the features.

From w₀ every step adds a combination of the rows and shrinks w by 1 − αλ, so w_k = γ_k w₀ + Xᵀa_k with

    a ← a − α r,   γ ← (1 − αλ) γ,   b ← b − α Σ qᵢ,   r = q + λa,   q = ∂(mean loss)/∂z.

K = X Xᵀ, from one read of X, gives the logits γ X w₀ + K a + b, the cost and the gradient's norm: a step
takes n² multiplications where the explicit one takes 2 n d. gradient_descent.py runs it and does the rest.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.rows import AmongRows
from accel_logreg.solvers.gradient_descent import gradient_descent
from accel_logreg.solvers.problem import Budget, PlainProblem, Solution


class _StepsAmongRows:
    """(a, γ, b), and what makes steps of them."""

    def __init__(self, problem: PlainProblem, among: AmongRows, W: Float64) -> None:
        self._problem, self._among, self._start = problem, among, W
        targets = problem.rows.targets
        self._sign = 1.0 - 2.0 * targets.y.astype(np.float64)
        self._share = targets.shares()
        self._a, self._gamma, self._b = np.zeros(problem.n_rows), 1.0, float(W[-1])

    @cached_property
    def _K(self) -> Float64:
        return self._among.gram(np.zeros(len(self._start) - 1))

    @cached_property
    def _products(self) -> Float64:
        """X w₀, (n,)."""
        if not self._start[:-1].any():
            return np.zeros_like(self._share)
        return self._problem.rows.logits(np.append(self._start[:-1], 0.0))

    def point(self) -> Float64:
        W = self._gamma * self._start
        W[:-1] += self._among.combination(self._a)
        W[-1] = self._b
        return W

    def descend(self, learning_rate: float, steps: int) -> tuple[Float64, Float64]:
        K, Xw0, sign, share = self._K, self._products, self._sign, self._share
        alpha, l2, fit_intercept = learning_rate, self._problem.l2, self._problem.fit_intercept
        a, gamma, b = self._a, self._gamma, self._b
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
        self._gamma, self._b = gamma, b
        return costs, norms


def gram_descent(problem: PlainProblem, start: Float64 | None, budget: Budget) -> Solution:
    """``gradient_descent`` from ``start``, or zero, step by step the same but for rounding."""
    among = problem.rows.among_rows()
    assert among is not None
    W = np.zeros(problem.size) if start is None else start
    return gradient_descent(problem, start, budget, by=_StepsAmongRows(problem, among, W))
