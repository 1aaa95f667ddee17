"""Newton's method by conjugate gradients for small sparse problems, the whole fit in one compiled call.

Where a pass over the nonzeros takes some microseconds, calls from the interpreter would take most of the
time. What it does is what solvers/newton_cg.py does for sparse rows, on one thread: conjugate gradients, as
far as the step is worth it (Dembo, Eisenstat and Steihaug 1982), preconditioned by the Hessian's diagonal at
the W of the step, where the intercept has been eliminated from it; strong convexity bounds the gap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.compile import jit
from accel_logreg.kernels.numba_jit.copies import copy
from accel_logreg.kernels.numba_jit.csr import gradient_chunk, product_chunk
from accel_logreg.kernels.numba_jit.llvm import arrays_lie_apart, use_wide_vectors
from accel_logreg.kernels.numba_jit.reductions import dot

_EPSILON = 2.220446049250313e-16
_ELIMINATED = 1e-12  # of a diagonal entry, see problem/coordinates.py
_FLAT = 1e-15  # curvature along a direction, as a share of J: rounding
_SETTLED = 0.1  # what the residual may still add to the decrement
_NEAR = 1e3  # tolerances: a decrement from which a solve has to do for a proof as well
_PROVEN = 0.2  # of the tolerance: what its residual may be worth then
_PRODUCTS = 250  # in one solve
_DECREASE, _ROUNDING = 1e-4, 1e-14  # see solvers/parts/line_search.py
_ATTEMPTS = 30

REACHED, UNFINISHED = 0, 1


@jit()
def _add(a: Any, factor: float, b: Any, out: Any) -> None:
    """out = a + factor b."""
    use_wide_vectors()
    arrays_lie_apart()
    for j in range(a.size):
        out[j] = a[j] + factor * b[j]


@jit()
def _move(a: Any, factor: float, b: Any) -> None:
    """a += factor b."""
    use_wide_vectors()
    arrays_lie_apart()
    for j in range(a.size):
        a[j] += factor * b[j]


@jit()
def _value_grad(x: Any, y: Any, s: Any, terms: Any, W: Any, g: Any, sh: Any) -> float:
    """J at W; its gradient g (p,) and s h (n,). terms: Σ s, λ, 1.0 for an intercept or 0.0."""
    arrays_lie_apart()
    weight_sum, l2, intercept = terms
    d = W.size - 1
    g[:] = 0.0
    loss, residual = gradient_chunk(x, y, s, W, W[d], 0, y.size, g, sh)
    for j in range(d):
        g[j] = g[j] / weight_sum + l2 * W[j]
    g[d] = intercept * residual / weight_sum
    return loss / weight_sum + 0.5 * l2 * (dot(W, W) - W[d] * W[d])


@jit()
def _product(x: Any, sh: Any, terms: Any, v: Any, out: Any) -> None:
    """out = ∇²J v, (p,)."""
    arrays_lie_apart()
    weight_sum, l2, intercept = terms
    d = v.size - 1
    out[:] = 0.0
    last = product_chunk(x, sh, v, v[d], 0, sh.size, out)
    for j in range(d):
        out[j] = out[j] / weight_sum + l2 * v[j]
    out[d] = intercept * last / weight_sum


@jit()
def _border(x: Any, sh: Any, terms: Any, diagonal: Any, mean: Any) -> float:
    """The Hessian's diagonal but for its last entry, once the intercept is eliminated; 0 becomes 1.

    mean = H_wb/H_b, (d,) each. Returns H_b: 1 without an intercept, 0 where rounding left nothing of it.
    """
    data, indices, indptr = x
    weight_sum, l2, intercept = terms
    diagonal[:] = 0.0
    mean[:] = 0.0
    for row in range(sh.size):
        h = sh[np.uintp(row)] / weight_sum
        for k in range(indptr[np.uintp(row)], indptr[np.uintp(row + 1)]):
            column = np.uintp(indices[np.uintp(k)])
            value = np.float64(data[np.uintp(k)])
            mean[column] += h * value
            diagonal[column] += h * value * value
    curvature = 0.0
    for row in range(sh.size):
        curvature += sh[row]
    curvature = curvature / weight_sum if intercept != 0.0 else 1.0
    for j in range(diagonal.size):
        mean[j] *= intercept / curvature if curvature > 0.0 else 0.0
        whole = diagonal[j] + l2
        eliminated = max(whole - mean[j] * mean[j] * curvature, _ELIMINATED * whole)
        diagonal[j] = eliminated if eliminated > 0.0 else 1.0
    return curvature


@jit()
def _condition(diagonal: Any, mean: Any, curvature: float, r: Any, z: Any) -> None:
    """z = M⁻¹ r, M the Hessian's diagonal in coordinates whose origin is the mean."""
    use_wide_vectors()
    arrays_lie_apart()
    d = r.size - 1
    for j in range(d):
        z[j] = (r[j] - mean[j] * r[d]) / diagonal[j]
    total = 0.0
    for j in range(d):
        total += mean[j] * z[j]
    z[d] = r[d] / curvature - total


