"""Newton's method for small problems, the whole fit in one compiled call on one thread.

A problem of some hundred rows fits in the cache and is solved in the time of a few dozen calls from
the interpreter, so the loop is here and not in solvers/, as that of gradient descent is. What it does is
what solvers/newton.py does when there is nothing to sample: in standardised coordinates, a factor of
the Hessian, steps with a line search, a new factor when the last one stops paying.

X is copied once, standardised, in float64 with a column of ones, rows padded to whole vectors. One
pass gives J, its gradient and the rows times √(s h) in float32, from which the Hessian is made; it
conditions the steps. Where they end is decided by the float64 gradient and a certificate: the bound of
problem/certificate.py, or of Objective.certified_gap, whichever is tighter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.blocks.rank_update import COLUMNS, add_outer_products_small
from accel_logreg.kernels.numba_jit.blocks.row_groups import GROUP, add_group, group_dots
from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.copies import copy
from accel_logreg.kernels.numba_jit.link import exp_negative, link
from accel_logreg.kernels.numba_jit.llvm import arrays_lie_apart, use_wide_vectors

_ENOUGH_FOR_FLOAT32 = 1e-5  # smallest pivot of a Hessian with about ones on its diagonal
_CONTRACTION = 0.02  # a factor that shrinks the decrement this much is used again
_MANY = 24  # rows an unknown
_FAR = 0.01  # decrement over J
_NEAR = 1e-3  # decrement over J below which Newton's full step is the right one
_MARGIN = 4.0
_ROUNDING = 1e-13
_EPSILON = 2.220446049250313e-16
_SINGLE_NOISE, _DOUBLE_NOISE = 2e-6, 4e-15  # of a Hessian's trace: what rounding may add to an eigenvalue
_CERTIFICATES = 4  # attempts at one, each after another step
_LOOKS = 8  # along a direction

REACHED, UNFINISHED, FAILED = 0, 1, 2


@jit()
def standardise(
    X: Any, s: Any, weight_sum: float, l2: float, centred: bool, Z: Any, Z32: Any, scale: Any
) -> Any:
    """Z = ((X − mean)/scale, 1, 0 …) with scale² = variance + 4 l2, again in Z32; returns the mean.

    mean and scale are padded like the rows of Z, which are whole groups, the last rows zero.
    """
    use_wide_vectors()
    n, d = X.shape
    width = Z.shape[1]
    weighted = s.size > 0
    mean = np.zeros(width)
    square = np.zeros(width)
    for i in range(n):
        source = X[np.uintp(i)]
        target = Z[np.uintp(i)]
        for j in range(d):
            target[j] = source[j]
    s0 = s1 = s2 = s3 = 1.0
    whole = n - n % 4
    if centred:
        for i in range(0, whole, 4):
            k0, k1, k2, k3 = np.uintp(i), np.uintp(i + 1), np.uintp(i + 2), np.uintp(i + 3)
            if weighted:
                s0, s1, s2, s3 = s[i], s[i + 1], s[i + 2], s[i + 3]
            for j in range(width):
                mean[j] += (s0 * Z[k0, j] + s1 * Z[k1, j]) + (s2 * Z[k2, j] + s3 * Z[k3, j])
        for i in range(whole, n):
            for j in range(d):
                mean[j] += (s[i] if weighted else 1.0) * Z[i, j]
        for j in range(width):
            mean[j] /= weight_sum
    for i in range(0, whole, 4):
        k0, k1, k2, k3 = np.uintp(i), np.uintp(i + 1), np.uintp(i + 2), np.uintp(i + 3)
        if weighted:
            s0, s1, s2, s3 = s[i], s[i + 1], s[i + 2], s[i + 3]
        for j in range(width):
            x0, x1 = Z[k0, j] - mean[j], Z[k1, j] - mean[j]
            x2, x3 = Z[k2, j] - mean[j], Z[k3, j] - mean[j]
            square[j] += (s0 * x0 * x0 + s1 * x1 * x1) + (s2 * x2 * x2 + s3 * x3 * x3)
    for i in range(whole, n):
        for j in range(d):
            square[j] += (s[i] if weighted else 1.0) * (Z[i, j] - mean[j]) * (Z[i, j] - mean[j])
    inverse = np.zeros(width)
    for j in range(d):
        variance = square[j] / weight_sum
        rounding = (1e-12 * mean[j]) * (1e-12 * mean[j])
        if variance <= rounding and rounding < np.inf:
            variance = 0.0
        scale[j] = np.sqrt(variance + 4.0 * l2)
        if not scale[j] > 0.0:
            scale[j] = 1.0
        differs = variance != 0.0
        for i in range(n):
            if differs:
                break
            differs = X[i, j] != X[0, j]
        if differs:  # else a constant column, of which nothing is left
            inverse[j] = 1.0 / scale[j] if scale[j] < np.inf else np.nan  # overflow: not for this loop
    for i in range(n):
        x = Z[np.uintp(i)]
        for j in range(width):
            x[j] = (x[j] - mean[j]) * inverse[j]
        if centred:
            x[d] = 1.0
        y = Z32[np.uintp(i)]
        for j in range(width):
            y[j] = x[j]
    return mean


@jit()
def logits(Z: Any, u: Any, z: Any) -> None:
    """z = Z u."""
    use_wide_vectors()
    rows, width = Z.shape
    for i in range(0, rows, GROUP):
        group_dots(Z, width, u, 0.0, i, z[i:], None)


@jit()
def residuals_and_roots(z: Any, y: Any, s: Any, residuals: Any, roots: Any) -> tuple[float, float]:
    """residuals = s (a − y) and roots = √(s h), (n,); returns Σ s ℓ and Σ s h."""
    use_wide_vectors()
    arrays_lie_apart()
    weighted = s.size > 0
    total = 0.0
    curvature = 0.0
    for i in range(y.size):
        half = exp_negative(-0.5 * abs(z[i]))
        loss, residual, larger = link(z[i], half * half, y[i])
        root = half * larger
        if weighted:
            loss *= s[i]
            residual *= s[i]
            root *= np.sqrt(s[i])
        total += loss
        curvature += root * root
        residuals[i] = residual
        roots[i] = root
    return total, curvature


@jit()
def _along(z: Any, step: Any, t: float, y: Any, s: Any) -> tuple[float, float]:
    """First and second derivative of Σ s ℓ(z + t step) by t."""
    use_wide_vectors()
    weighted = s.size > 0
    slope = 0.0
    curve = 0.0
    for i in range(y.size):
        zi = z[i] + t * step[i]
        e = exp_negative(-abs(zi))
        _, residual, larger = link(zi, e, y[i])
        first = residual * step[i]
        second = e * larger * larger * step[i] * step[i]
        if weighted:
            first *= s[i]
            second *= s[i]
        slope += first
        curve += second
    return slope, curve


@jit()
def _length(
    z: Any, step: Any, y: Any, s: Any, weight_sum: float, slope: float, linear: float, quadratic: float
) -> float:
    """t > 0 where the derivative of J along the step has fallen to a few hundredths: Newton in one dimension.

    linear and quadratic are the penalty's: its derivative is linear + t quadratic. Far from the optimum
    a full step may be three times too short, and a look along the line costs no more than its logits.
    """
    low, high = 0.0, np.inf
    t = 1.0
    for _ in range(_LOOKS):
        first, second = _along(z, step, t, y, s)
        first = first / weight_sum + linear + t * quadratic
        second = second / weight_sum + quadratic
        if abs(first) <= 0.03 * abs(slope) or not second > 0.0:
            break
        if first < 0.0:
            low = t
        else:
            high = t
        t -= first / second
        if t <= low or t >= high:
            t = 0.5 * (low + high) if high < np.inf else 2.0 * low
    return t


@jit()
def gradient(Z: Any, residuals: Any, g: Any) -> None:
    """g = Σ residualᵢ ẑᵢ."""
    use_wide_vectors()
    rows, width = Z.shape
    g[:] = 0.0
    for i in range(0, rows, GROUP):
        add_group(Z, width, residuals[i:], i, g, None)


@jit()
def cholesky(L: Any, p: int) -> float:
    """L Lᵀ of the p × p upper triangle that L holds, in place as upper rows; returns the least pivot."""
    use_wide_vectors()
    least = np.inf
    for k in range(p):
        row = L[np.uintp(k)]
        pivot = row[k]
        least = min(least, pivot)
        if not pivot > 0.0:
            return pivot
        inverse = 1.0 / np.sqrt(pivot)
        for j in range(k, p):
            row[j] *= inverse
        for i in range(k + 1, p):
            target = L[np.uintp(i)]
            share = row[i]
            for j in range(i, p):
                target[j] -= share * row[j]
    return least


@jit()
def solve(L: Any, p: int, g: Any, x: Any) -> None:
    """x = (Lᵀ L)⁻¹ g for the upper rows L of cholesky."""
    for j in range(p):
        x[j] = g[j]
    for k in range(p):
        row = L[np.uintp(k)]
        x[k] /= row[k]
        share = x[k]
        for j in range(k + 1, p):
            x[j] -= share * row[j]
    for k in range(p - 1, -1, -1):
        row = L[np.uintp(k)]
        total = x[k]
        for j in range(k + 1, p):
            total -= row[j] * x[j]
        x[k] = total / row[k]


@jit()
def _decrement(L: Any, p: int, g: Any, direction: Any) -> float:
    """direction = −H⁻¹ g; returns ½ gᵀ H⁻¹ g."""
    arrays_lie_apart()
    solve(L, p, g, direction)
    decrement = 0.0
    for j in range(p):
        decrement += 0.5 * g[j] * direction[j]
        direction[j] = -direction[j]
    return decrement


@jit()
def hessian(
    rows: Any, work: Any, weight_sum: float, roots: Any, curvature: float, stride: int, precise: bool
) -> float:
    """L = Σ s h ẑ ẑᵀ/S, its upper triangle, in float64 products if ``precise``, else float32; and its trace.

    From every ``stride``-th row, scaled up to the curvature Σ s h / S of all; ``precise`` from all. rows: ẑ
    in float64 and float32; work: memory for the picked rows, their outer products, and L.
    """
    use_wide_vectors()
    arrays_lie_apart()
    (Z, Z32), (T, C, L) = rows, work
    p = L.shape[0]
    trace = 0.0
    if not precise:
        m = (roots.size + stride - 1) // stride
        picked = 0.0
        for i in range(m):
            x = Z32[np.uintp(stride * i)]
            row = T[np.uintp(i)]
            root = np.float32(roots[stride * i])
            picked += roots[stride * i] * roots[stride * i]
            for j in range(x.size):
                row[j] = root * x[j]
        C[:] = 0.0
        add_outer_products_small(T, m, p, C)
        factor = curvature / picked if stride > 1 and picked > 0.0 else 1.0 / weight_sum
        for i in range(p):
            for j in range(i, p):
                L[i, j] = C[i, j] * factor
    else:
        L[:] = 0.0
        for k in range(roots.size):
            x = Z[np.uintp(k)]
            h = roots[k] * roots[k] / weight_sum
            for i in range(p):
                share = h * x[i]
                target = L[np.uintp(i)]
                for j in range(i, p):
                    target[j] += share * x[j]
    for i in range(p):
        trace += L[i, i]
    return trace


@jit()
def _factor(
    rows: Any,
    work: Any,
    penalty: Any,
    weight_sum: float,
    roots: Any,
    curvature: float,
    stride: int,
    precise: bool,
) -> tuple[bool, float]:
    """L = factor of ``hessian`` + penalty; in float64 if ``precise`` or where float32 leaves a tiny pivot.

    Returns whether there is one, and by how much rounding may have moved an eigenvalue.
    """
    L = work[2]
    p = L.shape[0]
    if not precise:
        trace = hessian(rows, work, weight_sum, roots, curvature, stride, False)
        for i in range(p):
            L[i, i] += penalty[i]
        if cholesky(L, p) >= _ENOUGH_FOR_FLOAT32:
            return True, _SINGLE_NOISE * trace
    trace = hessian(rows, work, weight_sum, roots, curvature, stride, True)
    for i in range(p):
        L[i, i] += penalty[i]
    return cholesky(L, p) > 0.0, _DOUBLE_NOISE * trace


@jit()
def _inverse_trace(L: Any, p: int, x: Any) -> float:
    """tr (Lᵀ L)⁻¹ = ‖L⁻¹‖² for the upper rows L of cholesky; x is memory for p numbers."""
    use_wide_vectors()
    total = 0.0
    for k in range(p):  # row k of L⁻¹: x L = eₖ
        for j in range(k, p):
            x[j] = 0.0
        x[k] = 1.0
        for i in range(k, p):
            row = L[np.uintp(i)]
            x[i] /= row[i]
            share = x[i]
            total += share * share
            for j in range(i + 1, p):
                x[j] -= share * row[j]
    return total


@jit()
def _self_concordant(
    decrement: float, noise: float, inverse_trace: float, radius: float, moved: float, margins: Any
) -> float:
    """Certificate.bound of problem/certificate.py, for a Hessian whose logits are at most ``moved`` away."""
    certain = 1.0 - noise * inverse_trace
    if not certain > 0.5:
        return np.inf
    growth = np.exp(moved) / certain
    root = np.sqrt(inverse_trace * growth)
    length = np.sqrt(2.0 * decrement * growth) + margins[0] + root * margins[1]
    q = length * radius * root
    if not q < 0.95:
        return np.inf
    if q < 1e-2:
        return length * length * (0.5 + q / 6.0 + q * q / 11.0)
    return length * length * (q + (1.0 - q) * np.log1p(-q)) / (q * q)


@jit()
def margins(mean: Any, scale: Any, u: Any, d: int, value: float) -> tuple[float, float]:
    """What rounding may add to the gradient's length: by the logits of W as returned, and by its sums."""
    logits = abs(u[d])
    for j in range(d):
        logits += (2.0 * abs(mean[j]) + 3.0 * scale[j]) * abs(u[j]) / scale[j]
    curvature = np.sqrt(min(0.25, value))
    return 6.0 * _EPSILON * curvature * logits, 192.0 * _EPSILON * value * np.sqrt(d + 1.0)


