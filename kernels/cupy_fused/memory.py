"""Where the device memory of the CuPy engine comes from, and how it goes back.

The engine has a CuPy memory pool of its own, so that after a fit its memory can return to the driver
without a look at, or a touch of, what the caller keeps in CuPy's default pool. Within a fit a pool costs
nothing, where the driver synchronises the device with every array that is given back.

Who has chosen an allocator (``cupy.cuda.set_allocator``, RMM's for example) or set a limit on the default
pool has decided where memory comes from: then it comes from there, and goes back there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_NO_MEMORY = 2  # cudaErrorMemoryAllocation
KEPT_BYTES = 32 << 20  # of free blocks between fits: the vectors of a small fit, never a large X


class DeviceMemory:
    """Memory of the device that is current whenever a method is called, always the same one.

    Parameters
    ----------
    cupy : module
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
            if not isinstance(error, MemoryError) and getattr(error, "status", None) != _NO_MEMORY:
                raise
            raise MemoryError(
                f"the GPU has no {_readable(size)} left in one piece ({_readable(self.free_bytes())} are "
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


def _readable(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 10_000_000 else f"{size:,} bytes"