@jit()
def _squared(r: Any, mean: Any) -> float:
    """‖r_w − mean r_b‖²: of ∇φ, where r is a gradient, φ(w) = min over b of J."""
    total = 0.0
    last = r[r.size - 1]
    for j in range(mean.size):
        entry = r[j] - mean[j] * last
        total += entry * entry
    return total


@jit()
def _longest(x: Any, s: Any) -> float:
    """max ‖xᵢ‖ of rows with weight."""
    data, _, indptr = x
    longest = 0.0
    for row in range(indptr.size - 1):
        if s.size > 0 and s[row] == 0.0:
            continue
        total = 0.0
        for k in range(indptr[row], indptr[row + 1]):
            total += np.float64(data[k]) * np.float64(data[k])
        longest = max(longest, total)
    return np.sqrt(longest)


@jit()
def _bound(value: float, g: Any, W: Any, l2: float, mean: Any, curvature: float, longest: float) -> float:
    """Objective.certified_gap, with what rounding may do as problem/certificate.py reckons it."""
    d = W.size - 1
    length = np.sqrt(dot(W, W))
    logits = 3.0 * longest * length + abs(W[d])
    rounding = _EPSILON * (64.0 * value + 6.0 * min(0.25, value) * logits)
    slope = abs(g[d]) + rounding
    if not slope < curvature:
        return np.inf
    tau = -np.log1p(-slope / curvature)
    radius = longest + np.sqrt(dot(mean, mean))
    norm = np.sqrt(_squared(g, mean)) + rounding * (longest + radius)
    norm += radius * curvature * (np.expm1(tau) - tau)
    return slope * tau + norm * norm / (2.0 * l2)


@jit()
def _solve(
    x: Any, sh: Any, terms: Any, g: Any, to: Any, border: Any, value: float, enough: float, step: Any
) -> tuple[float, int]:
    """step ≈ −H⁻¹ g; returns the decrement ½ gᵀH⁻¹g as far as summed, and the products. to: (r, z, v, Hv)."""
    r, z, v, product = to
    diagonal, mean, curvature = border
    l2 = terms[1]
    step[:] = 0.0
    for j in range(g.size):
        r[j] = -g[j]
    _condition(diagonal, mean, curvature, r, z)
    copy(z, v)
    rho = dot(r, z)
    decrement = 0.0
    products = 0
    while products < _PRODUCTS and rho > 0.0:
        _product(x, sh, terms, v, product)
        products += 1
        curve = dot(v, product)
        if not curve > _FLAT * value * dot(v, v):
            break
        alpha = rho / curve
        _move(step, alpha, v)
        _move(r, -alpha, product)
        decrement += 0.5 * alpha * rho
        _condition(diagonal, mean, curvature, r, z)
        before = rho
        rho = dot(r, z)
        left = 0.5 * alpha * rho
        newton_error = decrement * min(0.1, decrement / value)
        if left <= _SETTLED * decrement and left <= max(newton_error, 0.1 * enough):
            last = r[r.size - 1]
            worth = _squared(r, mean) / (2.0 * l2) + last * last / (2.0 * curvature)
            if decrement > _NEAR * enough or worth <= max(newton_error, _PROVEN * enough):
                break
        _add(z, rho / before, v, product)
        copy(product, v)
    return decrement, products


