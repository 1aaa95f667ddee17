"""CSV, Parquet and NPZ files → X, y and column names; and predictions back into such a file.

Nothing is guessed: a column that is not a number, a missing value or an unknown name is an error that
names it and says what to do.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.files.arrays import read_matrix
from accel_logreg.files.atomic import atomic_write
from accel_logreg.files.checks import (
    DataError,
    DType,
    Matrix,
    finite_features,
    finite_labels,
    listed,
    must_exist,
    no_missing_features,
    no_missing_labels,
    open_npz,
)

__all__ = ["Data", "DataError", "read_features", "read_training_data", "write_columns"]

SUFFIXES = (".csv", ".parquet", ".npz")
MATRIX_NAMES = ("X", "features")  # what a feature matrix may be called inside an NPZ file


@dataclass(frozen=True)
class Data:
    """A data file as numbers."""

    X: Matrix  # (n, d), float32 or float64, C-contiguous
    y: NDArray[Any] | None  # (n,) of bools, integers, floats or strings; None if no target was asked
    names: tuple[str, ...] | None  # of each column of X; None for an NPZ file, whose columns have none
    ignored: tuple[str, ...]  # columns (of an NPZ file: arrays) that are neither in X nor in y
    converted: str = ""  # what X was in an NPY file, where it is not read as it lies there


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
    table = _read_table(path)
    must_exist(path, [target, *drop, *(features or ())], table.column_names)
    if features is not None and target in features:
        raise DataError(f"{path}: the target {target!r} is among --features; leave it out")
    names = tuple(table.column_names if features is None else features)
    names = tuple(name for name in names if name != target and name not in drop)
    X = _numbers(path, table, names, dtype)
    return Data(X, _labels(path, table, target), names, _without(table.column_names, *names, target))


def read_features(
    path: str | os.PathLike[str], names: Sequence[str] | None, *, dtype: DType | None = np.float64
) -> Data:
    """Read X for prediction: the columns ``names`` in that order, or all of them if None; y stays None.

    Raises as ``read_training_data`` does. Names are ignored for an NPZ file, and for an NPY file, which is
    read in its own dtype. A dtype of None is the file's own where it is float32 or float64, else float64.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        X, converted = read_matrix(path)
        return Data(X, None, None, (), converted)
    if _suffix(path) == ".npz":
        return _read_npz(path, None, dtype)
    table = _read_table(path)
    chosen = tuple(table.column_names if names is None else names)
    must_exist(path, chosen, table.column_names)
    X = _numbers(path, table, chosen, np.float64 if dtype is None else dtype)
    return Data(X, None, chosen, _without(table.column_names, *chosen))


def write_columns(path: str | os.PathLike[str], columns: Mapping[str, NDArray[Any]]) -> None:
    """Write named columns of equal length as CSV, Parquet or NPZ (by suffix), whole or not at all."""
    path = Path(path)
    suffix = _suffix(path)
    with atomic_write(path) as file:
        if suffix == ".npz":
            np.savez(file, allow_pickle=False, **columns)  # strings need no pickle
            return
        arrow = _load_arrow()
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


def _without(names: Iterable[str], *used: str | None) -> tuple[str, ...]:
    """Those that are not used, in the file's order."""
    known = set(used)
    return tuple(name for name in names if name not in known)


def _read_npz(path: Path, target: str | None, dtype: DType | None) -> Data:
    with open_npz(path, DataError, "write it with numpy.savez") as arrays:
        names = list(arrays.files)
        matrix = _matrix_name(path, names)
        must_exist(path, [] if target is None else [target], names, kind="array")
        X = _array(path, arrays, matrix)
        y = None if target is None else _array(path, arrays, target)
    if X.ndim != 2 or X.dtype.kind not in "biuf" or 0 in X.shape:
        raise DataError(
            f"{path}: {matrix!r} must be numbers of shape (n, d), not {X.dtype} of shape {X.shape}"
        )
    if dtype is None:
        dtype = np.float32 if X.dtype == np.float32 else np.float64
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
    return Data(X, y, None, _without(names, matrix, target))


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


