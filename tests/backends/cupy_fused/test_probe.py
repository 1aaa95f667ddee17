"""Why the CuPy engine cannot run: every obstacle has its own reason and the command that mends it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from accel_logreg.backends import BackendUnavailableError
from accel_logreg.backends.cupy_fused import engine, probe
from accel_logreg.backends.cupy_fused.engine import CupyEngine


@pytest.fixture
def fresh_probe() -> Iterator[None]:
    """Probe again in this test, and forget what it found."""
    probe.find_obstacle.cache_clear()
    yield
    probe.find_obstacle.cache_clear()


@pytest.fixture
def cupy() -> Any:
    return pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)


def refusal() -> BackendUnavailableError:
    with pytest.raises(BackendUnavailableError) as caught:
        CupyEngine()
    assert caught.value.backend == "cupy"
    return caught.value


def has_device(cupy: Any) -> bool:
    try:
        return bool(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


def test_importing_the_engine_does_not_import_cupy() -> None:
    code = "import sys, accel_logreg.backends.cupy_fused.engine; sys.exit('cupy' in sys.modules)"
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


@pytest.mark.usefixtures("fresh_probe")
def test_no_device_here(cupy: Any) -> None:
    if has_device(cupy):
        pytest.skip("this machine has a CUDA device")
    error = refusal()
    assert "driver" in error.reason or "no CUDA device" in error.reason
    assert "nvidia-smi" in error.remedy
    assert str(error).startswith("backend='cupy' cannot run here: ")


@pytest.mark.usefixtures("fresh_probe")
def test_cupy_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "cupy_distributions", list)
    monkeypatch.setattr(probe, "find_spec", lambda _name: None)
    error = refusal()
    assert error.reason == "CuPy is not installed."
    assert 'pip install "accel_logreg[cuda13]"' in error.remedy
    assert 'pip install "accel_logreg[cuda12]"' in error.remedy


@pytest.mark.usefixtures("fresh_probe")
def test_two_cupys_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def distribution(name: str) -> None:
        if name not in ("cupy", "cupy-cuda12x"):
            raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", distribution)
    assert probe.cupy_distributions() == ["cupy", "cupy-cuda12x"]
    error = refusal()
    assert "2 CuPy packages are installed" in error.reason
    assert "pip uninstall -y cupy cupy-cuda12x." in error.remedy


@pytest.mark.usefixtures("fresh_probe")
def test_cupy_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "cupy_distributions", lambda: ["cupy-cuda13x"])
    monkeypatch.setattr(probe, "find_spec", lambda _name: object())
    monkeypatch.setitem(sys.modules, "cupy", None)
    error = refusal()
    assert "cannot be imported" in error.reason
    assert "pip uninstall -y cupy-cuda13x" in error.remedy


def test_the_driver_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "cupy_distributions", lambda: ["cupy-cuda13x"])
    obstacle = probe._insufficient_driver(driver=12040, runtime=13020)
    assert "supports CUDA 12.4 and this CuPy needs 13.2" in obstacle.reason
    assert 'pip uninstall -y cupy-cuda13x && pip install "accel_logreg[cuda12]"' in obstacle.remedy


@pytest.mark.usefixtures("fresh_probe")
def test_there_is_a_driver_but_no_device(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 0)
    error = refusal()
    assert "no CUDA device" in error.reason
    assert "CUDA_VISIBLE_DEVICES" in error.remedy


@pytest.mark.usefixtures("fresh_probe", "cupy")
def test_nvrtc_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from cupy_backends.cuda.libs import nvrtc

    def missing() -> None:
        raise RuntimeError("CuPy failed to load libnvrtc.so.13: OSError")

    monkeypatch.setattr(probe, "_driver", lambda: None)
    monkeypatch.setattr(nvrtc, "getVersion", missing)
    error = refusal()
    assert "NVRTC" in error.reason
    assert "libnvrtc.so.13" in error.reason
    assert 'pip install "accel_logreg[cuda' in error.remedy


@pytest.mark.usefixtures("fresh_probe", "cupy")
def test_the_kernels_do_not_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal_without_kernels(monkeypatch, RuntimeError("cannot open source file cuda_fp16.h"))
    assert "cuda_fp16.h" in error.reason
    assert "CUDA headers" in error.reason
    assert 'pip install "accel_logreg[cuda' in error.remedy


def refusal_without_kernels(monkeypatch: pytest.MonkeyPatch, why: Exception) -> BackendUnavailableError:
    def no_kernels() -> None:
        raise why

    for name in ("_driver", "_architecture"):
        monkeypatch.setattr(probe, name, lambda: None)
    monkeypatch.setattr(probe, "current_device", no_kernels)
    return refusal()


@pytest.mark.usefixtures("fresh_probe", "cupy")
def test_the_gpu_does_not_load_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    why = RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered")
    error = refusal_without_kernels(monkeypatch, why)
    assert "does not load the kernels (RuntimeError: CUDA_ERROR_ILLEGAL_ADDRESS" in error.reason
    assert "headers" not in error.reason
    assert "nvidia-smi" in error.remedy


@pytest.mark.usefixtures("fresh_probe", "cupy")
@pytest.mark.parametrize(
    "why", [MemoryError("none left"), RuntimeError("cudaErrorMemoryAllocation: out of memory")]
)
def test_no_memory_left_for_the_kernels_is_not_remembered(
    monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    error = refusal_without_kernels(monkeypatch, why)
    assert "no memory left to load the kernels" in error.reason
    assert "nvidia-smi" in error.remedy
    monkeypatch.setattr(probe, "current_device", lambda: "device")
    monkeypatch.setattr(engine, "current_device", lambda: "device")
    assert CupyEngine()._device == "device"


@pytest.mark.usefixtures("fresh_probe")
@pytest.mark.parametrize(
    ("cuda", "remedy"), [(13020, r"accel_logreg\[cuda12\].*backend='numba'"), (12090, "Choose a CPU engine")]
)
def test_the_gpu_is_too_old(cupy: Any, monkeypatch: pytest.MonkeyPatch, cuda: int, remedy: str) -> None:
    from cupy_backends.cuda.libs import nvrtc

    gpu = SimpleNamespace(compute_capability="61")
    monkeypatch.setattr(probe, "_driver", lambda: None)
    monkeypatch.setattr(probe, "_compiler", lambda: None)
    monkeypatch.setattr(probe, "_kernels", lambda: None)
    monkeypatch.setattr(cupy.cuda, "Device", lambda: gpu)
    monkeypatch.setattr(cupy.cuda.runtime, "runtimeGetVersion", lambda: cuda)
    monkeypatch.setattr(nvrtc, "getSupportedArchs", lambda: (75, 80, 90))
    error = refusal()
    assert "compute capability 6.1" in error.reason
    assert "for 7.5 and newer" in error.reason
    assert re.search(remedy, error.remedy)
    gpu.compute_capability = "75"
    assert probe._architecture() is None


@pytest.mark.usefixtures("fresh_probe")
def test_a_failed_probe_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(probe, "_packages", lambda: calls.append(1) or probe.Obstacle("Reason.", "Remedy."))
    first, second = refusal(), refusal()
    assert len(calls) == 1
    assert first is not second  # a shared exception would collect tracebacks
    assert str(first) == str(second)
