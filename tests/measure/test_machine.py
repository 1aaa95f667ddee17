"""The fact sheet of the machine, the driver's answers, and the measured read bandwidth."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from accel_logreg.backends import BackendUnavailableError
from accel_logreg.measure import machine


def test_the_fact_sheet_is_complete_and_goes_into_json() -> None:
    sheet = machine.describe()
    assert 1 <= sheet.usable_cores <= sheet.logical_cores
    assert sheet.memory_bytes > 100_000_000
    assert sheet.cpu
    assert sheet.packages["numpy"] == np.__version__
    assert set(machine.PACKAGES) <= set(sheet.packages)
    assert sheet.blas
    assert bool(sheet.gpus) == (sheet.gpu_trouble == "")
    stored = json.loads(json.dumps(sheet.to_dict()))
    assert stored == sheet.to_dict()
    assert stored["blas"][0]["threads"] == sheet.blas[0].threads


@pytest.mark.parametrize("n_threads", [None, 1])
def test_read_bandwidth(n_threads: int | None) -> None:
    rate = machine.read_bandwidth(n_threads, megabytes=2)
    assert rate > 0


def test_read_bandwidth_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise BackendUnavailableError(name, "not here.", "Install it.")

    monkeypatch.setattr(machine, "load_backend", missing)
    assert machine.read_bandwidth(2, megabytes=2) > 0
    monkeypatch.setattr(np, "sum", lambda _: 1.0)
    with pytest.raises(ArithmeticError, match="nothing was timed"):
        machine.read_bandwidth(2, megabytes=2)


@pytest.mark.parametrize("argument", ["n_threads", "megabytes"])
def test_read_bandwidth_refuses_less_than_one(argument: str) -> None:
    with pytest.raises(ValueError, match=f"{argument}=0 must be at least 1"):
        machine.read_bandwidth(**{argument: 0})


@pytest.mark.parametrize(("text", "cores"), [("max 100000\n", None), ("150000 100000\n", 1.5), ("", None)])
def test_cpu_quota(text: str, cores: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(machine, "_CGROUP_CPU", tmp_path / "cpu.max")
    assert machine.describe().cpu_quota == cores


def test_a_machine_that_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_CGROUP_CPU", "_CACHES", "_CPUINFO"):
        monkeypatch.setattr(machine, name, tmp_path / "nothing")
    sheet = machine.describe()
    assert sheet.cache_bytes == {}
    assert sheet.cpu_quota is None
    assert isinstance(sheet.cpu, str)


class FakeDriver:
    """libcuda.so.1 with one device; ``failing`` names the call that returns an error."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing

    def __getattr__(self, function: str) -> Callable[..., int]:
        def call(*arguments: object) -> int:
            if function == self.failing:
                return 999
            answer = getattr(type(self), f"answer_{function}", None)
            if answer is not None:
                answer(self, *arguments)
            return 0

        return call

    def answer_cuGetErrorString(self, _code: int, text: object) -> None:
        text._obj.value = b"unknown error"

    def answer_cuDriverGetVersion(self, number: object) -> None:
        number._obj.value = 12080

    def answer_cuDeviceGetCount(self, count: object) -> None:
        count._obj.value = 1

    def answer_cuDeviceGetName(self, name: object, _size: int, _device: object) -> None:
        name.value = b"NVIDIA Test 100"

    def answer_cuDeviceTotalMem_v2(self, memory: object, _device: object) -> None:
        memory._obj.value = 80 << 30

    def answer_cuDeviceGetAttribute(self, value: object, attribute: int, _device: object) -> None:
        value._obj.value = {75: 9, 76: 0}[attribute]


def test_a_device_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: FakeDriver())
    driver = machine.ask_driver()
    assert driver["cuda"] == "12.8"
    assert driver["gpus"] == (machine.Gpu("NVIDIA Test 100", 80 << 30, "9.0"),)
    assert driver["gpu_trouble"] == ""


def test_a_driver_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: FakeDriver(failing="cuInit"))
    driver = machine.ask_driver()
    assert driver["cuda"] == "12.8"
    assert driver["gpus"] == ()
    assert driver["gpu_trouble"] == "cuInit failed with CUDA error 999 (unknown error)"


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    driver = machine.ask_driver()
    assert driver["gpus"] == ()
    assert "libcuda.so.1 was not found" in driver["gpu_trouble"]


@pytest.mark.gpu
def test_the_driver_lists_the_device_that_cupy_uses(gpu: object) -> None:  # noqa: ARG001
    import cupy

    found = machine.describe()
    assert found.gpus[0].name == cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    assert found.nvrtc is not None