@jit()
def newton_cg(
    data: Any,
    indices: Any,
    indptr: Any,
    y: Any,
    s: Any,
    weight_sum: float,
    l2: float,
    fit_intercept: bool,
    W: Any,
    tol: float,
    steps: int,
    most: int,
) -> tuple[int, int, int, float, Any, Any]:
    """Minimise J from W (p,), in place, until (J − J*)/J* ≤ tol for certain, or ``most`` reads are over.

    data (nnz,) float32 or float64, finite; indices (nnz,); indptr (n + 1,) int64; y (n,) int8; s (n,) or
    (0,); l2 > 0. Returns how it ended (REACHED or UNFINISHED), the steps taken, the reads, the bound in
    nats, and J and ‖∇J‖₂ (steps + 1,) at the start and after each step.
    """
    x = (data, indices, indptr)
    terms = (weight_sum, l2, 1.0 if fit_intercept else 0.0)
    p, n = W.size, y.size
    g, new_g, new_W = np.zeros(p), np.zeros(p), np.empty(p)
    sh, new_sh = np.empty(n), np.empty(n)
    step = np.empty(p)
    memory = np.empty(p), np.empty(p), np.empty(p), np.empty(p)
    diagonal, mean = np.empty(p - 1), np.empty(p - 1)
    costs, norms = np.empty(steps + 1), np.empty(steps + 1)
    longest = -1.0
    bound = np.inf
    taken = 0
    value = _value_grad(x, y, s, terms, W, g, sh)
    reads = 1
    while True:
        costs[taken], norms[taken] = value, np.sqrt(dot(g, g))
        if norms[taken] == 0.0:
            return REACHED, taken, reads, 0.0, costs[: taken + 1], norms[: taken + 1]
        curvature = _border(x, sh, terms, diagonal, mean)
        reads += 1
        if not (np.isfinite(value + norms[taken]) and curvature > 0.0):
            break
        enough = tol * value
        slope = abs(g[p - 1])
        likely = _squared(g, mean) / (2.0 * l2) + slope * slope / curvature
        if taken > 0 and likely <= enough:
            if longest < 0.0:
                longest = _longest(x, s)
                reads += 1
            bound = _bound(value, g, W, l2, mean, curvature, longest)
            if bound <= tol * (value - bound):
                return REACHED, taken, reads, bound, costs[: taken + 1], norms[: taken + 1]
        if taken == steps or reads > most:
            break
        border = (diagonal, mean, curvature)
        _, products = _solve(x, sh, terms, g, memory, border, value, enough, step)
        reads += products
        down = dot(g, step)
        length = 1.0
        found = False
        for _ in range(_ATTEMPTS):
            _add(W, length, step, new_W)
            new_value = _value_grad(x, y, s, terms, new_W, new_g, new_sh)
            reads += 1
            if new_value <= value + _DECREASE * length * down or (
                new_value <= value + _ROUNDING * value and abs(dot(new_g, step)) <= -0.9 * down
            ):
                found = True
                break
            if not -down * length > _ROUNDING * value:
                break
            length *= 0.5
        if not found:
            break
        copy(new_W, W)
        g, new_g = new_g, g
        sh, new_sh = new_sh, sh
        value = new_value
        taken += 1
    return UNFINISHED, taken, reads, bound, costs[: taken + 1], norms[: taken + 1]
