"""What the NVIDIA driver says about itself and its devices, asked through its own library.

No CuPy is needed, so that the answer is there when CuPy is missing or broken: which is when it is wanted.
The calls are those of the CUDA Driver API (cuInit, cuDriverGetVersion, cuDeviceGet…); they create no
context and allocate nothing on the device.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path

LIBRARY = "libcuda.so.1"
_COMPUTE_CAPABILITY = 75, 76  # CUdevice_attribute: major, minor


@dataclass(frozen=True)
class Gpu:
    """One CUDA device: its name, memory in bytes and compute capability such as "9.0"."""

    name: str
    memory_bytes: int
    compute_capability: str


@dataclass(frozen=True)
class CudaDriver:
    """The driver and its devices."""

    release: str | None  # of the kernel module, such as "570.124.06"; None where none is loaded
    cuda: str | None  # the newest CUDA version that this driver runs, such as "12.8"
    gpus: tuple[Gpu, ...]  # that this process may use (CUDA_VISIBLE_DEVICES counts)
    trouble: str  # why no device can be used, in the driver's words where it has any; empty where one can


class _CallError(Exception):
    """A call to the driver did not return CUDA_SUCCESS."""


def ask_driver() -> CudaDriver:
    """Ask the driver for its versions and devices. Never raises: a trouble is part of the answer."""
    release = _module_release()
    try:
        cuda = ctypes.CDLL(LIBRARY)
    except OSError:
        return CudaDriver(release, None, (), f"the NVIDIA driver's library {LIBRARY} was not found")
    version = None
    try:
        number = _number(cuda, "cuDriverGetVersion")  # 1000 major + 10 minor: 12080 is "12.8"
        version = f"{number // 1000}.{number % 1000 // 10}"
        _call(cuda, "cuInit", 0)
        gpus = tuple(_device(cuda, ordinal) for ordinal in range(_number(cuda, "cuDeviceGetCount")))
    except _CallError as error:
        return CudaDriver(release, version, (), str(error))
    return CudaDriver(release, version, gpus, "" if gpus else "the driver lists no device")


def _device(cuda: ctypes.CDLL, ordinal: int) -> Gpu:
    device = _number(cuda, "cuDeviceGet", ordinal)
    name = ctypes.create_string_buffer(256)
    memory = ctypes.c_size_t()
    _call(cuda, "cuDeviceGetName", name, len(name), device)
    _call(cuda, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    major, minor = (_number(cuda, "cuDeviceGetAttribute", which, device) for which in _COMPUTE_CAPABILITY)
    return Gpu(name.value.decode(), memory.value, f"{major}.{minor}")


def _number(cuda: ctypes.CDLL, function: str, *arguments: int) -> int:
    """The int that a call writes to where its first argument points."""
    number = ctypes.c_int()
    _call(cuda, function, ctypes.byref(number), *arguments)
    return number.value


def _call(cuda: ctypes.CDLL, function: str, *arguments: object) -> None:
    code = getattr(cuda, function)(*arguments)
    if code != 0:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(code, ctypes.byref(text))
        meaning = text.value.decode() if text.value else "no explanation"
        raise _CallError(f"{function} failed with CUDA error {code} ({meaning})")


def _module_release() -> str | None:
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", text)
    return match.group() if match else None
