"""Proximal Newton for small problems, the whole fit in one compiled call on one thread.

What solvers/proximal.py does where a fit takes less than the interpreter would: in the coordinates and with
the parts of small.py, all columns at hand, the quadratic model minimised by coordinate descent (Friedman,
Hastie and Tibshirani 2010), and once its signs have settled by one factor of its nonzero columns. It ends by
the duality gap of problem/composite.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.blocks.rank_update import COLUMNS
from accel_logreg.kernels.numba_jit.blocks.row_groups import GROUP
from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.llvm import arrays_lie_apart, use_wide_vectors
from accel_logreg.kernels.numba_jit.small import (
    FAILED,
    REACHED,
    UNFINISHED,
    cholesky,
    gradient,
    hessian,
    logits,
    margins,
    residuals_and_roots,
    solve,
    standardise,
)

_SWEEPS = 400  # of coordinate descent, for one model
_TRY = 8  # sweeps between two attempts to solve for the nonzero columns at once
_MODEL = 1e-12  # of the slope: what is left of a model's
_ARMIJO, _HALVINGS = 1e-4, 30
_SAME, _SHRINKS = 1e-13, 0.5  # of the cost: no change but for rounding, where the slope has to shrink so much
_SLOW = 0.5  # contraction of the slope above which a Hessian of float32 products is no good
_EPSILON = 2.220446049250313e-16


@jit()
def _soft(x: float, l1: float, bounded: bool) -> float:
    if x > l1:
        return x - l1
    return x + l1 if x < -l1 and not bounded else 0.0


@jit()
def shortest_slope(u: float, g: float, l1: float, bounded: bool) -> float:
    """The shortest subgradient along one entry, for the gradient g of all that is smooth."""
    if u != 0.0 or (l1 == 0.0 and not bounded):
        return g + np.copysign(l1, u) if u != 0.0 else g
    if g < -l1:
        return g + l1
    return g - l1 if g > l1 and not bounded else 0.0


@jit()
def _minimise_model(Q: Any, r: Any, l1: Any, bounded: bool, x: Any, L: Any, p: int, d: int) -> None:
    """x = argmin of ½ (x − x₀)ᵀQ(x − x₀) + r₀ᵀ(x − x₀) + Σ l1|x|; r is the smooth part's slope, kept up.

    Q : (p, p), both triangles; L : memory of the same size; bounded : whether x[:d] may not be negative
    """
    use_wide_vectors()
    arrays_lie_apart()
    first = 0.0
    for j in range(p):
        first = max(first, abs(shortest_slope(x[j], r[j], l1[j], bounded and j < d)))
    for sweep in range(_SWEEPS):
        largest = 0.0
        for j in range(p):
            row = Q[np.uintp(j)]
            q = row[j]
            if not q > 0.0:
                continue
            largest = max(largest, abs(shortest_slope(x[j], r[j], l1[j], bounded and j < d)))
            new = _soft(x[j] - r[j] / q, l1[j] / q, bounded and j < d)
            change = new - x[j]
            if change != 0.0:
                x[j] = new
                for k in range(p):
                    r[k] += change * row[k]
        if largest <= _MODEL * first:
            break
        if sweep % _TRY == _TRY - 1:
            _solve_for_nonzeros(Q, r, l1, bounded, x, L, p, d)


@jit()
def _solve_for_nonzeros(Q: Any, r: Any, l1: Any, bounded: bool, x: Any, L: Any, p: int, d: int) -> None:
    """Newton's step on the entries that are not 0 or free, if none of them changes its sign."""
    use_wide_vectors()
    arrays_lie_apart()
    chosen = np.empty(p, dtype=np.intp)
    m = 0
    for j in range(p):
        if x[j] != 0.0 or (l1[j] == 0.0 and not (bounded and j < d) and Q[j, j] > 0.0):
            chosen[m] = j
            m += 1
    b = np.empty(m)
    step = np.empty(m)
    for i in range(m):
        row = Q[chosen[i]]
        for k in range(i, m):
            L[i, k] = row[chosen[k]]
        L[i, i] *= 1.0 + 1e-14
        j = chosen[i]
        b[i] = r[j] + (np.copysign(l1[j], x[j]) if x[j] != 0.0 else 0.0)
    if not cholesky(L, m) > 0.0:
        return
    solve(L, m, b, step)
    for i in range(m):
        j = chosen[i]
        kinked = l1[j] > 0.0 or (bounded and j < d)
        if kinked and (x[j] - step[i]) * x[j] <= 0.0:
            return
    for i in range(m):
        j = chosen[i]
        row = Q[j]
        x[j] -= step[i]
        for k in range(p):
            r[k] -= step[i] * row[k]