# ---- CSV and Parquet, through PyArrow, which loads on first use ----------------------------------------


def _load_arrow() -> ModuleType:
    """PyArrow with its CSV and Parquet modules; ImportError with the remedy where it is missing."""
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            'CSV and Parquet files need PyArrow, which is missing: pip install "accel_logreg[lab]"',
            name="pyarrow",
        ) from error
    module: ModuleType = pyarrow
    return module


def _read_table(path: Path) -> Any:
    """The file as a pyarrow.Table with at least one row and no repeated column name."""
    arrow = _load_arrow()
    path.open("rb").close()  # says which file cannot be opened, in the same words for every kind
    try:
        if path.suffix.lower() == ".csv":
            # an empty field is a missing value in a column of strings too
            options = arrow.csv.ConvertOptions(strings_can_be_null=True)
            table = arrow.csv.read_csv(path, convert_options=options)
        else:
            with arrow.parquet.ParquetFile(path) as file:
                table = file.read()
    except arrow.ArrowException as error:
        raise DataError(f"{path} cannot be read as {path.suffix.lower()[1:]}: {error}") from error
    repeated = sorted(name for name, count in Counter(table.column_names).items() if count > 1)
    if repeated:
        raise DataError(f"{path}: two columns have the same name: {listed(repeated)}; rename one")
    if table.num_rows == 0:
        raise DataError(f"{path} has no rows")
    return table


def _numbers(path: Path, table: Any, names: Sequence[str], dtype: DType) -> Matrix:
    """The named columns as an (n, d) C-contiguous array; integers, booleans and decimals become floats."""
    arrow = _load_arrow()
    kinds = arrow.types
    numeric = (kinds.is_integer, kinds.is_floating, kinds.is_boolean, kinds.is_decimal, kinds.is_null)
    if not names:
        raise DataError(f"{path} has no feature column left")
    columns = {name: table.column(name) for name in names}
    bad = [f"{name!r} ({c.type})" for name, c in columns.items() if not any(is_(c.type) for is_ in numeric)]
    if bad:
        raise DataError(
            f"{path}: every feature must be a number, but these columns are not: {', '.join(bad[:20])}"
            f"{' …' if len(bad) > 20 else ''}. Leave each out with --drop COLUMN, choose columns with "
            "--features, or encode them as numbers first."
        )
    no_missing_features(path, {name: column.null_count for name, column in columns.items()})
    X = np.empty((table.num_rows, len(names)), dtype=dtype)
    start = 0
    for batch in table.select(list(names)).to_batches(max_chunksize=1 << 14):  # stays in the cache
        block = X[start : start + batch.num_rows]
        for j, column in enumerate(batch.columns):
            with np.errstate(over="ignore"):  # too large for float32: reported as infinite below
                block[:, j] = column.cast(arrow.float64(), safe=False).to_numpy(zero_copy_only=False)
        start += batch.num_rows
    finite_features(path, X, names)
    return X


def _labels(path: Path, table: Any, target: str) -> NDArray[Any]:
    """One column as labels, (n,): its own integer, float or bool dtype, or fixed-width strings."""
    arrow = _load_arrow()
    kinds = arrow.types
    column = table.column(target)
    if kinds.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    no_missing_labels(path, target, column.null_count)
    values: NDArray[Any] = column.to_numpy()
    if kinds.is_string(column.type) or kinds.is_large_string(column.type):
        return values.astype(np.str_)
    numeric = (kinds.is_integer, kinds.is_floating, kinds.is_boolean)
    if not any(is_(column.type) for is_ in numeric):
        raise DataError(
            f"{path}: the target {target!r} holds {column.type}; allowed: strings, numbers, true/false"
        )
    finite_labels(path, target, values)
    return values
