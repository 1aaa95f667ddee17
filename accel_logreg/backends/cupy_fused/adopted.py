"""X where the caller put it: a matrix on a GPU that the CuPy engine reads in place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.cupy_fused.columns import columns_around
from accel_logreg.backends.cupy_fused.dense import CupyRows, require_memory
from accel_logreg.backends.cupy_fused.device.interchange import Interchange
from accel_logreg.interface.arrays import Float64, Matrix, kind_of, sparse_on_gpu
from accel_logreg.interface.columns import ColumnRows
from accel_logreg.interface.device_matrix import DeviceMatrix, Scores
from accel_logreg.interface.targets import Targets
from accel_logreg.kernels.cupy_fused.dense.launch import Resident, resident_bytes
from accel_logreg.kernels.cupy_fused.launching import Device
from accel_logreg.kernels.cupy_fused.predict import launch as kernels

_NUMBERS = "biuf"  # kinds of dtypes that a device has labels of


class AdoptedMatrix(DeviceMatrix):
    """X (n, d) in the caller's memory, on whichever device it lies. ``adopt`` makes one."""

    def __init__(self, interchange: Interchange, device: Device, array: Any, like: Any) -> None:
        super().__init__((int(array.shape[0]), int(array.shape[1])), np.dtype(array.dtype))
        self._interchange, self._device = interchange, device
        self._array, self._like = array, like

    def rows(self, targets: Targets) -> CupyRows:
        """As in ``DeviceMatrix``. Raises MemoryError where y, the weights and the workspace do not fit."""
        limits, weighted = self._device.limits, targets.s is not None
        need = resident_bytes(self.shape, self.dtype.itemsize, weighted, limits) - self.nbytes
        what = f"A fit of X of shape {self.shape} and dtype {self.dtype}, beside X itself,"
        require_memory(self._device, need, what, "Pass fewer rows")
        return CupyRows(Resident.around(self._device, self._array, targets.y, targets.s))

    def columns(self, targets: Targets) -> ColumnRows:
        """As in ``DeviceMatrix``. Raises MemoryError where labels, weights and workspace do not fit."""
        return columns_around(self._device, self._array, targets)

    def logits(self, W: Float64) -> Float64:
        if W.ndim == 1:
            return kernels.logits_on_host(self._device, self._array, W)
        return np.stack([self.logits(w) for w in np.ascontiguousarray(W.T)], axis=1)

    def row_that_is_not_finite(self) -> Matrix | None:
        # 0 x is 0 for every number and NaN for the others.
        bad = np.flatnonzero(np.isnan(self.logits(np.zeros(self.shape[1] + 1))))
        return kernels.take_rows(self._device, self._array, bad[:1]) if len(bad) else None

    def scores(self, W: Float64, *, one_vs_rest: bool = False) -> Scores:
        if W.ndim == 2:
            return AdoptedClassScores(
                self._interchange, self._device, self._array, W, self._like, one_vs_rest
            )
        return AdoptedScores(
            self._interchange, self._device, kernels.logits(self._device, self._array, W), self._like
        )


class AdoptedScores(Scores):
    """z of a AdoptedMatrix. Whoever has asked whether it is finite has waited until X was read."""

    def __init__(self, interchange: Interchange, device: Device, z: Any, like: Any) -> None:
        self._interchange, self._device = interchange, device
        self._z, self._like = z, like
        self.finite = kernels.all_finite(device, z)

    def decision(self) -> Any:
        return self._interchange.hand_over(self._z, self._like)

    def probabilities(self, *, logarithm: bool) -> Any:
        out = kernels.probabilities(self._device, self._z, logarithm=logarithm)
        return self._interchange.hand_over(out, self._like)

    def labels(self, classes: NDArray[Any]) -> Any:
        if classes.dtype.kind in _NUMBERS and classes.dtype.itemsize <= 8 and classes.dtype.isnative:
            return self._interchange.hand_over(kernels.labels(self._device, self._z, classes), self._like)
        codes = kernels.labels(self._device, self._z, np.array([0, 1], np.int8))
        return classes[self._device.download(codes)]


