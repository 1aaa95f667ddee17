"""The GPU here as a ``Place``. A bench file asks for it with ``pytest_plugins`` and does not import it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

import numpy as np
import pytest

from accel_logreg.interface.engine import Engine
from accel_logreg.profile.record import DeviceWatch
from bench.harness.device_clock import event_seconds
from bench.harness.gpu_place import KERNEL_REPEATS, Place
from bench.judge.score import loss_grad
from bench.problems.dense import correlated_on

COPY_BYTES = 1 << 30


@contextmanager
def cuda_place(engine: Engine) -> Iterator[Place]:
    """The device that CuPy uses now; its pools are emptied afterwards."""
    cupy = import_module("cupy")

    def empty_pools() -> None:
        cupy.get_default_memory_pool().free_all_blocks()
        engine.release_memory()

    def copy_bandwidth() -> float:
        source, target = (cupy.zeros(COPY_BYTES, np.uint8) for _ in range(2))
        seconds = event_seconds(
            cupy, lambda: target.data.copy_from_device_async(source.data, COPY_BYTES), KERNEL_REPEATS
        )
        return 2.0 * COPY_BYTES / statistics.median(seconds)

    yield Place(engine, cupy, lambda array: array, lambda: DeviceWatch(cupy), copy_bandwidth, empty_pools)
    empty_pools()


@pytest.fixture(params=["cupy"])
def place(request: pytest.FixtureRequest, require: Callable[[str], Engine]) -> Iterator[Place]:
    """The GPU here; without one a skip that says why, or with --require-gpu a failure."""
    engine = require(request.param)
    try:
        trial = correlated_on(import_module("cupy"), 8, 2, "float32")
        loss_grad(trial, trial.weights)
    except Exception as error:  # CuPy's own kernels need headers and libraries that ours do without
        pytest.skip(f"CuPy's own kernels, which make and judge the problems, do not run here: {error}")
    with cuda_place(engine) as found:
        yield found
