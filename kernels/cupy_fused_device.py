"""The machine under the CuPy engine: its limits, its memory, and the compiled kernels of cupy_fused.cu.

``Device`` is what the launcher asks for, and ``CudaDevice`` answers with CuPy. The tests answer with
the same kernels compiled for the host. CuPy is imported when a CudaDevice is made, not before.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused_plan import Limits

# One program in pieces, in this order. CuPy keys its cache of compiled kernels by the text it is
# given and would not notice a changed #include, so the text is put together here.
SOURCE_FILES = (
    "cupy_fused_machine.cuh",
    "cupy_fused_math.cuh",
    "cupy_fused_tile.cuh",
    "cupy_fused_plain.cuh",
    "cupy_fused.cu",
)
OPTIONS = ("-std=c++17",)
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)  # compute capabilities × 10 that the tests compile for

DTYPES = ("float32", "float64")
FUSED_KERNELS = tuple(f"{name}_{dtype}" for name in ("gradient", "hessian_product") for dtype in DTYPES)
KERNELS = (
    *FUSED_KERNELS,
    *(
        f"{name}_{dtype}"
        for name in ("gradient_factors", "hessian_factors", "column_sums", "logits", "largest_entry")
        for dtype in DTYPES
    ),
    "reduce_partials",
    "gradient_descent_step",
)


class Device(Protocol):
    """Memory and kernels of one device. Arrays are the device's own; an argument None is a null pointer."""

    @property
    def limits(self) -> Limits: ...

    def free_bytes(self) -> int:
        """Memory that an allocation can still get."""

    def empty(self, size: int) -> Any:
        """An uninitialised float64 array (size,); a slice of it is a valid argument."""

    def upload(self, array: NDArray[Any]) -> Any:
        """A C-contiguous host array copied to the device."""

    def download(self, array: Any) -> NDArray[Any]:
        """A device array copied to the host, once everything launched before is done."""

    def launch(
        self, kernel: str, grid: tuple[int, ...], threads: int, shared_bytes: int, args: tuple[Any, ...]
    ) -> None:
        """Start one kernel. Scalars in ``args`` are NumPy scalars of exactly the kernel's types."""


class CudaDevice:
    """A CUDA device through CuPy. Making one compiles the kernels (CuPy keeps the result on disk).

    Raises whatever CuPy raises: CUDARuntimeError without a device, CompileException or RuntimeError
    where NVRTC or the CUDA headers are missing.
    """

    def __init__(self, ordinal: int) -> None:
        import cupy

        self._cupy = cupy
        self._device = cupy.cuda.Device(ordinal)
        runtime = cupy.cuda.runtime
        self.limits = Limits(
            multiprocessors=runtime.deviceGetAttribute(runtime.cudaDevAttrMultiProcessorCount, ordinal),
            shared_per_block=runtime.deviceGetAttribute(
                runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal
            ),
            shared_per_multiprocessor=runtime.deviceGetAttribute(
                runtime.cudaDevAttrMaxSharedMemoryPerMultiprocessor, ordinal
            ),
        )
        with self._device:
            module = cupy.RawModule(code=source(), options=OPTIONS)
            module.compile()
            self._kernels = {name: module.get_function(name) for name in KERNELS}
            for name in FUSED_KERNELS:
                # Above 48 KB a kernel must opt in; and the plan counts on shared memory, not on
                # first-level cache, when it puts several blocks on a multiprocessor.
                self._kernels[name].max_dynamic_shared_size_bytes = self.limits.shared_per_block
                self._kernels[name].preferred_shared_memory_carveout = 100

    def free_bytes(self) -> int:
        with self._device:
            free, _total = self._cupy.cuda.runtime.memGetInfo()
            return int(free) + int(self._cupy.get_default_memory_pool().free_bytes())

    def empty(self, size: int) -> Any:
        with self._device:
            return self._cupy.empty(size, np.float64)

    def upload(self, array: NDArray[Any]) -> Any:
        # Not cupy.asarray: that stages the whole array in pinned host memory, a second copy of X.
        with self._device:
            copy = self._cupy.empty(array.shape, array.dtype)
            copy.set(array)
            # ``set`` may return before it has read all of the array, which may be a temporary.
            self._cupy.cuda.get_current_stream().synchronize()
            return copy

    def download(self, array: Any) -> NDArray[Any]:
        with self._device:
            host: NDArray[Any] = array.get()
            return host

    def launch(
        self, kernel: str, grid: tuple[int, ...], threads: int, shared_bytes: int, args: tuple[Any, ...]
    ) -> None:
        pointers = tuple(np.int64(0) if argument is None else argument for argument in args)
        with self._device:
            self._kernels[kernel](grid, (threads,), pointers, shared_mem=shared_bytes)


@cache
def cuda_device(ordinal: int) -> CudaDevice:
    """The device with this number, its kernels compiled once per process."""
    return CudaDevice(ordinal)


@cache
def source() -> str:
    """The whole CUDA program, in ASCII.

    Its comments are not, and CuPy writes the text to a file in the encoding of the locale.
    """
    folder = Path(__file__).parent
    text = "\n".join((folder / name).read_text(encoding="utf-8") for name in SOURCE_FILES)
    return text.encode("ascii", "replace").decode("ascii")
