"""Compiling without a place for the cache: one warning, and the kernels still work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numba
import pytest

from accel_logreg.kernels.numba_jit import compile as numba_compile


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def njit(**options: Any) -> Any:
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")  # Numba's own words
        return numba.njit(**options)

    numba_compile._warn_of_no_cache.cache_clear()
    monkeypatch.setattr(numba_compile, "njit", njit)
    yield
    numba_compile._warn_of_no_cache.cache_clear()


@pytest.mark.usefixtures("no_cache")
def test_one_warning_and_working_kernels() -> None:
    def twice(x: float) -> float:
        return 2.0 * x

    def thrice(x: float) -> float:
        return 3.0 * x

    with pytest.warns(RuntimeWarning, match="Set NUMBA_CACHE_DIR") as warned:
        kernels = [numba_compile.jit()(twice), numba_compile.jit()(thrice)]
    assert len(warned) == 1
    assert [kernel(2.0) for kernel in kernels] == [4.0, 6.0]


def test_flags_leave_nan_alone() -> None:
    """fastmath=True would allow LLVM to assume that NaN does not happen."""
    assert not {"nnan", "ninf", "fast"} & (numba_compile.FLAGS | numba_compile.IN_ORDER)
