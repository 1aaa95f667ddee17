"""Columns whose problems are some parts of the rows each: the folds of a cross-validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.targets import Targets


@dataclass(frozen=True)
class Parts:
    """The rows' parts, of_row (n,) intp, and how often each is in a column's rows, times (P, K) float64: 0
    or 1, or more for rows that a bootstrap has drawn repeatedly.
    """

    of_row: NDArray[np.intp]
    times: Float64

    def only(self, columns: NDArray[np.intp] | slice) -> Parts:
        """Those of these columns."""
        return Parts(self.of_row, np.ascontiguousarray(self.times[:, columns]))

    def of_rows(self, rows: NDArray[np.intp]) -> Parts:
        """Those of these rows."""
        return Parts(self.of_row[rows], self.times)

    def weights(self, s: Float64 | None) -> Float64:
        """Every column's weights, (n, K): those of the rows, s (n,), as often as they are in it."""
        own = np.take(self.times, self.of_row, axis=0)
        if s is not None:
            own *= s[:, np.newaxis]
        return own


class PartTargets(Targets):
    """Labels Y (n, K), and weights that are made of the rows', (n,) or None, and the columns' parts.

    All n K of them at once only where somebody asks for them.
    """

    _own: Float64 | None = None

    def __init__(self, y: NDArray[np.int8], of_rows: Float64 | None, parts: Parts) -> None:
        super().__init__(y, None)
        self.of_rows, self.parts = of_rows, parts

    @property
    def s(self) -> Float64 | None:
        if self._own is None:
            self._own = self.parts.weights(self.of_rows)
        return self._own

    @s.setter
    def s(self, s: Float64 | None) -> None:
        self._own = s

    @property
    def weight_sum(self) -> Float64:
        sums = np.bincount(self.parts.of_row, self.of_rows, minlength=len(self.parts.times))
        return np.asarray(sums @ self.parts.times)

    @property
    def each_its_own(self) -> bool:
        return True

    @property
    def nbytes(self) -> int:
        return self.y.nbytes + self.parts.of_row.nbytes + (0 if self.of_rows is None else self.of_rows.nbytes)

    def own_weights(self, columns: slice) -> Float64:
        return self.parts.only(columns).weights(self.of_rows)

    def weights_of(self, rows: NDArray[np.intp]) -> Float64:
        s = np.asarray(self.parts.times.sum(axis=1)[self.parts.of_row[rows]])
        return s if self.of_rows is None else s * self.of_rows[rows]

    def column(self, k: int) -> Targets:
        s = self.own_weights(slice(k, k + 1))[:, 0]
        return Targets(np.ascontiguousarray(self.y[:, k]), np.ascontiguousarray(s))

    def only(self, columns: NDArray[np.intp]) -> PartTargets:
        return PartTargets(np.ascontiguousarray(self.y[:, columns]), self.of_rows, self.parts.only(columns))

    def part(self, rows: slice) -> PartTargets:
        s = None if self.of_rows is None else self.of_rows[rows]
        return PartTargets(self.y[rows], s, Parts(self.parts.of_row[rows], self.parts.times))

    def of_sample(self, rows: NDArray[np.intp], factors: Float64) -> PartTargets:
        s = factors if self.of_rows is None else self.of_rows[rows] * factors
        return PartTargets(self.y[rows], s, self.parts.of_rows(rows))
