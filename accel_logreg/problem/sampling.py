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

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Float64, Labels

_RARE = 0.1  # share of the weight below which a class is drawn more often than it occurs
_RUN_BYTES = 1024


class Sampler:
    """Draws from n rows; a generator in the same state draws the same rows.

    Parameters
    ----------
    y : (n,), 0 or 1
    sample_weight : (n,) float64 or None
    row_bytes : int
        Bytes of a row of X: short rows are drawn in runs.
    """

    def __init__(
        self,
        y: Labels,
        sample_weight: Float64 | None,
        row_bytes: int,
        random: np.random.RandomState,
    ) -> None:
        self._random = random
        self._n = len(y)
        s = sample_weight
        positive = float(np.count_nonzero(y) / len(y) if s is None else s @ y / s.sum())
        self._run = int(min(8, max(1, _RUN_BYTES // row_bytes)))
        self._cumulated: Float64 | None = None
        if s is not None or min(positive, 1.0 - positive) < _RARE:
            self._importance = np.where(y == 1, 0.5 / positive, 0.5 / (1.0 - positive))
            if s is not None:
                self._importance *= s
            self._cumulated = np.cumsum(self._importance)

    def pick(self, size: int) -> RowSample:
        """About ``size`` rows; fewer where an important row is drawn several times."""
        if self._cumulated is None:
            return self._runs(size)
        total = self._cumulated[-1]
        cells = (np.arange(size) + self._random.random_sample(size)) * (total / size)
        drawn = np.searchsorted(self._cumulated, cells, side="right")
        rows, times = np.unique(np.minimum(drawn, self._n - 1), return_counts=True)
        return RowSample(rows, times * (total / size) / self._importance[rows])

    def _runs(self, size: int) -> RowSample:
        draws = max(1, size // self._run)
        cell = self._n / draws
        offsets = self._random.random_sample(draws) * (cell - self._run + 1)
        starts = (np.arange(draws) * cell + np.maximum(offsets, 0.0)).astype(np.intp)
        starts = np.minimum(starts, self._n - self._run)
        rows: NDArray[np.intp] = (starts[:, np.newaxis] + np.arange(self._run)).ravel()
        return RowSample(rows, np.ones(len(rows)))
