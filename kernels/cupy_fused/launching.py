"""The machine under the CuPy engine: its limits, its memory, and the compiled CUDA programs.

``Device`` is what the launcher asks for, and ``CudaDevice`` answers with CuPy. The tests answer with
the same kernels compiled for the host. CuPy is imported when a CudaDevice is made, not before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused.columns.plan import WIDTHS
from accel_logreg.kernels.cupy_fused.copies import Copies, CudaCopies
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.cupy_fused.memory import DeviceMemory

OPTIONS = ("-std=c++17",)
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)  # compute capabilities × 10 that the tests compile for

DTYPES = ("float32", "float64")


def _of_both_dtypes(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}_{dtype}" for name in names for dtype in DTYPES)


@dataclass(frozen=True)
class Program:
    """Source files in the order in which they make one text, and the entry points of that text.

    CuPy keys its cache of compiled kernels by the text it is given and would not notice a changed
    #include, so the text is put together here.

    cooperative : whether the blocks of a launch wait for each other, so that all must be there at once
    """

    files: tuple[str, ...]
    kernels: tuple[str, ...]
    cooperative: bool = False


FUSED_KERNELS = _of_both_dtypes("gradient", "hessian_product", "hessian_diagonal")
PASSES = Program(
    (
        "common/machine.cuh",
        "common/math.cuh",
        "common/tile.cuh",
        "dense/plain.cuh",
        "dense/passes.cu",
    ),
    (
        *FUSED_KERNELS,
        *_of_both_dtypes("gradient_factors", "hessian_factors", "hessian_diagonal_factors"),
        *_of_both_dtypes("column_sums", "column_square_sums", "logits", "largest_entry"),
        "reduce_partials",
        "gradient_descent_step",
    ),
)
MATRICES = Program(
    (
        "common/machine.cuh",
        "common/math.cuh",
        "matrices/rank.cuh",
        "matrices/tensor.cuh",
        "matrices/hessian.cuh",
        "matrices/gram.cuh",
        "matrices/matrices.cu",
    ),
    (
        *_of_both_dtypes("hessian_roots", "scale_roots", "hessian_narrow", "hessian_wide"),
        *_of_both_dtypes("hessian_tensor"),
        *_of_both_dtypes("precise_hessian_narrow", "precise_hessian_wide", "gram", "gather_rows"),
        "mirror_tiles",
    ),
)
COLUMNS = Program(
    (
        "common/machine.cuh",
        "common/math.cuh",
        "common/tile.cuh",
        "columns/panel.cuh",
        "columns/columns.cu",
    ),
    _of_both_dtypes(
        *(f"{question}_columns{width}" for width in WIDTHS for question in ("gradient", "hessian_product"))
    ),
)
DESCENT = Program(
    (
        "common/machine.cuh",
        "common/math.cuh",
        "descent/slices.cuh",
        "descent/descent.cu",
    ),
    _of_both_dtypes("descend_by_columns", "descend_by_rows"),
    cooperative=True,
)
PREDICTIONS = Program(
    ("common/machine.cuh", "common/math.cuh", "predict/predict.cu"),
    ("probabilities", "labels", "not_finite", *_of_both_dtypes("take_rows")),
)
SPARSE = Program(
    (
        "common/machine.cuh",
        "common/math.cuh",
        "csr/passes.cuh",
        "csr/copies.cuh",
        "csr/matrices.cuh",
        "csr/csr.cu",
    ),
    (
        *_of_both_dtypes("segment_sums", "segment_square_sums", "transpose", "gather_csr_rows"),
        *_of_both_dtypes("fill_zeros", "scatter_rows", "gram_batch"),
        *("sum_segments", "csr_gradient_factors", "csr_product_factors"),
        *("column_starts", "row_lengths", "csr_roots", "add_slices"),
    ),
)
PROGRAMS = (PASSES, MATRICES, COLUMNS, DESCENT, PREDICTIONS, SPARSE)
KERNELS = tuple(name for program in PROGRAMS for name in program.kernels)
COOPERATIVE = frozenset(name for program in PROGRAMS if program.cooperative for name in program.kernels)
# Above 48 KB of shared memory a kernel must opt in; and its plan counts on shared memory, not on
# first-level cache, when it fills a multiprocessor.
LARGE_SHARED_MEMORY = (*FUSED_KERNELS, *COLUMNS.kernels, *DESCENT.kernels)


class Device(Protocol):
    """Memory and kernels of one device. Arrays are the device's own; an argument None is a null pointer."""

    @property
    def limits(self) -> Limits: ...

    def free_bytes(self) -> int:
        """Memory that an allocation can still get."""

    def used_bytes(self) -> int:
        """Memory that this process's arrays take now."""

    def copies(self) -> Copies:
        """A new queue of copies beside the kernels."""

    def empty(self, size: int, dtype: Any = np.float64) -> Any:
        """An uninitialised array (size,); a slice of it is a valid argument."""

    def for_user(self, size: int, dtype: Any) -> Any:
        """As ``empty``, from the caller's own allocator, for an array that is handed out."""

    def contiguous(self, array: Any, dtype: Any) -> Any:
        """An array of this device as C-contiguous of this dtype: itself where it is, else a copy."""

    def after_fit(self) -> None:
        """Return most of the memory that is not in use."""

    def release_memory(self) -> None:
        """Return all memory that is not in use."""

    def upload(self, array: NDArray[Any]) -> Any:
        """A C-contiguous host array copied to the device."""

    def download(self, array: Any) -> NDArray[Any]:
        """A device array copied to the host, once everything launched before is done."""

    def stable_order(self, keys: Any) -> Any:
        """The places (int64) of the keys in increasing order, equal ones in the order they had."""

    def launch(
        self, kernel: str, grid: tuple[int, ...], threads: int, shared_bytes: int, args: tuple[Any, ...]
    ) -> None:
        """Start one kernel. Scalars in ``args`` are NumPy scalars of exactly the kernel's types.

        One of a cooperative program starts only if all blocks of its grid fit on the device at once.
        """


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
        self._load(PASSES)

    def _load(self, program: Program) -> None:
        with self._device:
            module = self._cupy.RawModule(code=source(program), options=OPTIONS)
            module.compile()
            self._kernels |= {name: module.get_function(name) for name in program.kernels}
            for name in set(program.kernels) & set(LARGE_SHARED_MEMORY):
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
            self._load(next(program for program in PROGRAMS if kernel in program.kernels))
        pointers = tuple(np.int64(0) if argument is None else argument for argument in args)
        with self._device:
            if kernel in COOPERATIVE:
                # Not RawModule's enable_cooperative_groups: CuPy 13 then compiles relocatable code and
                # links a library of the toolkit, for a header that these kernels do without.
                start = self._kernels[kernel].kernel
                start(grid, (threads,), pointers, shared_mem=shared_bytes, enable_cooperative_groups=True)
            else:
                self._kernels[kernel](grid, (threads,), pointers, shared_mem=shared_bytes)


_devices: dict[int, CudaDevice] = {}


def memory_error(what: str, need: int, free: int, remedy: str) -> MemoryError:
    """What to raise where ``need`` bytes for ``what`` are more than the device has."""
    return MemoryError(
        f"{what} needs {_size(need)} on the device, where {_size(free)} are free. {remedy}, "
        "or choose a CPU engine: backend='numba'."
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e7 else f"{count / 1e6:.3g} MB"


def cuda_device(ordinal: int) -> CudaDevice:
    """The device with this number, its kernels compiled once per process."""
    if ordinal not in _devices:
        _devices[ordinal] = CudaDevice(ordinal)
    return _devices[ordinal]


def cuda_devices_in_use() -> list[CudaDevice]:
    """The devices that have been asked for."""
    return list(_devices.values())


@cache
def source(program: Program) -> str:
    """The program's whole text, in ASCII.

    Its comments are not, and CuPy writes the text to a file in the encoding of the locale. What stands
    in for a letter is no question mark: two of them and a bracket are a trigraph, of which NVRTC warns.
    """
    folder = Path(__file__).parent
    text = "\n".join((folder / name).read_text(encoding="utf-8") for name in program.files)
    return "".join(letter if letter.isascii() else "_" for letter in text)
