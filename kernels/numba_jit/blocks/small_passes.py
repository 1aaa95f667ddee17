"""The passes of a small fit, over rows that a cache holds, on one thread; see numba_jit/small.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_logreg.kernels.numba_jit.blocks.row_groups import GROUP, add_group, group_dots
from accel_logreg.kernels.numba_jit.compile import jit, use_wide_vectors
from accel_logreg.kernels.numba_jit.dense import _exp_negative, _log1p_over_2v

_LOOKS = 8


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
        if variance <= (1e-12 * mean[j]) * (1e-12 * mean[j]):
            variance = 0.0
        scale[j] = np.sqrt(variance + 4.0 * l2)
        if not scale[j] > 0.0:
            scale[j] = 1.0
        inverse[j] = 1.0 / scale[j]
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
def link(z: Any, y: Any, s: Any, residuals: Any, roots: Any) -> tuple[float, float]:
    """residuals = s (a − y) and roots = √(s h), (n,); returns Σ s ℓ and Σ s h."""
    use_wide_vectors()
    weighted = s.size > 0
    total = 0.0
    curvature = 0.0
    for i in range(y.size):
        zi = z[i]
        label = np.float64(y[i])
        half = _exp_negative(-0.5 * abs(zi))
        e = half * half
        inverse = 1.0 / ((1.0 + e) * (2.0 + e))
        v = e * (1.0 + e) * inverse
        loss = 0.5 * (zi + abs(zi)) - label * zi + 2.0 * v * _log1p_over_2v(v * v)
        residual = (1.0 if zi >= 0 else e) * (2.0 + e) * inverse - label
        root = half * (2.0 + e) * inverse
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
        e = _exp_negative(-abs(zi))
        inverse = 1.0 / (1.0 + e)
        first = ((1.0 if zi >= 0 else e) * inverse - np.float64(y[i])) * step[i]
        second = e * inverse * inverse * step[i] * step[i]
        if weighted:
            first *= s[i]
            second *= s[i]
        slope += first
        curve += second
    return slope, curve


@jit()
def length(
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
