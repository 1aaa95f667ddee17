"""K columns over sparse rows in the Numba engine: panels of up to 32 columns; one read of the nonzeros."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.numba_jit import tuning
from accel_logreg.backends.numba_jit.csr import NumbaCsrRows
from accel_logreg.backends.numba_jit.sharing import chunks_for, read_only
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.columns import ColumnRows
from accel_logreg.interface.parts import PartTargets
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import Targets
from accel_logreg.kernels.numba_jit import csr_columns as kernels
from accel_logreg.kernels.numba_jit.threads import share


class NumbaCsrColumns(ColumnRows):
    """K problems over the sparse X that ``rows`` hold, whose columns are renamed as there.

    Points and answers lie column after column in memory, as a solver of K problems goes through them.
    """

    memory_order = "F"

    def __init__(self, rows: Rows, targets: Targets) -> None:
        super().__init__(rows, targets)
        assert isinstance(rows, NumbaCsrRows)
        self._one, self._x, self._order = rows, rows.arrays(), rows.order
        self.pairs = rows.pairs
        K, prices = self.n_columns, tuning.CSR_PANELS
        self._width = min(prices, key=lambda width: -(-K // width) * width * prices[width])
        self._panels = -(-K // self._width)
        self._Y = read_only(self._by_panels(targets.y.T, np.int8))
        T, self._of_row, self._s = np.ones((K, 1)), np.empty(0, dtype=np.intp), np.empty(0)
        if isinstance(targets, PartTargets):
            T, self._of_row = targets.parts.times.T, targets.parts.of_row
            self._s = self._s if targets.of_rows is None else targets.of_rows
        elif targets.each_its_own:
            assert targets.s is not None
            T, self._of_row = targets.s.T, np.arange(self.n_rows)
        elif targets.s is not None:
            self._s = targets.s
        self._T = read_only(self._by_panels(T, np.float64))
        self._of_row, self._s = read_only(self._of_row), read_only(self._s)
        # s h at the last W asked about, as for one column.
        self._h = np.empty((self._panels, self.n_rows, self._width))
        self._h_at: Float64 | None = None

    def column(self, k: int) -> Rows:
        one = self.targets.column(k)
        return self._one.around(one.y, one.s)

    def only(self, columns: NDArray[np.intp]) -> ColumnRows:
        """As in ``ColumnRows``; what is known of the last gradient's point stays known."""
        some = super().only(columns)
        assert isinstance(some, NumbaCsrColumns)
        if self._h_at is not None:
            some._h[-1, :, len(columns) % some._width :] = 0.0
            for at, k in enumerate(columns):
                some._h[at // some._width, :, at % some._width] = self._h[
                    k // self._width, :, k % self._width
                ]
            some._h_at = np.asfortranarray(self._h_at[:, columns])
        return some

    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        self._h_at = None
        partials, bounds = self._partials()
        losses = np.empty((len(partials), self._width))
        of = self._x, self._Y, self._T, self._of_row, self._s, self._packed(W), bounds
        self._run(kernels.gradient_part, *of, self._h, partials, losses)
        self._h_at = W if not W.flags.writeable else W.copy(order="F")
        self._count(1)
        loss = losses.reshape(self._panels, -1, self._width).sum(axis=1).ravel()[: self.n_columns]
        return loss / self.weight_sum, self._answer(partials)

    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        self._know_curvatures(W)
        partials, bounds = self._partials()
        self._run(kernels.product_part, self._x, self._h, self._packed(V), bounds, partials)
        self._count(1)
        return self._answer(partials)

    def hessian_diagonal(self, W: Float64) -> Float64:
        return self._curvature_sums(self._checked("W", W), squared=True)

    def hessian_last(self, W: Float64) -> Float64:
        return self._curvature_sums(self._checked("W", W), squared=False)

    def logits(self, W: Float64) -> Float64:
        Z = np.empty((self.n_rows, self.n_columns))
        self._run(kernels.logits_part, self._x, self._packed(self._checked("W", W)), self._bounds(), Z)
        self._count(1)
        return Z

    def _curvature_sums(self, W: Float64, *, squared: bool) -> Float64:
        self._know_curvatures(W)
        partials, bounds = self._partials()
        self._run(kernels.curvature_part, self._x, self._h, bounds, squared, partials)
        self._count(1)
        return self._answer(partials)

    def _know_curvatures(self, W: Float64) -> None:
        """A point that nobody can write to is known by its address."""
        known = self._h_at
        same = known is not None and ((W is known and not W.flags.writeable) or np.array_equal(known, W))
        if not same:
            self._loss_grad(W)

    def _by_panels(self, lines: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """(panels, m, width) of a line (m,) a column, 0 where there is none."""
        panels = np.zeros((self._panels, lines.shape[1], self._width), dtype=dtype)
        for k, line in enumerate(lines):
            panels[k // self._width, :, k % self._width] = line
        return panels

    def _chunks(self) -> int:
        answer = self.n_features * self._width
        return chunks_for(self.entries * self.n_columns, self.n_rows * self._panels, answer=answer)

    def _run(self, kernel: Any, *of: Any) -> None:
        share(self._chunks(), kernel, *of)

    def _bounds(self) -> NDArray[np.int64]:
        """Rows are cut where panels alone are too few, or unevenly many for the threads."""
        chunks = self._chunks()
        return self._one.bounds(chunks // math.gcd(chunks, self._panels))

    def _partials(self) -> tuple[Float64, NDArray[np.int64]]:
        bounds = self._bounds()
        tasks = self._panels * (bounds.size - 1)
        return np.zeros((tasks, self.n_features + 1, self._width)), bounds

    def _packed(self, W: Float64) -> Float64:
        panels = np.zeros((self._panels, self.n_features + 1, self._width))
        self._run(kernels.pack_part, read_only(W.T), self._order, panels)
        return panels

    def _answer(self, partials: Float64) -> Float64:
        """The parts' sums in their order, (p, K) with the caller's columns."""
        W = np.empty((self.n_columns, self.n_features + 1))
        parts = len(partials) // self._panels
        self._run(kernels.unpack_part, partials, self._order, self.weight_sum, parts, W)
        return W.T
