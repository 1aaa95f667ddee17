"""The CuPy engine: X copied to the device once, or read where it lies there; p numbers back per question.

CuPy is imported when a CupyBackend is made, not before. Making one probes the machine; what is missing
becomes a BackendUnavailableError with its own reason and the command that mends it.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from typing import Any, NamedTuple

from accel_logreg.backends.base import (
    Backend,
    BackendUnavailableError,
    Csr,
    Float64,
    Labels,
    Matrix,
    Rates,
    Rows,
)
from accel_logreg.backends.columns import Columns, column_labels, refuse_sparse
from accel_logreg.backends.cupy_fused_columns import upload_columns
from accel_logreg.backends.cupy_fused_csr import csr_logits, upload_csr_rows
from accel_logreg.backends.cupy_fused_given import GivenMatrix, given_matrix
from accel_logreg.backends.cupy_fused_place import place_rows
from accel_logreg.backends.device_matrix import DeviceMatrix
from accel_logreg.device_arrays import on_gpu
from accel_logreg.kernels import cupy_fused as kernels
from accel_logreg.kernels.cupy_fused_budget import BoundedDevice
from accel_logreg.kernels.cupy_fused_device import Device, cuda_device, cuda_devices_in_use
from accel_logreg.kernels.cupy_fused_interchange import CupyInterchange, Interchange

INSTALL = (
    'Install the CuPy for your driver: pip install "accel_logreg[cuda13]" (driver 580 or newer), '
    'or pip install "accel_logreg[cuda12]" (older).'
)
# Every name under which CuPy has been published; two of them overwrite each other's files.
DISTRIBUTIONS = (
    "cupy",
    *(f"cupy-cuda{version}" for version in (*range(110, 118), "11x", "12x", "13x", "14x")),
    *(f"cupy-rocm-{version}" for version in ("4-3", "5-0", "7-0", "7-1")),
    "amd-cupy",
)
# cudaError values, named as in CUDA's documentation.
CUDA_ERROR_INSUFFICIENT_DRIVER = 35
CUDA_ERROR_NO_DEVICE = 100


class CupyBackend(Backend):
    """The current CUDA device, and for an X on a GPU the one that it lies on.

    Making it compiles the kernels, or loads them from CuPy's cache on disk.

    Raises
    ------
    BackendUnavailableError
        CuPy, the driver, a device or the compiler is missing or broken; the message says which.
    """

    name = "cupy"
    _interchange: Interchange = CupyInterchange()
    # Reckoned from data sheets of current cards, not measured: they only order the solvers.
    rates = Rates(1 / 2e12, 1 / 1e12, 1 / 1e12, 1 / 5e12, 50e-6)

    def __init__(self) -> None:
        obstacle = find_obstacle()
        if obstacle is not None:
            raise BackendUnavailableError(self.name, *obstacle)
        self._device: Device = _current_device()

    def bounded(self, max_memory: int | None) -> CupyBackend:
        if max_memory is None:
            return self
        engine = copy(self)
        engine._device = BoundedDevice(self._device, max_memory)
        return engine

    def rows(self, X: Matrix | Csr | DeviceMatrix, y: Labels, sample_weight: Float64 | None) -> Rows:
        """As in ``Backend``; X may also be an array on a GPU, adopted or not, which is not copied."""
        if on_gpu(X):
            X = self.adopt(X)
        if isinstance(X, DeviceMatrix):
            return X.rows(y, sample_weight)
        if isinstance(X, Csr):
            return upload_csr_rows(self._device, X, y, sample_weight)
        return place_rows(self._device, X, y, sample_weight)

    def columns(self, X: Matrix | Csr | DeviceMatrix, Y: Any, weights: Any = None) -> Columns:
        """As in ``Backend``; X may also be an array on a GPU, adopted or not, which is not copied.

        Raises MemoryError where X and the columns do not fit on the device: they are not streamed.
        """
        if on_gpu(X):
            X = self.adopt(X)
        if isinstance(X, Csr):
            refuse_sparse(self.name, X)
        labels = column_labels(X.shape[0], Y, weights)
        if isinstance(X, DeviceMatrix):
            return X.columns(labels)
        return upload_columns(self._device, X, labels)

    def logits(self, X: Matrix | Csr | DeviceMatrix, W: Float64) -> Float64:
        """As in ``Backend``; X may also be an array on a GPU, adopted or not."""
        if on_gpu(X):
            X = self.adopt(X)
        if isinstance(X, DeviceMatrix):
            return X.logits(W)
        if isinstance(X, Csr):
            return csr_logits(self._device, X, W)
        return kernels.logits(self._device, X, W)

    def adopt(self, X: Any) -> GivenMatrix:
        """As in ``Backend``, and on whichever device X lies."""
        return given_matrix(self._interchange, X)

    def after_fit(self) -> None:
        for device in self._devices():
            device.after_fit()

    def release_memory(self) -> None:
        for device in self._devices():
            device.release_memory()

    def _devices(self) -> Iterable[Device]:
        """Every device that has been used: arrays may lie on several."""
        return cuda_devices_in_use()


class Obstacle(NamedTuple):
    """Why the engine cannot run here, and what mends it."""

    reason: str
    remedy: str


@cache
def find_obstacle() -> Obstacle | None:
    """What keeps the engine from running here, None if nothing does; found out once per process."""
    return _packages() or _driver() or _compiler() or _architecture() or _kernels()


def cupy_distributions() -> list[str]:
    """The CuPy packages that are installed; more than one is a broken installation."""
    installed = []
    for name in DISTRIBUTIONS:
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        installed.append(name)
    return installed


def _packages() -> Obstacle | None:
    found = cupy_distributions()
    if len(found) > 1:
        return Obstacle(
            f"{len(found)} CuPy packages are installed and overwrite each other's files: {', '.join(found)}.",
            f"Remove them all and install one: pip uninstall -y {' '.join(found)}. {INSTALL}",
        )
    if find_spec("cupy") is None:
        return Obstacle("CuPy is not installed.", INSTALL)
    try:
        import cupy  # noqa: F401
    except Exception as error:  # a broken binary raises anything
        return Obstacle(
            f"CuPy is installed but cannot be imported: {_last_line(error)}.",
            f"Install it anew: pip uninstall -y {' '.join(found) or 'cupy'}. {INSTALL}",
        )
    return None


def _driver() -> Obstacle | None:
    from cupy.cuda import runtime

    try:
        devices = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        if error.status == CUDA_ERROR_INSUFFICIENT_DRIVER:
            return _insufficient_driver(runtime.driverGetVersion(), runtime.runtimeGetVersion())
        if error.status != CUDA_ERROR_NO_DEVICE:
            return Obstacle(
                f"CUDA does not answer: {error}.", "Run nvidia-smi to see the state of the driver."
            )
        devices = 0
    if devices == 0:
        return Obstacle(
            "there is a driver but no CUDA device that this process may use.",
            "Run nvidia-smi -L to list the devices, and unset CUDA_VISIBLE_DEVICES if it hides them.",
        )
    return None


def _insufficient_driver(driver: int, runtime: int) -> Obstacle:
    """CUDA versions are 1000 · major + 10 · minor; a missing driver is version 0."""
    if driver == 0:
        return Obstacle(
            "the NVIDIA driver is missing (cudaErrorInsufficientDriver).",
            "Run nvidia-smi: if it fails, install the NVIDIA driver; in a container, start it with access "
            "to the GPU (docker run --gpus all). On a machine without an NVIDIA GPU choose backend='numba'.",
        )
    return Obstacle(
        f"the NVIDIA driver is too old: it supports CUDA {_version(driver)} and this CuPy needs "
        f"{_version(runtime)} (cudaErrorInsufficientDriver).",
        "Update the driver (nvidia-smi shows its version), or install a CuPy that it supports: "
        f'{_uninstall()} && pip install "accel_logreg[cuda{driver // 1000}]".',
    )


def _compiler() -> Obstacle | None:
    from cupy_backends.cuda.libs import nvrtc

    try:
        nvrtc.getVersion()
    except Exception as error:  # RuntimeError, OSError or ImportError, by version of CuPy
        return Obstacle(f"NVRTC, CUDA's run-time compiler, does not load: {_last_line(error)}.", _with_cuda())
    return None


def _architecture() -> Obstacle | None:
    import cupy
    from cupy.cuda import runtime
    from cupy_backends.cuda.libs import nvrtc

    capability, oldest = int(cupy.cuda.Device().compute_capability), min(nvrtc.getSupportedArchs())
    if capability >= oldest:
        return None
    cuda = runtime.runtimeGetVersion()
    older = f'Install the CuPy for CUDA 12: {_uninstall()} && pip install "accel_logreg[cuda12]", or choose'
    return Obstacle(
        f"the GPU is too old: it has compute capability {capability / 10:.1f}, and CUDA {_version(cuda)} "
        f"compiles for {oldest / 10:.1f} and newer.",
        f"{older if cuda >= 13000 else 'Choose'} a CPU engine: backend='numba'.",
    )


def _kernels() -> Obstacle | None:
    try:
        _current_device()
    except Exception as error:  # CompileException is no relative of RuntimeError
        said = f"{type(error).__name__}: {_last_line(error)}"
        if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
            # Raised, not returned: what is returned is remembered, and memory comes and goes.
            raise BackendUnavailableError(
                "cupy",
                f"the GPU has no memory left to load the kernels ({said}).",
                "Run nvidia-smi to see what uses it, end that or choose another GPU with "
                "CUDA_VISIBLE_DEVICES, and try again.",
            ) from error
        if "CUDA_ERROR" in said or "cudaError" in said:
            return Obstacle(
                f"the GPU does not load the kernels ({said}).",
                "Run nvidia-smi to see the state of the GPU and its driver; after an error of another "
                "kernel start a new process.",
            )
        return Obstacle(
            f"the kernels do not compile on this machine ({said}), most often because the CUDA headers are "
            "missing or of another version than NVRTC.",
            _with_cuda(),
        )
    return None


def _with_cuda() -> str:
    from cupy.cuda import runtime

    return f'It comes with: pip install "accel_logreg[cuda{runtime.runtimeGetVersion() // 1000}]".'


def _uninstall() -> str:
    return f"pip uninstall -y {' '.join(cupy_distributions())}"


def _current_device() -> Device:
    from cupy.cuda import runtime

    return cuda_device(runtime.getDevice())


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" =-")]
    return lines[-1].rstrip(".") if lines else type(error).__name__
