"""What the device says to CuPy, played: kernels, copies, and memory of a device of 1000 MB."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from accel_logreg.backends.cupy_fused.device import interchange
from accel_logreg.backends.cupy_fused.device.cuda import (
    KEPT_BYTES,
    NO_MEMORY,
    CudaCopies,
    CudaDevice,
    DeviceMemory,
)
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.cupy_fused.programs import MATRICES, OPTIONS, PASSES, PROGRAMS


@pytest.fixture
def cupy() -> Any:
    return pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)


# ---- what CudaDevice says to CuPy, with CuPy's device functions played ---------------------------------


class PlayedModule:
    """cupy.RawModule without a device."""

    def __init__(self, *, code: str, options: tuple[str, ...]) -> None:
        assert code in {program.text for program in PROGRAMS}
        assert options == OPTIONS
        self.compiled = False

    def compile(self) -> None:
        self.compiled = True

    def get_function(self, _name: str) -> MagicMock:
        assert self.compiled
        return MagicMock(
            spec=["__call__", "kernel", "max_dynamic_shared_size_bytes", "preferred_shared_memory_carveout"]
        )


class NoDevice(nullcontext[None]):
    """cupy.cuda.Device without a device."""

    compute_capability = "90"

    def __init__(self, _ordinal: int) -> None:
        super().__init__()


def test_cuda_device_opts_in_to_large_tiles_and_passes_null(
    cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = cupy.cuda.runtime
    answers = {
        runtime.cudaDevAttrMultiProcessorCount: 132,
        runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin: 227 << 10,
        runtime.cudaDevAttrMaxSharedMemoryPerMultiprocessor: 228 << 10,
        runtime.cudaDevAttrCooperativeLaunch: 1,
    }
    monkeypatch.setattr(runtime, "deviceGetAttribute", lambda attribute, _ordinal: answers[attribute])
    monkeypatch.setattr(cupy, "RawModule", PlayedModule)
    monkeypatch.setattr(cupy.cuda, "Device", NoDevice)
    device = CudaDevice(0)
    assert device.limits == Limits(132, 227 << 10, 228 << 10, cooperative=True, tf32=True)
    assert set(device._kernels) == set(PASSES.kernels)
    for name in PASSES.large_shared_memory:
        assert device._kernels[name].max_dynamic_shared_size_bytes == 227 << 10
        assert device._kernels[name].preferred_shared_memory_carveout == 100
    device.launch("gradient_float32", (7,), 256, 4096, (None, np.int64(3)))
    kernel = device._kernels["gradient_float32"]
    kernel.assert_called_once_with((7,), (256,), (np.int64(0), np.int64(3)), shared_mem=4096)
    device.launch("gram_float64", (1,), 256, 0, ())  # of another program, which is compiled now
    assert set(device._kernels) == {*PASSES.kernels, *MATRICES.kernels}
    assert device._kernels["gradient_float32"] is kernel
    device.launch("descend_by_rows_float64", (132,), 1024, 200 << 10, (None,))
    together = device._kernels["descend_by_rows_float64"]
    assert together.max_dynamic_shared_size_bytes == 227 << 10
    together.assert_not_called()
    together.kernel.assert_called_once_with(
        (132,), (1024,), (np.int64(0),), shared_mem=200 << 10, enable_cooperative_groups=True
    )


def test_arrays_are_cupys_own_around_memory_of_the_pool(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy's ndarray is real here, its memory is an address that nobody reads."""

    def malloc(size: int) -> Any:
        asked.append(size)
        return cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(1 << 20, size, None, 3), 0)

    asked: list[int] = []
    device = object.__new__(CudaDevice)
    device._cupy, device._device = cupy, nullcontext()
    device.memory = SimpleNamespace(malloc=malloc, malloc_for_user=malloc)  # type: ignore[assignment]
    array = device.empty(12, np.float32)
    assert (array.shape, array.dtype, array.nbytes) == ((12,), np.float32, 48)
    assert device.for_user(6, np.int8).dtype == np.int8
    assert device.empty(5).dtype == np.float64
    assert asked == [48, 6, 40]
    X = array.reshape(3, 4)
    assert device.contiguous(X, np.dtype(np.float32)) is X
    monkeypatch.setattr(interchange, "cuda_device", lambda ordinal: f"device {ordinal}")
    assert interchange.CupyInterchange().adopt(X) == ("device 3", X)
    assert not X.T.flags.c_contiguous
    assert device.for_user(16, np.int8).view(np.dtype(np.int64)).shape == (2,)
    assert device.for_user(4, np.int8).view(np.dtype(bool)).dtype == bool


