"""An overlapped upload: a training set that is asked questions while it is still on its way to the device.

A thread of its own fills pinned buffers from host X and sends them, first rows first. Meanwhile the solver
works on samples, which are gathered on the host, and the first pass over all rows runs behind the copies.

Why it is right. ``OverlappedUpload`` lets go of X in two ways only:

- ``X`` first waits, on the host, until the last copy has happened. Whatever reads all of X asks for it by
  that name, so nothing reads rows that are not there, on whatever stream.
- ``chunks`` gives a fused pass the blocks whose rows have been sent, after ``before_kernels`` of the
  copy that brings the last of them; copies keep their order, so those before have happened as well.

The copies start after every kernel that was launched before (``after_kernels``, in the thread that owns the
current stream), of which some may still use the memory that X now has. The thread holds host X, device X
and the pinned buffers until its last copy has happened, also when nobody waits for it any more.

The answers do not depend on what had arrived when: a block's partial sums are the same bits in whatever
launch it runs, and so is a sample, gathered here or there.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from threading import Condition, Thread
from typing import Any

from accel_logreg.backends.cupy_fused.device.staging import (
    HostRows,
    Packer,
    PinnedPair,
    piece_bytes,
    send_rows,
)
from accel_logreg.kernels.cupy_fused.dense.launch import Matrix, Resident
from accel_logreg.kernels.cupy_fused.launching import Copies, Device, Sent


class Upload:
    """Host rows on their way to the flat device array ``target``, in a thread."""

    def __init__(self, copies: Copies, X: Matrix, target: Any) -> None:
        self._copies = copies
        self._news = Condition()
        self._sent: Sent | None = None  # the last copy
        self._rows = 0  # sent by then
        self._stopped = False
        self._error: BaseException | None = None
        self.finished = False  # whether every copy has happened
        copies.after_kernels()
        pair = PinnedPair(copies, piece_bytes(X))
        # Not a daemon: the interpreter must not go away under a copy.
        Thread(target=self._run, args=(pair, X, target), name="accel_logreg_upload").start()

    def _run(self, pair: PinnedPair, X: Matrix, target: Any) -> None:
        try:
            try:
                for sent, rows in send_rows(pair, Packer(), X, slice(0, len(X)), len(X), target):
                    with self._news:
                        self._sent, self._rows = sent, rows
                        self._news.notify_all()
                        if self._stopped:
                            break
            finally:
                self._copies.finish()  # before X, target and the pinned buffers may go
            self.finished = self._rows == len(X)
        except BaseException as error:  # raised again where somebody waits
            with self._news:
                self._error = error.with_traceback(None)  # whose frames would hold X
                self._news.notify_all()

    def stop(self) -> None:
        """Send no more: nobody will ask."""
        with self._news:
            self._stopped = True

    def beyond(self, row: int) -> tuple[Sent, int]:
        """How many rows have been sent, more than ``row``, and the last copy; waits until there are."""
        with self._news:
            self._news.wait_for(lambda: self._rows > row or self._error is not None)
            if self._error is not None:
                raise self._error
            return self._sent, self._rows

    def before_kernels(self, sent: Sent) -> None:
        self._copies.before_kernels(sent)

    def wait(self, sent: Sent) -> None:
        self._copies.wait(sent)


class OverlappedUpload(Resident):
    """``Resident`` from host X, y and s, returned before X has been copied."""

    def __init__(self, device: Device, host: HostRows) -> None:
        n, d = host.X.shape
        self._host: HostRows | None = host
        target = device.empty(n * d, host.X.dtype)
        labels = device.upload(host.y)
        weights = None if host.s is None else device.upload(host.s)
        super().__init__(device, (n, d), target, labels, weights, host.weight_sum)
        self._upload = Upload(device.copies(), host.X, target)
        weakref.finalize(self, self._upload.stop)

    @property
    def host(self) -> HostRows | None:
        """The rows as they were given, while they are on their way."""
        if self._host is not None and self._upload.finished:
            self._host = None
        return self._host

    @property
    def X(self) -> Any:
        """All of X, flat, once it is there."""
        if self._host is not None:
            sent, _ = self._upload.beyond(self.n - 1)
            self._upload.wait(sent)
            self._host = None
        return self._on_device

    @X.setter
    def X(self, value: Any) -> None:
        self._on_device = value

    def chunks(self, blocks: int, block_rows: int) -> Iterator[tuple[int, int, tuple[Any, Any, Any]]]:
        if self.host is None:
            yield from super().chunks(blocks, block_rows)
            return
        first = 0
        while first < blocks:
            needed = min(self.n, (first + 1) * block_rows)
            sent, rows = self._upload.beyond(needed - 1)
            self._upload.before_kernels(sent)
            last = blocks if rows == self.n else rows // block_rows
            yield first, last, self._from_row(first * block_rows)
            first = last

    def _from_row(self, row: int) -> tuple[Any, Any, Any]:
        s = None if self.s is None else self.s[row:]
        return self._on_device[row * self.d :], self.y[row:], s