@jit()
def duality_gap(
    u: Any, g: Any, l1: Any, l2: Any, bounded: bool, mean: Any, scale: Any, loss: float, d: int
) -> tuple[float, bool]:
    """Composite.gap of problem/composite.py, and whether it holds: no slope where nothing is penalised."""
    by_logits = np.sqrt(min(0.25, loss)) * margins(mean, scale, u, d, loss)[0]
    c = 1.0
    for j in range(d):
        error = 64.0 * _EPSILON * loss * (abs(mean[j]) / scale[j] + 3.0) + by_logits
        if l1[j] == 0.0 and l2[j] == 0.0 and not bounded:
            if abs(g[j]) > error:
                return np.inf, False
        elif l2[j] == 0.0:
            pull = (max(-g[j], 0.0) if bounded else abs(g[j])) + error
            if pull > l1[j]:
                c = min(c, l1[j] / pull)
    if abs(g[d]) > 64.0 * _EPSILON * loss + by_logits:
        return np.inf, False
    gap = (1.0 - c) * loss
    for j in range(d):
        if l1[j] == 0.0 and l2[j] == 0.0 and not bounded:
            continue
        error = 64.0 * _EPSILON * loss * (abs(mean[j]) / scale[j] + 3.0) + by_logits
        pull = c * ((max(-g[j], 0.0) if bounded else abs(g[j])) + error)
        beyond = max(pull - l1[j], 0.0)
        size = abs(u[j])
        gap += size * l1[j] + c * (u[j] * g[j] + size * error) + 0.5 * l2[j] * size * size
        if l2[j] > 0.0:
            gap += beyond * beyond / (2.0 * l2[j])
    return gap, True


@jit()
def penalty(u: Any, l1: Any, l2: Any, d: int) -> float:
    total = 0.0
    for j in range(d):
        total += l1[j] * abs(u[j]) + 0.5 * l2[j] * u[j] * u[j]
    return total


