"""K columns in the Numba engine: panels of eight, or column by column where they are few; one read of X."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.numba_jit import tuning
from accel_logreg.backends.numba_jit.csr import NumbaCsrRows
from accel_logreg.backends.numba_jit.csr_columns import NumbaCsrColumns
from accel_logreg.backends.numba_jit.dense import NumbaRows
from accel_logreg.backends.numba_jit.sharing import chunks_for, read_only
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.columns import ColumnRows
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import Targets
from accel_logreg.kernels.numba_jit import columns as kernels
from accel_logreg.kernels.numba_jit import dense as few
from accel_logreg.kernels.numba_jit.blocks.panels import PANEL
from accel_logreg.kernels.numba_jit.threads import share

_LINE = 64  # bytes


def columns_over(rows: Rows, targets: Targets) -> ColumnRows:
    """K problems over the X that ``rows`` hold: sparse rows, as few columns, or as panels."""
    if isinstance(rows, NumbaCsrRows):
        return NumbaCsrColumns(rows, targets)
    few_enough = targets.n_columns <= tuning.FEW_COLUMNS
    return NumbaFewColumns(rows, targets) if few_enough else NumbaColumns(rows, targets)


class _DenseColumns(ColumnRows):
    """K problems over the X that ``rows`` hold."""

    def __init__(self, rows: Rows, targets: Targets) -> None:
        super().__init__(rows, targets)
        assert isinstance(rows, NumbaRows)
        self._one, self._X = rows, rows.X

    def column(self, k: int) -> Rows:
        one = self.targets.column(k)
        return self._one.around(one.y, one.s)

    def _around(self, rows: Rows, targets: Targets) -> ColumnRows:
        return columns_over(rows, targets)

    def _chunks(self) -> int:
        """Into how many chunks the rows are cut."""
        answer = self.n_columns * self.n_features
        return chunks_for(self._X.size * self.n_columns, self.n_rows, answer=answer)


class NumbaColumns(_DenseColumns):
    """Panels of eight columns."""

    def __init__(self, rows: Rows, targets: Targets) -> None:
        super().__init__(rows, targets)
        self._Y = read_only(_by_panels(targets.y))
        own, shared = targets.each_its_own, None if targets.each_its_own else targets.s
        self._shared = shared is not None
        if own:
            panels = range(0, self.n_columns, PANEL)
            s = np.concatenate([targets.own_weights(slice(k, k + PANEL)).ravel() for k in panels])
        else:
            s = np.empty(0) if shared is None else shared
        self._s = read_only(s)
        self._panels = -(-self.n_columns // PANEL)
        self._rows = kernels.block_rows(self.n_rows, self.n_features)

    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        partials = self._partials(self.n_features + 2)
        cut = self.n_columns, self._rows, partials
        of = self._X, self._Y, self._s, self._shared, self._padded(W)
        share(len(partials), kernels.gradient_part, *of, *cut)
        self._count(1)
        answer = self._answer(partials)
        return answer[-1].copy(), answer[:-1]

    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        partials = self._partials(self.n_features + 1)
        cut = self.n_columns, self._rows, partials
        of = self._X, self._s, self._shared, self._padded(W), self._padded(V)
        share(len(partials), kernels.product_part, *of, *cut)
        self._count(1)
        return self._answer(partials)

    def logits(self, W: Float64) -> Float64:
        Z = np.empty((self.n_rows, self.n_columns))
        of = self._X, self._padded(self._checked("W", W)), self.n_columns, self._rows, Z
        share(self._chunks(), kernels.logits_part, *of)
        self._count(1)
        return Z

    def _partials(self, rows: int) -> Float64:
        return aligned((self._chunks(), self._panels, rows, PANEL))

    def _padded(self, W: Float64) -> Float64:
        """W (p, K) as panels (panels, p, 8), zero where there is no column."""
        panels = aligned((self._panels, W.shape[0], PANEL))
        panels[...] = 0.0
        for k in range(self._panels):
            columns = W[:, PANEL * k : PANEL * (k + 1)]
            panels[k, :, : columns.shape[1]] = columns
        return panels

    def _answer(self, partials: Float64) -> Float64:
        """The chunks' sums in their order, as columns (rows, K), each divided by its weight."""
        columns = _sum(partials).transpose(1, 0, 2).reshape(partials.shape[2], -1)
        return columns[:, : self.n_columns] / self.weight_sum


class NumbaFewColumns(_DenseColumns):
    """A few columns: each goes along the features, all of them over the same rows in the cache."""

    def __init__(self, rows: Rows, targets: Targets) -> None:
        super().__init__(rows, targets)
        self._Y = read_only(np.ascontiguousarray(targets.y.T))
        s = np.empty((1, 0)) if targets.s is None else targets.s.reshape(self.n_rows, -1).T
        self._S = read_only(np.ascontiguousarray(s))
        self._width = -(-self.n_features // PANEL) * PANEL

    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        partials = self._partials()
        share(len(partials), few.gradient_part, self._X, self._Y, self._S, *self._padded(W), partials)
        self._count(1)
        answer = self._answer(partials)
        return answer[-1].copy(), answer[:-1]

    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        partials = self._partials()
        of = self._X, self._S, *self._padded(W), *self._padded(V)
        share(len(partials), few.product_part, *of, partials)
        self._count(1)
        return self._answer(partials)[:-1]

    def _partials(self) -> Float64:
        return np.empty((self._chunks(), self.n_columns, self._width + 2))

    def _padded(self, W: Float64) -> tuple[Float64, Float64]:
        """w (K, width), zero after d entries, and b (K,)."""
        w = np.zeros((self.n_columns, self._width))
        w[:, : self.n_features] = W[:-1].T
        return w, W[-1].copy()

    def _answer(self, partials: Float64) -> Float64:
        """(d + 2, K): over x, over ones, and the losses, each divided by its column's weight."""
        total = _sum(partials)
        entries = np.r_[: self.n_features, self._width, self._width + 1]
        return total[:, entries].T / self.weight_sum


def _sum(partials: Float64) -> Float64:
    """The chunks' sums, added in their order."""
    total = np.zeros(partials.shape[1:])
    for chunk in partials:
        total += chunk
    return total


def aligned(shape: tuple[int, ...]) -> Float64:
    """Uninitialised float64 from the beginning of a cache line on: vectors do not straddle two."""
    size = int(np.prod(shape))
    memory = np.empty(size + _LINE // 8)
    skipped = -memory.ctypes.data % _LINE // 8
    return memory[skipped : skipped + size].reshape(shape)


def _by_panels(matrix: NDArray[Any]) -> NDArray[Any]:
    """(n, K) as panel after panel, each (n, width), flat."""
    K = matrix.shape[1]
    return np.concatenate([matrix[:, k : k + PANEL].ravel() for k in range(0, K, PANEL)])
