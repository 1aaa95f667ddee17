"""A quadratic with an elastic net: min ½ xᵀQx + cᵀx + Σ l1ⱼ|xⱼ|, with its zeros.

Newton's steps within an orthant: those xⱼ that are not 0, or that the slope moves from it, have signs, under
which the penalty is linear, and one solve gives the best of them all. What then crosses 0 stays there
(Andrew and Gao 2007), or the step ends where the quadratic is least along it, kinks included (Lee, Battle,
Raina and Ng 2007): whichever is lower. Each step lowers the quadratic, and there are finitely many sets of
signs. Near the end there are two or three steps. Where Q is nearly singular, sets zigzag when many entries
enter at a time: fewer do then, and only once the others have settled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs

from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.problem import Penalty

_SETTLED = 1e-3  # of the largest slope outside: from there on entries that are 0 may enter
_AGAINST = 8  # rounds in which entries that would enter with the wrong sign are left out
_ROUNDING = 1e-14
_RIDGE = 1e-14  # of a diagonal entry; grows a hundredfold where there is no factor
_PRODUCTS, _SOLVED = (
    100,
    0.05,
)  # of one solve by conjugate gradients: at most, and what is left of its residual

Indices = NDArray[np.intp]


class Curvature(Protocol):
    """Q (k, k), symmetric, not negative."""

    def product(self, F: Indices, step: Float64) -> Float64:
        """Q times a vector that is ``step`` at F and 0 elsewhere, (k,)."""

    def solve(self, F: Indices, b: Float64) -> Float64:
        """About Q_FF⁻¹ b."""


class Factored:
    """Q as a matrix."""

    def __init__(self, Q: Float64) -> None:
        self.Q = Q

    def product(self, F: Indices, step: Float64) -> Float64:
        found: Float64 = step @ self.Q[F]
        return found

    def solve(self, F: Indices, b: Float64) -> Float64:
        part, ridge = self.Q[np.ix_(F, F)], _RIDGE
        diagonal = np.diag(part)
        # An entry without curvature, a constant column that no penalty holds, stays about where it is.
        largest = float(diagonal.max(initial=np.finfo(np.float64).tiny))
        part.flat[:: len(part) + 1] = np.where(diagonal > _RIDGE * largest, diagonal, largest)
        while True:
            A = part.copy()
            A.flat[:: len(A) + 1] *= 1.0 + ridge
            L, info = dpotrf(A, lower=1, overwrite_a=1)
            if info == 0:
                x: Float64 = dpotrs(L, b, lower=1)[0]
                return x
            if ridge > 1.0:
                return b / np.maximum(np.diag(part), np.finfo(np.float64).tiny)
            ridge *= 100.0


class Products:
    """Q by its products and its diagonal (k,), for k too large for a matrix."""

    def __init__(self, product: Callable[[Float64], Float64], diagonal: Float64) -> None:
        self._product, self._diagonal = product, diagonal

    def product(self, F: Indices, step: Float64) -> Float64:
        whole = np.zeros(len(self._diagonal))
        whole[F] = step
        return self._product(whole)

    def solve(self, F: Indices, b: Float64) -> Float64:
        """By conjugate gradients, as far as a step of Newton's method is worth it."""
        diagonal = self._diagonal[F]
        x, residual = np.zeros(len(F)), b.copy()
        z = residual / diagonal
        direction, rho = z.copy(), float(residual @ z)
        enough = _SOLVED * _SOLVED * rho
        for _ in range(_PRODUCTS):
            if rho <= enough:
                break
            product = self.product(F, direction)[F]
            curvature = float(direction @ product)
            if not curvature > 0.0:
                break
            x += rho / curvature * direction
            residual -= rho / curvature * product
            z = residual / diagonal
            before, rho = rho, float(residual @ z)
            direction = z + rho / before * direction
        return x


