"""Puts the kernels compiled for the host in the place of the CuPy engine, for any test of the interface.

    PYTHONPATH=tests python -m pytest -p support.cuda_host.play_engine tests/interface/test_passes.py -k cupy

A GPU is not needed; patience is. Not part of `make test`, which has smaller problems for the emulation.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from support.cuda_host.host_device import Driver, HostDevice, build, compiler, sanitizers_work
from support.cuda_host.played_arrays import HostInterchange
from support.cuda_host.queues import QueueingDevice

from accel_logreg import backends
from accel_logreg.backends.cupy_fused.engine import CupyEngine
from accel_logreg.kernels.cupy_fused.dense.plan import Limits


class PlayedCupyBackend(CupyEngine):
    """The engine without its probe of the machine, and two devices, of which the first is current."""

    def __init__(self, driver: Driver) -> None:
        self._played = [QueueingDevice(driver, Limits(2, 100 << 10, 100 << 10, tf32=True)) for _ in range(2)]
        self._device = self._played[0]
        self._interchange = HostInterchange(self._played.__getitem__)

    def _devices(self) -> list[HostDevice]:
        return self._played


def pytest_configure(config: pytest.Config) -> None:
    cxx = compiler()
    if cxx is None:
        raise pytest.UsageError("support.cuda_host.play_engine needs a C++ compiler: install g++ or clang++.")
    temporary = tempfile.TemporaryDirectory(prefix="cuda_host_")
    config.add_cleanup(temporary.cleanup)
    folder = Path(temporary.name)
    driver = build(cxx, folder, folder, sanitized=sanitizers_work(cxx, folder))
    config.add_cleanup(driver.close)
    backends._loaded["cupy"] = PlayedCupyBackend(driver)
