"""How much of a device's memory may be taken, and what to say where that is too little."""

from __future__ import annotations

from typing import Any, cast

from accel_logreg.kernels.cupy_fused.launching import Device


def bounded_device(device: Device, most: int) -> Device:
    """``device`` as it is, but with at most ``most`` bytes to be had beyond those in use now.

    What is taken is planned by ``free_bytes`` before anything is allocated; this only makes it less.
    """
    return cast(Device, _BoundedDevice(device, most))


class _BoundedDevice:
    def __init__(self, device: Device, most: int) -> None:
        self._device, self._most = device, most
        self._used_before = device.used_bytes()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def free_bytes(self) -> int:
        taken = max(0, self._device.used_bytes() - self._used_before)
        return max(0, min(self._device.free_bytes(), self._most - taken))


def memory_error(what: str, need: int, free: int, remedy: str) -> MemoryError:
    """What to raise where ``need`` bytes for ``what`` are more than the device has."""
    return MemoryError(
        f"{what} needs {readable_bytes(need)} on the device, where {readable_bytes(free)} are free. "
        f"{remedy}, or choose a CPU engine: backend='numba'."
    )


def readable_bytes(count: int) -> str:
    """In the unit that leaves few digits."""
    if count >= 1e7:
        return f"{count / 1e9:.2f} GB"
    return f"{count / 1e6:.3g} MB" if count >= 1e4 else f"{count} bytes"