@jit()
def newton(
    X: Any, y: Any, s: Any, weight_sum: float, l2: float, fit_intercept: bool, tol: float, steps: int
) -> tuple[int, int, Any, float, Any, Any]:
    """Minimise J from zero, the intercept from the log-odds, until (J − J*)/J* ≤ tol for certain.

    X (n, d) float32 or float64, C-contiguous and finite; y (n,) int8; s (n,) or (0,). Returns how it
    ended (REACHED …), the steps taken, W (p,), the certified bound in nats, and J and ‖∇J‖₂ (steps + 1,) at
    the start and after each step.
    """
    n, d = X.shape
    p = d + 1 if fit_intercept else d
    width = (d + 1 + GROUP - 1) // GROUP * GROUP
    wide = (d + 1 + COLUMNS - 1) // COLUMNS * COLUMNS
    rows = (n + GROUP - 1) // GROUP * GROUP
    Z = np.zeros((rows, width))
    Z32 = np.zeros((n, wide), dtype=np.float32)
    T = np.empty((n, wide), dtype=np.float32)
    C = np.empty((wide, wide), dtype=np.float32)
    L = np.empty((p, p))
    spare = np.empty(p)
    z = np.empty(rows)
    step = np.empty(rows)
    residuals = np.zeros(rows)
    roots = np.empty(n)
    scale = np.ones(width)
    mean = standardise(X, s, weight_sum, l2, fit_intercept, Z, Z32, scale)
    penalty = np.zeros(width)
    for j in range(d):
        penalty[j] = l2 / (scale[j] * scale[j])
    u = np.zeros(width)
    if fit_intercept:
        positive = 0.0
        negative = 0.0
        for i in range(n):
            weight = s[i] if s.size > 0 else 1.0
            positive += y[i] * weight
            negative += (1 - y[i]) * weight
        u[d] = np.log(positive / negative)
    z[:] = u[d]
    at_factor = z.copy()
    radius = _longest(Z, s)
    g = np.zeros(width)
    direction = np.zeros(width)
    costs = np.empty(steps + 1)
    norms = np.empty(steps + 1)
    W = np.zeros(d + 1)
    value = np.inf
    decrement = np.inf
    bound = np.inf
    noise = 0.0
    curvature = 0.0
    stride = 0  # of the rows that the factor is of; 0: there is none
    precise = False
    certificates = 0
    status = UNFINISHED
    taken = 0
    while True:
        loss, curvature = residuals_and_roots(z, y, s, residuals, roots)
        curvature /= weight_sum
        gradient(Z, residuals, g)
        new = loss / weight_sum
        for j in range(width):
            g[j] = g[j] / weight_sum + penalty[j] * u[j]
        for j in range(width):
            new += 0.5 * penalty[j] * u[j] * u[j]
        squared = g[d] * g[d]
        for j in range(d):
            original = g[j] * scale[j] + mean[j] * g[d]
            squared += original * original
        costs[taken] = new
        norms[taken] = np.sqrt(squared)
        if not np.isfinite(new + norms[taken]) or new > value + _ROUNDING * abs(value):
            status = FAILED
            break
        value = new
        if norms[taken] == 0.0:
            status = REACHED
            bound = 0.0
            break
        before = decrement
        if stride:
            decrement = _decrement(L, p, g, direction)
        # The last factor is a step old: what it says of the gap is taken with a margin.
        paid = before < _FAR * value and decrement <= _CONTRACTION * before
        while True:
            if stride == 0 or precise or (_MARGIN * decrement > tol * value and not paid):
                # Far away half the rows are enough, where they are many.
                stride = 2 if n >= _MANY * p and not decrement < _FAR * value else 1
                found, noise = _factor(
                    (Z, Z32), (T, C, L), penalty, weight_sum, roots, curvature, stride, precise
                )
                if not found:
                    status = FAILED
                    break
                copy(z, at_factor)
                decrement = _decrement(L, p, g, direction)
            if taken == 0 or _MARGIN * decrement > tol * value:
                break
            certificates += 1
            by_rounding = margins(mean, scale, u, d, value)
            if stride == 1:
                moved = 0.0
                for i in range(n):
                    moved = max(moved, abs(z[i] - at_factor[i]))
                inverse_trace = _inverse_trace(L, p, spare)
                bound = _self_concordant(decrement, noise, inverse_trace, radius, moved, by_rounding)
            if l2 > 0.0:
                bound = min(
                    bound,
                    _certificate(
                        Z,
                        g,
                        scale,
                        curvature,
                        l2,
                        d,
                        np.sqrt(min(0.25, value)) * by_rounding[0] + by_rounding[1],
                    ),
                )
            if bound <= tol * (value - bound):
                status = REACHED
                break
            if precise:
                break
            precise = True  # a factor of all rows, here, in float64
        if status != UNFINISHED or certificates > _CERTIFICATES:
            break
        if taken == steps:
            break
        taken += 1
        logits(Z, direction, step)
        t = 1.0
        if decrement > _NEAR * value:
            linear = 0.0
            quadratic = 0.0
            for j in range(d):
                linear += penalty[j] * u[j] * direction[j]
                quadratic += penalty[j] * direction[j] * direction[j]
            t = _length(z, step, y, s, weight_sum, -2.0 * decrement, linear, quadratic)
        for j in range(p):
            u[j] += t * direction[j]
        for i in range(n):
            z[i] += t * step[i]
    intercept = u[d]
    for j in range(d):
        W[j] = u[j] / scale[j]
    for j in range(d):
        intercept -= mean[j] * W[j]
    W[d] = intercept if fit_intercept else 0.0
    return status, taken, W, bound, costs[: taken + 1], norms[: taken + 1]


