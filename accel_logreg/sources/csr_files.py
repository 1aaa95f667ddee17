"""Sparse X in several .npz files, each a block of rows as scipy.sparse.save_npz writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from accel_logreg.interface.arrays import Csr
from accel_logreg.interface.parted_matrix import SourceError
from accel_logreg.sources.npy import npy_header
from accel_logreg.sources.reading import AHEAD, ahead
from accel_logreg.sources.source import Source, computed_dtype


class CsrFilesSource(Source):
    """X (n, d), the blocks of some files one below the other: a part a file."""

    sparse = True

    def __init__(self, paths: list[Path], where: str) -> None:
        """Raises ValueError where a file holds no sparse matrix or one of another width; SourceError."""
        self.where, self._paths = where, paths
        rows, widths, dtypes, stored, pairs = [], [], [], [], 0.0
        for path in paths:
            try:
                with np.load(path) as file:
                    shape, indptr = file["shape"], file["indptr"]
                    kind, values = file["format"].item(), _dtype_in(file, "data")
            except (OSError, KeyError, ValueError) as error:
                raise ValueError(
                    f"{path} holds no CSR matrix ({error}); use scipy.sparse.save_npz(path, X.tocsr())"
                ) from None
            if kind not in (b"csr", "csr"):
                raise ValueError(f"{path} holds a matrix in format {kind!r}; write X.tocsr()")
            rows.append(int(shape[0]))
            widths.append(int(shape[1]))
            dtypes.append(values)
            stored.append(int(indptr[-1]))
            pairs += float(np.square(np.diff(indptr), dtype=np.float64).sum())
        for path, width in zip(paths, widths, strict=True):
            if width != widths[0]:
                raise ValueError(
                    f"{path} has {width} columns, {paths[0]} has {widths[0]}: blocks of one X have the same"
                )
        self.n_features, self._stored, self.pairs = widths[0], stored, pairs
        self.dtype = computed_dtype(dtypes, where)
        self.bounds = np.cumsum([0, *rows], dtype=np.int64)
        self._states = [_state(path) for path in paths]

    def part_bytes(self, part: int) -> int:
        rows = int(self.bounds[part + 1] - self.bounds[part])
        return self._stored[part] * (self.dtype.itemsize + 4) + 4 * (rows + 1)

    @property
    def entries(self) -> int:
        return sum(self._stored)

    @property
    def waiting_bytes(self) -> int:
        return 2 * AHEAD * max(self.part_bytes(part) for part in range(self.n_parts))

    def scan(self, wanted: Sequence[int]) -> Iterator[Csr]:
        return ahead(wanted, self._read, range(min(AHEAD, max(1, len(wanted)))))

    def check_unchanged(self) -> None:
        for path, state in zip(self._paths, self._states, strict=True):
            if _state(path) != state:
                raise SourceError(f"{path} changed while it was read: fit to a copy that nobody writes to")

    def _read(self, part: int, _buffer: int) -> Csr:
        path = self._paths[part]
        try:
            X = sparse.load_npz(path)
        except (OSError, KeyError, ValueError, EOFError) as error:
            raise SourceError(f"part {part} of {self.where}, {path}, cannot be read: {error}") from error
        return canonical(X, self.dtype)


def canonical(X: Any, dtype: np.dtype[Any]) -> Csr:
    """A scipy.sparse matrix as CSR with sorted indices, each once a row."""
    X = X.tocsr()
    if X.dtype != dtype:
        X = X.astype(dtype)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return Csr(X.data, X.indices, X.indptr, X.shape)


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _dtype_in(file: Any, name: str) -> np.dtype[Any]:
    """The dtype of an array in an .npz file, from its header."""
    with file.zip.open(f"{name}.npy") as member:
        dtype: np.dtype[Any] = npy_header(member)[2]
        return dtype
