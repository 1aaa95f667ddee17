"""The CuPy engine: X copied to the device once, or read where it lies there; p numbers back per question.

CuPy is imported when a CupyEngine is made, not before. Making one probes the machine
(probe.py); what is missing becomes a BackendUnavailableError.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from accel_logreg.backends.blas_threads import blas_threads
from accel_logreg.backends.cupy_fused.adopted import AdoptedMatrix, adopt
from accel_logreg.backends.cupy_fused.classes import CupyClasses, upload_classes
from accel_logreg.backends.cupy_fused.columns import upload_columns
from accel_logreg.backends.cupy_fused.csr import csr_columns, csr_logits, upload_csr_rows
from accel_logreg.backends.cupy_fused.device.budget import bounded_device
from accel_logreg.backends.cupy_fused.device.cuda import cuda_devices_in_use
from accel_logreg.backends.cupy_fused.device.interchange import CupyInterchange, Interchange
from accel_logreg.backends.cupy_fused.device.slots import logits
from accel_logreg.backends.cupy_fused.placement import place_rows
from accel_logreg.backends.cupy_fused.probe import current_device, find_obstacle
from accel_logreg.interface.answers import Rates
from accel_logreg.interface.arrays import Csr, Float64, Matrix, on_gpu
from accel_logreg.interface.device_matrix import DeviceMatrix
from accel_logreg.interface.engine import BackendUnavailableError, Engine
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import ClassTargets, Targets
from accel_logreg.kernels.cupy_fused.launching import Device


class CupyEngine(Engine):
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
        self._device: Device = current_device()

    def _place(self, X: Any, targets: Targets, max_memory: int | None) -> Rows:
        """X may also be an array on a GPU, adopted or not, which is not copied."""
        if on_gpu(X):
            X = self.adopt(X)
        if isinstance(X, DeviceMatrix):
            return X.rows(targets)
        device = self._bounded(max_memory)
        if isinstance(X, Csr):
            return upload_csr_rows(device, X, targets.y, targets.s)
        return place_rows(device, X, targets.y, targets.s)

    def _place_columns(self, X: Any, targets: Targets, max_memory: int | None) -> Rows:
        """As above. Raises MemoryError where dense X and the columns do not fit: they are not streamed."""
        if on_gpu(X):
            X = self.adopt(X)
        if isinstance(X, DeviceMatrix):
            return X.columns(targets)
        device = self._bounded(max_memory)
        if isinstance(X, Csr):
            first = targets.column(0)
            return csr_columns(upload_csr_rows(device, X, first.y, first.s), targets)
        return upload_columns(device, X, targets)

    def _place_classes(self, X: Any, targets: ClassTargets, max_memory: int | None) -> CupyClasses:
        """As above."""
        if on_gpu(X):
            X = self.adopt(X)
        if isinstance(X, DeviceMatrix):
            return CupyClasses(X.rows(Targets(np.zeros(len(targets.y), dtype=np.int8), None)), targets)
        return upload_classes(self._bounded(max_memory), X, targets)

    def _bounded(self, max_memory: int | None) -> Device:
        return self._device if max_memory is None else bounded_device(self._device, max_memory)

    def logits(self, X: Matrix | Csr | DeviceMatrix, W: Float64) -> Float64:
        """As in ``Engine``; X may also be an array on a GPU, adopted or not."""
        if on_gpu(X):
            X = self.adopt(X)
        if isinstance(X, DeviceMatrix):
            return X.logits(W)
        if isinstance(X, Csr):
            return csr_logits(self._device, X, W)
        return logits(self._device, X, W)

    def adopt(self, X: Any) -> AdoptedMatrix:
        """As in ``Engine``, and on whichever device X lies."""
        return adopt(self._interchange, X)

    def threads(self, n_threads: int | None) -> AbstractContextManager[object]:
        return blas_threads(n_threads)

    def after_fit(self) -> None:
        for device in self._devices():
            device.after_fit()

    def release_memory(self) -> None:
        for device in self._devices():
            device.release_memory()

    def _devices(self) -> Iterable[Device]:
        """Every device that has been used: arrays may lie on several."""
        return cuda_devices_in_use()
