"""``python -m bench.read_share``: Numba's gradient pass as a share of the doctor's read bandwidth.

One run on a shared machine says little, so the two are measured in turns, nine times.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from accel_logreg.backends import load_backend
from accel_logreg.lab import machine
from bench.problems import correlated, loss_grad

REPEATS = 9
SETTLING = 0.1  # seconds


def main() -> None:
    engine = load_backend("numba")
    problem = correlated(1_000_000, 28, "float64")
    W = problem.weights
    shares = []
    with engine.threads(None):
        rows = engine.rows(problem.X, problem.y, None)
        np.testing.assert_allclose(rows.loss_grad(W)[1], loss_grad(problem, W)[1], rtol=1e-8, atol=1e-12)
        for _ in range(REPEATS):
            bandwidth = machine.read_bandwidth()
            settled = time.perf_counter() + SETTLING
            while time.perf_counter() < settled:
                rows.loss_grad(W)
            seconds = []
            for _ in range(25):
                began = time.perf_counter()
                rows.loss_grad(W)
                seconds.append(time.perf_counter() - began)
            rate = problem.X.nbytes / statistics.median(seconds)
            shares.append(rate / bandwidth)
            print(f"memory {bandwidth / 1e9:5.1f} GB/s, gradient {rate / 1e9:5.1f} GB/s: {shares[-1]:.0%}")
    print(f"median {statistics.median(shares):.0%}, from {min(shares):.0%} to {max(shares):.0%}")


if __name__ == "__main__":
    main()
