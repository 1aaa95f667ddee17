"""What this machine is: a fact sheet to print beside every measurement, and its read bandwidth.

Time per read of X = bytes(X) / read bandwidth is the floor of a gradient, so the bandwidth is measured
with the same threads and the same kind of kernel that a fit uses.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from accel_logreg.backends import BackendUnavailableError, load_backend
from accel_logreg.measure.clock import median_seconds
from accel_logreg.measure.processor import of_cpuinfo
from accel_logreg.measure.words import in_memory

PACKAGES = ("accel_logreg", "numpy", "scipy", "scikit-learn", "threadpoolctl", "numba", "llvmlite")
_CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")
_MEMINFO = Path("/proc/meminfo")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_CPUINFO = Path("/proc/cpuinfo")
_DRIVER = Path("/proc/driver/nvidia/version")
_CUDA = "libcuda.so.1"
_COMPUTE_CAPABILITY = 75, 76  # CUdevice_attribute: major, minor


@dataclass(frozen=True)
class Blas:
    """One loaded BLAS library: its name, version and the threads it uses."""

    name: str
    version: str
    threads: int


@dataclass(frozen=True)
class Gpu:
    """One CUDA device: its name, memory in bytes and compute capability such as "9.0"."""

    name: str
    memory_bytes: int
    compute_capability: str


@dataclass(frozen=True)
class Machine:
    """The fact sheet. What this machine does not tell is None or empty."""

    date: str  # when it was written, ISO 8601, UTC
    platform: str
    cpu: str
    cpu_id: str  # family, model and stepping, or what ARM has in their place
    instruction_set: str  # the widest vectors: "AVX-512"
    physical_cores: int  # without the threads that share one
    logical_cores: int
    usable_cores: int  # that this process may run on (its affinity)
    cpu_quota: float | None  # a container's limit in cores (cgroup v2); None where there is none
    memory_bytes: int
    cache_bytes: dict[str, int]  # "L1d", "L2", "L3" of the first core
    python: str
    packages: dict[str, str | None]  # version of each of PACKAGES, and of every CuPy and NVRTC installed
    blas: tuple[Blas, ...]
    gpus: tuple[Gpu, ...]  # that this process may use (CUDA_VISIBLE_DEVICES counts)
    gpu_trouble: str  # why none can be used, in the driver's words where it has any; empty where one can
    driver: str | None  # release of the NVIDIA driver's kernel module, such as "570.124.06"
    cuda: str | None  # the newest CUDA version that it runs, such as "12.8"
    nvrtc: str | None  # version of the NVRTC that CuPy loads

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers: ready for JSON."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }


def describe() -> Machine:
    """Describe this machine. Takes milliseconds, or the time CuPy takes to load where it is installed."""
    processor = of_cpuinfo(_lines(_CPUINFO))
    return Machine(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        platform=platform.platform(),
        cpu=processor.name or platform.processor() or platform.machine(),
        cpu_id=processor.identity,
        instruction_set=processor.vectors,
        physical_cores=processor.cores or os.cpu_count() or 1,
        logical_cores=os.cpu_count() or 1,
        usable_cores=usable_cores(),
        cpu_quota=_cpu_quota(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        cache_bytes=_cache_bytes(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=_packages(),
        blas=tuple(
            Blas(pool["internal_api"], str(pool["version"]), pool["num_threads"])
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        ),
        nvrtc=_nvrtc(),
        **ask_driver(),
    )


def read_bandwidth(n_threads: int | None = None, *, megabytes: int = 512) -> float:
    """Bytes per second at which this machine reads one large array: the median of seven sums.

    Where Numba runs, its threaded sum kernel reads; elsewhere ``np.sum`` on a thread per block. The sum
    is compared with its known value before anything is timed.

    Parameters
    ----------
    n_threads : int or None
        None means all that this process may use.
    megabytes : int
        Size of the float64 array, in 10⁶ bytes. It has to exceed the last-level cache by far: where it
        does not, the figure is the cache's. One thread writes it, as one thread writes most people's X;
        on a machine with several memory nodes a fit meets the same limit.

    Raises
    ------
    ValueError
        An argument below 1.
    ArithmeticError
        The sum came out wrong: no time is given for a wrong answer.
    """
    for name, value in (("n_threads", n_threads), ("megabytes", megabytes)):
        if value is not None and value < 1:
            raise ValueError(f"{name}={value!r} must be at least 1")
    x = np.empty((megabytes * 1_000_000 // 64, 8))
    x[:] = np.arange(8.0)  # small whole numbers: every partial sum is exact in float64
    expected = 28.0 * len(x)
    try:
        backend = load_backend("numba")
    except BackendUnavailableError:
        workers = usable_cores() if n_threads is None else n_threads
        with ThreadPoolExecutor(workers) as pool:
            blocks = np.array_split(x.ravel(), workers)
            return x.nbytes / _sum_seconds(lambda: float(sum(pool.map(np.sum, blocks))), expected)
    from accel_logreg.kernels.numba_jit.reductions import array_sum

    with backend.threads(n_threads):
        chunks = backend.n_threads(n_threads)
        return x.nbytes / _sum_seconds(lambda: array_sum(x.ravel(), chunks), expected)


def _sum_seconds(read: Callable[[], float], expected: float) -> float:
    answer = read()
    if answer != expected:
        raise ArithmeticError(f"the sum kernel gave {answer!r} instead of {expected!r}; nothing was timed")
    return median_seconds(read, 7)


def free_memory() -> int | None:
    """Bytes that this process can still take without swapping; None where the system does not tell.

    What the kernel calls available, or what a container's limit (cgroup v2) leaves, if that is less.
    """
    told = [int(line.split()[1]) * 1024 for line in _lines(_MEMINFO) if line.startswith("MemAvailable:")]
    limit, used = (_lines(_CGROUP_MEMORY.with_name(f"memory.{name}")) for name in ("max", "current"))
    if limit and used and limit[0] != "max":
        told.append(max(0, int(limit[0]) - int(used[0])))
    return min(told, default=None)


def usable_cores() -> int:
    """How many cores this process may run on: its affinity where the system has one, else all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _lines(path: Path) -> list[str]:
    """Of a file of the system; none where it is not there."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _cpu_quota() -> float | None:
    words = " ".join(_lines(_CGROUP_CPU)).split()
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else None


def _cache_bytes() -> dict[str, int]:
    sizes: dict[str, int] = {}
    for index in sorted(_CACHES.glob("index*")):
        level, kind, size = ("".join(_lines(index / name)) for name in ("level", "type", "size"))
        if level and size and kind != "Instruction":
            sizes[f"L{level}{'d' if kind == 'Data' else ''}"] = int(size.removesuffix("K")) * 1024
    return sizes


def _packages() -> dict[str, str | None]:
    versions: dict[str, str | None] = dict.fromkeys(PACKAGES)
    for distribution in metadata.distributions():
        name = distribution.name.lower()
        if name in PACKAGES or name.startswith(("cupy", "nvidia-cuda-nvrtc")):
            versions[name] = distribution.version
    versions["accel_logreg"] = importlib.import_module("accel_logreg").__version__
    return versions


def _nvrtc() -> str | None:
    """Version of the NVRTC that CuPy would compile with, which need not be an installed package."""
    try:
        nvrtc: Any = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
        major, minor = nvrtc.getVersion()
    except Exception:  # CuPy or NVRTC is missing or broken, in many ways; the doctor says which
        return None
    return f"{major}.{minor}"


# ---- the NVIDIA driver -----------------------------------------------------------------------------------


class _CallError(Exception):
    """A call to the driver did not return CUDA_SUCCESS."""


def ask_driver() -> dict[str, Any]:
    """What the NVIDIA driver says of itself and its devices: four fields of Machine.

    Asked through its own library, without CuPy, so that the answer is there when CuPy is missing or broken:
    which is when it is wanted. The calls (cuInit, cuDriverGetVersion, cuDeviceGet…) create no context and
    allocate nothing on the device. Never raises: a trouble is part of the answer.
    """
    release = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", "\n".join(_lines(_DRIVER)))
    said: dict[str, Any] = {
        "driver": release.group() if release else None, "cuda": None, "gpus": (), "gpu_trouble": ""
    }  # fmt: skip
    try:
        cuda = ctypes.CDLL(_CUDA)
    except OSError:
        return said | {"gpu_trouble": f"the NVIDIA driver's library {_CUDA} was not found"}
    try:
        number = _number(cuda, "cuDriverGetVersion")  # 1000 major + 10 minor: 12080 is "12.8"
        said["cuda"] = f"{number // 1000}.{number % 1000 // 10}"
        _call(cuda, "cuInit", 0)
        gpus = tuple(_device(cuda, ordinal) for ordinal in range(_number(cuda, "cuDeviceGetCount")))
    except _CallError as error:
        return said | {"gpu_trouble": str(error)}
    return said | {"gpus": gpus, "gpu_trouble": "" if gpus else "the driver lists no device"}


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


# ---- what a report says of the machine ---------------------------------------------------------------------

BUSY = 0.25  # share of the cores; above it the reader is warned


def noise_cautions(
    machine: Mapping[str, Any], load_average: float, rounds: Mapping[str, Sequence[float]], most: float
) -> list[str]:
    """Why times may not be the machine's best: other work in the minute before, or during the rounds.

    machine : ``Machine.to_dict()``
    rounds : what they are, such as "the rounds of numpy", and the seconds of each
    most : slowest over fastest; above it the reader is warned of the worst
    """
    sentences, cores = [], machine["usable_cores"]
    if load_average > BUSY * cores:
        sentences.append(
            f"Take these times with care: in the minute before, other work kept about {load_average:.1f} of "
            f"{cores} cores busy."
        )
    spread, worst = max((max(seconds) / min(seconds), name) for name, seconds in rounds.items())
    if spread > most:
        sentences.append(
            f"Take these times with care: {worst} differ {spread:.1f}-fold, so the machine was not quiet. "
            "Measure again when it is."
        )
    return sentences


def cache_notes(machine: Mapping[str, Any], matrix_bytes: int) -> list[str]:
    """Why X may be read faster than memory is."""
    cache = max(machine["cache_bytes"].values(), default=0)
    if matrix_bytes >= cache:
        return []
    return [f"X fits into the last-level cache ({in_memory(cache)}), which can be faster than the memory."]