def minimise_quadratic(
    Q: Curvature, c: Float64, penalty: Penalty, x: Float64, tol: float, steps: int
) -> tuple[Float64, bool]:
    """x (k,) whose slope is at most ``tol`` of the one at the start, or as small as rounding lets it; or what
    so many steps come to, and whether they were enough.

    Q : with the penalty's l2 on its diagonal
    c : (k,), the slope of the quadratic alone at x
    penalty : its l1 and its bounds; its own l2 is 0
    """
    kinked = penalty.kinked
    x, r = x.copy(), c.copy()
    enough, entering, blocked = math.inf, len(x), False
    for step in range(steps):
        slope = penalty.slope(x, r)
        size = np.abs(slope)
        if step == 0:
            enough = tol * float(size.max(initial=0.0))
        there = (x != 0.0) | ~kinked
        outside = np.flatnonzero((size > enough) & ~there)
        settled = not (size[there] > max(enough, _SETTLED * float(size[outside].max(initial=0.0)))).any()
        if settled and len(outside) == 0:
            break
        enter = outside[:0]
        if settled or blocked or step == 0:
            enter = outside[np.argsort(-size[outside], kind="stable")[:entering]]
        move = _orthant_step(Q, r, penalty, kinked, x, slope, np.union1d(np.flatnonzero(there), enter))
        if move is None:
            if len(enter) == 0 and len(outside):
                blocked = True
            elif len(enter) > 1:
                entering = 1
            else:
                break
            continue
        blocked = False
        if len(enter):
            entering = 2 * entering if move.whole else max(1, entering // 4)
        r += move.product
        x[move.F] = move.new
    else:
        return x, False
    return x, True


class _Move:
    """New values of some entries of x, Q times their step, and by how much the quadratic changes."""

    def __init__(
        self, Q: Curvature, r: Float64, l1: Float64, F: Indices, old: Float64, new: Float64, whole: bool
    ) -> None:
        self.F, self.new, self.whole = F, new, whole
        step = new - old
        self.product = Q.product(F, step)
        self.change = float(step @ (r + 0.5 * self.product[F]) + l1 @ (np.abs(new) - np.abs(old)))
        fewer = np.count_nonzero(new) < np.count_nonzero(old)
        rounding = _ROUNDING * float(np.abs(step) @ (np.abs(r) + l1))
        self.lowers = self.change < 0.0 or (fewer and self.change <= rounding)


def _orthant_step(
    Q: Curvature,
    r: Float64,
    penalty: Penalty,
    kinked: NDArray[np.bool_],
    x: Float64,
    slope: Float64,
    F: Indices,
) -> _Move | None:
    """A step of entries F, or some of them, that lowers the quadratic; None where rounding hides that."""
    for left in reversed(range(_AGAINST)):
        old, kinks, l1 = x[F], kinked[F], penalty.l1[F]
        entering = old == 0.0
        sign = np.where(entering, -np.sign(slope[F]), np.sign(old))
        d = -Q.solve(F, r[F] + l1 * sign)
        against = entering & kinks & (d * sign < 0.0)
        if left == 0 or not against.any():
            break
        F = F[~against]
    new = old + d
    crossed = kinks & (new * sign < 0.0)
    new[crossed] = 0.0
    whole = not crossed.any()
    move = _Move(Q, r[F], l1, F, old, new, whole)
    if not whole or not move.lowers:
        bounded = None if penalty.at_least_zero is None else penalty.at_least_zero[F]
        curvature = float(d @ Q.product(F, d)[F])
        other = _Move(Q, r[F], l1, F, old, _line_search(curvature, r[F], l1, old, d, bounded), whole)
        if other.change < move.change:
            move = other
    return move if move.lowers else None


def _line_search(
    curvature: float, r: Float64, l1: Float64, old: Float64, d: Float64, bounded: NDArray[np.bool_] | None
) -> Float64:
    """The best of old + t d for 0 < t ≤ 1: its slope grows by a kink wherever an entry passes 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.where((d != 0.0) & (old * d < 0.0), -old / d, np.inf)
    most = 1.0
    if bounded is not None:
        most = min(1.0, float(at[bounded].min(initial=1.0)))
    kinks = np.flatnonzero((at < most) & (l1 > 0.0))
    kinks = kinks[np.argsort(at[kinks], kind="stable")]
    moving = np.where(old != 0.0, np.sign(old), np.sign(d))
    slope = float(r @ d + l1 @ (moving * d))
    t, stop = most, None
    for j in kinks:
        if slope + curvature * at[j] >= 0.0:
            break
        slope += 2.0 * l1[j] * abs(d[j])
        if slope + curvature * at[j] >= 0.0:
            t, stop = float(at[j]), j
            break
    if stop is None and curvature > 0.0:
        t = min(most, max(0.0, -slope / curvature))
    new = old + t * d
    if stop is not None:
        new[stop] = 0.0
    elif t == most < 1.0:
        new[at == most] = 0.0
    if bounded is not None:
        new[bounded & (new <= 0.0)] = 0.0
    return new
