"""The engines as parameters, and one way to measure: check, warm up, time, check again, record."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pytest

from accel_logreg.backends import BACKENDS, BackendUnavailableError, load_backend
from accel_logreg.backends.base import Backend
from accel_logreg.lab import machine
from bench.problems import SEED

Answer = TypeVar("Answer")
Measure = Callable[..., None]

_SECONDS_PER_BENCHMARK = 1.0
_SLOW = 2.0  # seconds a call, from which one round has to do


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-gpu", action="store_true", help="a benchmark that finds no GPU fails")


@pytest.fixture
def require(request: pytest.FixtureRequest) -> Callable[[str], Backend]:
    """Load an engine; one that cannot run is a skip with the reason, a failure with --require-gpu."""

    def load(name: str) -> Backend:
        try:
            return load_backend(name)
        except BackendUnavailableError as error:
            if name == "cupy" and request.config.getoption("--require-gpu"):
                pytest.fail(f"--require-gpu: {error}", pytrace=False)
            pytest.skip(str(error))

    return load


@pytest.fixture(params=BACKENDS)
def engine(request: pytest.FixtureRequest, require: Callable[[str], Backend]) -> Backend:
    """Each engine in turn."""
    return require(request.param)


@pytest.fixture
def measure(benchmark: Any) -> Measure:
    """``measure(call, check, engine=, X=, group=, reads=)`` times ``call`` and records what it took.

    The first call is timed alone (it may compile) and its answer checked; the answer of the last
    timed call is checked too, and nothing is recorded if either is wrong. ``reads`` counts the reads
    of X that one call needs at least. A yardstick is measured on X itself, before and after, so that
    a percentage compares like with like on a machine with noisy neighbours.
    """

    def run(
        call: Callable[[], Answer],
        check: Callable[[Answer], None],
        *,
        engine: Backend,
        X: Any,
        group: str,
        reads: float,
        **info: Any,
    ) -> None:
        benchmark.group = group
        began = time.perf_counter()
        check(call())
        first = time.perf_counter() - began
        before = yardstick_samples(engine, X)
        check(benchmark.pedantic(call, rounds=_rounds(call), iterations=1))
        after = yardstick_samples(engine, X)
        median = benchmark.stats.stats.median
        rate = X.nbytes * reads / median
        benchmark.extra_info.update(
            {
                "engine": engine.name,
                "shape": list(X.shape),
                "dtype": str(X.dtype),
                "threads": engine.n_threads(None),
                "seed": SEED,
                "reads_of_X": reads,
                "first_call_seconds": first,
                "gigabytes_per_second": rate / 1e9,
                **info,
            }
        )
        if before:
            yardstick = statistics.median(before + after)
            benchmark.extra_info.update(
                yardstick="device copy" if engine.name == "cupy" else "plain sum of X",
                yardstick_gigabytes_per_second=yardstick / 1e9,
                percent_of_yardstick=100 * rate / yardstick,
            )

    return run


def _rounds(call: Callable[[], object]) -> int:
    """About a second's worth of rounds, at least 7; one for a call of seconds, which needs no more."""
    began = time.perf_counter()
    call()
    seconds = time.perf_counter() - began
    return 1 if seconds > _SLOW else int(min(200, max(7, _SECONDS_PER_BENCHMARK / seconds)))


def yardstick_samples(engine: Backend, X: Any) -> list[float]:
    """Bytes/s to compare with: a plain threaded sum of X on the host, a copy on a GPU.

    Not a ceiling: on some placements of X in memory the sum waits for page-table walks that an
    engine's prefetching hides, and then the engine is faster. Empty for an X that a cache may hold,
    and for the Python loop, which is nowhere near it.
    """
    if engine.name == "cupy":
        return device_copy_bandwidth()
    if engine.name == "python" or X.nbytes < 64 << 20 or not X.flags.c_contiguous:
        return []
    from accel_logreg.kernels.numba_reductions import array_sum

    flat = X.reshape(-1)
    flat = flat[: flat.size // 2 * 2].view(np.float64)  # the same bytes, read eight at a time
    time.sleep(0.1)  # the BLAS workers of the calls before spin on for some 30 ms
    settled = time.perf_counter() + 0.1  # and a core that has rested takes milliseconds to get going
    while time.perf_counter() < settled:
        array_sum(flat, machine.usable_cores())
    samples = []
    for _ in range(7):
        began = time.perf_counter()
        array_sum(flat, machine.usable_cores())
        samples.append(flat.nbytes / (time.perf_counter() - began))
    return samples


def device_copy_bandwidth() -> list[float]:
    """Bytes read plus bytes written per second by copies of 1 GiB on the device, timed by its events."""
    import cupy

    source = cupy.ones(1 << 28, dtype=cupy.float32)
    target = cupy.empty_like(source)
    samples = []
    for _ in range(6):
        start, stop = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        cupy.copyto(target, source)
        stop.record()
        stop.synchronize()
        samples.append(2 * source.nbytes / (cupy.cuda.get_elapsed_time(start, stop) * 1e-3))
    return samples[1:]
