"""Where the CuPy engine's memory comes from and goes, with CuPy and a device of 1000 MB played."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from accel_logreg.backends.cupy_fused.device.cuda import KEPT_BYTES, DeviceMemory


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
