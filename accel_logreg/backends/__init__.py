"""Name → engine. An engine's module, and the library under it, load on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from accel_logreg.backends.first_use import Work, compiled, sooner_on_numpy
from accel_logreg.interface.arrays import on_gpu
from accel_logreg.interface.engine import BackendUnavailableError, Engine

__all__ = [
    "BACKENDS",
    "BackendUnavailableError",
    "available_backends",
    "backend_status",
    "load_backend",
    "release_memory",
    "resolve",
    "stand_in",
]


def _python() -> Engine:
    from accel_logreg.backends.python_loop.engine import PythonEngine

    return PythonEngine()


def _numpy() -> Engine:
    from accel_logreg.backends.numpy_vectorised.engine import NumpyEngine

    return NumpyEngine()


def _numba() -> Engine:
    from accel_logreg.backends.numba_jit.engine import NumbaEngine

    return NumbaEngine()


def _cupy() -> Engine:
    from accel_logreg.backends.cupy_fused.engine import CupyEngine

    return CupyEngine()


_LOADERS: dict[str, Callable[[], Engine]] = {
    "python": _python,
    "numpy": _numpy,
    "numba": _numba,
    "cupy": _cupy,
}
_loaded: dict[str, Engine] = {}

BACKENDS = tuple(_LOADERS)


def load_backend(name: str) -> Engine:
    """The engine called ``name``, loaded once per process.

    Raises
    ------
    ValueError
        Unknown name.
    BackendUnavailableError
        The engine cannot run here; the message says why and what mends it. There is no fallback.
    """
    if name not in _LOADERS:
        raise ValueError(f"backend={name!r} is unknown; allowed: 'auto', {', '.join(map(repr, BACKENDS))}")
    if name not in _loaded:
        _loaded[name] = _LOADERS[name]()
    return _loaded[name]


@contextmanager
def stand_in(backend: Engine) -> Iterator[None]:
    """Until the block ends, ``load_backend(backend.name)`` gives this one: an engine with a clock in it."""
    before = _loaded.get(backend.name)
    _loaded[backend.name] = backend
    try:
        yield
    finally:
        if before is None:
            del _loaded[backend.name]
        else:
            _loaded[backend.name] = before


def backend_status() -> dict[str, BackendUnavailableError | None]:
    """Every engine's name, with None where it can run and the reason and remedy where it cannot."""
    status: dict[str, BackendUnavailableError | None] = {}
    for name in BACKENDS:
        try:
            load_backend(name)
        except BackendUnavailableError as error:
            status[name] = error
        else:
            status[name] = None
    return status


def available_backends() -> list[str]:
    """The names of the engines that can run on this machine, slowest first."""
    return [name for name, error in backend_status().items() if error is None]


def resolve(name: str, X: Any, work: Work | None = None) -> Engine:
    """The engine for ``backend=name`` and this X; "auto" follows the data.

    Arrays on a GPU → cupy; arrays on the host → numba, or numpy where numba cannot load, or where its kernels
    for this ``work`` are not compiled and NumPy makes it sooner.
    """
    if name != "auto":
        return load_backend(name)
    if on_gpu(X):
        return load_backend("cupy")
    if work is not None and not compiled(work.kind) and sooner_on_numpy(work):
        return load_backend("numpy")
    try:
        return load_backend("numba")
    except BackendUnavailableError:
        return load_backend("numpy")


def release_memory() -> None:
    """Give GPU memory that is kept for later, and not in use, back to the driver.

    After a fit the cupy engine keeps at most 32 MiB a device for the next one; this returns them, and
    the free blocks of CuPy's default pools (of device and of pinned host memory) as well, on the devices
    that the engine has used. Arrays in use stay. Nothing happens where the engine has not run.
    """
    for backend in list(_loaded.values()):
        backend.release_memory()