class AdoptedClassScores(Scores):
    """z (m, K) of K classes, by array expressions on the device that X lies on."""

    def __init__(
        self, interchange: Interchange, device: Device, X: Any, W: Float64, like: Any, one_vs_rest: bool
    ) -> None:
        self._interchange, self._device, self._like = interchange, device, like
        self._one_vs_rest, self._K = one_vs_rest, W.shape[1]
        self._z = self._for_user(X.shape[0] * self._K).reshape(-1, self._K)
        with device.expressions():
            for k in range(self._K):
                self._z[:, k] = kernels.logits(device, X, np.ascontiguousarray(W[:, k]))
        self.finite = kernels.all_finite(device, self._z.reshape(-1))

    def _for_user(self, size: int) -> Any:
        return self._device.for_user(size, np.float64)

    def decision(self) -> Any:
        return self._interchange.hand_over(self._z, self._like)

    def probabilities(self, *, logarithm: bool) -> Any:
        out = self._for_user(self._z.size).reshape(self._z.shape)
        with self._device.expressions():
            z = self._z
            if self._one_vs_rest:  # each class's log σ(z), over the sum of all
                z = np.minimum(z, 0.0) - np.log1p(np.exp(-abs(z)))
            z = z - z.max(axis=1, keepdims=True)
            e = np.exp(z)
            total = e.sum(axis=1, keepdims=True)
            out[...] = z - np.log(total) if logarithm else e / total
        return self._interchange.hand_over(out, self._like)

    def labels(self, classes: NDArray[Any]) -> Any:
        with self._device.expressions():
            codes = self._z.argmax(axis=1)
            if classes.dtype.kind in _NUMBERS and classes.dtype.itemsize <= 8 and classes.dtype.isnative:
                out = self._device.for_user(self._z.shape[0], classes.dtype)
                out[...] = self._device.upload(classes)[codes]
                return self._interchange.hand_over(out, self._like)
        return classes[self._device.download(codes)]


def adopt(interchange: Interchange, X: Any) -> AdoptedMatrix:
    """X (n, d), an array on a GPU, read in place where it is C-contiguous float32 or float64.

    A matrix of another layout is copied on its device, and float16 becomes float32 there, which holds
    every float16.

    Raises
    ------
    TypeError
        X is of another dtype, or does not give its memory away.
    ValueError
        X has not two dimensions.
    MemoryError
        The copy does not fit on the device.
    """
    if sparse_on_gpu(X):
        raise TypeError(
            f"X is a {kind_of(X)} on a GPU, where only dense X is read in place. Pass X.get(), a "
            "scipy.sparse matrix on the host, or X.toarray()"
        )
    device, array = interchange.adopt(X)
    if array.ndim != 2:
        raise ValueError(f"X on the GPU has shape {tuple(array.shape)}; it must have two dimensions, (n, d)")
    dtype = np.dtype(array.dtype)
    if dtype == np.float16:
        dtype = np.dtype(np.float32)
    if dtype not in (np.float32, np.float64):
        raise TypeError(
            f"X is a {kind_of(X)} of dtype {dtype} on a GPU, where float32 and float64 are read as they are "
            "and float16 is copied to float32; other dtypes are not converted behind your back. Pass "
            "X.astype('float32'), or X.float() for a torch tensor"
        )
    if not array.flags.c_contiguous or dtype != array.dtype:
        what = f"A C-contiguous {dtype} copy of X of shape {tuple(array.shape)} and dtype {array.dtype}"
        remedy = "Pass a C-contiguous float32 or float64 array, which is not copied, or fewer rows"
        require_memory(device, array.size * dtype.itemsize, what, remedy)
        array = device.contiguous(array, dtype)
    return AdoptedMatrix(interchange, device, array, X)
