"""Why the CuPy engine cannot run: every obstacle has its own reason and the command that mends it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
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


def not_installed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(probe, "cupy_distributions", list)
    patch.setattr(probe, "find_spec", lambda _name: None)


def two_of_them(patch: pytest.MonkeyPatch) -> None:
    def distribution(name: str) -> None:
        if name not in ("cupy", "cupy-cuda12x"):
            raise metadata.PackageNotFoundError(name)

    patch.setattr(metadata, "distribution", distribution)


def not_to_be_imported(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(probe, "cupy_distributions", lambda: ["cupy-cuda13x"])
    patch.setattr(probe, "find_spec", lambda _name: object())
    patch.setitem(sys.modules, "cupy", None)


def no_device(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("cupy.cuda.runtime.getDeviceCount", lambda: 0)


def no_nvrtc(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(probe, "_driver", lambda: None)
    missing = RuntimeError("CuPy failed to load libnvrtc.so.13: OSError")
    patch.setattr("cupy_backends.cuda.libs.nvrtc.getVersion", raising(missing))


def old_gpu(patch: pytest.MonkeyPatch, cuda: int, capability: str = "61") -> None:
    for name in ("_driver", "_compiler", "_kernels"):
        patch.setattr(probe, name, lambda: None)
    patch.setattr("cupy.cuda.Device", lambda: SimpleNamespace(compute_capability=capability))
    patch.setattr("cupy.cuda.runtime.runtimeGetVersion", lambda: cuda)
    patch.setattr("cupy_backends.cuda.libs.nvrtc.getSupportedArchs", lambda: (75, 80, 90))


def no_kernels(patch: pytest.MonkeyPatch, why: Exception) -> None:
    for name in ("_driver", "_architecture"):
        patch.setattr(probe, name, lambda: None)
    patch.setattr(probe, "current_device", raising(why))


def raising(error: Exception) -> Callable[[], None]:
    def fails() -> None:
        raise error

    return fails


NO_HEADERS = RuntimeError("cannot open source file cuda_fp16.h")
ILLEGAL = RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered")


@pytest.mark.usefixtures("fresh_probe", "cupy")
@pytest.mark.parametrize(
    ("obstruct", "reason", "remedy"),
    [
        (not_installed, r"^CuPy is not installed\.$", r'pip install "accel_logreg\[cuda13\].*\[cuda12\]"'),
        (two_of_them, "2 CuPy packages are installed", r"pip uninstall -y cupy cupy-cuda12x\."),
        (not_to_be_imported, "cannot be imported", "pip uninstall -y cupy-cuda13x"),
        (no_device, "no CUDA device", "CUDA_VISIBLE_DEVICES"),
        (no_nvrtc, r"NVRTC.*libnvrtc\.so\.13", r'pip install "accel_logreg\[cuda'),
        (partial(old_gpu, cuda=13020), "capability 6.1.* for 7.5 and newer", r"\[cuda12\].*backend='numba'"),
        (partial(old_gpu, cuda=12090), "capability 6.1.* for 7.5 and newer", "Choose a CPU engine"),
        (partial(no_kernels, why=NO_HEADERS), r"(?=.*cuda_fp16\.h)(?=.*CUDA headers)", r"\[cuda"),
        (partial(no_kernels, why=ILLEGAL), r"load the kernels \(RuntimeError: CUDA_ERROR_ILL", "nvidia-smi"),
    ],
)
def test_an_obstacle_has_its_reason_and_its_remedy(
    monkeypatch: pytest.MonkeyPatch, obstruct: Callable[[pytest.MonkeyPatch], None], reason: str, remedy: str
) -> None:
    obstruct(monkeypatch)
    error = refusal()
    assert re.search(reason, error.reason)
    assert re.search(remedy, error.remedy)
    assert ("headers" in error.reason) == ("cuda_fp16" in error.reason)


@pytest.mark.usefixtures("cupy")
def test_a_gpu_that_is_new_enough_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    old_gpu(monkeypatch, 13020, capability="75")
    assert probe._architecture() is None


def test_the_driver_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "cupy_distributions", lambda: ["cupy-cuda13x"])
    obstacle = probe._insufficient_driver(driver=12040, runtime=13020)
    assert "supports CUDA 12.4 and this CuPy needs 13.2" in obstacle.reason
    assert 'pip uninstall -y cupy-cuda13x && pip install "accel_logreg[cuda12]"' in obstacle.remedy


@pytest.mark.usefixtures("fresh_probe", "cupy")
@pytest.mark.parametrize(
    "why", [MemoryError("none left"), RuntimeError("cudaErrorMemoryAllocation: out of memory")]
)
def test_no_memory_left_for_the_kernels_is_not_remembered(
    monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    no_kernels(monkeypatch, why)
    error = refusal()
    assert "no memory left to load the kernels" in error.reason
    assert "nvidia-smi" in error.remedy
    monkeypatch.setattr(probe, "current_device", lambda: "device")
    monkeypatch.setattr(engine, "current_device", lambda: "device")
    assert CupyEngine()._device == "device"


@pytest.mark.usefixtures("fresh_probe")
def test_a_failed_probe_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(probe, "_packages", lambda: calls.append(1) or probe.Obstacle("Reason.", "Remedy."))
    first, second = refusal(), refusal()
    assert len(calls) == 1
    assert first is not second  # a shared exception would collect tracebacks
    assert str(first) == str(second)
