"""X as every kind of source, in parts that are small enough for small tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet
import zarr
from scipy import sparse

N, D = 6_000, 12


def problem(n: int = N, d: int = D, dtype: Any = np.float32) -> tuple[Any, Any, Any]:
    """X (n, d), y and weights, sorted by the first column, as files often are."""
    random = np.random.default_rng(5)
    X = random.standard_normal((n, d)).astype(dtype) + 1.0
    X = np.ascontiguousarray(X[np.argsort(X[:, 0])], dtype=dtype)
    y = (X[:, 0] - X[:, 1] + random.standard_normal(n) > 0).astype(int)
    return X, y, random.random(n) + 0.5


class Batches:
    """What can be gone through again and again."""

    def __init__(self, *arrays: Any, rows: int = 1000) -> None:
        self.arrays, self.rows, self.passes = arrays, rows, 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        self.passes += 1
        for first in range(0, self.arrays[0].shape[0], self.rows):
            yield tuple(array[first : first + self.rows] for array in self.arrays)


Made = tuple[Any, Any, Any]  # X, y and weights as ``fit`` takes them


def _npy(folder: Path, X: Any, y: Any, s: Any) -> Made:
    for name, array in (("X", X), ("y", y), ("s", s)):
        np.save(folder / f"{name}.npy", array)
    return str(folder / "X.npy"), folder / "y.npy", folder / "s.npy"


def _several(folder: Path, X: Any, y: Any, s: Any) -> Made:
    for number, piece in enumerate(np.array_split(X, 3)):
        np.save(folder / f"piece{number}.npy", piece)
    return f"{folder}/piece*.npy", y, s


def _memmap(folder: Path, X: Any, y: Any, s: Any) -> Made:
    """A view that begins in the middle of the file."""
    np.save(folder / "X.npy", np.vstack([np.full((7, X.shape[1]), np.nan, X.dtype), X]))
    return np.load(folder / "X.npy", mmap_mode="r")[7:], y, s


def _table(X: Any, y: Any, s: Any) -> Any:
    return pa.table({**{f"c{j}": X[:, j] for j in range(X.shape[1])}, "clicked": y, "w": s})


def _parquet(folder: Path, X: Any, y: Any, s: Any) -> Made:
    """Row groups that are no multiple of a part, in several files."""
    for number, rows in enumerate(np.array_split(np.arange(len(X)), 3)):
        table = _table(X[rows], y[rows], s[rows])
        pa.parquet.write_table(table, folder / f"{number}.parquet", row_group_size=1700)
    return f"{folder}/*.parquet", "clicked", "w"


def _dataset(folder: Path, X: Any, y: Any, s: Any) -> Made:
    _parquet(folder, X, y, s)
    return pa.dataset.dataset(folder), "clicked", "w"


def _feather(folder: Path, X: Any, y: Any, s: Any) -> Made:
    pa.feather.write_feather(
        _table(X, y, s), folder / "x.feather", compression="uncompressed", chunksize=1100
    )
    return folder / "x.feather", "clicked", "w"


def _zarr(folder: Path, X: Any, y: Any, s: Any) -> Made:
    array = zarr.create_array(folder / "x.zarr", shape=X.shape, chunks=(500, 5), dtype=X.dtype)
    array[:] = X
    return array, y, s


def _batches(_folder: Path, X: Any, y: Any, s: Any) -> Made:
    return Batches(X, y, s), None, None


def _list(_folder: Path, X: Any, y: Any, s: Any) -> Made:
    return list(Batches(X, y, s)), None, None


def _csr_files(folder: Path, X: Any, y: Any, s: Any) -> Made:
    for number, rows in enumerate(np.array_split(np.arange(len(y)), 4)):
        sparse.save_npz(folder / f"{number}.npz", sparse.csr_matrix(X[rows]))
    return f"{folder}/*.npz", y, s


def _csr_batches(_folder: Path, X: Any, y: Any, s: Any) -> Made:
    return Batches(sparse.csr_matrix(X), y, s), None, None


DENSE: dict[str, Callable[[Path, Any, Any, Any], Made]] = {
    "npy": _npy, "several npy": _several, "memmap": _memmap, "parquet": _parquet, "dataset": _dataset,
    "feather": _feather, "zarr": _zarr, "batches": _batches, "list": _list,
}  # fmt: skip
SPARSE: dict[str, Callable[[Path, Any, Any, Any], Made]] = {
    "csr files": _csr_files,
    "csr batches": _csr_batches,
}


def thinned(X: Any) -> Any:
    """X with most entries 0, still an array."""
    random = np.random.default_rng(6)
    return np.where(random.random(X.shape) < 0.3, X, 0).astype(X.dtype)