@jit()
def prox_newton(
    X: Any, y: Any, s: Any, weight_sum: float, own_l1: Any, own_l2: Any, bounded: bool, fit_intercept: bool,
    W: Any, tol: float, steps: int,
) -> tuple[int, int, float, Any, Any]:  # fmt: skip
    """Minimise mean loss + Σ l1ⱼ|wⱼ| + l2ⱼ/2 wⱼ² from W until (J − J*)/J* ≤ tol for certain.

    X (n, d) float32 or float64, C-contiguous and finite; y (n,) int8; s (n,) or (0,); own_l1, own_l2 (d,);
    W (d + 1,), where it begins and ends; bounded: whether no weight may be negative. Returns how it ended
    (REACHED …), the steps taken, the bound in nats, and J and the slope's length (steps + 1,) at the start
    and after each step.
    """
    use_wide_vectors()
    arrays_lie_apart()
    n, d = X.shape
    p = d + 1 if fit_intercept else d
    width = (d + 1 + GROUP - 1) // GROUP * GROUP
    wide = (d + 1 + COLUMNS - 1) // COLUMNS * COLUMNS
    rows = (n + GROUP - 1) // GROUP * GROUP
    Z = np.zeros((rows, width))
    Z32 = np.zeros((n, wide), dtype=np.float32)
    T = np.empty((n, wide), dtype=np.float32)
    C = np.empty((wide, wide), dtype=np.float32)
    Q = np.empty((p, p))
    L = np.empty((p, p))
    z = np.empty(rows)
    moved = np.empty(rows)
    along = np.empty(rows)
    residuals = np.zeros(rows)
    roots = np.empty(n)
    scale = np.ones(width)
    mean = standardise(X, s, weight_sum, 0.0, fit_intercept, Z, Z32, scale)
    l1 = np.zeros(width)
    l2 = np.zeros(width)
    u = np.zeros(width)
    u[d] = W[d]
    for j in range(d):
        l1[j] = own_l1[j] / scale[j]
        l2[j] = own_l2[j] / (scale[j] * scale[j])
        u[j] = W[j] * scale[j]
        u[d] += mean[j] * W[j]
    if not fit_intercept:
        u[d] = 0.0
    g = np.zeros(width)
    r = np.zeros(width)
    x = np.zeros(width)
    step = np.zeros(width)
    costs = np.empty(steps + 1)
    norms = np.empty(steps + 1)
    logits(Z, u, z)
    loss, curvature = residuals_and_roots(z, y, s, residuals, roots)
    loss /= weight_sum
    value = loss + penalty(u, l1, l2, d)
    bound = np.inf
    before = np.inf
    precise = False
    stuck = False
    status = UNFINISHED
    taken = 0
    while True:
        gradient(Z, residuals, g)
        squares = 0.0
        for j in range(width):
            g[j] /= weight_sum
        if not fit_intercept:
            g[d] = 0.0
        for j in range(p):
            slope = shortest_slope(u[j], g[j] + l2[j] * u[j], l1[j], bounded and j < d)
            squares += slope * slope
        size = np.sqrt(squares)
        costs[taken] = value
        norms[taken] = size
        if not np.isfinite(value + size):
            status = FAILED
            break
        bound, holds = duality_gap(u, g, l1, l2, bounded, mean, scale, loss, d)
        if holds and bound <= tol * (value - bound):
            status = REACHED
            break
        if taken == steps or (stuck and not size < _SHRINKS * before):
            break
        precise = precise or size > _SLOW * before
        before = size
        hessian((Z, Z32), (T, C, Q), weight_sum, roots, curvature / weight_sum, 1, precise)
        for i in range(p):
            Q[i, i] += l2[i]
            for j in range(i):
                Q[i, j] = Q[j, i]
        for j in range(width):
            x[j] = u[j]
            r[j] = g[j] + l2[j] * u[j]
        _minimise_model(Q, r, l1, bounded, x, L, p, d)
        model = penalty(x, l1, l2, d) - (value - loss)
        for j in range(width):
            step[j] = x[j] - u[j]
            model += step[j] * g[j]
        logits(Z, step, along)
        t = 1.0
        found = False
        for _ in range(_HALVINGS):
            for i in range(rows):
                moved[i] = z[i] + t * along[i]
            if t < 1.0:
                for j in range(width):
                    x[j] = u[j] + t * step[j]
            loss, curvature = residuals_and_roots(moved, y, s, residuals, roots)
            loss /= weight_sum
            new = loss + penalty(x, l1, l2, d)
            change = new - value
            if change <= _ARMIJO * t * model or abs(change) <= _SAME * value:
                found = True
                break
            t *= 0.5
        if not found:
            break
        stuck = abs(change) <= _SAME * value
        taken += 1
        value = new
        for i in range(rows):
            z[i] = moved[i]
        for j in range(width):
            u[j] = x[j]
    for j in range(d):
        W[j] = u[j] / scale[j]
    W[d] = u[d]
    for j in range(d):
        W[d] -= mean[j] * W[j]
    if not fit_intercept:
        W[d] = 0.0
    return status, taken, bound, costs[: taken + 1], norms[: taken + 1]
