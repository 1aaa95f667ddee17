"""X in a Zarr array: chunks of rows, decoded by several threads while the ones before are worked on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from accel_logreg.interface.arrays import Matrix
from accel_logreg.interface.parted_matrix import SourceError
from accel_logreg.sources.reading import AHEAD, ahead
from accel_logreg.sources.source import Source, computed_dtype, cut


class ZarrSource(Source):
    """X (n, d); its parts have whole chunks."""

    def __init__(self, X: Any) -> None:
        """Raises ValueError for an array of other dimensions, TypeError for what is no number."""
        self.where = f"the Zarr array {X.store}"
        if X.ndim != 2:
            raise ValueError(f"{self.where} has shape {X.shape}; X is (n, d)")
        self._X, self.n_features = X, int(X.shape[1])
        self.dtype = computed_dtype([np.dtype(X.dtype)], self.where)
        row_bytes = self.n_features * self.dtype.itemsize
        self._parts, self.bounds = cut([int(X.shape[0])], row_bytes, int(X.chunks[0]))

    @property
    def waiting_bytes(self) -> int:
        return 2 * (1 + AHEAD) * max(self.part_bytes(part) for part in range(self.n_parts))

    def scan(self, wanted: Sequence[int]) -> Iterator[Matrix]:
        return ahead(wanted, self._read, range(min(1 + AHEAD, max(1, len(wanted)))))

    def _read(self, part: int, _buffer: int) -> Matrix:
        _, first, last = self._parts[part]
        try:
            rows = np.asarray(self._X[first:last])
        except Exception as error:
            raise SourceError(f"part {part} of {self.where} cannot be read: {error}") from error
        X: Matrix = np.ascontiguousarray(rows, dtype=self.dtype)
        return X
