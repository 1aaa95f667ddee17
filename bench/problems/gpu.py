"""Large seeded problems, built where X is to lie: generating them on the host would take minutes.

With ``xp`` NumPy the same code builds them in host memory. The streams of random numbers of CuPy and NumPy
differ; a problem is the same from run to run with one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.problems.dense import SEED, Float64, point
from bench.rivals.expressions import to_host

BLOCK_ENTRIES = 1 << 25  # of X made at a time, in float32 or float64


@dataclass(frozen=True)
class GpuProblem:
    """X (n, d) float32 or float64 of ``xp``; y (n,) of 0.0 and 1.0 on the host."""

    name: str
    xp: Any
    X: Any
    y: Float64

    @property
    def shape(self) -> str:
        return f"{self.X.shape[0]}x{self.X.shape[1]}"

    @property
    def weights(self) -> Float64:
        return point(self.X.shape[1])

    @property
    def l2(self) -> float:
        """λ = 1/(C n), C = 1."""
        return 1.0 / len(self.y)

    def labels_there(self) -> Any:
        """y where X lies, in X's dtype, for rivals."""
        return self.xp.asarray(self.y.astype(self.X.dtype))


def correlated_on(xp: Any, n: int, d: int, dtype: str, seed: int = SEED) -> GpuProblem:
    """Neighbouring columns correlate at 0.5, scales run from 0.5 to 2; labels drawn from the model."""
    rng, kind = xp.random.default_rng(seed), np.dtype(dtype).type
    truth = np.random.default_rng(seed + 2).standard_normal(d) / np.sqrt(d)
    scales, w = xp.asarray(np.linspace(0.5, 2.0, d).astype(dtype)), xp.asarray(truth.astype(dtype))
    X = xp.empty((n, d), dtype)
    y = np.empty(n)
    rows = max(1, BLOCK_ENTRIES // d)
    for first in range(0, n, rows):
        some = slice(first, min(n, first + rows))
        count = some.stop - first
        block = rng.standard_normal((count, d), dtype=kind)
        block[:, 1:] = 0.5 * block[:, :-1] + 0.75**0.5 * block[:, 1:]
        block *= scales
        z = block @ w - 0.5
        X[some] = block
        y[some] = to_host(rng.random(count, dtype=kind) < 1.0 / (1.0 + xp.exp(-z)))
    return GpuProblem(f"correlated {n}x{d}", xp, X, y)
