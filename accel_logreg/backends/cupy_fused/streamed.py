"""Rows that are more than the device can hold: some stay there, the others go through it at every read.

Every question is the sum of its parts' answers, in float64 and always in the same order: first the rows
that stay, then the others from the first to the last. Nothing of this shows at the interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.cupy_fused.dense import CupyRows, checked_rows, require_memory
from accel_logreg.backends.cupy_fused.device.budget import memory_error
from accel_logreg.backends.cupy_fused.device.slots import Parts, logits
from accel_logreg.backends.cupy_fused.device.staging import (
    Chosen,
    HostRows,
    Packer,
    chosen_rows,
    gathered,
    weights_of,
)
from accel_logreg.backends.cupy_fused.device.stream_plan import (
    gram_block_bytes,
    hessian_block_bytes,
    hessian_bound,
    most_rows,
    plan_stream,
    planned_bytes,
    stream_bytes,
    workspace_bound,
)
from accel_logreg.interface.answers import Descent, Rates, RowSample
from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.rows import AmongRows, Precision, Rows
from accel_logreg.interface.targets import Targets
from accel_logreg.kernels.cupy_fused.dense import launch as kernels
from accel_logreg.kernels.cupy_fused.dense.launch import (
    GRADIENT,
    HESSIAN_DIAGONAL,
    HESSIAN_PRODUCT,
    Question,
    Resident,
    resident_bytes,
)
from accel_logreg.kernels.cupy_fused.launching import Device
from accel_logreg.kernels.cupy_fused.matrices import launch as matrices

# Seconds a byte of X takes on its way from host memory. Reckoned for PCIe 4, not measured.
BUS = 1 / 25e9


class StreamedRows(Rows, AmongRows):
    """Rows in host memory, of which the first ``kept`` are on the device as well.

    One read is all rows once over the bus or once from the device's memory, whichever it is for a row; the
    rows that stay may be read twice, as in ``CupyRows``, where they are too long for a tile.

    Raises
    ------
    MemoryError
        Not even two parts of one row, and what a pass over them takes, fit in the memory that is free.
    """

    def __init__(self, device: Device, host: HostRows) -> None:
        n, d = host.X.shape
        super().__init__((n, d), host.X.dtype, host.weight_sum)
        self._device, self._host, self._packer = device, host, Packer()
        weighted, itemsize, free = host.s is not None, host.X.itemsize, device.free_bytes()
        plan = plan_stream((n, d), itemsize, weighted, free, device.limits)
        if plan is None:
            need = stream_bytes(1, d, itemsize, weighted, device.limits)
            what = f"One row at a time of X of shape ({n}, {d}) and dtype {host.X.dtype}"
            raise memory_error(what, need, planned_bytes(free), "Raise max_memory, pass fewer features")
        self.kept, self.part_rows = plan.kept, plan.rows
        self._parts = Parts(device, host, plan.rows, self._packer)
        self._resident: Resident | None = None
        if plan.kept:
            first = slice(0, plan.kept)
            self._resident = gathered(device, host, first, None, self._packer, host.weight_sum)

    def placed(self, targets: Targets, rates: Rates) -> Rows:
        """A streamed byte comes over the bus; so do the rows of a Hessian, which are picked on the host."""
        self._usual = rates
        streamed = 1.0 - self.kept / self.n_rows
        slower = replace(
            rates,
            byte=rates.byte + streamed * BUS,
            tile_entry=rates.tile_entry + self.dtype.itemsize * BUS,
        )
        return super().placed(targets, slower)

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        answer = self._sum(GRADIENT, W)
        return float(answer[-1]), answer[:-1]

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        return self._sum(HESSIAN_PRODUCT, W, V)[:-1]

    def hessian_diagonal(self, W: Float64) -> Float64:
        return self._sum(HESSIAN_DIAGONAL, W)[:-1]

    def descend(
        self, W: Float64, learning_rate: float, shrink: float, steps: int, fit_intercept: bool
    ) -> Descent:
        """As in ``Rows``; the steps are made on the host, each from a pass over all rows."""
        W = W.copy()
        costs, norms = np.empty(steps), np.empty(steps)
        for step in range(steps):
            costs[step], gradient = self.loss_grad(W)
            gradient[:-1] += shrink * W[:-1]
            if not fit_intercept:
                gradient[-1] = 0.0
            costs[step] += 0.5 * shrink * float(W[:-1] @ W[:-1])
            norms[step] = np.sqrt(gradient @ gradient)
            W -= learning_rate * gradient
        return Descent(W, costs, norms)

    def _largest_entry(self) -> float:
        found: list[float] = []
        self._each(lambda part, _rows: found.append(kernels.largest_entry(part)))
        largest = max(found)
        self._count(1)
        return largest

    def combination(self, a: Float64) -> Float64:
        total = np.zeros(self.n_features)

        def add(part: Resident, rows: slice) -> None:
            np.add(total, kernels.combination(part, np.ascontiguousarray(a[rows])), out=total)

        if self._resident is not None:  # not at once: a's share of it might be more than what is left
            for rows in _slices(0, self.kept, self.part_rows):
                add(_view(self._resident, rows), rows)
        self._parts.each(self.kept, self.n_rows, add)
        self._count(1)
        return total

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",
    ) -> Float64:
        """As in ``Rows``, from as many rows at a time as there is room for. One read of the rows that count.

        Raises
        ------
        MemoryError
            The answer and the workspace are larger than the memory that is free; nothing was taken.
        """
        d, itemsize, limits = self.n_features, self.dtype.itemsize, self._device.limits

        def in_place(count: int) -> int:
            return hessian_bound(count, d, limits) + workspace_bound(count, d, itemsize, limits)

        def copied(count: int) -> int:
            return hessian_block_bytes(count, d, itemsize, limits)

        precise = precision == "float64"
        rows, factors, first, last = None, None, self.kept, self.n_rows
        if sample is not None:
            rows, factors = checked_rows(sample, self.n_rows)
            first, last = 0, len(rows)
        what = f"The Hessian of {d + 1} parameters"
        require_memory(self._device, copied(1), what, "Raise max_memory, pass fewer features")
        total, weight = np.zeros((d + 1, d + 1)), 0.0

        def add(data: Resident, its_weight: float) -> None:
            nonlocal weight
            if its_weight > 0.0:  # else its mean is of nothing
                total[...] += its_weight * matrices.hessian(data, W, centre, scale, None, None, precise)
                weight += its_weight

        if rows is None and self._resident is not None:
            step = most_rows(self.kept, in_place, self._device.free_bytes())
            for part in _slices(0, self.kept, step):
                s = weights_of(self._host, part, None)
                add(_view(self._resident, part), float(part.stop - part.start if s is None else s.sum()))
        for part in _slices(first, last, most_rows(last - first, copied, self._device.free_bytes())):
            chosen: Chosen = part if rows is None else rows[part]
            chosen_factors = None if factors is None else factors[part]
            data = gathered(self._device, self._host, chosen, chosen_factors, self._packer)
            add(data, data.weight_sum)
            del data  # before the next ones take its room
        self._count((last if rows is None else len(rows)) / self.n_rows)
        return total / weight

    def gram(self, centre: Float64, *, precise: bool = True) -> Float64:  # noqa: ARG002
        """As in ``Rows``, from as many columns at a time as there is room for.

        Raises
        ------
        MemoryError
            The answer and the workspace are larger than the memory that is free; nothing was taken.
        """
        n, d, device = self.n_rows, self.n_features, self._device

        def block(count: int) -> int:
            return gram_block_bytes(count, n, self.dtype.itemsize, device.limits)

        require_memory(device, block(1), f"The Gram matrix of {n} rows", "Pass fewer rows")
        total = np.zeros((n, n))
        for columns in _slices(0, d, most_rows(d, block, device.free_bytes())):
            host = HostRows(self._host.X[:, columns], self._host.y, None, float(n))
            data = gathered(device, host, slice(0, n), None, self._packer)
            total += matrices.gram(data, centre[columns])
            del data  # before the next ones take its room
        self._count(1)
        return total

    def logits(self, W: Float64) -> Float64:
        self._count(1)
        return logits(self._device, self._host.X, W)

    def take(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        entries: Matrix = self._host.X[rows, columns]
        return entries

    def among_rows(self) -> StreamedRows:
        return self

    def sample(self, picked: RowSample) -> Rows:
        """As in ``Rows``: on the device where there is room for it, else streamed like these."""
        rows, factors = checked_rows(picked, self.n_rows)
        sample: Rows
        if self._has_room(len(rows), self.n_features):
            sample = CupyRows(gathered(self._device, self._host, rows, factors, self._packer))
        else:
            sample = StreamedRows(self._device, chosen_rows(self._host, rows, factors, self._packer))
        self._share_tally(sample)
        return sample

    def restricted(self, columns: NDArray[np.intp]) -> Rows:
        """As in ``Rows``: on the device where there is room for it, else streamed like these."""
        restricted = super().restricted(columns)
        return restricted.placed(self.targets, self._usual) if hasattr(self, "rates") else restricted

    def _restricted(self, columns: NDArray[np.intp]) -> Rows:
        n, k, host = self.n_rows, len(columns), self._host
        X: Matrix = np.empty((n, k), self.dtype)
        self._packer.pack_columns(host.X, columns, X)
        some = HostRows(X, host.y, host.s, host.weight_sum)
        if self._has_room(n, k):
            return CupyRows(gathered(self._device, some, slice(0, n), None, self._packer))
        return StreamedRows(self._device, some)

    def _has_room(self, m: int, d: int) -> bool:
        """Whether weighted rows (m, d) fit on the device, and their Hessian unless it never would."""
        limits, free = self._device.limits, self._device.free_bytes()
        need, hessian = resident_bytes((m, d), self.dtype.itemsize, True, limits), hessian_bound(m, d, limits)
        return need + (hessian if hessian <= free else 0) <= free

    def _sum(self, question: Question, W: Float64, V: Float64 | None = None) -> Float64:
        """The answer (d + 2,) of all rows: the sum of the parts', each divided by the weight of all."""
        device = self._device
        w, v = device.upload(W), None if V is None else device.upload(V)
        answer = device.empty(self.n_features + 2)
        total = np.zeros(self.n_features + 2)

        def add(part: Resident, _rows: slice) -> None:
            part.launch(question, w, v, answer)
            np.add(total, device.download(answer), out=total)

        self._each(add)
        streamed = self.n_rows - self.kept
        kept_reads = 0 if self._resident is None else self.kept * self._resident.reads(question)
        self._count((kept_reads + streamed) / self.n_rows)
        return total

    def _each(self, work: Callable[[Resident, slice], None]) -> None:
        """All rows, part by part."""
        if self._resident is not None:
            work(self._resident, slice(0, self.kept))
        self._parts.each(self.kept, self.n_rows, work)


def _slices(first: int, last: int, step: int) -> Iterator[slice]:
    for start in range(first, last, step):
        yield slice(start, min(last, start + step))


def _view(data: Resident, rows: slice) -> Resident:
    """Some neighbouring rows of data, where they lie."""
    X = data.X[rows.start * data.d : rows.stop * data.d]
    s = None if data.s is None else data.s[rows]
    return Resident(data.device, (rows.stop - rows.start, data.d), X, data.y[rows], s, data.weight_sum)
