"""The claim: a dot product of a million numbers, by loop and by engine."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from accel_logreg.backends.base import Backend
from accel_logreg.kernels import python_loop
from accel_logreg.lab.machine import usable_cores
from bench.problems import SEED

SIZE = 1_000_000


def numbers() -> tuple[Any, Any]:
    rng = np.random.default_rng(SEED)
    return rng.random(SIZE), rng.random(SIZE)


def loop_over_lists(a: Any, b: Any) -> Callable[[], float]:
    left, right = a.tolist(), b.tolist()
    return lambda: python_loop.dot_zip(left, right)


def loop_indexing_arrays(a: Any, b: Any) -> Callable[[], float]:
    return lambda: python_loop.dot_indexed(a, b)


def numpy_dot(a: Any, b: Any) -> Callable[[], float]:
    return lambda: float(np.dot(a, b))


def numba_one_thread(a: Any, b: Any) -> Callable[[], float]:
    from accel_logreg.kernels.numba_reductions import dot

    return lambda: float(dot(a, b))


def numba_all_threads(a: Any, b: Any) -> Callable[[], float]:
    from accel_logreg.kernels.numba_reductions import dot_parallel

    return lambda: float(dot_parallel(a, b, usable_cores()))


def cupy_dot(a: Any, b: Any) -> Callable[[], float]:
    import cupy

    left, right = cupy.asarray(a), cupy.asarray(b)
    return lambda: float(cupy.dot(left, right))  # float() waits for the device


VERSIONS = {
    "loop indexing arrays": ("python", loop_indexing_arrays),
    "loop over lists": ("python", loop_over_lists),
    "np.dot": ("numpy", numpy_dot),
    "numba, one thread": ("numba", numba_one_thread),
    "numba, all threads": ("numba", numba_all_threads),
    "cupy, data on the device": ("cupy", cupy_dot),
}


@pytest.mark.parametrize("version", VERSIONS)
def bench_dot(measure: Any, version: str, require: Callable[[str], Backend]) -> None:
    name, prepare = VERSIONS[version]
    engine = require(name)
    a, b = numbers()
    exact = math.fsum((a * b).tolist())
    measure(
        prepare(a, b),
        lambda value: np.testing.assert_allclose(value, exact, rtol=1e-11),
        engine=engine,
        X=np.stack([a, b]),
        group=f"dot product of {SIZE:,} float64",
        reads=1,
        version=version,
        **({"threads": 1} if version == "numba, one thread" else {}),
    )
