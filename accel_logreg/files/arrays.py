"""NPY files → X, read where it lies, for embeddings are large; and labels from NPY, NPZ and text files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.files.checks import DataError, Matrix, finite_labels, must_exist, open_npz

_BLOCK = 1 << 22  # entries that are looked at together


def read_matrix(path: Path) -> tuple[Matrix, str]:
    """X (n, d), C-contiguous, and what the file held in words, "" where X is a map of the file.

    float32 and float64 in C order are mapped into memory: nothing is read before it is needed. Other numbers,
    and other orders, are copied: to float32 what it holds exactly (float16, integers of 8 and 16 bits,
    booleans), to float64 the rest.

    Raises
    ------
    DataError
        No NPY file, or one cut short; no numbers of shape (n, d); NaN or infinity.
    OSError
        The file cannot be opened.
    """
    stored = _load(path)
    if stored.ndim != 2 or stored.dtype.kind not in "biuf" or 0 in stored.shape:
        raise DataError(
            f"{path} holds {stored.dtype} of shape {stored.shape}; it must hold numbers of shape (n, d), "
            "a row for each embedding. Save others as float32: numpy.save(path, X.astype('float32'))"
        )
    converted = ""
    X: Any = np.asarray(stored)
    if X.dtype not in (np.float32, np.float64) or not X.flags.c_contiguous:
        narrow = X.dtype.itemsize <= 2 or X.dtype.newbyteorder("=") == np.float32
        order = "" if X.flags.c_contiguous else " in Fortran order"
        converted = f"{X.dtype}{order}"
        with np.errstate(over="ignore"):
            X = np.ascontiguousarray(X, dtype=np.float32 if narrow else np.float64)
    _finite(path, X)
    return X, converted


def read_labels(path: Path) -> NDArray[Any]:
    """y (n,) of bools, integers, floats or strings: an NPY file, the array "y" of an NPZ file, or else a text
    file with a label a line, integers if all lines are.

    Raises as ``read_matrix`` does.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz"):
        return _labels_of_lines(path)
    if suffix == ".npy":
        y = _load(path)
    else:
        with open_npz(path, DataError, "write it with numpy.savez") as arrays:
            must_exist(path, ["y"], arrays.files, kind="array")
            y = np.asarray(arrays["y"])
    if y.ndim != 1 or y.dtype.kind not in "biufU" or len(y) == 0:
        raise DataError(
            f"{path} holds {y.dtype} of shape {y.shape}; it must hold one label for each row, shape (n,), of "
            "numbers or strings. Save others with numpy.save(path, y.astype(str))"
        )
    finite_labels(path, "y", y)
    return np.array(y)


def _load(path: Path) -> NDArray[Any]:
    """The array of an NPY file, mapped."""
    path.open("rb").close()  # says which file cannot be opened
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(
            f"{path} is no NPY file of numbers or strings, or it is cut short: {error}; write it with "
            "numpy.save"
        ) from error
    if not isinstance(stored, np.ndarray):
        raise DataError(f"{path} is an NPZ file: name it .npz")
    return stored


def _labels_of_lines(path: Path) -> NDArray[Any]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is no text in UTF-8: {error}; write a label a line, or an NPY file"
        ) from error
    labels = [line.strip() for line in lines]
    if not all(labels):
        raise DataError(f"{path} has no label in line {labels.index('') + 1}; write one a line")
    if not labels:
        raise DataError(f"{path} is empty; write a label a line")
    try:
        numbers = np.array([int(label) for label in labels])
    except ValueError:
        return np.array(labels)
    # 007 is a name, and so is a number of more digits than an integer has.
    same = numbers.dtype.kind == "i" and list(map(str, numbers.tolist())) == labels
    return numbers if same else np.array(labels)


def _finite(path: Path, X: Matrix) -> None:
    """Every entry is a finite number."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum()):
            return
    step = max(1, _BLOCK // X.shape[1])
    wrong = np.concatenate(
        [~np.isfinite(X[first : first + step]).all(axis=1) for first in range(0, len(X), step)]
    )
    if wrong.any():
        row = int(wrong.argmax())
        good = np.isfinite(X[row])
        raise DataError(
            f"{path} holds NaN or infinity in {np.count_nonzero(wrong):,} of {len(X):,} rows, first in row "
            f"{row}: {X[row, good.argmin()]} in column {good.argmin()}. Leave these rows out, and "
            "their labels: numpy.isfinite(X).all(axis=1) is those to keep"
        )
