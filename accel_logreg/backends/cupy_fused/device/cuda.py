"""A CUDA device through CuPy: its limits, its memory, its kernels, and copies beside them.

CuPy is imported when a CudaDevice is made, not before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.cupy_fused.device.budget import readable_bytes
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.cupy_fused.launching import Bytes, Copies, Sent
from accel_logreg.kernels.cupy_fused.programs import OPTIONS, PASSES, Program, program_of

NO_MEMORY = 2  # cudaErrorMemoryAllocation
KEPT_BYTES = 32 << 20  # of free blocks between fits: the vectors of a small fit, never a large X


class CudaDevice:
    """A CUDA device through CuPy. Making one compiles the passes (CuPy keeps the result on disk);
    another program is compiled when the first of its kernels is launched.

    Raises whatever CuPy raises: CUDARuntimeError without a device, CompileException or RuntimeError
    where NVRTC or the CUDA headers are missing.
    """

    def __init__(self, ordinal: int) -> None:
        import cupy

        self._cupy = cupy
        self._device = cupy.cuda.Device(ordinal)
        self.memory = DeviceMemory(cupy)
        runtime = cupy.cuda.runtime
        self.limits = Limits(
            multiprocessors=runtime.deviceGetAttribute(runtime.cudaDevAttrMultiProcessorCount, ordinal),
            shared_per_block=runtime.deviceGetAttribute(
                runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal
            ),
            shared_per_multiprocessor=runtime.deviceGetAttribute(
                runtime.cudaDevAttrMaxSharedMemoryPerMultiprocessor, ordinal
            ),
            cooperative=bool(runtime.deviceGetAttribute(runtime.cudaDevAttrCooperativeLaunch, ordinal)),
            tf32=int(self._device.compute_capability) >= 80,
        )
        self._kernels: dict[str, Any] = {}
        self._cooperative: set[str] = set()
        self._load(PASSES)

    def _load(self, program: Program) -> None:
        with self._device:
            module = self._cupy.RawModule(code=program.text, options=OPTIONS)
            module.compile()
            self._kernels |= {name: module.get_function(name) for name in program.kernels}
            if program.cooperative:
                self._cooperative |= set(program.kernels)
            for name in program.large_shared_memory:
                self._kernels[name].max_dynamic_shared_size_bytes = self.limits.shared_per_block
                self._kernels[name].preferred_shared_memory_carveout = 100

    def free_bytes(self) -> int:
        with self._device:
            return self.memory.free_bytes()

    def used_bytes(self) -> int:
        with self._device:
            return self.memory.used_bytes()

    def copies(self) -> Copies:
        return CudaCopies(self._cupy, self._device)

    def empty(self, size: int, dtype: Any = np.float64) -> Any:
        return self._array((size,), dtype, self.memory.malloc)

    def for_user(self, size: int, dtype: Any) -> Any:
        return self._array((size,), dtype, self.memory.malloc_for_user)

    @contextmanager
    def expressions(self) -> Iterator[None]:
        try:
            with self._device, self._cupy.cuda.using_allocator(self.memory.allocator()):
                yield
        except (ImportError, self._cupy.cuda.compiler.CompileException) as error:
            # These kernels are CuPy's and NVIDIA's, and need what ours do without.
            raise RuntimeError(
                "CuPy cannot run array expressions here: the CUDA headers or cuBLAS are missing, or of "
                'another version than NVRTC. They come with: pip install "accel_logreg[cuda13]" (or cuda12, '
                "as is CuPy). Or use backend='numba'."
            ) from error

    def _array(self, shape: tuple[int, ...], dtype: Any, malloc: Callable[[int], Any]) -> Any:
        with self._device:
            return self._cupy.ndarray(shape, dtype, malloc(math.prod(shape) * np.dtype(dtype).itemsize))

    def contiguous(self, array: Any, dtype: Any) -> Any:
        if array.flags.c_contiguous and array.dtype == dtype:
            return array
        copy = self._array(array.shape, dtype, self.memory.malloc)
        try:
            with self._device:
                copy[...] = array
        except self._cupy.cuda.compiler.CompileException as error:
            # This kernel is CuPy's, and includes what ours do without.
            raise RuntimeError(
                "CuPy cannot compile the copy of an X that is not C-contiguous float32 or float64: the "
                "CUDA headers are missing, or of another version than NVRTC. They come with: pip install "
                '"accel_logreg[cuda13]" (or cuda12, as is CuPy). Or pass a C-contiguous X of one '
                "of these dtypes: it is not copied."
            ) from error
        return copy

    def after_fit(self) -> None:
        with self._device:
            self.memory.after_fit()

    def release_memory(self) -> None:
        with self._device:
            self.memory.release()

    def upload(self, array: NDArray[Any]) -> Any:
        # Not cupy.asarray: that stages the whole array in pinned host memory, a second copy of X.
        copy = self._array(array.shape, array.dtype, self.memory.malloc)
        with self._device:
            copy.set(array)
            # ``set`` may return before it has read all of the array, which may be a temporary.
            self._cupy.cuda.get_current_stream().synchronize()
            return copy

    def download(self, array: Any) -> NDArray[Any]:
        with self._device:
            host: NDArray[Any] = array.get()
            return host

    def stable_order(self, keys: Any) -> Any:
        with self._device:
            return self._cupy.argsort(keys)  # always stable

    def launch(
        self, kernel: str, grid: tuple[int, ...], threads: int, shared_bytes: int, args: tuple[Any, ...]
    ) -> None:
        if kernel not in self._kernels:
            self._load(program_of(kernel))
        pointers = tuple(np.int64(0) if argument is None else argument for argument in args)
        with self._device:
            if kernel in self._cooperative:
                # Not RawModule's enable_cooperative_groups: CuPy 13 then compiles relocatable code and
                # links a library of the toolkit, for a header that these kernels do without.
                start = self._kernels[kernel].kernel
                start(grid, (threads,), pointers, shared_mem=shared_bytes, enable_cooperative_groups=True)
            else:
                self._kernels[kernel](grid, (threads,), pointers, shared_mem=shared_bytes)


class DeviceMemory:
    """Memory of the device that is current whenever a method is called, always the same one.

    The engine has a CuPy memory pool of its own, so that after a fit its memory can return to the driver
    without a look at, or a touch of, what the caller keeps in CuPy's default pool. Within a fit a pool costs
    nothing, where the driver synchronises the device with every array that is given back.

    Who has chosen an allocator (``cupy.cuda.set_allocator``, RMM's for example) or set a limit on the default
    pool has decided where memory comes from: then it comes from there, and goes back there.
    """

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._pool = cupy.cuda.MemoryPool()

    def malloc(self, size: int) -> Any:
        """A ``cupy.cuda.MemoryPointer`` to ``size`` bytes, for the engine itself.

        Raises
        ------
        MemoryError
            There are not as many in one piece; the message says how many are free, and what helps.
        """
        return self._ask(self._chosen() or self._from_pools, size)

    def allocator(self) -> Callable[[int], Any]:
        """``malloc`` for CuPy itself: who its allocator is now is asked once, before this becomes it."""
        return partial(self._ask, self._chosen() or self._from_pools)

    def malloc_for_user(self, size: int) -> Any:
        """As ``malloc``, from the caller's allocator, for an array that is handed out."""
        return self._ask(self._cupy.cuda.get_allocator(), size)

    def _from_pools(self, size: int) -> Any:
        try:
            return self._pool.malloc(size)
        except MemoryError:
            # Blocks that the caller's arrays have left in CuPy's default pool are free as well.
            return self._cupy.get_default_memory_pool().malloc(size)

    def _ask(self, allocator: Callable[[int], Any], size: int) -> Any:
        try:
            return allocator(size)
        except Exception as error:
            # CuPy's OutOfMemoryError is a MemoryError; without a pool the driver's own error comes through.
            if not isinstance(error, MemoryError) and getattr(error, "status", None) != NO_MEMORY:
                raise
            free = readable_bytes(self.free_bytes())
            raise MemoryError(
                f"the GPU has no {readable_bytes(size)} left in one piece ({free} are "
                "free in all; nvidia-smi lists what uses it). Pass X as float32 (half the bytes of float64) "
                "or fewer rows, or choose a CPU engine with X on the host: backend='numba'."
            ) from error

    def free_bytes(self) -> int:
        """Memory that an array can still get; where the caller chose the allocator, all that there is."""
        free, total = map(int, self._cupy.cuda.runtime.memGetInfo())
        pool = self._cupy.get_default_memory_pool()
        chosen = self._chosen()
        if chosen is None:
            return free + int(self._pool.free_bytes()) + int(pool.free_bytes())
        if chosen != pool.malloc:  # it may hold any amount: an estimate must not refuse what it would give
            return total
        return int(pool.free_bytes()) + max(0, min(free, int(pool.get_limit()) - int(pool.total_bytes())))

    def used_bytes(self) -> int:
        """Memory of arrays in this pool."""
        return int(self._pool.used_bytes())

    def after_fit(self) -> None:
        """Return free blocks to the driver, unless they are few."""
        if self._pool.free_bytes() > KEPT_BYTES:
            self._pool.free_all_blocks()

    def release(self) -> None:
        """Return all free blocks to the driver, those of CuPy's default pools included."""
        self._pool.free_all_blocks()
        self._cupy.get_default_memory_pool().free_all_blocks()
        self._cupy.get_default_pinned_memory_pool().free_all_blocks()

    def _chosen(self) -> Callable[[int], Any] | None:
        """The allocator that the caller decided for, None if it is CuPy's default without a limit."""
        allocator: Callable[[int], Any] = self._cupy.cuda.get_allocator()
        default = self._cupy.get_default_memory_pool()
        return None if allocator == default.malloc and not default.get_limit() else allocator


class CudaCopies:
    """A stream of its own, which does not wait for the default stream by itself as ordinary ones do."""

    def __init__(self, cupy: Any, device: Any) -> None:
        self._cupy, self._device = cupy, device
        with device:
            self.stream = cupy.cuda.Stream(non_blocking=True)

    def pinned(self, size: int) -> Bytes:
        runtime = self._cupy.cuda.runtime
        try:
            with self._device:
                memory = self._cupy.cuda.alloc_pinned_memory(size)
        except runtime.CUDARuntimeError as error:
            if error.status != NO_MEMORY:
                raise
            raise MemoryError(
                f"{readable_bytes(size)} of page-locked host memory could not be had, through which X goes "
                "to the device. Free host memory, or choose a CPU engine: backend='numba'."
            ) from None
        return np.frombuffer(memory, np.uint8, size)

    def send(self, source: Bytes, target: Any) -> Sent:
        with self._device:
            target.data.copy_from_host_async(source.ctypes.data, source.nbytes, self.stream)
            return self._mark(self.stream)

    def wait(self, sent: Sent) -> None:
        sent.synchronize()

    def before_kernels(self, sent: Sent) -> None:
        with self._device:
            self._cupy.cuda.get_current_stream().wait_event(sent)

    def after_kernels(self) -> None:
        with self._device:
            self.stream.wait_event(self._mark(self._cupy.cuda.get_current_stream()))

    def finish(self) -> None:
        self.stream.synchronize()

    def _mark(self, stream: Any) -> Sent:
        event = self._cupy.cuda.Event(disable_timing=True)
        event.record(stream)
        return event


_devices: dict[int, CudaDevice] = {}


def cuda_device(ordinal: int) -> CudaDevice:
    """The device with this number, its kernels compiled once per process."""
    if ordinal not in _devices:
        _devices[ordinal] = CudaDevice(ordinal)
    return _devices[ordinal]


def cuda_devices_in_use() -> list[CudaDevice]:
    """The devices that have been asked for."""
    return list(_devices.values())
