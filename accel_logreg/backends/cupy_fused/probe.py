"""What keeps the CuPy engine from running on this machine, and the command that mends it.

Every obstacle has its own reason: no CuPy, two of them, no driver, an old one, no device, no compiler, too
old a GPU, kernels that do not load. CuPy is imported when the probe asks for it, not before.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata
from importlib.util import find_spec
from typing import NamedTuple

from accel_logreg.backends.cupy_fused.device.cuda import cuda_device
from accel_logreg.interface.engine import BackendUnavailableError
from accel_logreg.kernels.cupy_fused.launching import Device

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
        current_device()
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


def current_device() -> Device:
    """CUDA's current device, its kernels loaded."""
    from cupy.cuda import runtime

    return cuda_device(runtime.getDevice())


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" =-")]
    return lines[-1].rstrip(".") if lines else type(error).__name__
