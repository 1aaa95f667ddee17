"""The claim: a dot product of a million numbers, by loop and by engine, from a warm and from a cold cache;
and of fewer, down to where the loop wins."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Prepared:
    """One way to take the product, its data where it wants them."""

    call: Callable[[], float]
    info: dict[str, Any] = field(default_factory=dict)


def loop_over_arrays(a: Float64, b: Float64) -> Prepared:
    indexed: Callable[[Any, Any], float] = python_loop.dot_indexed  # one loop, over arrays and lists
    return Prepared(lambda: indexed(a, b))


def loop_over_lists(a: Float64, b: Float64) -> Prepared:
    left, right = a.tolist(), b.tolist()
    return Prepared(lambda: python_loop.dot_zip(left, right))


def numpy_dot(a: Float64, b: Float64) -> Prepared:
    return Prepared(lambda: float(np.dot(a, b)))


def numba_one_thread(a: Float64, b: Float64) -> Prepared:
    from accel_logreg.kernels.numba_jit.reductions import dot

    return Prepared(lambda: float(dot(a, b)), {"threads": 1})


def numba_all_threads(a: Float64, b: Float64) -> Prepared:
    from accel_logreg.kernels.numba_jit.reductions import dot_parallel

    return Prepared(lambda: float(dot_parallel(a, b, usable_cores())))


def cupy_dot(a: Float64, b: Float64) -> Prepared:
    import cupy

    cupy.asarray(a[:1])  # the context is not part of the transfer
    cupy.cuda.Device().synchronize()
    began = time.perf_counter()
    left, right = cupy.asarray(a), cupy.asarray(b)
    cupy.cuda.Device().synchronize()
    transfer = time.perf_counter() - began
    # float() waits for the device.
    return Prepared(lambda: float(cupy.dot(left, right)), {"transfer_seconds": transfer})


# Engine, version → what prepares it.
VERSIONS = {
    "python, loop over arrays": loop_over_arrays,
    "python, loop over lists": loop_over_lists,
    "numpy, np.dot": numpy_dot,
    "numba, one thread": numba_one_thread,
    "numba, all threads": numba_all_threads,
    "cupy, data on the device": cupy_dot,
}


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
        prepared = VERSIONS[version](a, b)
        return Work(
            prepared.call,
            lambda value: np.testing.assert_allclose(value, exact, rtol=1e-11),
            engine,
            np.stack([a, b]),
            f"dot product of {size:,} float64, cache {cache}",
            reads=1,
            cold=cache == "cold",
            same=float,
            info={"version": how, "problem": "uniform", "flops": 2 * size, **prepared.info},
        )

    contest(prepare, version=version)
