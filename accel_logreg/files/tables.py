"""CSV, Parquet and NPZ files → X, y and column names; and predictions back into such a file.

Nothing is guessed: a column that is not a number, a missing value or an unknown name is an error that
names it and says what to do.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.files.arrow import labels, load_arrow, numbers, other_columns, read_table
from accel_logreg.files.atomic import atomic_write
from accel_logreg.files.checks import (
    DataError,
    DType,
    Matrix,
    finite_features,
    finite_labels,
    listed,
    must_exist,
)

__all__ = ["Data", "DataError", "read_features", "read_training_data", "write_columns"]

SUFFIXES = (".csv", ".parquet", ".npz")
MATRIX_NAMES = ("X", "features")  # what a feature matrix may be called inside an NPZ file


@dataclass(frozen=True)
class Data:
    """A data file as numbers.

    Attributes
    ----------
    X : ndarray of shape (n, d), float32 or float64, C-contiguous
    y : ndarray of shape (n,) of bools, integers, floats or strings, or None if no target was asked
    names : tuple of str, or None
        The name of each column of X; None for an NPZ file, whose columns have none.
    ignored : tuple of str
        Columns (of an NPZ file: arrays) that are neither in X nor in y.
    """

    X: Matrix
    y: NDArray[Any] | None
    names: tuple[str, ...] | None
    ignored: tuple[str, ...]


def read_training_data(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    dtype: DType = np.float64,
) -> Data:
    """Read X and y.

    CSV and Parquet: ``target`` names the column of labels; X is ``features``, or every other column
    less ``drop``. NPZ: X is the array "X" (or "features") of shape (n, d), y the array named ``target``,
    "y" by default.

    Raises
    ------
    DataError
        Unknown or repeated columns, columns that are not numbers, missing or infinite values, no rows,
        arrays of the wrong shape, a file that cannot be read.
    OSError
        The file cannot be opened.
    ImportError
        PyArrow is missing (CSV and Parquet).
    """
    path = Path(path)
    if _suffix(path) == ".npz":
        if features is not None or drop:
            raise DataError(
                f"{path}: the columns of an NPZ array have no names; leave out --features and --drop"
            )
        return _read_npz(path, "y" if target is None else target, dtype)
    if target is None:
        raise DataError(f"{path}: say which column holds the labels with --target COLUMN")
    table = read_table(path)
    must_exist(path, [target, *drop, *(features or ())], table.column_names)
    if features is not None and target in features:
        raise DataError(f"{path}: the target {target!r} is among --features; leave it out")
    names = tuple(table.column_names if features is None else features)
    names = tuple(name for name in names if name != target and name not in drop)
    X = numbers(path, table, names, dtype)
    return Data(X, labels(path, table, target), names, other_columns(table, (*names, target)))


def read_features(
    path: str | os.PathLike[str], names: Sequence[str] | None, *, dtype: DType = np.float64
) -> Data:
    """Read X for prediction: the columns ``names`` in that order, or all of them if None; y stays None.

    Raises as ``read_training_data`` does. Names are ignored for an NPZ file.
    """
    path = Path(path)
    if _suffix(path) == ".npz":
        return _read_npz(path, None, dtype)
    table = read_table(path)
    chosen = tuple(table.column_names if names is None else names)
    must_exist(path, chosen, table.column_names)
    return Data(numbers(path, table, chosen, dtype), None, chosen, other_columns(table, chosen))


def write_columns(path: str | os.PathLike[str], columns: Mapping[str, NDArray[Any]]) -> None:
    """Write named columns of equal length as CSV, Parquet or NPZ (by suffix), whole or not at all."""
    path = Path(path)
    suffix = _suffix(path)
    with atomic_write(path) as file:
        if suffix == ".npz":
            np.savez(file, allow_pickle=False, **columns)  # strings need no pickle
            return
        arrow = load_arrow()
        table = arrow.table({name: arrow.array(values) for name, values in columns.items()})
        if suffix == ".csv":
            arrow.csv.write_csv(table, file)
        else:
            arrow.parquet.write_table(table, file)


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: unknown kind of file {suffix!r}; allowed: {', '.join(SUFFIXES)}")
    return suffix


def _read_npz(path: Path, target: str | None, dtype: DType) -> Data:
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise DataError(f"{path} is not an NPZ file, or it is cut short; write it with numpy.savez")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as arrays:
                names = list(arrays.files)
                matrix = _matrix_name(path, names)
                must_exist(path, [] if target is None else [target], names, kind="array")
                X = _array(path, arrays, matrix)
                y = None if target is None else _array(path, arrays, target)
        except (EOFError, KeyError, zlib.error, zipfile.BadZipFile) as error:
            raise DataError(f"{path} is damaged or cut short: {error}") from error
    if X.ndim != 2 or X.dtype.kind not in "biuf" or 0 in X.shape:
        raise DataError(
            f"{path}: {matrix!r} must be numbers of shape (n, d), not {X.dtype} of shape {X.shape}"
        )
    with np.errstate(over="ignore"):
        X = np.ascontiguousarray(X, dtype=dtype)
    finite_features(path, X, [f"{matrix}[:, {j}]" for j in range(X.shape[1])])
    if y is not None:
        if y.shape != X.shape[:1] or y.dtype.kind not in "biufU":
            raise DataError(
                f"{path}: {target!r} must hold one label for each of the {len(X)} rows of {matrix!r}, "
                f"not {y.dtype} of shape {y.shape}"
            )
        finite_labels(path, str(target), y)
    return Data(X, y, None, tuple(name for name in names if name not in (matrix, target)))


def _array(path: Path, arrays: Any, name: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = arrays[name]
    except ValueError as error:  # an array of Python objects is a pickle, which could run anything
        raise DataError(f"{path}: {name!r} must hold numbers or strings: {error}") from error
    return array


def _matrix_name(path: Path, names: list[str]) -> str:
    for name in MATRIX_NAMES:
        if name in names:
            return name
    wanted = " or ".join(map(repr, MATRIX_NAMES))
    raise DataError(f"{path} has no array named {wanted}; it has {listed(names)}")
