"""The kernels compiled for the host, once for all test files, and a device that runs them.

A test file asks for them with ``pytest_plugins = ["support.cuda_host.fixtures"]`` and does not import this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.cuda_host.host_device import (
    ONE_MULTIPROCESSOR,
    Driver,
    HostDevice,
    build,
    compiler,
    sanitizers_work,
)
from support.cuda_host.play_engine import PlayedCupyBackend

from accel_logreg import backends


def _driver(config: pytest.Config, factory: pytest.TempPathFactory, *, sanitized: bool) -> Iterator[Driver]:
    cxx = compiler()
    if cxx is None:
        pytest.skip("no C++ compiler (g++ or clang++) is installed, so the kernels cannot be run on the host")
    own = factory.mktemp("cuda_host")
    shared = factory.getbasetemp()
    if hasattr(config, "workerinput"):  # one of several processes, whose folders lie side by side
        shared = shared.parent
    driver = build(cxx, shared, own, sanitized=sanitized and sanitizers_work(cxx, own))
    yield driver
    driver.close()


@pytest.fixture(scope="session")
def driver(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Without sanitizers, which take most of the time: for what runs kernels that others have checked."""
    yield from _driver(pytestconfig, tmp_path_factory, sanitized=False)


@pytest.fixture(scope="session")
def checked_driver(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """With sanitizers, where the compiler has them: for the kernels' own tests."""
    yield from _driver(pytestconfig, tmp_path_factory, sanitized=True)


@pytest.fixture
def one_device(checked_driver: Driver) -> HostDevice:
    """One of the two ways, for what the other cannot change."""
    return HostDevice(checked_driver, ONE_MULTIPROCESSOR)


@pytest.fixture(params=["late, ascending", "early, descending"])
def device(driver: Driver, checked_driver: Driver, request: pytest.FixtureRequest) -> HostDevice:
    """Both ways that a device is free to choose, one with sanitizers: a right kernel does not notice."""
    late = request.param.startswith("late")
    which = checked_driver if late else driver
    return HostDevice(which, ONE_MULTIPROCESSOR, late_copies=late, descending=not late)


@pytest.fixture
def played_engine(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> PlayedCupyBackend:
    """The CuPy engine with its kernels on the host, where the estimator finds it."""
    played = PlayedCupyBackend(driver)
    monkeypatch.setitem(backends._loaded, "cupy", played)
    return played


@pytest.fixture
def X(rng: np.random.Generator, dtype: Any) -> Any:
    """(90, 4)."""
    return rng.normal(size=(90, 4)).astype(dtype)


@pytest.fixture
def y(rng: np.random.Generator, X: Any) -> Any:
    """(90,) of 0 and 1, which X does not separate."""
    return (X[:, 0] + rng.normal(size=90) > 0).astype(np.int64)
