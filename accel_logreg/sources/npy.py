"""X in .npy files, or in memory maps of files: read by position, past the page cache."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Matrix
from accel_logreg.interface.parted_matrix import SourceError
from accel_logreg.sources.reading import AHEAD, File, ahead
from accel_logreg.sources.source import Source, computed_dtype, cut


class Extent:
    """Rows (n, d) of one file, from a byte on, one after the other."""

    def __init__(self, file: File, offset: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self.file, self.offset, self.shape, self.dtype = file, offset, shape, dtype
        end = offset + shape[0] * shape[1] * dtype.itemsize
        if file.size < end:
            raise SourceError(
                f"{file.name} has {file.size} bytes, but X of shape {shape} and dtype {dtype} ends at byte "
                f"{end}: it is not complete. Write it anew"
            )


class NpySource(Source):
    """X (n, d), the rows of some files one below the other."""

    def __init__(self, extents: list[Extent], where: str) -> None:
        """Raises ValueError where files differ in columns or dtype, TypeError for what is no number."""
        first = extents[0]
        for extent in extents[1:]:
            if extent.shape[1] != first.shape[1] or extent.dtype != first.dtype:
                raise ValueError(
                    f"{extent.file.name} has {extent.shape[1]} columns of {extent.dtype}, {first.file.name} "
                    f"has {first.shape[1]} of {first.dtype}: files of one X have the same"
                )
        self.where, self._extents = where, extents
        self.n_features = first.shape[1]
        self._stored = first.dtype
        self.dtype = computed_dtype([first.dtype], where)
        self._row_bytes = self.n_features * self._stored.itemsize
        self._parts, self.bounds = cut([extent.shape[0] for extent in extents], self._row_bytes)
        self._buffers: list[NDArray[np.uint8]] = []
        self._largest = max(last - first for _, first, last in self._parts) * self._row_bytes

    @property
    def waiting_bytes(self) -> int:
        widened = 0 if self.dtype == self._stored else max(self.part_bytes(i) for i in range(self.n_parts))
        return (1 + AHEAD) * (self._largest + widened)

    def scan(self, wanted: Sequence[int]) -> Iterator[Matrix]:
        buffers, self._buffers = self._buffers, []  # another scan meanwhile takes its own
        while len(buffers) < min(1 + AHEAD, len(wanted)):
            buffers.append(File.buffer(self._largest))
        yield from ahead(wanted, self._read, buffers)
        self._buffers = buffers

    def cut_as(self, bounds: NDArray[np.int64]) -> NpySource:
        """The one file of this in parts that end at these rows."""
        self._parts = [(0, first, last) for first, last in pairwise(bounds.tolist())]
        self.bounds = bounds
        self._largest = max(last - first for _, first, last in self._parts) * self._row_bytes
        return self

    def check_unchanged(self) -> None:
        for extent in self._extents:
            extent.file.check_unchanged()

    def _read(self, part: int, buffer: NDArray[np.uint8]) -> Matrix:
        piece, first, last = self._parts[part]
        extent = self._extents[piece]
        try:
            found = extent.file.read(
                extent.offset + first * self._row_bytes, (last - first) * self._row_bytes, buffer
            )
        except SourceError as error:
            raise SourceError(f"part {part} of {self.where}: {error}") from error
        rows = found.view(self._stored).reshape(last - first, self.n_features)
        X: Matrix = rows.astype(self.dtype, copy=False)
        return X


def npy_header(file: Any) -> Any:
    """Shape, whether in column order, and dtype, of an .npy file that is open."""
    form = np.lib.format
    read = form.read_array_header_1_0 if form.read_magic(file) == (1, 0) else form.read_array_header_2_0
    return read(file)


def npy_extent(path: Path) -> Extent:
    """The array of a .npy file.

    Raises
    ------
    ValueError
        It is no such file, not of two dimensions, or in column order.
    OSError
        It is missing or cannot be read.
    """
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(file)
        except ValueError as error:
            raise ValueError(f"{path} is no .npy file ({error}); write it with numpy.save") from None
        offset = file.tell()
    if len(shape) != 2 or (fortran and shape[0] > 1 and shape[1] > 1):
        order = "column (Fortran)" if fortran else "row"
        raise ValueError(
            f"{path} has shape {shape} in {order} order; X is (n, d) in row (C) order: "
            "numpy.save(path, numpy.ascontiguousarray(X))"
        )
    if not dtype.isnative:
        raise TypeError(
            f"{path} has dtype {dtype}, of another byte order; write it as {dtype.newbyteorder('=')}"
        )
    return Extent(File(path), offset, shape, dtype)


def memmap_extent(X: Any) -> Extent | None:
    """Where a memory map's rows lie in its file; None where they are not there as they are seen here."""
    memory, name = getattr(X, "_mmap", None), getattr(X, "filename", None)
    if type(X) is not np.memmap or X.mode == "c" or not isinstance(memory, mmap.mmap) or name is None:
        return None
    if X.ndim != 2 or not X.flags.c_contiguous or not X.dtype.isnative or X.size == 0:
        return None
    began = X.offset - X.offset % mmap.ALLOCATIONGRANULARITY
    address = np.frombuffer(memory, dtype=np.uint8).ctypes.data
    return Extent(File(Path(name)), began + X.ctypes.data - address, X.shape, X.dtype)
