"""Data files → X, y and column names; and predictions back into such a file.

Nothing is guessed in silence: a column that is not a number, a missing value or an unknown name is an error
that names it and says what to do, and what only looks wrong is told.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer

from accel_logreg.files.atomic import atomic_write, is_stream
from accel_logreg.files.checks import (
    CHOOSING,
    CHOSEN,
    DataError,
    DType,
    Matrix,
    finite_features,
    finite_labels,
    listed,
    must_exist,
    no_missing_features,
    no_missing_labels,
)
from accel_logreg.files.data import Data
from accel_logreg.files.formats import Dialect, load_arrow, open_data, read_table
from accel_logreg.files.matrices import ARRAYS, label_file, read_arrays, without
from accel_logreg.files.preparation import columns_of, fills_in, levels_of, new_preparation

__all__ = ["Data", "DataError", "read_features", "read_training_data", "write_columns"]

WRITTEN = (".csv", ".csv.gz", ".tsv", ".jsonl", ".parquet", ".npz")  # what predictions are written as
MOST_LEVELS = 1000  # of a column of text that is taken for categories without being named
_EXACT = 2**53  # the largest whole number up to which float64 holds all
_ROW_NUMBERS = 20  # rows from which on 0, 1, 2, … is no accident
_BLOCK = 1 << 14  # rows that are copied together and stay in the cache

Tell = Callable[[str], None]


def _silent(_: str) -> None:
    pass


def read_training_data(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    dtype: DType = np.float64,
    dialect: Dialect | None = None,
    labels: Path | None = None,
    ids: Sequence[str] = (),
    categories: Sequence[str] | None = None,
    impute: str | None = None,
    standardize: bool = False,
    tell: Tell = _silent,
) -> Data:
    """Read X and y.

    Tables (CSV, JSON lines, Parquet): ``target`` names the column of labels; X is ``features``, or every
    other column less ``drop`` and ``ids``. NPZ: X is the array "X" (or "features") of shape (n, d), or what
    ``scipy.sparse.save_npz`` wrote; y the array named ``target``, "y" by default. NPY holds X alone. svmlight
    files hold both. ``labels`` is a file of y instead.

    categories : None where every feature must be a number; else columns to be taken one-hot, beside those of
        text, which are taken so if they have at most 1,000 levels and no more than half as many as rows.
    impute, standardize : see ``preparation.new_preparation``
    tell : called with each sentence about what looks wrong

    Raises
    ------
    DataError
        Unknown or repeated columns, columns that are not numbers, missing or infinite values, no rows,
        arrays of the wrong shape, a file that cannot be read.
    OSError
        The file cannot be opened.
    ImportError
        PyArrow is missing (tables).
    """
    data = open_data(Path(path))
    path = data.path
    if data.kind in ARRAYS:
        if features is not None or drop or ids or categories:
            raise DataError(f"{path}: the columns of arrays have no names to choose or to drop them by")
        if impute or standardize:
            raise DataError(
                f"{path}: filling in and standardizing is for tables with named columns, not for arrays"
            )
        return read_arrays(data, target, labels, dtype, None, None)
    if (target is None) == (labels is None):
        raise DataError(f"{path}: say which column holds the labels with --target COLUMN")
    table = read_table(data, dialect or Dialect(), [*ids, *(categories or ())], tell)
    chosen = [
        name for name in (target, *drop, *ids, *(features or ()), *(categories or ())) if name is not None
    ]
    must_exist(path, chosen, table.column_names)
    if features is not None and target in features:
        raise DataError(f"{path}: the target {target!r} is among the features; leave it out")
    names = tuple(table.column_names if features is None else features)
    names = tuple(name for name in names if name != target and name not in drop and name not in ids)
    if not names:
        raise DataError(f"{path} has no feature column left")
    _look(path, table, names, tell)
    y = _labels(path, table, target) if target is not None else label_file(labels, path, table.num_rows)
    text = _categories(path, table, names, categories)
    ignored = without(table.column_names, *names, target, *ids)
    kept = {name: table.column(name) for name in ids}
    if not (text or impute or standardize):
        return Data(_numbers(path, table, names, dtype), y, names, ignored, ids=kept)
    numbers = [name for name in names if name not in text]
    empty = [name for name in names if table.column(name).null_count == table.num_rows]
    if empty:
        raise DataError(f"{path}: nothing stands in {listed(empty)}; leave it out with --drop COLUMN")
    X = _typed(path, table, numbers, text, dtype, missing=bool(impute))
    preparation = new_preparation(numbers, text, impute=impute, standardize=standardize, dtype=dtype)
    return Data(X, y, names, ignored, preparation=preparation, ids=kept)


def read_features(
    path: str | os.PathLike[str],
    names: Sequence[str] | None,
    *,
    dtype: DType | None = np.float64,
    dialect: Dialect | None = None,
    target: str | None = None,
    labels: Path | None = None,
    ids: Sequence[str] = (),
    more_ids: Sequence[str] = (),
    preparation: ColumnTransformer | None = None,
    n_features: int | None = None,
    zero_based: bool | None = None,
    tell: Tell = _silent,
) -> Data:
    """Read X for prediction: the columns ``names`` in that order, or all of them if None.

    y is read where the file has a column (of an NPZ file: an array) ``target``, or from ``labels``. With a
    fitted ``preparation`` X holds its columns. Raises as ``read_training_data`` does. Names are ignored for
    arrays. A dtype of None is the file's own where it is float32 or float64, else float64. ``n_features`` and
    ``zero_based`` are those of the model, for svmlight files. ``more_ids`` need not be there.
    """
    data = open_data(Path(path))
    path = data.path
    if data.kind in ARRAYS:
        if ids:
            raise DataError(f"{path}: the columns of arrays have no names to be carried through by")
        return read_arrays(data, target, labels, dtype, n_features, zero_based, only_features=True)
    numbers, text = columns_of(preparation) if preparation is not None else (names, [])
    table = read_table(data, dialect or Dialect(), [*ids, *more_ids, *text], tell)
    chosen = tuple(table.column_names if numbers is None else (*numbers, *text))
    must_exist(path, [*chosen, *ids], table.column_names)
    ids = [*ids, *(name for name in more_ids if name in table.column_names)]
    ignored = without(table.column_names, *chosen, target, *ids)
    kept = {name: table.column(name) for name in ids}
    y = None if labels is None else label_file(labels, path, table.num_rows)
    if y is None and target is not None and target in table.column_names:
        if missing := table.column(target).null_count:
            tell(f"{path} has missing labels in {target!r}: {missing:,}, so that nothing is scored")
        else:
            y = _labels(path, table, target)
    kind = np.float64 if dtype is None else dtype
    if preparation is None:
        return Data(_numbers(path, table, chosen, kind, CHOSEN), y, chosen, ignored, ids=kept)
    X = _typed(path, table, list(numbers or ()), text, kind, missing=fills_in(preparation), remedy=CHOSEN)
    for name, levels in levels_of(preparation).items():
        column = X.column(name).drop_null().unique().to_pylist()
        if new := sorted(set(column) - set(levels)):
            tell(
                f"{path}: the model knows no level {listed(new, 5)} of {name!r}; they count as none of those "
                "it knows"
            )
    return Data(X, y, chosen, ignored, preparation=preparation, ids=kept)


def write_columns(path: str | os.PathLike[str], columns: Mapping[str, Any]) -> None:
    """Write named columns of equal length, arrays or PyArrow's, whole or not at all.

    The kind is what the name ends in; what is no regular file, standard output among it, gets CSV.
    """
    path = Path(path)
    name = path.name.lower()
    suffix = next((one for one in WRITTEN if name.endswith(one)), None)
    if suffix is None and is_stream(path):
        suffix = ".csv"
    if suffix is None:
        raise DataError(f"{path}: unknown kind of file {path.suffix!r}; allowed: {', '.join(WRITTEN)}")
    with atomic_write(path) as file:
        if suffix == ".npz":
            # strings need no pickle
            plain = {name: np.asarray(values) for name, values in columns.items()}
            plain = {name: v.astype(np.str_) if v.dtype == object else v for name, v in plain.items()}
            np.savez(file, allow_pickle=False, **plain)
            return
        arrow = load_arrow()
        table = arrow.table(dict(columns))
        if suffix == ".jsonl":
            for row in table.to_pylist():
                file.write(json.dumps(row, ensure_ascii=False, default=str).encode() + b"\n")
        elif suffix == ".parquet":
            arrow.parquet.write_table(table, file)
        else:
            options = arrow.csv.WriteOptions(delimiter="\t" if suffix == ".tsv" else ",")
            packed = gzip.GzipFile("", "wb", fileobj=file) if suffix == ".csv.gz" else nullcontext(file)
            with packed as stream:
                arrow.csv.write_csv(table, stream, options)


def write_parts(path: str | os.PathLike[str], parts: Iterator[Mapping[str, Any]]) -> None:
    """As ``write_columns``, for a table that comes in parts of the same columns: CSV, TSV or Parquet.

    Raises DataError for another kind of file.
    """
    path = Path(path)
    name = path.name.lower()
    kinds = (".csv", ".csv.gz", ".tsv", ".parquet")
    if not name.endswith(kinds) and not is_stream(path):
        raise DataError(f"{path}: written in parts are {', '.join(kinds)}")
    arrow, writer = load_arrow(), None
    with atomic_write(path) as file:
        packed = gzip.GzipFile("", "wb", fileobj=file) if name.endswith(".gz") else nullcontext(file)
        with packed as stream:
            for columns in parts:
                table = arrow.table(dict(columns))
                if writer is None and name.endswith(".parquet"):
                    writer = arrow.parquet.ParquetWriter(stream, table.schema)
                elif writer is None:
                    options = arrow.csv.WriteOptions(delimiter="\t" if name.endswith(".tsv") else ",")
                    writer = arrow.csv.CSVWriter(stream, table.schema, write_options=options)
                writer.write_table(table)
            if writer is not None:
                writer.close()


def _is_number(kind: Any) -> bool:
    kinds = load_arrow().types
    numeric = (kinds.is_integer, kinds.is_floating, kinds.is_boolean, kinds.is_decimal, kinds.is_null)
    return any(is_(kind) for is_ in numeric)


def _is_text(kind: Any) -> bool:
    kinds = load_arrow().types
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _look(path: Path, table: Any, names: Sequence[str], tell: Tell) -> None:
    """Tell of columns that are numbers and mean none: row numbers, and whole numbers that float64 rounds."""
    arrow = load_arrow()
    compute, n = arrow.compute, table.num_rows
    for name in names:
        column = table.column(name)
        whole, floating = arrow.types.is_integer(column.type), arrow.types.is_float64(column.type)
        if not (whole or floating) or column.null_count == n:
            continue
        low, high = (value.as_py() for value in compute.min_max(column).values())
        if max(-low, high) > _EXACT and (
            whole or compute.all(compute.equal(column, compute.floor(column))).as_py()
        ):
            tell(
                f"{path}: {name!r} holds whole numbers beyond 2^53, which are rounded as features. Of an id, "
                f"leave it out: --drop {name!r}"
            )
            continue
        might_count = whole and n >= _ROW_NUMBERS and low in (0, 1) and high - low == n - 1
        if might_count and np.array_equal(column.to_numpy(), np.arange(low, high + 1)):
            tell(f"{path}: {name!r} counts the rows, as an index does. Leave it out: --drop {name!r}")


def _categories(path: Path, table: Any, names: Sequence[str], asked: Sequence[str] | None) -> list[str]:
    """The features that are taken one-hot; DataError for those that are neither number nor category."""
    kinds = {name: table.column(name).type for name in names}
    found = [name for name in names if asked is not None and (_is_text(kinds[name]) or name in asked)]
    bad = [f"{name!r} ({kind})" for name, kind in kinds.items() if not _is_number(kind) and name not in found]
    if bad:
        raise DataError(
            f"{path}: every feature must be a number, but these columns are not: {', '.join(bad[:20])}"
            f"{' …' if len(bad) > 20 else ''}. Leave each out with --drop COLUMN, or make numbers of them "
            "first; accel-logreg train takes columns of text one-hot"
        )
    compute = load_arrow().compute
    for name in found:
        if name in (asked or ()):
            continue
        column = table.column(name)
        levels = compute.count_distinct(column).as_py()
        if levels <= MOST_LEVELS and levels <= table.num_rows / 2:
            continue
        numbers = compute.match_substring_regex(
            column.cast("string"), r"^\s*[-+]?[0-9.,]+([eE][-+]?[0-9]+)?\s*$"
        )
        rest = compute.unique(column.filter(compute.invert(numbers))).drop_null().to_pylist()
        if compute.sum(numbers).as_py() > table.num_rows / 2:
            raise DataError(
                f"{path}: {name!r} holds numbers, and texts such as {listed(rest, 3)}. If these stand for "
                f"missing values: --missing {rest[0]!r}"
                if rest
                else f"{path}: {name!r} holds numbers with commas. If these are decimal commas: --decimal ,"
            )
        raise DataError(
            f"{path}: {name!r} (string) has {levels:,} different values in {table.num_rows:,} rows, too many "
            f"for categories. Leave it out: --drop {name!r}. If they are categories all the same: "
            f"accel-logreg train --categories {name!r}"
        )
    return found


def _typed(
    path: Path, table: Any, numbers: Sequence[str], text: Sequence[str], dtype: DType, *, missing: bool,
    remedy: str = CHOOSING,
) -> Any:  # fmt: skip
    """The columns as a preparation takes them: numbers of one dtype, and texts."""
    arrow = load_arrow()
    bad = [
        f"{name!r} ({table.column(name).type})" for name in numbers if not _is_number(table.column(name).type)
    ]
    if bad:
        raise DataError(f"{path}: as in training these must be numbers, but are not: {', '.join(bad[:20])}")
    kind = arrow.from_numpy_dtype(dtype)
    columns = {
        name: table.column(name).cast(arrow.float64(), safe=False).cast(kind, safe=False) for name in numbers
    }
    columns |= {name: table.column(name).cast(arrow.string()) for name in text}
    if not missing:
        counts = {name: column.null_count for name, column in columns.items()}
        no_missing_features(path, counts, remedy)
    for name in numbers:
        values = columns[name].drop_null().to_numpy()
        # NaN in a column of floats is a missing value too
        finite_features(
            path, values[~np.isnan(values)][:, None] if missing else values[:, None], [name], remedy
        )
    return arrow.table(columns)


def _numbers(path: Path, table: Any, names: Sequence[str], dtype: DType, remedy: str = CHOOSING) -> Matrix:
    """The named columns as an (n, d) C-contiguous array; integers, booleans and decimals become floats."""
    arrow = load_arrow()
    columns = {name: table.column(name) for name in names}
    bad = [f"{name!r} ({c.type})" for name, c in columns.items() if not _is_number(c.type)]
    if bad:
        raise DataError(
            f"{path}: every feature must be a number, but these columns are not: {', '.join(bad[:20])}"
        )
    no_missing_features(path, {name: column.null_count for name, column in columns.items()}, remedy)
    X = np.empty((table.num_rows, len(names)), dtype=dtype)
    start = 0
    for batch in table.select(list(names)).to_batches(max_chunksize=_BLOCK):
        block = X[start : start + batch.num_rows]
        for j, column in enumerate(batch.columns):
            with np.errstate(over="ignore"):  # too large for float32: reported as infinite below
                block[:, j] = column.cast(arrow.float64(), safe=False).to_numpy(zero_copy_only=False)
        start += batch.num_rows
    finite_features(path, X, names, remedy)
    return X


def _labels(path: Path, table: Any, target: str) -> NDArray[Any]:
    """One column as labels, (n,): its own integer, float or bool dtype, or fixed-width strings."""
    arrow = load_arrow()
    kinds = arrow.types
    column = table.column(target)
    no_missing_labels(path, target, column.null_count)
    values: NDArray[Any] = column.to_numpy()
    if _is_text(column.type):
        return values.astype(np.str_)
    numeric = (kinds.is_integer, kinds.is_floating, kinds.is_boolean)
    if not any(is_(column.type) for is_ in numeric):
        raise DataError(
            f"{path}: the target {target!r} holds {column.type}; allowed: strings, numbers, true/false"
        )
    finite_labels(path, target, values)
    return values
