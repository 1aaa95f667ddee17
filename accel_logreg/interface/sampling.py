"""Which rows a sample takes, and with which weights.

Files are often sorted, by label, by time or by a feature. The file is cut into as many cells as the
sample has draws, and one draw falls at random into each cell, so every part of the file is heard.
Where all rows count alike, a draw is a short run of neighbouring rows, which memory delivers together.

Where they do not (sample weights, a rare class), a draw is one row and the cells have equal shares of
importance instead of rows: importance is the row's weight times a factor that gives both classes half
of the sample. A picked row's weight is divided by its importance, so every sum over the sample
estimates the sum over all rows without bias.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Float64

_RARE = 0.1  # share of the weight below which a class is drawn more often than it occurs
_UNEVEN = 5.0  # times as important as another: from which classes are drawn by importance
_RUN_BYTES = 1024


class Sampler:
    """Draws from n rows; a generator in the same state draws the same rows.

    Parameters
    ----------
    problems : one (y, s) for each of the problems that share the rows
        y (n,) of 0 and 1, s (n,) float64 or None. A row is as important as it is to all of them together.
    row_bytes : int
        Bytes of a row of X: short rows are drawn in runs.
    """

    def __init__(self, problems: list[tuple[NDArray[Any], Float64 | None]], row_bytes: int) -> None:
        self._set(len(problems[0][0]), row_bytes, None)
        # No product: BLAS's last digits are others with another number of threads.
        shares = [
            float(np.count_nonzero(y) / len(y) if s is None else np.sum(s * y) / np.sum(s))
            for y, s in problems
        ]
        if any(s is not None for _, s in problems) or min(min(a, 1.0 - a) for a in shares) < _RARE:
            importance = [_importance(y, s, a) for (y, s), a in zip(problems, shares, strict=True)]
            self._set(self._n, row_bytes, importance[0] if len(problems) == 1 else np.sum(importance, axis=0))

    def _set(self, n: int, row_bytes: int, importance: Float64 | None) -> None:
        self._n = n
        self._run = int(min(8, max(1, _RUN_BYTES // row_bytes)))
        self._importance = importance
        self._cumulated: Float64 | None = None if importance is None else np.cumsum(importance)

    @classmethod
    def of_classes(cls, y: NDArray[Any], s: Float64 | None, shares: Float64, row_bytes: int) -> Sampler:
        """For y (n,) of K classes with these shares of the weight: as important as a row is to the K problems
        of one class against the rest.
        """
        sampler = cls.__new__(cls)
        others = shares < 1.0
        rest = np.where(others, 0.5 / np.where(others, 1.0 - shares, 1.0), 0.0)
        some = shares > 0.0
        of_class = np.where(some, 0.5 / np.where(some, shares, 1.0), 0.0) - rest + rest.sum()
        even = s is None and of_class.max() <= _UNEVEN * of_class[some].min()
        importance = None if even else of_class[y] * (1.0 if s is None else s)
        sampler._set(len(y), row_bytes, importance)
        return sampler

    def pick(self, size: int, random: np.random.RandomState) -> RowSample:
        """About ``size`` rows; fewer where an important row is drawn several times."""
        if self._cumulated is None:
            return self._runs(size, random)
        assert self._importance is not None
        total = self._cumulated[-1]
        cells = (np.arange(size) + random.random_sample(size)) * (total / size)
        drawn = np.searchsorted(self._cumulated, cells, side="right")
        rows, times = np.unique(np.minimum(drawn, self._n - 1), return_counts=True)
        return RowSample(rows, times * (total / size) / self._importance[rows])

    def _runs(self, size: int, random: np.random.RandomState) -> RowSample:
        draws = max(1, size // self._run)
        cell = self._n / draws
        offsets = random.random_sample(draws) * (cell - self._run + 1)
        starts = (np.arange(draws) * cell + np.maximum(offsets, 0.0)).astype(np.intp)
        starts = np.minimum(starts, self._n - self._run)
        rows: NDArray[np.intp] = (starts[:, np.newaxis] + np.arange(self._run)).ravel()
        return RowSample(rows, np.ones(len(rows)))


def _importance(y: NDArray[Any], s: Float64 | None, positive: float) -> Float64:
    """(n,), with half of the sum in each class."""
    if 0.0 < positive < 1.0:
        importance = np.where(y == 1, 0.5 / positive, 0.5 / (1.0 - positive))
    else:  # a column of one class
        importance = np.ones(len(y))
    if s is not None:
        importance *= s
    return importance
