"""Cold caches on demand, and whether an X of some size stays in one from call to call.

A call that is repeated on an X of a few megabytes finds it in a cache, and one on fresh data does not.
Both are asked, so both are measured: "hot" as repeats find it, "cold" after a buffer larger than the
last-level cache has been streamed through every core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from accel_logreg.measure.machine import usable_cores

LARGEST_BUFFER = 1 << 30  # bytes
UNKNOWN_CACHE = 32 << 20  # bytes, where the system does not tell
_SHARE = 8


def last_level(cache_bytes: Mapping[str, int]) -> int:
    """Bytes of the largest cache, from ``Machine.cache_bytes``."""
    return max(cache_bytes.values(), default=UNKNOWN_CACHE)


def stays(n_bytes: int, cache_bytes: Mapping[str, int]) -> str:
    """ "hot" where ``n_bytes`` stay in a cache from call to call, else "memory".

    They are taken to stay up to an eighth of the last-level cache: on a rented machine the system names
    the whole cache of a processor that others use as well.
    """
    return "hot" if n_bytes <= last_level(cache_bytes) // _SHARE else "memory"


class Eviction:
    """Drives everything else out of the caches: call it before what has to run cold.

    Streams through min(2 × last-level cache, 1 GiB), a part of it on each core, so that the cores'
    own caches are driven out as well. The buffer lives as long as the object.
    """

    def __init__(self, cache_bytes: Mapping[str, int]) -> None:
        self.n_bytes = min(2 * last_level(cache_bytes), LARGEST_BUFFER)
        buffer = np.ones(self.n_bytes // 8)
        self._parts = np.array_split(buffer, usable_cores())
        self._pool = ThreadPoolExecutor(len(self._parts))

    def __call__(self) -> None:
        total = sum(self._pool.map(np.sum, self._parts))
        assert total == self.n_bytes // 8, "the buffer was not read"


def device_eviction(cupy: Any, cache_bytes: Mapping[str, int]) -> Callable[[], None]:
    """The same for the cache of a GPU: writes a buffer of twice its size and waits."""
    buffer = cupy.empty(min(2 * last_level(cache_bytes), LARGEST_BUFFER), dtype=np.int8)

    def evict() -> None:
        buffer.fill(1)
        cupy.cuda.get_current_stream().synchronize()

    return evict
