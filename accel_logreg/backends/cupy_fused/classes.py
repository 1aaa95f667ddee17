"""K classes in the CuPy engine: NumPy's expressions on CuPy's arrays, over the X that is on the device.

Dense X is multiplied by cuBLAS, float32 as a float64 copy of some rows at a time: two reads for a gradient or
a Hessian product. Sparse X is multiplied by the engine's own kernels, a read for each class.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from accel_logreg.backends.cupy_fused.csr import CupyCsrRows, upload_csr_rows
from accel_logreg.backends.cupy_fused.dense import CupyRows, require_memory, upload_rows
from accel_logreg.interface.arrays import Csr, Float64, Labels, Matrix
from accel_logreg.interface.classes import Around, ClassRows
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import ClassTargets
from accel_logreg.kernels.cupy_fused.csr.launch import CsrResident
from accel_logreg.kernels.cupy_fused.csr.plan import csr_bytes
from accel_logreg.kernels.cupy_fused.dense.launch import Resident, resident_bytes, workspace_bytes
from accel_logreg.kernels.cupy_fused.launching import Device
from accel_logreg.kernels.numpy_vectorised import classes as kernels

# What a block of rows takes beside X: enough that launches cost little beside the work.
BLOCK_BYTES = 128 << 20

# Arrays (m, K) float64 that m rows keep alive at once, in a Hessian product: two logits and what they become.
_TEMPORARIES = 12


def _around(rows: Rows, y: Labels, s: Float64 | None) -> CupyRows | CupyCsrRows:
    if isinstance(rows, CupyCsrRows):
        return CupyCsrRows(rows.data.relabelled(y, s))
    assert isinstance(rows, CupyRows)
    return CupyRows(Resident.around(rows.data.device, _matrix(rows), y, s))


class CupyClasses(ClassRows):
    """One problem of K classes over the X that ``rows`` hold on a device.

    Raises
    ------
    MemoryError
        Labels, weights and what a question takes do not fit beside X; nothing was taken.
    """

    def __init__(self, rows: Rows, targets: ClassTargets, around: Around = _around) -> None:
        assert isinstance(rows, CupyRows | CupyCsrRows)
        super().__init__(rows, targets, around)
        device, self._of_x = rows.data.device, rows
        shape, itemsize = (self.n_rows, self.n_features), self.dtype.itemsize
        what = f"{self.n_classes} classes over X of shape {shape} and dtype {self.dtype}, beside X itself,"
        need = beside_bytes(device, shape, self.n_classes, itemsize, rows.sparse)
        require_memory(device, need, what, "Pass fewer rows")
        self._device = device
        self._y = device.upload(np.ascontiguousarray(targets.y, np.int32))
        self._s = device.upload(np.ones(self.n_rows) if targets.s is None else targets.s)
        self._classes = device.upload(np.arange(self.n_classes, dtype=np.int32))

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        w, loss, gradient = self._device.upload(np.ascontiguousarray(W)), 0.0, np.zeros(W.shape)
        with self._device.expressions():
            for rows, X in self._blocks():
                Y = kernels.one_hot(self._y[rows], self._classes)
                block_loss, block_gradient = kernels.loss_grad(X, Y, self._s[rows], w[:-1], w[-1])
                loss += float(self._device.download(block_loss))
                gradient += self._device.download(block_gradient)
        self._count(2 * self._times)
        return loss / self.weight_sum, gradient / self.weight_sum

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        w, v = self._device.upload(np.ascontiguousarray(W)), self._device.upload(np.ascontiguousarray(V))
        product = np.zeros(W.shape)
        with self._device.expressions():
            for rows, X in self._blocks():
                block = kernels.hessian_product(X, self._s[rows], w[:-1], w[-1], v[:-1], v[-1])
                product += self._device.download(block)
        self._count(3 * self._times if self.sparse else 2)
        return product / self.weight_sum

    def logits(self, W: Float64) -> Float64:
        w, z = self._device.upload(np.ascontiguousarray(W)), np.empty((self.n_rows, self.n_classes))
        with self._device.expressions():
            for rows, X in self._blocks():
                z[rows] = self._device.download(kernels.linear(X, w[:-1], w[-1]))
        self._count(self._times)
        return z

    @property
    def _times(self) -> int:
        """How often X is read for one product with it."""
        return self.n_classes if self.sparse else 1

    def _blocks(self) -> Iterator[tuple[slice, Any]]:
        """Rows, and their X as what is multiplied in float64."""
        rows, n = self._of_x, self.n_rows
        if isinstance(rows, CupyCsrRows):
            yield slice(0, n), _SparseProducts(rows.data)
            return
        X = _matrix(rows)
        step = rows_in_block((n, self.n_features), self.n_classes, self.dtype.itemsize)
        for first in range(0, n, step):
            block = slice(first, min(n, first + step))
            yield block, X[block].astype(np.float64, copy=False)


class _SparseProducts:
    """Sparse X on the device, for ``X @ w`` with w (d, K): a pass over X a class."""

    def __init__(self, data: CsrResident) -> None:
        self._data, self.shape = data, (data.n, data.d)

    def __matmul__(self, w: Any) -> Any:
        """(n, K), a class after the other."""
        return _products(self._data.device, self._data.by_rows, w, self._data.n)

    @property
    def T(self) -> _Transposed:
        return _Transposed(self._data)


class _Transposed:
    """The same for ``X.T @ dz`` with dz (n, K)."""

    def __init__(self, data: CsrResident) -> None:
        self._data = data

    def __matmul__(self, dz: Any) -> Any:
        """(d, K)."""
        return _products(self._data.device, self._data.by_columns, dz, self._data.d)


def _products(device: Device, runs: Any, right: Any, size: int) -> Any:
    """(size, K): the sums of ``runs`` with every column of ``right``."""
    columns = device.contiguous(right.T, np.dtype(np.float64))
    out = device.empty(size * len(columns)).reshape(len(columns), size)
    for k in range(len(columns)):
        runs.sum(columns[k], out[k])
    return out.T


def upload_classes(device: Device, X: Matrix | Csr, targets: ClassTargets) -> CupyClasses:
    """Copy X, labels and weights to the device. Dense X that does not fit is not streamed.

    Raises
    ------
    MemoryError
        They and what a question takes are larger than the memory that is free; nothing has been copied.
    """
    shape, itemsize, K = (X.shape[0], X.shape[1]), X.dtype.itemsize, targets.n_classes
    sparse, unlabelled = isinstance(X, Csr), np.zeros(shape[0], np.int8)
    of_x = (
        csr_bytes(*shape, len(X.data), itemsize, False, device.limits)
        if isinstance(X, Csr)
        else resident_bytes(shape, itemsize, False, device.limits)
    )
    narrower = "X as float32 (half the bytes), " if itemsize == 8 else ""
    what = f"X of shape {shape} and dtype {X.dtype} with {K} classes"
    need = of_x + beside_bytes(device, shape, K, itemsize, sparse)
    require_memory(device, need, what, f"Pass {narrower}fewer rows")
    place: Any = upload_csr_rows if sparse else upload_rows
    return CupyClasses(place(device, X, unlabelled, None), targets)


def beside_bytes(device: Device, shape: tuple[int, int], K: int, itemsize: int, sparse: bool) -> int:
    """Device memory that K classes take beside the rows of X, and the rows of two classes that they ask."""
    n, d = shape
    block = n if sparse else rows_in_block(shape, K, itemsize)
    answers = 8 * 8 * (d + 1) * K  # W, V, and (d + 1, K) on their way back
    weighted = 17 * n if sparse else 9 * n + workspace_bytes(shape, itemsize, device.limits)
    return 12 * n + block * _row_bytes(d, K, itemsize, sparse) + answers + weighted


def rows_in_block(shape: tuple[int, int], K: int, itemsize: int) -> int:
    """How many rows of dense X (n, d) are worked on at a time."""
    n, d = shape
    return max(1, min(n, BLOCK_BYTES // _row_bytes(d, K, itemsize, sparse=False)))


def _row_bytes(d: int, K: int, itemsize: int, sparse: bool) -> int:
    """What a row takes while it is worked on."""
    return 8 * (_TEMPORARIES * K + (0 if sparse or itemsize == 8 else d))


def _matrix(rows: CupyRows) -> Any:
    """X (n, d) on the device."""
    return rows.data.X.reshape(rows.n_rows, rows.n_features)