@jit()
def _longest(Z: Any, s: Any) -> float:
    """max ‖ẑ‖ of rows with weight."""
    use_wide_vectors()
    longest = 0.0
    for i in range(Z.shape[0]):
        if s.size > 0 and (i >= s.size or s[i] == 0.0):
            continue
        x = Z[np.uintp(i)]
        total = 0.0
        for j in range(x.size):
            total += x[j] * x[j]
        longest = max(longest, total)
    return np.sqrt(longest)


@jit()
def _certificate(Z: Any, g: Any, scale: Any, curvature: float, l2: float, d: int, rounding: float) -> float:
    """The bound of Objective.certified_gap in centred coordinates, where ‖H_wb/H_b‖ ≤ R = max ‖x − mean‖."""
    largest = 0.0
    squared_scale = scale * scale
    for i in range(Z.shape[0]):
        x = Z[np.uintp(i)]
        total = 0.0
        for j in range(d):
            total += x[j] * x[j] * squared_scale[j]
        largest = max(largest, total)
    radius = np.sqrt(largest)
    norm = 0.0
    for j in range(d):
        norm += g[j] * g[j] * squared_scale[j]
    norm = np.sqrt(norm) + rounding * radius
    slope = abs(g[d]) + rounding
    if slope >= curvature:
        return np.inf
    tau = -np.log1p(-slope / curvature)
    norm += radius * slope + 2.0 * radius * curvature * (np.expm1(tau) - tau)
    return slope * tau + norm * norm / (2.0 * l2)
