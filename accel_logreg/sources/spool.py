"""Decoded parts written once, so that later reads come at the disk's pace and not at the decoder's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from accel_logreg.interface.arrays import Csr, Matrix
from accel_logreg.interface.parted_matrix import SourceError
from accel_logreg.sources.npy import Extent, NpySource
from accel_logreg.sources.reading import File
from accel_logreg.sources.source import Source


class SpooledSource(Source):
    """Another source's parts: the first scan of all of them writes them to a file without a name.

    The file vanishes with this, also where the process is killed.
    """

    def __init__(self, of: Source, folder: Path) -> None:
        """Raises OSError where the folder cannot be written to, ValueError for sparse X."""
        if of.sparse:
            raise ValueError(f"spool= is for dense X: {of.where} is sparse")
        self._of, self._folder = of, folder
        self.bounds, self.n_features, self.dtype, self.names = of.bounds, of.n_features, of.dtype, of.names
        self.where, self.y, self.sample_weight = of.where, of.y, of.sample_weight
        self._written: NpySource | None = None

    @property
    def waiting_bytes(self) -> int:
        return self._of.waiting_bytes

    def scan(self, wanted: Sequence[int]) -> Iterator[Matrix | Csr]:
        if self._written is not None:
            yield from self._written.scan(wanted)
        elif len(wanted) == self.n_parts:
            yield from self._writing()
        else:
            yield from self._of.scan(wanted)

    def check_unchanged(self) -> None:
        if self._written is None:
            self._of.check_unchanged()

    def _writing(self) -> Iterator[Matrix | Csr]:
        with tempfile.TemporaryFile(dir=self._folder, prefix="accel_logreg_", buffering=0) as file:
            for X in self._of.scan(range(self.n_parts)):
                assert isinstance(X, np.ndarray)
                left: memoryview = X.view(np.uint8).ravel().data
                try:
                    while left:
                        left = left[file.write(left) or 0 :]
                except OSError as error:
                    raise SourceError(
                        f"spool={str(self._folder)!r}: {error.strerror} after {file.tell() / 1e9:.3g} of "
                        f"{self.nbytes / 1e9:.3g} GB. What was written is gone; name a folder with more "
                        "room, or do without spool"
                    ) from error
                yield X
            os.fsync(file.fileno())
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            n, d = self.shape
            extent = Extent(File(file.fileno(), f"the spool of {self.where}"), 0, (n, d), self.dtype)
            self._written = NpySource([extent], self.where).cut_as(self.bounds)
