"""How many threads BLAS takes: bounded around a fit, and given back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def blas_threads_now() -> int:
    """How many threads BLAS may use at this moment; 1 where no BLAS of NumPy's can tell."""
    pools = _thread_pools().info()
    return max((pool["num_threads"] for pool in pools if pool["user_api"] == "blas"), default=1)


@cache
def _thread_pools() -> ThreadpoolController:
    # Finding the loaded BLAS libraries takes about a millisecond: once is enough.
    return ThreadpoolController()


def blas_threads(n_threads: int | None) -> AbstractContextManager[object]:
    """Bound BLAS to ``n_threads`` (None leaves it alone) and restore it on exit."""
    limiter: AbstractContextManager[object] = _thread_pools().limit(limits=n_threads, user_api="blas")
    return limiter
