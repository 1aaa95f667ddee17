"""How kernels are compiled: flags, and the cache on disk."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

if vars(numba.config)["DISABLE_JIT"]:
    raise ImportError("NUMBA_DISABLE_JIT is set, and these kernels run only when compiled")

# Reordering and contraction only. "fast" would add nnan and ninf, which delete NaN checks.
FLAGS = frozenset({"reassoc", "contract", "arcp", "nsz"})
IN_ORDER = frozenset({"contract"})  # where reordering would undo a split constant


def jit(flags: frozenset[str] = FLAGS, **options: Any) -> Callable[[Any], Any]:
    """``njit`` with these flags; cached on disk where a cache can be written."""

    def decorate(function: Any) -> Any:
        dispatcher = njit(fastmath=set(flags), error_model="numpy", nogil=True, **options)(function)
        try:
            dispatcher._cache = _KernelCache(function)
        except RuntimeError:  # no writable place for the cache
            _warn_of_no_cache()
        return dispatcher

    return decorate


@cache
def folder_stamp() -> str:
    """A hash of all sources in this folder and below, and of the compilers' versions."""
    digest = hashlib.sha256(f"numba {numba.__version__}, llvmlite {llvmlite.__version__}".encode())
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"\n{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


class _KernelCache(FunctionCache):
    """Numba's cache on disk, stamped with ``folder_stamp``; a damaged file counts as none.

    Numba's own stamp is of the file that a function stands in. Machine code holds the helpers that it
    calls as well, and those come from other files, whose change that stamp does not notice.
    """

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp(), folder_stamp()
        self._cache_file = _CacheFile(self.cache_path, self._impl.filename_base, stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a truncated pickle may raise anything
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError:  # a full disk, or a folder that is no longer writable
            _warn_of_no_cache()


class _CacheFile(IndexDataCacheFile):
    """Machine code is kept with what it was compiled from, and comes back for nothing else.

    Numba writes its index before the entry, each in one step: another process may read between the two,
    and where the index was of other sources, the entry that it finds is of them still.
    """

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (self._source_stamp, key, data))

    def load(self, key: Any) -> Any:
        entry = super().load(key)
        if entry is None:
            return None
        *compiled_from, data = entry
        return data if compiled_from == [self._source_stamp, key] else None


@cache
def _warn_of_no_cache() -> None:
    """Once, not for every kernel."""
    warnings.warn(
        "Numba finds no writable folder for compiled kernels, so they compile again in every process "
        "(about 20 s). Set NUMBA_CACHE_DIR to a folder that can be written to.",
        RuntimeWarning,
        stacklevel=2,
    )
