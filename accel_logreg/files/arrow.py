"""CSV and Parquet columns → NumPy arrays, through PyArrow, which loads on first use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.files.checks import (
    DataError,
    DType,
    Matrix,
    finite_features,
    finite_labels,
    listed,
    no_missing_features,
    no_missing_labels,
)


def load_arrow() -> ModuleType:
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


def read_table(path: Path) -> Any:
    """The file as a pyarrow.Table with at least one row and no repeated column name."""
    arrow = load_arrow()
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


def other_columns(table: Any, used: Iterable[str]) -> tuple[str, ...]:
    """The columns that are not used, in file order."""
    known = set(used)
    return tuple(name for name in table.column_names if name not in known)


def numbers(path: Path, table: Any, names: Sequence[str], dtype: DType) -> Matrix:
    """The named columns as an (n, d) C-contiguous array; integers, booleans and decimals become floats."""
    arrow = load_arrow()
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


def labels(path: Path, table: Any, target: str) -> NDArray[Any]:
    """One column as labels, (n,): its own integer, float or bool dtype, or fixed-width strings."""
    arrow = load_arrow()
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
