"""A device of which only so much memory may be taken."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused.copies import Copies
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.cupy_fused.launching import Device


class BoundedDevice:
    """``Device`` as it is, but with at most ``most`` bytes to be had beyond those in use when it is made.

    What is taken is planned by ``free_bytes`` before anything is allocated; this only makes it less.
    """

    def __init__(self, device: Device, most: int) -> None:
        self._device = device
        self._most = most
        self._used_before = device.used_bytes()

    @property
    def limits(self) -> Limits:
        return self._device.limits

    def used_bytes(self) -> int:
        return self._device.used_bytes()

    def free_bytes(self) -> int:
        taken = max(0, self._device.used_bytes() - self._used_before)
        return max(0, min(self._device.free_bytes(), self._most - taken))

    def empty(self, size: int, dtype: Any = np.float64) -> Any:
        return self._device.empty(size, dtype)

    def for_user(self, size: int, dtype: Any) -> Any:
        return self._device.for_user(size, dtype)

    def contiguous(self, array: Any, dtype: Any) -> Any:
        return self._device.contiguous(array, dtype)

    def stable_order(self, keys: Any) -> Any:
        return self._device.stable_order(keys)

    def after_fit(self) -> None:
        self._device.after_fit()

    def release_memory(self) -> None:
        self._device.release_memory()

    def upload(self, array: NDArray[Any]) -> Any:
        return self._device.upload(array)

    def download(self, array: Any) -> NDArray[Any]:
        return self._device.download(array)

    def copies(self) -> Copies:
        return self._device.copies()

    def launch(
        self, kernel: str, grid: tuple[int, ...], threads: int, shared_bytes: int, args: tuple[Any, ...]
    ) -> None:
        self._device.launch(kernel, grid, threads, shared_bytes, args)
