"""The machine's own ceilings, measured in the same run: how fast it reads, multiplies and copies.

Nothing that reads X from memory can be quicker than bytes / bandwidth, and nothing that multiplies quicker
than flops / rate. The rate is that of a large matrix product, which no pass over X reaches: it has too
little to multiply.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib import import_module
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.blas_threads import blas_threads
from accel_logreg.interface.engine import Engine
from accel_logreg.measure.clock import median_seconds
from accel_logreg.measure.machine import read_bandwidth

REPEATS = 5
HOST_SIZE = 2048  # of a matrix in a product; 17 GFLOP
DEVICE_SIZES = {"float32": 8192, "TF32": 8192, "float64": 4096}
COPY_BYTES = 1 << 30  # on a device, or a quarter of its free memory
PINNED_BYTES = 256 << 20
REST = 0.1  # seconds: the workers of OpenBLAS go on spinning after a product and slow what follows

Array = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class Ceilings:
    """What nothing on this machine can exceed, a second."""

    bandwidth: float  # bytes: read on the host; on a GPU read and written by a large copy
    bandwidth_of: str  # how it was measured
    flops: dict[str, float]  # of a large matrix product: "float32", "float64", and on a GPU "TF32"
    copies: dict[str, float] = field(default_factory=dict)  # bytes, host to device and back, pinned memory
    notes: tuple[str, ...] = ()  # what could not be measured, and why

    def rate(self, arithmetic: str) -> float | None:
        """Flops per second at this width; float32 may run as TF32. None where not measured, as "int8"."""
        names = ("float32", "TF32") if arithmetic == "float32" else (arithmetic,)
        return max((self.flops[name] for name in names if name in self.flops), default=None)

    def floor_seconds(self, n_bytes: float, flops: float, arithmetic: str) -> float:
        """The shortest time in which so much can be read and multiplied, both at once."""
        rate = self.rate(arithmetic)
        return max(n_bytes / self.bandwidth, 0.0 if rate is None else flops / rate)

    def bound(self, n_bytes: float, flops: float, arithmetic: str) -> str:
        """Which takes longer at its ceiling, "memory" or "arithmetic"; empty where one is unknown."""
        if self.rate(arithmetic) is None:
            return ""
        by_memory = self.floor_seconds(n_bytes, 0.0, arithmetic)
        return "arithmetic" if self.floor_seconds(n_bytes, flops, arithmetic) > by_memory else "memory"


def best_of(before: Ceilings, after: Ceilings) -> Ceilings:
    """Of two measurements the faster of each: a neighbour's work can only slow them."""

    def faster(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
        return {name: max(rate, second.get(name, 0.0)) for name, rate in first.items()}

    return replace(
        before,
        bandwidth=max(before.bandwidth, after.bandwidth),
        flops=faster(before.flops, after.flops),
        copies=faster(before.copies, after.copies),
    )


def host_ceilings(backend: Engine, n_threads: int | None) -> Ceilings:
    """With as many threads as the engine uses."""
    threads = backend.n_threads(n_threads)
    bandwidth = read_bandwidth(threads)
    flops = {}
    for dtype in ("float32", "float64"):
        with blas_threads(threads):
            flops[dtype] = _rate(HOST_SIZE, dtype, _multiply_here)
        time.sleep(REST)
    plural = "" if threads == 1 else "s"
    return Ceilings(bandwidth, f"reading a large array, {threads} thread{plural}", flops)


def device_ceilings(cupy: Any, free_bytes: int) -> Ceilings:
    """Of the current CUDA device.

    cupy : the module, or what plays it
    free_bytes : memory that the measurement may take a part of
    """
    notes: list[str] = []
    bandwidth = _device_copy(cupy, min(COPY_BYTES, free_bytes // 4))
    flops = {}
    for name, size in DEVICE_SIZES.items():
        try:
            flops[name] = _device_product(cupy, name, size)
        except Exception as error:  # cuBLAS may be missing, or this CuPy may not let one choose TF32
            notes.append(f"no {name} matrix product was measured: {type(error).__name__}: {error}")
    copies = _pinned_copies(cupy, min(PINNED_BYTES, free_bytes // 4))
    cupy.get_default_memory_pool().free_all_blocks()  # the fit estimates what is free
    return Ceilings(bandwidth, "a large copy on the device, read and written", flops, copies, tuple(notes))


Multiply = Callable[[Array, Array], tuple[Array, float]]


def _rate(size: int, dtype: str, multiply: Multiply, loss: float = 1e-3) -> float:
    """Flops per second of a product of two ``size`` by ``size`` matrices; correct before believed.

    multiply : two factors → the first row of their product, and the median of the seconds it took
    loss : relative to the largest entry of that row, what is lost at most
    """
    # Random: zeros and ones take less power, and a GPU then runs at a higher clock than a fit sees.
    A, B = np.random.default_rng(0).standard_normal((2, size, size)).astype(dtype)
    row, seconds = multiply(A, B)
    expected = A[0].astype(np.float64) @ B.astype(np.float64)
    if not np.abs(row - expected).max() <= loss * np.abs(expected).max():
        raise ArithmeticError(f"a matrix product in {dtype} is wrong; its speed is not reported")
    return 2.0 * size**3 / seconds


def _multiply_here(A: Array, B: Array) -> tuple[Array, float]:
    out = np.empty_like(A)
    seconds = median_seconds(lambda: np.matmul(A, B, out=out), REPEATS)
    return out[0], seconds


def _device_product(cupy: Any, name: str, size: int) -> float:
    def multiply(host_A: Array, host_B: Array) -> tuple[Array, float]:
        A, B = cupy.asarray(host_A), cupy.asarray(host_B)
        out = cupy.empty_like(A)
        with ExitStack() as stack:
            if name == "TF32":
                linalg = import_module("cupy._core._routines_linalg")
                stack.callback(linalg.set_compute_type, np.float32, linalg.get_compute_type(np.float32))
                linalg.set_compute_type(np.float32, linalg.COMPUTE_TYPE_TF32)
            seconds = _device_seconds(cupy, lambda: cupy.matmul(A, B, out=out))
        return out[0].get(), seconds

    return _rate(size, "float32", multiply, 1e-2) if name == "TF32" else _rate(size, name, multiply)


def _device_seconds(cupy: Any, call: Callable[[], object]) -> float:
    """The median by events, after one call that is not counted."""
    call()
    seconds: list[float] = []
    for _ in range(REPEATS):
        start, stop = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        call()
        stop.record()
        stop.synchronize()
        seconds.append(1e-3 * float(cupy.cuda.get_elapsed_time(start, stop)))
    return median(seconds)


def _device_copy(cupy: Any, n_bytes: int) -> float:
    source = cupy.ones(n_bytes // 8, np.float64)
    target = cupy.empty_like(source)
    return 2.0 * int(source.nbytes) / _device_seconds(cupy, lambda: cupy.copyto(target, source))


def _pinned_copies(cupy: Any, n_bytes: int) -> dict[str, float]:
    host: NDArray[np.float64] = import_module("cupyx").empty_pinned(n_bytes // 8, np.float64)
    host[...] = 1.0
    device = cupy.empty(host.shape, host.dtype)
    return {
        "to the device": host.nbytes / _device_seconds(cupy, lambda: device.set(host)),
        "back": host.nbytes / _device_seconds(cupy, lambda: device.get(out=host)),
    }
