"""Host rows on their way into page-locked memory and from there to the device, piece by piece.

A copy from ordinary memory is staged by the driver on one thread, and the caller waits for it. Here several
threads fill one pinned buffer while the device copies from the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused.dense.launch import Float64, Labels, Matrix, Resident
from accel_logreg.kernels.cupy_fused.launching import Bytes, Copies, Device, Sent

Chosen = slice | NDArray[np.intp]

# Of a copy: some 0.3 ms of the bus, so that what a piece costs the host is a part of it.
PIECE_BYTES = 16 << 20
LEAST_SHARE_BYTES = 1 << 20  # below this a thread costs more than it saves
MOST_THREADS = 8  # one copies at some 10 GB/s, and a fast bus takes several times that


@dataclass(frozen=True)
class HostRows:
    """X (n, d), y (n,) int8 and s (n,) float64 or None in host memory; S, the weight of all rows together."""

    X: Matrix
    y: NDArray[np.int8]
    s: Float64 | None
    weight_sum: float

    @classmethod
    def of(cls, X: Matrix, y: Labels, s: Float64 | None) -> HostRows:
        """The rows as they are given."""
        weight_sum = float(len(X)) if s is None else float(s.sum())
        return cls(X, np.ascontiguousarray(y, np.int8), s, weight_sum)


class PinnedPair:
    """Two pinned buffers in turns: one is filled while the other is copied from.

    A buffer is filled again only after ``wait`` for the copy that read it last, so no copy ever reads
    bytes that were not meant for it.
    """

    def __init__(self, copies: Copies, size: int) -> None:
        self.copies = copies
        self.size = size
        self._buffers = [copies.pinned(size), copies.pinned(size)]
        self._sent: list[Sent | None] = [None, None]

    def send(self, size: int, fill: Callable[[Bytes], None], target: Any) -> Sent:
        """Let ``fill`` write (size,) bytes, and queue their copy to the head of ``target``."""
        buffer, sent = self._buffers[0], self._sent[0]
        if sent is not None:
            self.copies.wait(sent)
        fill(buffer[:size])
        event = self.copies.send(buffer[:size], target)
        self._buffers.reverse()
        self._sent = [self._sent[1], event]
        return event


class Packer:
    """Copies rows within the host, on several threads: NumPy lets them run while it copies."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = min(MOST_THREADS, len(os.sched_getaffinity(0))) if threads is None else threads
        self._pool: ThreadPoolExecutor | None = None

    def pack(self, X: Matrix, chosen: Chosen, out: Matrix) -> None:
        """out[i] = X[chosen[i]]; the indices are known to be rows of X."""
        self._share(out, lambda first, last: _pack(X, _part(chosen, first, last), out[first:last]))

    def pack_columns(self, X: Matrix, columns: NDArray[np.intp], out: Matrix) -> None:
        """out[i] = X[i, columns]; the indices are known to be columns of X."""
        self._share(
            out,
            lambda first, last: np.take(X[first:last], columns, axis=1, out=out[first:last], mode="clip"),
        )

    def _share(self, out: Matrix, work_on: Callable[[int, int], object]) -> None:
        """work_on(first, last) for parts of the rows of ``out``."""
        shares = min(self._threads, max(1, out.nbytes // LEAST_SHARE_BYTES), len(out))
        if shares == 1:
            work_on(0, len(out))
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="accel_logreg_pack")
        edges = [len(out) * k // shares for k in range(shares + 1)]
        work = [self._pool.submit(work_on, first, last) for first, last in pairwise(edges)]
        try:
            for share in work:
                share.result()
        finally:
            wait(work)  # also by Ctrl-C: none may write into a buffer that is used anew


def _pack(X: Matrix, chosen: Chosen, out: Matrix) -> None:
    if isinstance(chosen, slice):
        np.copyto(out, X[chosen])
    else:
        np.take(X, chosen, axis=0, out=out, mode="clip")  # "raise" would go through a copy of its own


def _part(chosen: Chosen, first: int, last: int) -> Chosen:
    if isinstance(chosen, slice):
        return slice(chosen.start + first, chosen.start + last)
    return chosen[first:last]


def piece_bytes(X: Matrix) -> int:
    """The size of the pinned buffers through which X goes: the same for most, so that they are reused."""
    return max(PIECE_BYTES, int(X.shape[1]) * X.itemsize)


def send_rows(
    pair: PinnedPair, packer: Packer, X: Matrix, chosen: Chosen, count: int, target: Any
) -> Iterator[tuple[Sent, int]]:
    """Send ``count`` chosen rows to the flat device array ``target``: each piece's event, and rows so far.

    Whoever asks for the next piece says by that where it may be filled; the caller sees to it that no
    kernel still uses target.
    """
    d = X.shape[1]
    step = max(1, pair.size // (d * X.itemsize))
    for first in range(0, count, step):
        last = min(count, first + step)

        def fill(buffer: Bytes, first: int = first, last: int = last) -> None:
            out = buffer.view(X.dtype).reshape(last - first, d)
            packer.pack(X, _part(chosen, first, last), out)

        size = (last - first) * d * X.itemsize
        yield pair.send(size, fill, target[first * d : last * d]), last


# ---- chosen rows, there when the call returns


def chosen_rows(host: HostRows, chosen: Chosen, factors: Float64 | None, packer: Packer) -> HostRows:
    """The chosen rows as rows of their own on the host, with weights s × factors."""
    y = host.y[chosen]
    X: Matrix = np.empty((len(y), host.X.shape[1]), host.X.dtype)
    packer.pack(host.X, chosen, X)
    return HostRows.of(X, y, weights_of(host, chosen, factors))


def weights_of(host: HostRows, chosen: Chosen, factors: Float64 | None) -> Float64 | None:
    """s × factors of the chosen rows; None where all are 1."""
    if factors is None or (factors == 1.0).all():
        return None if host.s is None else np.ascontiguousarray(host.s[chosen])
    return factors.copy() if host.s is None else host.s[chosen] * factors


def gathered(
    device: Device,
    host: HostRows,
    chosen: Chosen,
    factors: Float64 | None,
    packer: Packer,
    weight_sum: float | None = None,
) -> Resident:
    """The chosen rows on the device, with weights s × factors.

    weight_sum : what their answers are divided by, if not the sum of these weights
    """
    labels, s = host.y[chosen], weights_of(host, chosen, factors)
    m, d = len(labels), host.X.shape[1]
    if weight_sum is None:
        weight_sum = float(m) if s is None else float(s.sum())
    X = _send(device, host.X, chosen, m, packer)
    y = device.upload(np.ascontiguousarray(labels))
    weights = None if s is None else device.upload(s)
    return Resident(device, (m, d), X, y, weights, weight_sum)


def _send(device: Device, X: Matrix, chosen: Chosen, count: int, packer: Packer) -> Any:
    """The chosen rows of X, flat, on the device when this returns."""
    d = X.shape[1]
    if count * d * X.itemsize < PIECE_BYTES:
        rows: Matrix = np.empty((count, d), X.dtype)
        packer.pack(X, chosen, rows)
        return device.upload(rows.reshape(-1))
    return _send_pieces(device, X, chosen, count, packer)


def send_all(device: Device, X: Matrix, packer: Packer) -> Any:
    """All of X (n, d), flat, on the device when this returns, by pinned pieces however small it is."""
    return _send_pieces(device, X, slice(0, len(X)), len(X), packer)


def _send_pieces(device: Device, X: Matrix, chosen: Chosen, count: int, packer: Packer) -> Any:
    target = device.empty(count * X.shape[1], X.dtype)
    copies = device.copies()
    copies.after_kernels()  # some may still use the memory that target now has
    try:
        for _ in send_rows(PinnedPair(copies, piece_bytes(X)), packer, X, chosen, count, target):
            pass
    finally:
        copies.finish()
    return target