class Diary:
    """CuPy's streams and events; everything they are asked is written down in order."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, ...]] = []
        self.marks = 0
        self.current = self.stream("current")
        self.runtime = SimpleNamespace(CUDARuntimeError=StatusError)
        self.cuda = SimpleNamespace(
            Stream=self.new_stream,
            Event=self.event,
            get_current_stream=lambda: self.current,
            alloc_pinned_memory=bytearray,
            runtime=self.runtime,
        )

    def stream(self, name: str) -> Any:
        return SimpleNamespace(
            name=name,
            wait_event=lambda event: self.entries.append((name, "waits for", event.name)),
            synchronize=lambda: self.entries.append(("host", "waits for", name)),
        )

    def new_stream(self, *, non_blocking: bool) -> Any:
        assert non_blocking, "it would wait for the default stream by itself"
        return self.stream("copies")

    def event(self, *, disable_timing: bool) -> Any:
        assert disable_timing
        self.marks += 1
        name = f"mark {self.marks}"
        return SimpleNamespace(
            name=name,
            record=lambda stream: self.entries.append((stream.name, "has", name)),
            synchronize=lambda: self.entries.append(("host", "waits for", name)),
        )

    def target(self) -> Any:
        def copy(source: int, size: int, stream: Any) -> None:
            self.entries.append((stream.name, "copies", str(size), str(source)))

        return SimpleNamespace(data=SimpleNamespace(copy_from_host_async=copy))


class StatusError(RuntimeError):
    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


def test_copies_and_kernels_wait_for_each_other() -> None:
    diary = Diary()
    copies = CudaCopies(diary, nullcontext())
    source = copies.pinned(64)
    assert source.dtype == np.uint8
    assert source.shape == (64,)
    assert source.flags.writeable
    copies.after_kernels()
    sent = copies.send(source[:40], diary.target())
    copies.before_kernels(sent)
    copies.wait(sent)
    copies.finish()
    assert diary.entries == [
        ("current", "has", "mark 1"),
        ("copies", "waits for", "mark 1"),
        ("copies", "copies", "40", str(source.ctypes.data)),
        ("copies", "has", "mark 2"),
        ("current", "waits for", "mark 2"),
        ("host", "waits for", "mark 2"),
        ("host", "waits for", "copies"),
    ]


def test_a_host_without_pinned_memory() -> None:
    diary = Diary()

    def refused(_size: int) -> None:
        raise StatusError(status)

    diary.cuda.alloc_pinned_memory = refused
    copies = CudaCopies(diary, nullcontext())
    status = NO_MEMORY
    with pytest.raises(MemoryError, match=r"0\.06 GB of page-locked host memory .*'numba'"):
        copies.pinned(64_000_000)
    status = 700
    with pytest.raises(StatusError, match="700"):
        copies.pinned(64)


class PlayedPool:
    """cupy.cuda.MemoryPool over so many bytes of a device's."""

    def __init__(self, device: PlayedDevice) -> None:
        self.device = device
        self.used = self.cached = self.limit = 0

    def malloc(self, size: int) -> tuple[PlayedPool, int]:
        if self.cached >= size:
            self.cached -= size
        elif self.device.free >= size and (not self.limit or self.limit >= self.total_bytes() + size):
            self.device.free -= size
        else:
            raise MemoryError(f"Out of memory allocating {size:,} bytes")
        self.used += size
        return self, size

    def free(self, size: int) -> None:
        self.used -= size
        self.cached += size

    def free_all_blocks(self) -> None:
        self.device.free += self.cached
        self.cached = 0

    def free_bytes(self) -> int:
        return self.cached

    def used_bytes(self) -> int:
        return self.used

    def total_bytes(self) -> int:
        return self.used + self.cached

    def get_limit(self) -> int:
        return self.limit


class PlayedDevice:
    """A device of 1000 MB, and what of CuPy allocates on it."""

    def __init__(self) -> None:
        self.free = 1000 << 20
        self.default, self.pinned = PlayedPool(self), PlayedPool(self)
        self.allocator: Any = self.default.malloc
        self.cupy = SimpleNamespace(
            cuda=SimpleNamespace(
                MemoryPool=lambda: PlayedPool(self),
                get_allocator=lambda: self.allocator,
                runtime=SimpleNamespace(memGetInfo=lambda: (self.free, 1000 << 20)),
            ),
            get_default_memory_pool=lambda: self.default,
            get_default_pinned_memory_pool=lambda: self.pinned,
        )
        self.memory = DeviceMemory(self.cupy)


