"""The claim: a dot product of a million numbers, by loop and by engine, from a warm and from a cold cache;
and of fewer, down to where the loop wins."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from accel_logreg.interface.engine import Engine
from accel_logreg.kernels.python_loop import dense as python_loop
from accel_logreg.measure.machine import usable_cores
from bench.harness.work import Work
from bench.problems.problem import SEED, Float64

SIZE = 1_000_000
FEWER = [10, 1_000, 100_000]


VERSIONS = (
    "python, loop over arrays",
    "python, loop over lists",
    "numpy, np.dot",
    "numba, one thread",
    "numba, all threads",
    "cupy, data on the device",
)


def way(version: str, a: Float64, b: Float64) -> tuple[Callable[[], float], dict[str, Any]]:
    """One of VERSIONS, its data where it wants them: the call, and what else its record says."""
    if version == "python, loop over arrays":
        indexed: Callable[[Any, Any], float] = python_loop.dot_indexed  # one loop, over arrays and lists
        return lambda: indexed(a, b), {}
    if version == "python, loop over lists":
        left, right = a.tolist(), b.tolist()
        return lambda: python_loop.dot_zip(left, right), {}
    if version == "numpy, np.dot":
        return lambda: float(np.dot(a, b)), {}
    if version.startswith("numba"):
        from accel_logreg.kernels.numba_jit.reductions import dot, dot_parallel

        if version == "numba, one thread":
            return lambda: float(dot(a, b)), {"threads": 1}
        return lambda: float(dot_parallel(a, b, usable_cores())), {}
    import cupy

    cupy.asarray(a[:1])  # the context is not part of the transfer
    cupy.cuda.Device().synchronize()
    began = time.perf_counter()
    there, other = cupy.asarray(a), cupy.asarray(b)
    cupy.cuda.Device().synchronize()
    transfer = time.perf_counter() - began
    # float() waits for the device.
    return lambda: float(cupy.dot(there, other)), {"transfer_seconds": transfer}


@pytest.mark.parametrize(
    ("size", "cache"), [(SIZE, "hot"), (SIZE, "cold"), *((fewer, "hot") for fewer in FEWER)]
)
@pytest.mark.parametrize("version", VERSIONS)
def bench_dot(contest: Any, require: Callable[[str], Engine], version: str, size: int, cache: str) -> None:
    rng = np.random.default_rng(SEED)
    a, b = rng.random(size), rng.random(size)
    exact = math.fsum((a * b).tolist())

    def prepare(version: str) -> Work:
        name, _, how = version.partition(", ")
        if name == "python" and cache == "cold":
            pytest.skip("a loop takes so long a number that it does not matter whence the number comes")
        engine = require(name)
        call, told = way(version, a, b)
        return Work(
            call,
            lambda value: np.testing.assert_allclose(value, exact, rtol=1e-11),
            engine,
            np.stack([a, b]),
            f"dot product of {size:,} float64, cache {cache}",
            reads=1,
            cold=cache == "cold",
            same=float,
            info={"version": how, "problem": "uniform", "flops": 2 * size, **told},
        )

    contest(prepare, version=version)
