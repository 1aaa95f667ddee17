"""How many threads BLAS takes: bounded around fits, and given back when the last of several has ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_inside = 0
_bound = ExitStack()


def blas_threads_now() -> int:
    """How many threads BLAS may use at this moment; 1 where no BLAS of NumPy's can tell."""
    pools = _thread_pools().info()
    return max((pool["num_threads"] for pool in pools if pool["user_api"] == "blas"), default=1)


@cache
def _thread_pools() -> ThreadpoolController:
    # Finding the loaded BLAS libraries takes about a millisecond: once is enough.
    return ThreadpoolController()


@contextmanager
def blas_threads(n_threads: int | None) -> Iterator[None]:
    """Bound BLAS to ``n_threads``; None leaves it alone.

    BLAS has one setting for the whole process: of fits in several threads at once the first sets it, and the
    last gives back what was there before.
    """
    global _inside
    if n_threads is None:
        yield
        return
    with _lock:
        if _inside == 0:
            _bound.enter_context(_thread_pools().limit(limits=n_threads, user_api="blas"))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _bound.close()