MB = 1 << 20


@pytest.fixture
def device() -> PlayedDevice:
    return PlayedDevice()


def test_a_large_fit_returns_to_the_driver_and_leaves_the_default_pool_alone(device: PlayedDevice) -> None:
    _, theirs = device.default.malloc(300 * MB)
    device.default.free(theirs)
    pool, size = device.memory.malloc(500 * MB)
    assert pool is not device.default
    assert device.memory.used_bytes() == 500 * MB
    pool.free(size)
    assert device.memory.free_bytes() == 1000 * MB
    device.memory.after_fit()
    assert device.free == 700 * MB
    assert device.default.cached == 300 * MB


def test_a_small_fit_keeps_its_blocks_for_the_next(device: PlayedDevice) -> None:
    pool, size = device.memory.malloc(KEPT_BYTES)
    pool.free(size)
    device.memory.after_fit()
    assert device.free == 1000 * MB - KEPT_BYTES
    device.memory.release()
    assert device.free == 1000 * MB


def test_release_returns_the_default_pools_as_well(device: PlayedDevice) -> None:
    for pool in (device.default, device.pinned):
        pool.free(pool.malloc(100 * MB)[1])
    _, in_use = device.default.malloc(50 * MB)
    device.memory.release()
    assert device.free == 950 * MB
    assert device.default.used == in_use


def test_blocks_that_the_default_pool_keeps_are_used_where_the_driver_has_no_more(
    device: PlayedDevice,
) -> None:
    device.default.free(device.default.malloc(900 * MB)[1])
    assert device.memory.free_bytes() == 1000 * MB
    pool, _ = device.memory.malloc(900 * MB)
    assert pool is device.default


def test_what_is_handed_out_comes_from_the_caller(device: PlayedDevice) -> None:
    assert device.memory.malloc_for_user(MB)[0] is device.default


def test_an_allocator_that_the_caller_chose_is_used(device: PlayedDevice) -> None:
    theirs = PlayedPool(device)
    device.allocator = theirs.malloc
    assert device.memory.malloc(MB)[0] is theirs
    assert device.memory.malloc_for_user(MB)[0] is theirs
    theirs.malloc(900 * MB)
    theirs.free(900 * MB)
    # What it has inside is not known here: the estimate refuses only what no device of this size holds.
    assert device.memory.free_bytes() == 1000 * MB


def test_a_limit_that_the_caller_set_holds(device: PlayedDevice) -> None:
    device.default.limit = 200 * MB
    device.default.free(device.default.malloc(50 * MB)[1])
    assert device.memory.free_bytes() == 200 * MB
    assert device.memory.malloc(150 * MB)[0] is device.default
    assert device.memory.free_bytes() == 50 * MB
    with pytest.raises(MemoryError, match=r"0\.16 GB left in one piece \(0\.05 GB are free"):
        device.memory.malloc(150 * MB)


def test_out_of_memory_says_how_much_and_what_helps(device: PlayedDevice) -> None:
    message = (
        r"the GPU has no 2\.10 GB left in one piece \(1\.05 GB are free in all.*float32.*fewer rows.*'numba'"
    )
    for malloc in (device.memory.malloc, device.memory.malloc_for_user):
        with pytest.raises(MemoryError, match=message):
            malloc(2000 * MB)


class CudaError(RuntimeError):
    status = 2


def test_the_drivers_own_error_is_a_memory_error(device: PlayedDevice) -> None:
    def refuse(_size: int) -> None:
        raise CudaError("cudaErrorMemoryAllocation: out of memory")

    def break_off(_size: int) -> None:
        raise RuntimeError("cudaErrorIllegalAddress")

    device.allocator = refuse
    with pytest.raises(MemoryError, match="no 100 bytes left"):
        device.memory.malloc(100)
    device.allocator = break_off
    with pytest.raises(RuntimeError, match="IllegalAddress"):
        device.memory.malloc(100)


def test_cupys_default_allocator_is_recognised() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)
    default = cupy.get_default_memory_pool()
    assert cupy.cuda.get_allocator() == default.malloc
    assert cupy.cuda.MemoryPool().malloc != default.malloc
    assert issubclass(cupy.cuda.memory.OutOfMemoryError, MemoryError)
