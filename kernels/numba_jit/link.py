"""The logistic link: e^(−|z|), the loss, and its first and second derivative by the logit z. Once, for all.

With a = 1/(1 + e^(−z)) the loss of a row is log(1 + e^z) − y z, its slope a − y, its curvature h = a (1 − a).
All of them come from e = e^(−|z|); a loss of 1e-18 keeps its digits as one of 1 does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.compile import IN_ORDER, jit


@jit(IN_ORDER)
def exp_negative(u: float) -> float:
    """e^u for u ≤ 0 to 1 ulp or so: e^(k ln 2 + t) = 2ᵏ p(t), |t| ≤ ln 2 / 2.

    Below −708 it stays at e^−708 = 3e-308, so that 2ᵏ is a normal number. NaN stays NaN.
    p interpolates e^t at 12 Chebyshev nodes. ln 2 is split in two parts (Cody and Waite), which
    reassociation would add up again: measured, 2e-14 instead of 4e-16.
    """
    u = -708.0 if u < -708.0 else u
    k = np.floor(u * 1.4426950408889634 + 0.5)
    t = u - k * 6.93147180369123816490e-01 - k * 1.90821492927058770002e-10
    p = 2.511015364692893e-08
    p = p * t + 2.763279054211718e-07
    p = p * t + 2.7557240604663896e-06
    p = p * t + 2.4801485074104115e-05
    p = p * t + 0.00019841269890340666
    p = p * t + 0.0013888888952696516
    p = p * t + 0.00833333333331949
    p = p * t + 0.04166666666648666
    p = p * t + 0.1666666666666668
    p = p * t + 0.5000000000000019
    p = p * t + 1.0
    p = p * t + 1.0
    return p * np.int64((np.int64(np.int32(k)) + 1023) << 52).view(np.float64)


@jit(IN_ORDER)
def log1p_over_2v(q: float) -> float:
    """atanh(v)/v as a polynomial in q = v² ≤ 1/9, at 11 Chebyshev nodes.

    log(1 + e) = 2 atanh(v) with v = e/(2 + e): no cancellation however small e is.
    """
    p = 0.08522081781390699
    p = p * q + 0.0416225325593041
    p = p * q + 0.06055084364034609
    p = p * q + 0.06650187016337313
    p = p * q + 0.07693307021152004
    p = p * q + 0.09090870416252403
    p = p * q + 0.11111112040373837
    p = p * q + 0.14285714272727057
    p = p * q + 0.20000000000092874
    p = p * q + 0.33333333333333076
    return p * q + 1.0


@jit()
def link(z: float, e: float, y: Any) -> tuple[float, float, float]:
    """(ℓ, a − y, 1/(1 + e)) for a row of label y, 0 or 1, where e is e^(−|z|).

    Both from m = (1 − 2y) z, minus the margin: ℓ = max(m, 0) + log(1 + e) and a − y = ±σ(m), of which neither
    is a difference, so that a loss or a residual of 1e-18 keeps its digits.
    """
    inverse = 1.0 / ((1.0 + e) * (2.0 + e))  # one division serves all quotients
    v = e * (1.0 + e) * inverse
    larger = (2.0 + e) * inverse  # the larger of a and 1 − a
    sign = 1.0 - 2.0 * np.float64(y)
    m = sign * z
    loss = max(m, 0.0) + 2.0 * v * log1p_over_2v(v * v)
    return loss, sign * ((1.0 if m >= 0.0 else e) * larger), larger


@jit()
def curvature(z: float) -> float:
    """h = e/(1 + e)²."""
    e = exp_negative(-abs(z))
    return e / ((1.0 + e) * (1.0 + e))


@jit()
def root_curvature(z: float) -> float:
    """√h = √e/(1 + e), of which no square root need be taken."""
    e = exp_negative(-0.5 * abs(z))
    return e / (1.0 + e * e)


@jit(inline="always")
def link_rows(z: Any, y: Any, s: Any, first: int, m: int) -> tuple[float, float]:
    """For m rows from ``first``: z ← s (a − y) in place; returns Σ s ℓ and Σ s (a − y)."""
    weighted = s.size > 0
    total = 0.0
    residual_sum = 0.0
    for i in range(m):
        loss, residual, _ = link(z[i], exp_negative(-abs(z[i])), y[first + i])
        if weighted:
            loss *= s[first + i]
            residual *= s[first + i]
        total += loss
        residual_sum += residual
        z[i] = residual
    return total, residual_sum


@jit(inline="always")
def curvature_rows(z: Any, u: Any, s: Any, first: int, m: int) -> float:
    """For m rows: z ← s h u in place; returns their sum."""
    weighted = s.size > 0
    total = 0.0
    for i in range(m):
        scale = curvature(z[i]) * u[i]
        if weighted:
            scale *= s[first + i]
        z[i] = scale
        total += scale
    return total


@jit()
def probabilities_part(chunk: int, chunks: int, z: Any, logarithm: bool, out: Any) -> None:
    """out[i] = (1 − a, a) of zᵢ, (n, 2), or their logarithms, none a difference, for a chunk of them."""
    n = z.size
    for i in range(chunk * n // chunks, (chunk + 1) * n // chunks):
        e = exp_negative(-abs(z[i]))
        if logarithm:
            v = e / (2.0 + e)
            near = -2.0 * v * log1p_over_2v(v * v)
            far = near - abs(z[i])
        else:
            near = 1.0 / (1.0 + e)
            far = e * near
        out[i, 1] = near if z[i] >= 0.0 else far
        out[i, 0] = far if z[i] >= 0.0 else near
