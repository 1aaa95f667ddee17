"""Files of arrays → X and y: NPZ, dense or sparse, NPY, svmlight; and the file of labels beside any other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.datasets import load_svmlight_file

from accel_logreg.files.arrays import read_labels, read_matrix
from accel_logreg.files.checks import (
    DataError,
    DType,
    finite_features,
    finite_labels,
    listed,
    must_exist,
    open_npz,
)
from accel_logreg.files.data import Data
from accel_logreg.files.formats import DataFile

MATRIX_NAMES = ("X", "features")  # what a feature matrix may be called inside an NPZ file
ARRAYS = ("npz", "npy", "svmlight")  # the kinds of file that are read here


def read_arrays(
    data: DataFile,
    target: str | None,
    labels: Path | None,
    dtype: DType | None,
    n_features: int | None,
    zero_based: bool | None,
    *,
    only_features: bool = False,
) -> Data:
    """NPZ, NPY and svmlight; where ``only_features``, y is None unless ``target`` or ``labels`` is there."""
    path = data.path
    if data.kind == "svmlight":
        found = _read_svmlight(data, dtype or np.float64, n_features, zero_based)
    elif data.kind == "npy":
        X, converted = read_matrix(path)
        if dtype is not None and not only_features:
            X = X.astype(dtype, copy=False)
        found = Data(X, None, None, (), converted)
    else:
        wanted = None if labels is not None else target if only_features or target is not None else "y"
        found = _read_npz(path, wanted, dtype, optional=only_features)
    y: NDArray[Any] | None
    if labels is not None:
        y = label_file(labels, path, found.X.shape[0])
    elif found.y is None and not only_features:
        raise DataError(f"{path} holds no labels: name their file with accel-logreg train --labels FILE")
    else:
        y = found.y
    return Data(found.X, y, None, found.ignored, found.converted, zero_based=found.zero_based)


def label_file(labels: Path | None, path: Path, rows: int) -> NDArray[Any]:
    assert labels is not None
    y = read_labels(labels)
    if len(y) != rows:
        raise DataError(
            f"{labels} has {len(y):,} labels and {path} {rows:,} rows; there must be one for each"
        )
    return y


def _read_svmlight(data: DataFile, dtype: DType, n_features: int | None, zero_based: bool | None) -> Data:
    """Columns are counted from 1, as the format has it, unless one is 0; a model's file says which."""
    try:
        try:
            X, y = load_svmlight_file(
                data.source, n_features=n_features, dtype=dtype, zero_based=bool(zero_based)
            )
        except ValueError:
            if zero_based is not None:
                raise
            zero_based = True
            X, y = load_svmlight_file(data.source, n_features=n_features, dtype=dtype, zero_based=True)
    except ValueError as error:
        raise DataError(f"{data.path} cannot be read as svmlight: {error}") from error
    if 0 in X.shape:
        raise DataError(f"{data.path} has {X.shape[0]} rows and {X.shape[1]} columns")
    y = y.astype(np.int64) if np.array_equal(y, y.round()) else y  # the format's classes are whole numbers
    return Data(_finite_sparse(data.path, X, dtype), y, None, (), zero_based=bool(zero_based))


def _finite_sparse(path: Path, X: Any, dtype: DType | None) -> Any:
    if dtype is None:
        dtype = np.float32 if X.dtype == np.float32 else np.float64
    with np.errstate(over="ignore"):
        X = sp.csr_array(X, dtype=dtype)
    if (
        max(X.nnz, *X.shape) < 2**31
    ):  # as narrow as SciPy's own matrices, and as scikit-learn's trees take them
        X.indices, X.indptr = X.indices.astype(np.int32, copy=False), X.indptr.astype(np.int32, copy=False)
    if wrong := int(np.count_nonzero(~np.isfinite(X.data))):
        raise DataError(
            f"{path} has {wrong:,} entries that are missing or infinite in {X.dtype}; remove their rows"
        )
    return X


def _read_npz(path: Path, target: str | None, dtype: DType | None, *, optional: bool) -> Data:
    with open_npz(path, DataError, "write it with numpy.savez") as arrays:
        names = list(arrays.files)
        if "indptr" in names and "indices" in names:
            return _read_sparse_npz(path, arrays, target, dtype, optional=optional)
        matrix = _matrix_name(path, names)
        if optional and target not in names:
            target = None
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
    _check_labels(path, target, y, len(X))
    return Data(X, y, None, without(names, matrix, target))


def _read_sparse_npz(
    path: Path, arrays: Any, target: str | None, dtype: DType | None, *, optional: bool
) -> Data:
    """What ``scipy.sparse.save_npz`` wrote; y, if it is there, was added to the arrays."""
    try:
        X = _finite_sparse(path, sp.load_npz(path), dtype)
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path} is no sparse matrix: {error}; write it with scipy.sparse.save_npz"
        ) from error
    y = None
    if target is not None and target in arrays.files:
        y = _array(path, arrays, target)
    elif target is not None and not optional and target != "y":
        must_exist(path, [target], arrays.files, kind="array")
    _check_labels(path, target, y, X.shape[0])
    return Data(X, y, None, ())


def _check_labels(path: Path, target: str | None, y: NDArray[Any] | None, rows: int) -> None:
    if y is None:
        return
    if y.shape != (rows,) or y.dtype.kind not in "biufU":
        raise DataError(
            f"{path}: {target!r} must hold one label for each of the {rows} rows of X, "
            f"not {y.dtype} of shape {y.shape}"
        )
    finite_labels(path, str(target), y)


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


def without(names: Iterable[str], *used: str | None) -> tuple[str, ...]:
    """Those that are not used, in the file's order."""
    known = set(used)
    return tuple(name for name in names if name not in known)
