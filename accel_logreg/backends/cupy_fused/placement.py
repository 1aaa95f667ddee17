"""Where a host training set goes: to the device, before or while it is worked on, or through it."""

from __future__ import annotations

from accel_logreg.backends.cupy_fused.dense import CupyRows, upload_rows
from accel_logreg.backends.cupy_fused.device.overlapped import OverlappedUpload
from accel_logreg.backends.cupy_fused.device.staging import HostRows, Packer, gathered
from accel_logreg.backends.cupy_fused.device.stream_plan import fits
from accel_logreg.backends.cupy_fused.streamed import StreamedRows
from accel_logreg.interface.arrays import Float64, Labels, Matrix
from accel_logreg.interface.rows import Rows
from accel_logreg.kernels.cupy_fused.dense.launch import Resident
from accel_logreg.kernels.cupy_fused.launching import Device
from accel_logreg.kernels.cupy_fused.matrices.launch import Indices

OVERLAP_BYTES = 64 << 20  # of X, from which a thread and pinned buffers cost less than they save


class OverlappedRows(CupyRows):
    """``CupyRows`` from the moment their copy begins. Samples come from host X until it has ended."""

    def __init__(self, data: OverlappedUpload) -> None:
        super().__init__(data)
        self._upload = data
        self._packer = Packer()

    def _gathered(self, rows: Indices, factors: Float64) -> Resident:
        host = self._upload.host
        if host is None:
            return super()._gathered(rows, factors)
        return gathered(self._upload.device, host, rows, factors, self._packer)


def place_rows(device: Device, X: Matrix, y: Labels, sample_weight: Float64 | None) -> Rows:
    """Rows of dense host X (n, d): in the device's memory if a fit on them fits there, else streamed.

    Raises
    ------
    MemoryError
        There is not even room to stream them; nothing has been copied.
    """
    shape, weighted = (X.shape[0], X.shape[1]), sample_weight is not None
    if not fits(shape, X.itemsize, weighted, device.free_bytes(), device.limits):
        return StreamedRows(device, HostRows.of(X, y, sample_weight))
    if X.nbytes >= OVERLAP_BYTES:
        return OverlappedRows(OverlappedUpload(device, HostRows.of(X, y, sample_weight)))
    return upload_rows(device, X, y, sample_weight)
